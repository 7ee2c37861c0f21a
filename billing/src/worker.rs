//! The worker: wakes by itself, when told, and for runs that somebody asked for.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use domain::ids::RunId;
use store::Store;
use store::billing::{BillMode, BillingRun, NewBillingRun, RunFailure, RunScope};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::pass::{Pass, Report};

/// Pause between two looks at what is asked for.
const TICK: Duration = Duration::from_secs(2);
/// Pause between two passes over all accounts while nobody asks.
const PASS: Duration = Duration::from_secs(15);
/// How long a run of somebody who waits gives the gateways to report the end of a period.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// A gateway that is further behind than this is waited for.
const LAG_MS: i64 = 5_000;
const LEASE_MS: i64 = 60_000;

/// A future on the heap.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
/// Why another service could not do what it was asked.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// What another service is asked to do first.
pub struct Hook<A>(Arc<HookFn<A>>);

type HookFn<A> = dyn Fn(A) -> BoxFuture<Result<(), HookError>> + Send + Sync;

/// Makes the ledger current: ready when every request that was answered before the call is counted.
pub type Freshness = Hook<()>;
/// Has every hop counted before a run: given the run's slot and its time, ready when that is done, or when it has taken too
/// long to wait for. What differs is told to people; it holds no invoice.
pub type Reconciliation = Hook<(String, Timestamp)>;

impl<A: 'static> Hook<A> {
    /// From an async function.
    pub fn new<F, R>(function: F) -> Self
    where
        F: Fn(A) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        Self(Arc::new(move |asked| Box::pin(function(asked))))
    }

    /// For a process in which nobody does it, or need not.
    pub fn none() -> Self {
        Self::new(|_| async { Ok(()) })
    }
}

impl<A> std::fmt::Debug for Hook<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

/// What billing works with.
pub struct Parts {
    /// The store; its settings are read anew for every account.
    pub store: Store,
    /// The domain clock.
    pub clock: Clock,
    /// Makes the ledger current.
    pub freshness: Freshness,
    /// Compares what every hop counted.
    pub reconciliation: Reconciliation,
    /// Called after subscriptions changed, so that the gateways are told.
    pub changed: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parts")
    }
}

/// Why a pass could not be made; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store is away.
    #[error("the store cannot be read")]
    Store(#[from] store::Error),
    /// The ledger could not be made current.
    #[error("the ledger could not be made current")]
    Freshness(#[source] HookError),
    /// The task of the pass ended.
    #[error("the billing pass was cut off")]
    Cut,
}

/// The running service. [`Billing::stop`] ends it in order; dropping it cuts it off as a crash would, which loses nothing.
#[derive(Debug)]
pub struct Billing {
    handle: Handle,
    task: JoinHandle<()>,
    stop: Arc<Notify>,
}

/// Asks the service; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: Parts,
    wake: Notify,
}

/// A run that has been started.
pub struct Started {
    /// Its id, for `GET /billing/runs/{id}`.
    pub id: RunId,
    /// Ready when all of it is done.
    pub done: BoxFuture<Result<Report, Error>>,
}

impl std::fmt::Debug for Started {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Started({})", self.id)
    }
}

impl Billing {
    /// Starts the service on the current runtime.
    pub fn start(parts: Parts) -> Self {
        let handle = Handle::new(parts);
        let stop = Arc::new(Notify::new());
        let task = tokio::spawn(handle.clone().work(Arc::clone(&stop)));
        Self { handle, task, stop }
    }

    /// A handle for those who ask.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends after the account that is being billed.
    pub async fn stop(mut self) {
        self.stop.notify_one();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "billing ended by a panic");
        }
    }
}

