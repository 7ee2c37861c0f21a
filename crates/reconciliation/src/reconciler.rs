//! Reconciling every hour and on demand. What is asked for and what is found goes through the ledger database: each slot
//! is carried out by one process, whoever asked.

use std::sync::Arc;
use std::time::Duration;

use analytics::Analytics;
use domain::clock::{Clock, Timestamp};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serde::Serialize;
use store::Store;
use store::ledger::{AskedReconciliation, DoneReconciliation};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::find::{Comparison, Difference, compare};
use crate::look::{Range, Whose};
use crate::periods::{Period, Standing, periods};

/// Pause between two looks for something to do.
const TICK: Duration = Duration::from_secs(2);
/// A process that has just started has better things to do.
const FIRST: Duration = Duration::from_secs(30);
const HOUR_MS: i64 = 3_600_000;
/// Every hour looks a day and more back: what came late is seen by some run.
const BACK_MS: i64 = 26 * HOUR_MS;
/// Longer than a run takes; another process carries on after it.
const LEASE_MS: i64 = 10 * 60_000;
const KEEP_MS: i64 = 35 * 24 * HOUR_MS;
/// Looks at what moves, and the pause between two.
const LOOKS: (u32, Duration) = (5, Duration::from_secs(2));

/// Where requests are counted.
#[derive(Debug, Clone)]
pub struct Books {
    /// The ledger.
    pub store: Store,
    /// Facts and roll-ups.
    pub analytics: Analytics,
}

/// What a reconciliation found, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where hops differ.
    pub differences: Vec<Difference>,
    /// Usage periods whose bill differs: subscription, start, requests billed, requests that should be.
    pub periods: Vec<(String, Timestamp, u64, u64)>,
    /// Records that wait for analytics; nothing is said to differ then.
    pub waiting: u64,
}

impl Finding {
    fn of(comparison: Comparison, periods: &[Period]) -> Self {
        let differing = periods.iter().filter(|period| period.standing == Standing::Differs);
        Self {
            differences: comparison.differences,
            periods: differing
                .map(|period| {
                    let wanted = period.billable.saturating_sub(period.written_off);
                    (period.subscription.to_string(), period.start, period.billed, wanted)
                })
                .collect(),
            waiting: comparison.waiting,
        }
    }

    /// Requests by which hops or bills differ.
    pub fn discrepancy(&self) -> i64 {
        let hops = self.differences.iter().map(Difference::units).sum::<u64>();
        let bills = self
            .periods
            .iter()
            .map(|(_, _, billed, wanted)| billed.abs_diff(*wanted));
        i64::try_from(hops.saturating_add(bills.sum())).unwrap_or(i64::MAX)
    }

    fn tell(&self) {
        for one in &self.differences {
            let subscription = one.subscription_id.to_string();
            tracing::error!(hop = one.hop.as_str(), subscription, from = %one.from, to = %one.to, ledger = one.ledger,
                found = one.found, "a hop counts otherwise than the ledger");
            for batch in &one.batches {
                tracing::error!(
                    producer = batch.producer,
                    from_seq = batch.from_seq,
                    to_seq = batch.to_seq,
                    handed = batch.handed,
                    found = batch.found,
                    "analytics lacks facts of these records or has too many"
                );
            }
        }
        for (subscription, start, billed, wanted) in &self.periods {
            tracing::error!(subscription, period_start = %start, billed, wanted, "a bill differs from its usage");
        }
    }
}

/// Asks for a reconciliation of the last day under a slot, calls `wake`, and waits `patience` at most. Whether it was done.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn ask(
    store: &Store,
    slot: &str,
    now: Timestamp,
    (patience, wake): (Duration, &(dyn Fn() + Sync)),
) -> Result<bool, Error> {
    store.ask_reconciliation(&asked(slot, now), now).await?;
    wake();
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        if store.is_reconciled(slot).await? {
            return Ok(true);
        }
        if tokio::time::Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn asked(slot: &str, now: Timestamp) -> AskedReconciliation {
    let range = Range::covering(now.plus_millis(-BACK_MS), now);
    AskedReconciliation {
        slot: slot.to_owned(),
        from: range.from,
        to: range.to,
    }
}

/// Carries out what is asked for, and asks every hour. Dropping it ends it; what it had begun is taken up by another
/// process.
#[derive(Debug)]
pub struct Reconciler {
    discrepancy: Gauge,
    wake: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Reconciler {
    /// Starts on the current runtime.
    pub fn start(books: Books, clock: Clock) -> Self {
        let discrepancy = Gauge::default();
        let wake = Arc::new(Notify::new());
        let work = Work {
            books,
            clock,
            discrepancy: discrepancy.clone(),
            wake: Arc::clone(&wake),
        };
        Self {
            discrepancy,
            wake,
            task: tokio::spawn(work.run()),
        }
    }

    /// Has it look at once for what was asked in this process.
    pub fn waker(&self) -> impl Fn() + Send + Sync + Clone + use<> {
        let wake = Arc::clone(&self.wake);
        move || wake.notify_one()
    }

    /// Adds `tollgate_billing_discrepancy_units`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "billing_discrepancy_units",
            "Requests by which ledger, facts, roll-ups and bills differed at the last reconciliation",
            self.discrepancy.clone(),
        );
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    books: Books,
    clock: Clock,
    discrepancy: Gauge,
    wake: Arc<Notify>,
}

impl Work {
    async fn run(self) {
        let began = tokio::time::Instant::now();
        loop {
            let hourly = began.elapsed() >= FIRST;
            if let Err(error) = self.turn(hourly).await {
                tracing::warn!(%error, "usage could not be reconciled, trying again");
            }
            // Woken or not, there may be something to do.
            let _ = tokio::time::timeout(TICK, self.wake.notified()).await;
        }
    }

    async fn turn(&self, hourly: bool) -> Result<(), Error> {
        let store = &self.books.store;
        let now = self.clock.now();
        if hourly {
            let hour = Timestamp::from_millis(now.as_millis().div_euclid(HOUR_MS) * HOUR_MS);
            let slot = format!("hour/{hour}");
            store.ask_reconciliation(&asked(&slot, now), now).await?;
        }
        while let Some(asked) = store.claim_reconciliation(now.plus_millis(LEASE_MS), now).await? {
            self.carry_out(&asked).await?;
        }
        // Whoever did the last one: every process tells the same.
        if let Some(last) = store.last_reconciliation().await? {
            self.discrepancy.set(last.discrepancy);
        }
        Ok(())
    }

    async fn carry_out(&self, asked: &AskedReconciliation) -> Result<(), Error> {
        let Books { store, analytics } = &self.books;
        let range = Range::covering(asked.from, asked.to);
        let comparison = compare((store, analytics), range, &Whose::All, LOOKS).await?;
        let finding = Finding::of(comparison, &periods(store, range, None).await?);
        finding.tell();
        let now = self.clock.now();
        let done = DoneReconciliation {
            slot: asked.slot.clone(),
            from: range.from,
            to: range.to,
            done_at: now,
            discrepancy: finding.discrepancy(),
            report: serde_json::to_string(&finding).unwrap_or_default(),
        };
        store.finish_reconciliation(&done, now.plus_millis(-KEEP_MS)).await?;
        tracing::info!(
            slot = done.slot,
            discrepancy = done.discrepancy,
            waiting = finding.waiting,
            "usage reconciled"
        );
        Ok(())
    }
}
