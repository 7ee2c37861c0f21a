//! `/billing/run`, `/billing/runs/{id}`, `/billing/rate` and `/accounts/{id}/balance`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, RunId};
use domain::money::Currency;
use domain::price::UsageEntry;
use domain::quantity::Quantity;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use store::billing::{NewBillingRun, RunScope};
use store::{AuditEvent, Kind};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::problem::{Fault, Problem};

pub(super) const TAG: &str = "billing";

/// What to bill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RunKind {
    /// Everything that is due.
    #[default]
    Due,
    /// Also the usage of running periods so far.
    Interim,
}

/// A run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRun {
    /// Whom; everybody unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(crate) account: Option<AccountId>,
    /// What; everything that is due unless given.
    #[serde(default)]
    #[schema(inline)]
    pub(crate) kind: RunKind,
    /// Whether invoices are issued at once; else they stay drafts that `POST /invoices/{id}/finalize` issues.
    #[serde(default = "yes")]
    pub(crate) finalize: bool,
}

const fn yes() -> bool {
    true
}

/// The run that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QueuedRun {
    /// For `GET /billing/runs/{id}`.
    id: String,
}

/// An account that a run could not bill.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingRunFailure)]
pub(crate) struct RunFailureBody {
    account_id: String,
    reason: String,
}

/// How far a run is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingRun)]
pub(crate) struct RunBody {
    id: String,
    /// `queued`, `running` or `done`.
    state: String,
    /// Accounts billed.
    done: u32,
    /// Accounts to bill.
    total: u32,
    /// Accounts that could not be billed; the next run tries them again.
    failed: u32,
    /// Invoices that it made.
    invoices: u32,
    /// Credit notes that it made.
    credit_notes: u32,
    /// The accounts that could not be billed, with the reason.
    failures: Vec<RunFailureBody>,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

/// Queues a run for the billing worker.
pub(crate) async fn start_run(app: &App, caller: &Caller, wanted: &NewRun) -> Result<RunId, Problem> {
    if let Some(account) = wanted.account
        && app.store.account(caller.scope(), account).await?.is_none()
    {
        return Err(Problem::missing("account"));
    }
    let now = app.clock.now();
    let new = NewBillingRun {
        id: RunId::new(now, App::seed()),
        scope: match wanted.kind {
            RunKind::Due => RunScope::Due,
            RunKind::Interim => RunScope::Interim,
        },
        account: wanted.account,
        finalize: wanted.finalize,
        own_until: None,
    };
    let mut tx = caller.change(app).await?;
    tx.audit(AuditEvent {
        action: format!("{}.start", Kind::BillingRun),
        kind: Kind::BillingRun,
        target: new.id.to_string(),
        account: new.account,
        before: None,
        after: Some(json!({ "kind": new.scope, "finalize": new.finalize })),
    });
    app.commit(tx).await?;
    app.store.enqueue_billing_run(&new, now).await?;
    Ok(new.id)
}

/// `POST /billing/run`
pub(crate) async fn run(State(app): State<App>, caller: Caller, Body(wanted): Body<NewRun>) -> Answer {
    let id = start_run(&app, &caller, &wanted).await?;
    Ok(answer::json(StatusCode::ACCEPTED, &QueuedRun { id: id.to_string() }))
}

/// Documentation of [`run`].
pub(crate) fn run_doc() -> Doc {
    Doc::new(TAG, "startBillingRun", "Bill what is due")
        .text(
            "Billing runs by itself; this asks for a run now. Nothing is billed twice, however often it is asked for.",
        )
        .body::<NewRun>()
        .answer::<QueuedRun>(202, "The run is queued")
}

/// `GET /billing/runs/{id}`
pub(crate) async fn show_run(State(app): State<App>, Id(id): Id<RunId>) -> Answer {
    let run = app
        .store
        .billing_run(id)
        .await?
        .ok_or_else(|| Problem::missing("billing run"))?;
    let failures = app
        .store
        .run_failures(id)
        .await?
        .into_iter()
        .map(|failure| RunFailureBody {
            account_id: failure.account.to_string(),
            reason: failure.reason,
        });
    let body = RunBody {
        invoices: run.invoices,
        credit_notes: run.credit_notes,
        failures: failures.collect(),
        id: run.id.to_string(),
        state: run.state,
        done: run.done,
        total: run.total,
        failed: run.failed,
        requested_at: run.requested_at,
        finished_at: run.finished_at,
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// Documentation of [`show_run`].
pub(crate) fn show_run_doc() -> Doc {
    Doc::new(TAG, "getBillingRun", "Show how far a run is").answer::<RunBody>(200, "The run")
}

/// A number to rate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rate {
    /// ISO 4217.
    #[schema(value_type = String)]
    currency: Currency,
    /// An entry of `price.usage`; `meter` may be left out.
    #[schema(value_type = Object)]
    price: Json,
    /// A decimal, as text or number.
    #[schema(value_type = String)]
    quantity: Json,
}

/// What it costs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RatedBody {
    /// Minor units.
    amount: i64,
    /// How it came about, in exact decimals of major units.
    #[schema(value_type = Object)]
    detail: Json,
}

/// The quantity of a JSON value.
fn quantity(value: &Json) -> Result<Quantity, Problem> {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => String::new(),
    };
    text.parse()
        .map_err(|error| Problem::invalid(vec![Fault::at("/quantity", format!("not a quantity: {error}"))]))
}

