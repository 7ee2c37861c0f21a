//! `/billing/preview`: what past traffic would have cost with any plan.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use domain::charge::Terms;
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::{AccountId, PlanVersionId, SubscriptionId};
use domain::money::{Currency, OutOfRange};
use serde::{Deserialize, Serialize};
use store::ControlTx;
use store::billing::PastUse;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::billing::TAG;
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::fresh;
use crate::app::App;
use crate::http::body::Body;
use crate::http::problem::{Fault, Problem};
use crate::pricing::{self, Line};
use crate::subscribing;

/// Which traffic, with which plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preview {
    /// `product/plan` for the newest version of a plan, or the id of a version.
    plan: String,
    /// First instant of the traffic; held within quarters of an hour.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// First instant after it.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Only this account's traffic; everybody's unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The plan's own unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
}

/// What one price would have charged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewLine {
    /// `usage/<meter>`, `overage/<limit>` or `recurring`.
    price: String,
    /// A decimal.
    quantity: String,
    /// Minor units.
    amount: i64,
}

impl From<Line> for PreviewLine {
    fn from(line: Line) -> Self {
        let Line {
            price,
            quantity,
            amount,
        } = line;
        Self {
            price,
            quantity,
            amount,
        }
    }
}

/// What one subscription would have been charged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewItem {
    subscription_id: String,
    lines: Vec<PreviewLine>,
    amount: i64,
}

/// What the traffic would have cost.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewBody {
    currency: &'static str,
    items: Vec<PreviewItem>,
    /// Minor units.
    amount: i64,
}

/// `POST /billing/preview`
pub(crate) async fn preview(State(app): State<App>, caller: Caller, Body(wanted): Body<Preview>) -> Answer {
    if wanted.from >= wanted.to {
        return Err(Problem::invalid(vec![Fault::at("/to", "`to` is not after `from`")]));
    }
    let mut tx = caller.change(&app).await?;
    let plan = plan(&mut tx, &wanted.plan).await?;
    tx.rollback().await?;
    let own = plan.price.as_ref().map(|price| price.currency).unwrap_or_default();
    let terms =
        Terms::of(&plan, wanted.currency.unwrap_or(own)).map_err(|error| Problem::conflict(error.to_string()))?;
    fresh(&app).await?;
    let subscriptions = match wanted.account {
        Some(account) => Some(app.store.subscription_ids(account).await?),
        None => None,
    };
    let mut by_subscription: BTreeMap<SubscriptionId, Vec<PastUse>> = BTreeMap::new();
    for part in app.store.past_use(wanted.from, wanted.to).await? {
        if subscriptions
            .as_ref()
            .is_none_or(|own| own.contains(&part.subscription))
        {
            by_subscription.entry(part.subscription).or_default().push(part);
        }
    }
    let body = priced(&terms, &by_subscription).map_err(|error| Problem::conflict(error.to_string()))?;
    Ok(answer::json(StatusCode::OK, &body))
}

/// Documentation of [`preview`].
pub(crate) fn preview_doc() -> Doc {
    Doc::new(TAG, "previewBilling", "Price past traffic with a plan")
        .text("Each subscription's traffic of the whole time is rated as one period: included units, tiers and the recurring amount once.")
        .body::<Preview>()
        .answer::<PreviewBody>(200, "What it would have cost")
}

async fn plan(tx: &mut ControlTx, wanted: &str) -> Result<Plan, Problem> {
    let unknown = || {
        Problem::invalid(vec![Fault::at(
            "/plan",
            "write product/plan, or the id of a plan version",
        )])
    };
    let version = if let Ok(id) = wanted.parse::<PlanVersionId>() {
        tx.plan_version(id).await?
    } else {
        let (product, name) = wanted.split_once('/').ok_or_else(unknown)?;
        let (_, plan) = subscribing::named_plan(tx, product, name).await?;
        let plan = plan.ok_or_else(unknown)?;
        tx.latest_plan_version(subscribing::id(&plan)?).await?
    };
    let version = version.ok_or_else(unknown)?;
    serde_json::from_value(version.body).map_err(|error| {
        tracing::error!(%error, version = %version.id, "a stored plan version cannot be read");
        Problem::internal()
    })
}

fn priced(terms: &Terms, used: &BTreeMap<SubscriptionId, Vec<PastUse>>) -> Result<PreviewBody, OutOfRange> {
    let mut body = PreviewBody {
        currency: terms.currency.code(),
        items: Vec::new(),
        amount: 0,
    };
    for (subscription, parts) in used {
        let lines = pricing::lines(terms, |term| pricing::billed_of(term, parts))?;
        let amount = pricing::total(&lines)?;
        body.amount = body.amount.checked_add(amount).ok_or(OutOfRange)?;
        body.items.push(PreviewItem {
            subscription_id: subscription.to_string(),
            lines: lines.into_iter().map(PreviewLine::from).collect(),
            amount,
        });
    }
    Ok(body)
}