impl Drop for Billing {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Handle {
    /// A handle without a worker, for tests and commands that call [`Handle::run_due`] themselves.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(Inner {
            parts,
            wake: Notify::new(),
        }))
    }

    /// Has the worker look at once: a run was queued, a subscription was made.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// Makes one pass over everything that is due at `now`.
    ///
    /// # Errors
    /// [`Error`] when nothing could be billed; single accounts that fail stand in the report.
    pub async fn run_due(&self, now: Timestamp) -> Result<Report, Error> {
        self.prepare(now).await?;
        self.pass(Pass::due(now), &mut Progress::silent()).await
    }

    /// Starts a pass over everything that is due at `now`, with a run that can be polled. It gives gateways some seconds to
    /// report the end of a period before it leaves the period for later.
    ///
    /// # Errors
    /// [`Error::Store`] when the run cannot be written.
    pub async fn start_due(&self, now: Timestamp) -> Result<Started, Error> {
        let new = NewBillingRun {
            id: RunId::new(now, domain::random::bytes()),
            scope: RunScope::Due,
            account: None,
            finalize: true,
            own_until: Some(now.plus_millis(LEASE_MS)),
        };
        self.0.parts.store.enqueue_billing_run(&new, now).await?;
        let handle = self.clone();
        let task = tokio::spawn(async move {
            let found = handle.0.parts.store.billing_run(new.id).await?;
            let run = found.ok_or(store::Error::Missing("billing run"))?;
            handle.carry_out(run, now).await
        });
        Ok(Started {
            id: new.id,
            done: Box::pin(async move { task.await.map_err(|_| Error::Cut)? }),
        })
    }

    async fn work(self, stop: Arc<Notify>) {
        let mut next_pass = Instant::now();
        loop {
            let woken = tokio::select! {
                () = stop.notified() => return,
                () = self.0.wake.notified() => true,
                () = tokio::time::sleep(TICK) => false,
            };
            let outcome = tokio::select! {
                () = stop.notified() => return,
                outcome = self.turn(woken || Instant::now() >= next_pass) => outcome,
            };
            match outcome {
                Ok(true) => next_pass = Instant::now() + PASS,
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "billing could not run, trying again"
                ),
            }
        }
    }

    /// Carries out what was asked for, and a pass where one is due. Returns whether it made the pass.
    async fn turn(&self, pass: bool) -> Result<bool, Error> {
        while let Some(run) = self.claim().await? {
            // Who asked may be a moment ahead of this process.
            let now = self.0.parts.clock.now().max(run.requested_at);
            self.carry_out(run, now).await?;
        }
        let now = self.0.parts.clock.now();
        let transitions = self.transitions(now).await?;
        if pass || transitions {
            self.settle(now, Instant::now() + PATIENCE).await?;
            self.run_due(now).await?;
        }
        Ok(pass)
    }

    async fn claim(&self) -> Result<Option<BillingRun>, Error> {
        let store = &self.0.parts.store;
        let (now, until) = self.lease();
        if !store.billing_run_waits(now).await? {
            return Ok(None);
        }
        Ok(store.claim_billing_run(until, now).await?)
    }

    async fn carry_out(&self, run: BillingRun, now: Timestamp) -> Result<Report, Error> {
        let pass = Pass {
            mode: match run.scope {
                RunScope::Due => BillMode::Due,
                RunScope::Interim => BillMode::Interim,
            },
            account: run.account,
            finalize: run.finalize,
            now,
        };
        let slot = format!("run/{}", run.id);
        let mut progress = Progress { run: Some(run) };
        let patience = Instant::now() + PATIENCE;
        self.settle(now, patience).await?;
        if let Err(error) = (self.0.parts.reconciliation.0)((slot, now)).await {
            tracing::warn!(%error, "usage was not reconciled before a billing run");
        }
        let mut report = self.prepared_pass(pass, &mut progress).await?;
        while report.waiting > 0 && Instant::now() < patience {
            tokio::time::sleep(LOOK_AGAIN).await;
            let more = self.prepared_pass(pass, &mut progress).await?;
            report.invoices += more.invoices;
            report.credit_notes += more.credit_notes;
            (report.waiting, report.failures) = (more.waiting, more.failures);
        }
        if let Some(run) = &progress.run {
            self.0.parts.store.finish_billing_run(run, now).await?;
        }
        Ok(report)
    }

    /// Waits a while for gateways to catch up with a clock that jumped: what they hold belongs to the periods that end.
    async fn settle(&self, now: Timestamp, patience: Instant) -> Result<(), Error> {
        let mark = now.plus_millis(-LAG_MS);
        while Instant::now() < patience && !self.0.parts.store.producers_behind(mark).await?.is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
            (self.0.parts.freshness.0)(()).await.map_err(Error::Freshness)?;
        }
        Ok(())
    }

    async fn prepared_pass(&self, pass: Pass, progress: &mut Progress) -> Result<Report, Error> {
        self.prepare(pass.now).await?;
        self.pass(pass, progress).await
    }

    async fn prepare(&self, now: Timestamp) -> Result<(), Error> {
        self.transitions(now).await?;
        (self.0.parts.freshness.0)(()).await.map_err(Error::Freshness)
    }

    async fn transitions(&self, now: Timestamp) -> Result<bool, Error> {
        let changed = self.0.parts.store.carry_out_transitions(now).await? > 0;
        if changed {
            (self.0.parts.changed)();
        }
        Ok(changed)
    }

    async fn pass(&self, pass: Pass, progress: &mut Progress) -> Result<Report, Error> {
        let store = &self.0.parts.store;
        let accounts = pass.accounts(store).await?;
        progress.begin(accounts.len());
        if let Some(run) = &progress.run {
            store.forget_run_failures(run.id).await?;
        }
        let mut report = Report::default();
        for account in accounts {
            let mut one = Report::default();
            pass.bill(store, account, &mut one).await;
            progress.step(&one);
            if let Some(run) = &progress.run {
                note(store, run, &one, pass.now).await?;
                store.billing_run_progress(run, self.lease().1).await?;
            }
            report.add(one);
        }
        Ok(report)
    }

    /// Leases are counted on the domain clock; one that ends early only makes two workers bill what is billed once.
    fn lease(&self) -> (Timestamp, Timestamp) {
        let now = self.0.parts.clock.now();
        (now, now.plus_millis(LEASE_MS))
    }
}

/// How far a run is.
struct Progress {
    run: Option<BillingRun>,
}

impl Progress {
    const fn silent() -> Self {
        Self { run: None }
    }

    fn begin(&mut self, total: usize) {
        if let Some(run) = &mut self.run {
            (run.total, run.done, run.failed) = (u32::try_from(total).unwrap_or(u32::MAX), 0, 0);
        }
    }

    /// Adds what became of one account.
    fn step(&mut self, one: &Report) {
        if let Some(run) = &mut self.run {
            let billed = one.failures.is_empty();
            run.done += u32::from(billed);
            run.failed += u32::from(!billed);
            run.invoices += one.invoices;
            run.credit_notes += one.credit_notes;
        }
    }
}

/// Writes down whom the run could not bill, for those who look at it.
async fn note(store: &Store, run: &BillingRun, one: &Report, now: Timestamp) -> Result<(), store::Error> {
    for failure in &one.failures {
        let failure = RunFailure {
            account: failure.account,
            reason: failure.error.to_string(),
            at: now,
        };
        store.note_run_failure(run.id, &failure).await?;
    }
    Ok(())
}
