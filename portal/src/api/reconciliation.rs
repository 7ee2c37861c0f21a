//! `/reconciliation`: the same requests, counted at every hop from the gateway's journal to the invoice.
//!
//! Requests of a span of time are counted three times over: the ledger's totals, the raw facts one by one, the roll-ups.
//! For every usage period that has traffic in the span, what the ledger holds of it in all stands beside what documents in
//! force have billed. Whatever is not equal says where the difference comes from. The numbers of one account leave out
//! what belongs to no subscription.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{Dimension, EventFilter, Interval, UsageQuery};
use axum::extract::State;
use axum::http::StatusCode;
use domain::billable::{Policy, billable};
use domain::clock::Timestamp;
use domain::ids::{AccountId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::Outcome;
use serde::{Deserialize, Serialize};
use store::billing::{BookedPart, Books};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::billing::TAG;
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::{billed, fresh, wrong};
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::query::{Query, from_text};

const QUARTER_HOUR_MS: i64 = 900_000;
const MAX_MS: i64 = 35 * 86_400_000;

/// Which time, of whom.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// First instant (RFC 3339), rounded down to a quarter of an hour; a day before `to` unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    pub(crate) from: Option<Timestamp>,
    /// First instant after the time, rounded up; now unless given. At most 35 days after `from`.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    pub(crate) to: Option<Timestamp>,
    /// Of this account alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    pub(crate) account: Option<AccountId>,
}

/// One place where the requests of the time were counted.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationHop)]
pub(crate) struct Hop {
    /// `ledger`, `facts` or `rollups`.
    pub(crate) hop: &'static str,
    /// Requests that were admitted.
    pub(crate) requests: u64,
    /// Those that are billed.
    pub(crate) billable: u64,
    /// Requests without those of the ledger.
    pub(crate) difference: i64,
}

/// How the bill of a usage period stands to its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// It should be equal and is not: someone must look.
    Differs,
    /// Usage came late; the next invoice takes it up.
    Late,
    /// The plan prices some operations only.
    PartlyPriced,
    /// The plan has no price for requests.
    Unpriced,
    /// The period is not billed yet.
    Open,
    /// Billed is what was used.
    Equal,
}

/// A usage period with traffic in the time, in all.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationPeriod)]
pub(crate) struct PeriodItem {
    #[schema(value_type = String)]
    pub(crate) subscription_id: SubscriptionId,
    #[schema(value_type = Option<String>)]
    pub(crate) account_id: Option<AccountId>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) period_start: Timestamp,
    /// Requests that the ledger counted.
    pub(crate) requests: u64,
    /// Those that are billed by the policy.
    pub(crate) billable: u64,
    /// Of them, those that came too late.
    pub(crate) written_off: u64,
    /// Requests on invoices and credit notes in force.
    pub(crate) billed: u64,
    /// Billed, without what should be.
    pub(crate) difference: i64,
    #[schema(inline)]
    pub(crate) standing: Standing,
    /// The documents.
    pub(crate) documents: Vec<String>,
}

/// How far a producer's records have come.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationProducer)]
pub(crate) struct ProducerItem {
    pub(crate) producer: String,
    pub(crate) node: String,
    pub(crate) worker: u32,
    /// `orderly` or `interrupted`; null while it lives.
    pub(crate) ended: Option<&'static str>,
    /// Its records are counted up to this number.
    pub(crate) next_seq: u64,
    /// Records in the ledger's commits.
    pub(crate) counted: u64,
    /// Of them, not yet in analytics.
    pub(crate) waiting: u64,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) alive_through: Option<Timestamp>,
}

/// Records that may be missing.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationGap)]
pub(crate) struct GapItem {
    pub(crate) producer: String,
    pub(crate) from_seq: u64,
    /// The one after the last; null where that is unknown.
    pub(crate) to_seq: Option<u64>,
    pub(crate) kind: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<Timestamp>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationPoison)]
pub(crate) struct PoisonItem {
    pub(crate) producer: String,
    pub(crate) seq: u64,
    pub(crate) reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) found_at: Timestamp,
}

/// Every hop and its number.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Reconciliation)]
pub(crate) struct Report {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) hops: Vec<Hop>,
    /// What differs stands first.
    pub(crate) periods: Vec<PeriodItem>,
    pub(crate) producers: Vec<ProducerItem>,
    pub(crate) gaps: Vec<GapItem>,
    pub(crate) unreadable: Vec<PoisonItem>,
    /// Records that came twice with another content; the first is kept.
    pub(crate) conflicts: u64,
}

