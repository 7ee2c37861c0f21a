//! Where hops differ: whose requests, in which quarter of an hour, in which records.

use std::collections::BTreeSet;
use std::time::Duration;

use analytics::Analytics;
use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use serde::Serialize;
use store::Store;
use store::ledger::StoredBatch;

use crate::error::Error;
use crate::look::{Count, Hop, Look, Range, Whose, count};

/// Differences that are narrowed down in one comparison; all are counted.
const NARROWED: usize = 20;
/// Batches that are held against analytics for one difference.
const BATCHES: u32 = 10_000;

/// A batch of records of which analytics has not all facts, or too many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BatchDifference {
    /// Who wrote them.
    pub producer: String,
    /// The first record.
    pub from_seq: u64,
    /// The one after the last.
    pub to_seq: u64,
    /// Facts that analytics was handed.
    pub handed: u64,
    /// Those that it has.
    pub found: u64,
}

/// Requests of one subscription that a hop counts otherwise than the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The other hop.
    pub hop: Hop,
    /// Whose.
    pub subscription_id: SubscriptionId,
    /// First instant of the shortest time that shows it, a quarter of an hour at least.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// Requests in the ledger.
    pub ledger: u64,
    /// Requests in the hop.
    pub found: u64,
    /// Records that it comes from, where facts are missing.
    pub batches: Vec<BatchDifference>,
}

impl Difference {
    /// Requests that are too many or missing; those alone that are billed otherwise count as one.
    pub fn units(&self) -> u64 {
        self.ledger.abs_diff(self.found).max(1)
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What every hop counted at first.
    pub look: Look,
    /// Where they differ.
    pub differences: Vec<Difference>,
    /// Records that are counted and wait for analytics; as long as there are any, nothing is said to differ.
    pub waiting: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mismatch {
    hop: Hop,
    subscription: SubscriptionId,
    ledger: Count,
    found: Count,
}

fn mismatches(look: &Look) -> Vec<Mismatch> {
    let ids: BTreeSet<SubscriptionId> = Hop::ALL
        .iter()
        .flat_map(|hop| look.of(*hop))
        .map(|(id, _)| *id)
        .collect();
    let of = |hop: Hop, subscription: SubscriptionId| Mismatch {
        hop,
        subscription,
        ledger: look.one(Hop::Ledger, subscription),
        found: look.one(hop, subscription),
    };
    let all = Hop::ALL.iter().flat_map(|hop| ids.iter().map(|id| of(*hop, *id)));
    all.filter(|one| one.ledger != one.found).collect()
}

/// Compares what every hop counted of a span of time. Where the hops differ it looks again after a `pause`, `looks` times
/// at most, until two looks agree.
///
/// # Errors
/// When a hop cannot be read.
pub async fn compare(
    (store, analytics): (&Store, &Analytics),
    range: Range,
    whose: &Whose,
    (looks, pause): (u32, Duration),
) -> Result<Comparison, Error> {
    let first = Look::at((store, analytics), range, whose).await?;
    let (mut before, mut waiting) = (mismatches(&first), store.waiting_for_analytics().await?);
    let mut same = Vec::new();
    for _ in 1..looks {
        if before.is_empty() {
            break;
        }
        tokio::time::sleep(pause).await;
        let again = Look::at((store, analytics), range, whose).await?;
        let now = mismatches(&again);
        let waited = waiting;
        waiting = store.waiting_for_analytics().await?;
        same = now.iter().filter(|one| before.contains(one)).copied().collect();
        before = now;
        if waited == 0 && waiting == 0 && same == before {
            break;
        }
    }
    if waiting > 0 {
        same.clear();
    }
    let mut differences = Vec::new();
    for mismatch in same.iter().take(NARROWED) {
        narrow((store, analytics), *mismatch, range, &mut differences).await?;
    }
    differences.extend(same.iter().skip(NARROWED).map(|one| one.within(range)));
    Ok(Comparison {
        look: first,
        differences,
        waiting,
    })
}

impl Mismatch {
    fn within(&self, range: Range) -> Difference {
        Difference {
            hop: self.hop,
            subscription_id: self.subscription,
            from: range.from,
            to: range.to,
            ledger: self.ledger.requests,
            found: self.found.requests,
            batches: Vec::new(),
        }
    }
}

/// Halves the time as long as a half shows the difference, too.
async fn narrow(
    books: (&Store, &Analytics),
    mismatch: Mismatch,
    range: Range,
    differences: &mut Vec<Difference>,
) -> Result<(), Error> {
    let mut open = vec![(range, mismatch)];
    while let Some((range, mismatch)) = open.pop() {
        let mut halves = Vec::new();
        for half in range.halves().into_iter().flatten() {
            if differences.len() < NARROWED {
                halves.extend(within(books, mismatch, half).await?.map(|inner| (half, inner)));
            }
        }
        if halves.is_empty() {
            let mut difference = mismatch.within(range);
            if mismatch.hop == Hop::Facts {
                difference.batches = batches(books, range).await?;
            }
            differences.push(difference);
        }
        open.extend(halves);
    }
    Ok(())
}

async fn within(books: (&Store, &Analytics), of: Mismatch, range: Range) -> Result<Option<Mismatch>, Error> {
    let whose = Whose::Subscription(of.subscription);
    let one = |counts: crate::look::Counts| counts.get(&of.subscription).copied().unwrap_or_default();
    let ledger = one(count(books, Hop::Ledger, range, &whose).await?);
    let found = one(count(books, of.hop, range, &whose).await?);
    Ok((ledger != found).then_some(Mismatch { ledger, found, ..of }))
}

/// The batches with facts of a time of which analytics has another number than it was handed.
async fn batches((store, analytics): (&Store, &Analytics), range: Range) -> Result<Vec<BatchDifference>, Error> {
    let stored = store.stored_batches(range.from, range.to, BATCHES).await?;
    let Some(from) = stored.iter().map(|one| one.span.first_at).min() else {
        return Ok(Vec::new());
    };
    let last = stored.iter().map(|one| one.span.last_at).max().unwrap_or(from);
    let counts = analytics.facts_by_batch(from, last.plus_millis(1)).await?;
    let found = |one: &StoredBatch| {
        let key = (one.batch.ledger_commit, one.batch.producer);
        counts.get(&key).copied().unwrap_or(0)
    };
    let differing = stored.iter().filter(|one| found(one) != one.span.facts);
    Ok(differing
        .map(|one| BatchDifference {
            producer: one.batch.producer.to_string(),
            from_seq: one.batch.first_seq,
            to_seq: one.batch.next_seq,
            handed: one.span.facts,
            found: found(one),
        })
        .collect())
}