/// `POST /billing/rate`
pub(crate) async fn rate(Body(wanted): Body<Rate>) -> Answer {
    let quantity = quantity(&wanted.quantity)?;
    let mut price = wanted.price;
    if let Some(fields) = price.as_object_mut() {
        fields.entry("meter").or_insert_with(|| json!(domain::limit::REQUESTS));
    }
    let entry: UsageEntry =
        crate::http::body::typed(price).map_err(|fault| Problem::invalid(vec![below("/price", fault)]))?;
    let understood = entry.understand().map_err(|faults| {
        let faults = faults
            .into_iter()
            .map(|fault| Fault::at(format!("/price{}", fault.pointer), fault.reason));
        Problem::invalid(faults.collect())
    })?;
    let rated = domain::rating::rate(&understood, quantity);
    let too_large = |error| Problem::invalid(vec![Fault::at("/quantity", format!("{error}"))]);
    let amount = rated.round(wanted.currency).map_err(too_large)?.total;
    let detail = serde_json::to_value(&rated).map_err(|_| Problem::internal())?;
    Ok(answer::json(StatusCode::OK, &RatedBody { amount, detail }))
}

fn below(parent: &str, mut fault: Fault) -> Fault {
    fault.pointer = Some(format!("{parent}{}", fault.pointer.unwrap_or_default()));
    fault
}

/// Documentation of [`rate`].
pub(crate) fn rate_doc() -> Doc {
    Doc::new(TAG, "rateQuantity", "Rate a quantity with a price")
        .body::<Rate>()
        .answer::<RatedBody>(200, "What it costs")
}

/// What an account owes and has to its credit in one currency. Amounts are minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BalanceItem {
    currency: &'static str,
    /// What open invoices ask for.
    receivable: i64,
    /// What the next invoice takes.
    credit: i64,
}

/// The balance of an account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountBalance)]
pub(crate) struct BalanceBody {
    account_id: String,
    items: Vec<BalanceItem>,
}

/// `GET /accounts/{id}/balance`
pub(crate) async fn balance(State(app): State<App>, caller: Caller, Id(id): Id<AccountId>) -> Answer {
    app.store
        .account(caller.scope(), id)
        .await?
        .ok_or_else(|| Problem::missing("account"))?;
    let found = app.store.balances(caller.scope(), id).await?;
    let items = found.iter().map(|balance| BalanceItem {
        currency: balance.currency.code(),
        receivable: balance.receivable,
        credit: balance.credit,
    });
    Ok(answer::json(
        StatusCode::OK,
        &BalanceBody {
            account_id: id.to_string(),
            items: items.collect(),
        },
    ))
}

/// Documentation of [`balance`].
pub(crate) fn balance_doc() -> Doc {
    Doc::new(TAG, "getAccountBalance", "Show what an account owes").answer::<BalanceBody>(200, "By currency")
}