fn units(quantity: Quantity) -> u64 {
    quantity.ceil_units()
}

fn billable_part(outcome: &str, quantity: Quantity) -> Quantity {
    Outcome::from_class_key(outcome).map_or(Quantity::ZERO, |outcome| billable(Policy::V1, &outcome).of(quantity))
}

fn difference(this: u64, that: u64) -> i64 {
    let size = i64::try_from(this.abs_diff(that)).unwrap_or(i64::MAX);
    if this >= that { size } else { -size }
}

impl Which {
    fn range(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
        let floor =
            |at: Timestamp| Timestamp::from_millis(at.as_millis().div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS);
        let to = floor(self.to.unwrap_or(now).plus_millis(QUARTER_HOUR_MS - 1));
        let from = floor(self.from.unwrap_or_else(|| to.plus_millis(-86_400_000)));
        if from > to {
            return Err(wrong("from", "`from` lies after `to`"));
        }
        if to.millis_since(from) > MAX_MS + QUARTER_HOUR_MS {
            return Err(wrong(
                "from",
                "every request is counted one by one: ask for at most 35 days",
            ));
        }
        Ok((from, to))
    }
}

/// Counts everything.
pub(crate) async fn reconcile(app: &App, caller: &Caller, which: &Which) -> Result<Report, Problem> {
    if let Some(account) = which.account {
        app.store
            .account(caller.scope(), account)
            .await?
            .ok_or_else(|| Problem::missing("account"))?;
    }
    let (from, to) = which.range(app.clock.now())?;
    fresh(app).await?;
    let own = match which.account {
        Some(account) => Some(app.store.subscription_ids(account).await?),
        None => None,
    };
    Ok(Report {
        from,
        to,
        hops: hops(app, (from, to), which.account, own.as_ref()).await?,
        periods: periods(app, (from, to), own.as_ref()).await?,
        producers: producers(app).await?,
        gaps: gaps(app).await?,
        unreadable: unreadable(app).await?,
        conflicts: app.store.conflicts().await?,
    })
}

async fn hops(
    app: &App,
    (from, to): (Timestamp, Timestamp),
    account: Option<AccountId>,
    own: Option<&BTreeSet<SubscriptionId>>,
) -> Result<Vec<Hop>, Problem> {
    let (mut counted, mut counted_billable) = (Quantity::ZERO, Quantity::ZERO);
    for part in app.store.past_use(from, to).await? {
        if part.meter == REQUESTS && own.is_none_or(|own| own.contains(&part.subscription)) {
            counted = counted.saturating_add(part.quantity);
            counted_billable = counted_billable.saturating_add(billable_part(&part.outcome, part.quantity));
        }
    }
    let filter = EventFilter {
        from,
        to,
        account,
        consumer: None,
        subscription: None,
        mode: Mode::Live,
    };
    let raw = app.analytics.raw_count(&filter, &billed).await?;
    let query = UsageQuery {
        from,
        to,
        interval: Interval::Whole,
        group_by: vec![Dimension::Subscription],
        filter: account
            .map(|account| (Dimension::Account, account.to_string()))
            .into_iter()
            .collect(),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    };
    let (mut rolled, mut rolled_billable) = (0_u64, 0_u64);
    for row in app.analytics.usage(&query, &billed).await? {
        if row.group.first().is_some_and(Option::is_some) {
            rolled += row.requests;
            rolled_billable += units(row.billable);
        }
    }
    let ledger = units(counted);
    let hop = |hop, requests, billable| Hop {
        hop,
        requests,
        billable,
        difference: difference(requests, ledger),
    };
    Ok(vec![
        hop("ledger", ledger, units(counted_billable)),
        hop("facts", raw.requests, raw.billable),
        hop("rollups", rolled, rolled_billable),
    ])
}

type Key = (SubscriptionId, Timestamp);

#[derive(Default)]
struct Sum {
    requests: Quantity,
    billable: Quantity,
    written_off: Quantity,
    billed: Quantity,
    documents: Vec<String>,
}

fn sums(books: &Books) -> BTreeMap<Key, Sum> {
    let key = |part: &BookedPart| (part.subscription, part.period_start);
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for part in &books.counted {
        let sum = sums.entry(key(part)).or_default();
        sum.requests = sum.requests.saturating_add(part.quantity);
        sum.billable = sum.billable.saturating_add(billable_part(&part.outcome, part.quantity));
    }
    for part in &books.written_off {
        let sum = sums.entry(key(part)).or_default();
        sum.written_off = sum
            .written_off
            .saturating_add(billable_part(&part.outcome, part.quantity));
    }
    for part in &books.billed {
        let sum = sums.entry((part.subscription, part.period_start)).or_default();
        sum.billed = sum.billed.saturating_add(part.quantity);
        sum.documents.push(part.document.clone());
    }
    sums
}

