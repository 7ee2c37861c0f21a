//! `/reconciliation`: the same requests, counted at every hop from the gateway's journal to the invoice.
//!
//! Requests of a span of time are counted three times over: the ledger's totals, the raw facts one by one, the roll-ups.
//! For every usage period that has traffic in the span, what the ledger holds of it in all stands beside what documents in
//! force have billed. Whatever is not equal says where the difference comes from. The numbers of one account leave out
//! what belongs to no subscription.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, SubscriptionId};
use reconciliation::{Comparison, Hop as Place, Period, Range, Standing, Whose, compare, periods};
use serde::{Deserialize, Serialize};
use store::ledger::DoneReconciliation;
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::billing::TAG;
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::{fresh, wrong};
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::query::{Query, from_text};

const MAX_MS: i64 = 35 * 86_400_000;
const QUARTER_HOUR_MS: i64 = 900_000;
/// What differs at two looks differs: counting goes on between them.
const LOOKS: (u32, Duration) = (3, Duration::from_millis(300));

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
    /// `differs` (someone must look), `late` (usage came late; the next invoice takes it up), `partly_priced` (the plan
    /// prices some operations only), `unpriced` (the plan has no price for requests), `open` (not billed yet) or `equal`.
    pub(crate) standing: &'static str,
    /// The documents.
    pub(crate) documents: Vec<String>,
}

/// Records of which analytics has not all facts, or too many.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationBatch)]
pub(crate) struct BatchItem {
    pub(crate) producer: String,
    pub(crate) from_seq: u64,
    /// The one after the last.
    pub(crate) to_seq: u64,
    /// Facts that analytics was handed.
    pub(crate) handed: u64,
    /// Facts that it has.
    pub(crate) found: u64,
}

/// Requests of a subscription that a hop counts otherwise than the ledger.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationDifference)]
pub(crate) struct DifferenceItem {
    /// `facts`, `rollups` or `hourly_rollups`.
    pub(crate) hop: &'static str,
    #[schema(value_type = String)]
    pub(crate) subscription_id: SubscriptionId,
    /// The shortest time that shows it, a quarter of an hour at least.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    /// Requests in the ledger.
    pub(crate) ledger: u64,
    /// Requests in the hop.
    pub(crate) found: u64,
    /// Where facts are missing: the records that they come from.
    pub(crate) batches: Vec<BatchItem>,
}

/// The reconciliation that ran last by itself: every hour, and before a billing run.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ReconciliationRun)]
pub(crate) struct RunItem {
    /// What it was for.
    pub(crate) slot: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) done_at: Timestamp,
    /// Requests by which hops or bills differed.
    pub(crate) discrepancy: i64,
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
    /// Whose requests are counted differently, and when; empty as long as records wait for analytics.
    pub(crate) differences: Vec<DifferenceItem>,
    /// Records that are counted and wait for analytics.
    pub(crate) waiting: u64,
    pub(crate) last_run: Option<RunItem>,
    /// What differs stands first.
    pub(crate) periods: Vec<PeriodItem>,
    pub(crate) producers: Vec<ProducerItem>,
    pub(crate) gaps: Vec<GapItem>,
    pub(crate) unreadable: Vec<PoisonItem>,
    /// Records that came twice with another content; the first is kept.
    pub(crate) conflicts: u64,
}

impl Which {
    fn range(&self, now: Timestamp) -> Result<Range, Problem> {
        let to = self.to.unwrap_or(now);
        let from = self.from.unwrap_or_else(|| to.plus_millis(-86_400_000));
        let range = Range::covering(from, to);
        if range.from > range.to {
            return Err(wrong("from", "`from` lies after `to`"));
        }
        if range.to.millis_since(range.from) > MAX_MS + QUARTER_HOUR_MS {
            return Err(wrong(
                "from",
                "every request is counted one by one: ask for at most 35 days",
            ));
        }
        Ok(range)
    }

    async fn whose(&self, app: &App, caller: &Caller) -> Result<Whose, Problem> {
        let Some(account) = self.account else {
            return Ok(Whose::All);
        };
        app.store
            .account(caller.scope(), account)
            .await?
            .ok_or_else(|| Problem::missing("account"))?;
        Ok(Whose::Account(account, app.store.subscription_ids(account).await?))
    }
}

impl From<reconciliation::Error> for Problem {
    fn from(error: reconciliation::Error) -> Self {
        match error {
            reconciliation::Error::Store(error) => error.into(),
            reconciliation::Error::Analytics(error) => error.into(),
        }
    }
}

/// Counts everything.
pub(crate) async fn reconcile(app: &App, caller: &Caller, which: &Which) -> Result<Report, Problem> {
    let whose = which.whose(app, caller).await?;
    let range = which.range(app.clock.now())?;
    fresh(app).await?;
    let comparison = compare((&app.store, &app.analytics), range, &whose, LOOKS).await?;
    let own: Option<&BTreeSet<SubscriptionId>> = match &whose {
        Whose::Account(_, own) => Some(own),
        Whose::All | Whose::Subscription(_) => None,
    };
    let found = periods(&app.store, range, own).await?;
    Ok(Report {
        from: range.from,
        to: range.to,
        hops: hops(&comparison),
        differences: comparison.differences.into_iter().map(difference_item).collect(),
        waiting: comparison.waiting,
        last_run: app.store.last_reconciliation().await?.map(run_item),
        periods: found.into_iter().map(period_item).collect(),
        producers: producers(app).await?,
        gaps: gaps(app).await?,
        unreadable: unreadable(app).await?,
        conflicts: app.store.conflicts().await?,
    })
}

fn hops(comparison: &Comparison) -> Vec<Hop> {
    let ledger = comparison.look.total(Place::Ledger).requests;
    let hop = |place: Place| {
        let count = comparison.look.total(place);
        let size = i64::try_from(count.requests.abs_diff(ledger)).unwrap_or(i64::MAX);
        Hop {
            hop: place.as_str(),
            requests: count.requests,
            billable: count.billable,
            difference: if count.requests < ledger { -size } else { size },
        }
    };
    [Place::Ledger, Place::Facts, Place::Rollups].map(hop).into()
}

fn difference_item(one: reconciliation::Difference) -> DifferenceItem {
    let batch = |batch: reconciliation::BatchDifference| BatchItem {
        producer: batch.producer,
        from_seq: batch.from_seq,
        to_seq: batch.to_seq,
        handed: batch.handed,
        found: batch.found,
    };
    DifferenceItem {
        hop: one.hop.as_str(),
        subscription_id: one.subscription_id,
        from: one.from,
        to: one.to,
        ledger: one.ledger,
        found: one.found,
        batches: one.batches.into_iter().map(batch).collect(),
    }
}

fn run_item(done: DoneReconciliation) -> RunItem {
    RunItem {
        slot: done.slot,
        from: done.from,
        to: done.to,
        done_at: done.done_at,
        discrepancy: done.discrepancy,
    }
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Differs => "differs",
        Standing::Late => "late",
        Standing::PartlyPriced => "partly_priced",
        Standing::Unpriced => "unpriced",
        Standing::Open => "open",
        Standing::Equal => "equal",
    }
}

fn period_item(period: Period) -> PeriodItem {
    PeriodItem {
        subscription_id: period.subscription,
        account_id: period.account,
        period_start: period.start,
        requests: period.requests,
        billable: period.billable,
        written_off: period.written_off,
        billed: period.billed,
        difference: period.difference(),
        standing: standing(period.standing),
        documents: period.documents,
    }
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