async fn periods(
    app: &App,
    (from, to): (Timestamp, Timestamp),
    own: Option<&BTreeSet<SubscriptionId>>,
) -> Result<Vec<PeriodItem>, Problem> {
    let books = app.store.books(from, to).await?;
    let (closed, late): (BTreeSet<Key>, BTreeSet<Key>) = (
        books.closed.iter().copied().collect(),
        books.late.iter().copied().collect(),
    );
    let mut items = Vec::new();
    for (key, sum) in sums(&books) {
        if own.is_some_and(|own| !own.contains(&key.0)) {
            continue;
        }
        let subscription = app.store.subscription(store::Scope::All, key.0).await?;
        let account_id = subscription.map(|subscription| subscription.account_id);
        let wanted = units(sum.billable).saturating_sub(units(sum.written_off));
        let difference = difference(units(sum.billed), wanted);
        let standing = if difference == 0 {
            Standing::Equal
        } else if late.contains(&key) {
            Standing::Late
        } else if !closed.contains(&key) && difference < 0 {
            Standing::Open
        } else {
            priced(app, account_id, key).await?
        };
        items.push(PeriodItem {
            subscription_id: key.0,
            account_id,
            period_start: key.1,
            requests: units(sum.requests),
            billable: units(sum.billable),
            written_off: units(sum.written_off),
            billed: units(sum.billed),
            difference,
            standing,
            documents: sum.documents,
        });
    }
    items.sort_by_key(|item| (item.standing, item.period_start, item.subscription_id));
    Ok(items)
}

/// Whether a difference comes from what the plans of the period price.
async fn priced(app: &App, account: Option<AccountId>, (subscription, start): Key) -> Result<Standing, Problem> {
    let Some(account) = account else {
        return Ok(Standing::Differs);
    };
    let bill = app.store.account_bill(account).await?;
    let contract = bill
        .iter()
        .flat_map(|bill| &bill.contracts)
        .find(|contract| contract.subscription == subscription);
    let Some((contract, period)) = contract.and_then(|one| Some((one, one.schedule.period_at(start).ok()?))) else {
        return Ok(Standing::Differs);
    };
    let terms = || contract.within(&period).flat_map(|stretch| &stretch.terms.usage);
    let of_requests = || terms().filter(|term| term.meter == REQUESTS && term.key.starts_with("usage/"));
    Ok(if of_requests().next().is_none() {
        Standing::Unpriced
    } else if of_requests().any(|term| !term.operations.is_empty()) {
        Standing::PartlyPriced
    } else {
        Standing::Differs
    })
}

async fn producers(app: &App) -> Result<Vec<ProducerItem>, Problem> {
    let books = app.store.journal_books().await?;
    let rows = app.store.producers().await?;
    let items = rows.into_iter().rev().map(|row| {
        let book = books.iter().find(|book| book.producer == row.id);
        ProducerItem {
            producer: row.id.to_string(),
            node: row.node,
            worker: row.worker,
            ended: row.ended.map(store::ledger::Ended::as_str),
            next_seq: row.next_seq,
            counted: book.map_or(0, |book| book.counted),
            waiting: book.map_or(0, |book| book.waiting),
            alive_through: row.alive_through,
        }
    });
    Ok(items.collect())
}

async fn gaps(app: &App) -> Result<Vec<GapItem>, Problem> {
    let gaps = app.store.gaps().await?.into_iter().map(|gap| GapItem {
        producer: gap.producer.to_string(),
        from_seq: gap.from_seq,
        to_seq: gap.to_seq,
        kind: gap.kind,
        since: gap.since,
    });
    Ok(gaps.collect())
}

async fn unreadable(app: &App) -> Result<Vec<PoisonItem>, Problem> {
    let rows = app.store.quarantined().await?.into_iter().map(|row| PoisonItem {
        producer: row.producer.to_string(),
        seq: row.seq,
        reason: row.reason,
        found_at: row.found_at,
    });
    Ok(rows.collect())
}

/// `GET /reconciliation`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let report = reconcile(&app, &caller, &which).await?;
    Ok(answer::json(StatusCode::OK, &report))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getReconciliation", "Compare every hop from the journal to the invoice")
        .text("Counts requests in the ledger, in the raw facts and in the roll-ups, and compares what was used with what was billed.")
        .query::<Which>()
        .answer::<Report>(200, "Every hop and its number")
}
