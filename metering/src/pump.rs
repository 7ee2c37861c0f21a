//! The one task: read, fold, commit, hand to analytics, free.

mod again;
mod partitions;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::{Analytics, Batch};
use domain::clock::{Clock, Timestamp};
use domain::usage::{ProducerId, Record};
use sha2::Digest as _;
use store::Store;
use store::ledger::{AnalyticsBatch, Claim, Ended, FactSpan, ProducerRow};
use tokio::sync::{Notify, mpsc, oneshot};
use usage_source::{Delivery, End, Ending, Ends, GapKind, Producer, UsageSource};

use crate::fold::{Fold, Folded, gap};
use crate::meter::Parts;
use crate::metrics::Metrics;

/// Records a ledger transaction takes at most.
const RECORDS_A_COMMIT: u64 = 20_000;
/// Pause between two commits while nobody waits, so that a commit is worth its sync.
const BREATH: Duration = Duration::from_millis(100);
/// Pause while somebody waits.
const HURRY: Duration = Duration::from_millis(1);
/// Pause while somebody waits for a log, whose positions have to be looked up.
const LOG_HURRY: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(500);
/// How often the quarantine is looked at for what was requeued.
const REQUEUED: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// What the task is asked for.
#[derive(Debug)]
pub(crate) enum Order {
    CatchUp(oneshot::Sender<()>),
    Stop,
}

/// Why a round failed; the next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger refused or is away.
    #[error("the ledger cannot be written")]
    Store(#[from] store::Error),
    /// Analytics refused or is away.
    #[error("analytics cannot be written")]
    Analytics(#[from] analytics::Error),
    /// The journal or the log cannot be read.
    #[error("usage cannot be read")]
    Source(#[from] usage_source::Error),
    /// What was read may not survive a power loss, so it must not be counted yet.
    #[error("the usage journal cannot be synced")]
    Unsynced,
    /// A record that the ledger has counted is gone before analytics had it.
    #[error("records {first}.. of producer {producer} are gone before analytics had them")]
    Lost {
        /// Whose.
        producer: ProducerId,
        /// The first.
        first: u64,
    },
    /// What was to be read again could not be, because the runtime is ending.
    #[error("reading again was cut off")]
    Cut,
}

/// How long to rest.
#[derive(Debug, Clone, Copy)]
enum Rest {
    For(Duration),
    UntilBell,
}

struct Waiter {
    targets: Ends,
    done: oneshot::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    next_seq: u64,
    epoch: i64,
    ended: bool,
}

/// The task's state.
pub(crate) struct Pump<S> {
    store: Store,
    analytics: Analytics,
    source: S,
    clock: Clock,
    /// The name under which this task claims partitions.
    owner: String,
    metrics: Metrics,
    places: HashMap<ProducerId, Place>,
    /// Partitions of a log that are this task's.
    partitions: partitions::Held,
    /// Ledger commits are ahead of analytics: batches must be read again.
    behind: bool,
    loaded: bool,
    waiters: Vec<Waiter>,
    /// When the quarantine was looked at last for what was requeued.
    looked: Option<Instant>,
}

fn id(producer: usage_source::ProducerId) -> ProducerId {
    ProducerId(u128::from_be_bytes(producer.to_bytes()))
}

fn source_id(producer: ProducerId) -> usage_source::ProducerId {
    usage_source::ProducerId::from_bytes(producer.0.to_be_bytes())
}

impl<S: UsageSource> Pump<S> {
    pub(crate) fn new(parts: Parts<S>, metrics: Metrics) -> Self {
        Self {
            source: parts.source,
            store: parts.store,
            analytics: parts.analytics,
            clock: parts.clock,
            owner: usage_source::ProducerId::fresh().map_or_else(|_| String::new(), |id| id.to_string()),
            metrics,
            places: HashMap::new(),
            partitions: partitions::Held::default(),
            behind: true,
            loaded: false,
            waiters: Vec::new(),
            looked: None,
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        self.source.on_ready(Box::new(move || ring.notify_one()));
        let mut backoff = FIRST_BACKOFF;
        loop {
            self.source.arm();
            let outcome = self.round().await;
            self.answer().await;
            let rest = match outcome {
                Ok(more) => {
                    backoff = FIRST_BACKOFF;
                    let hurry = self.source.log().map_or(HURRY, |_| LOG_HURRY);
                    match (more, self.waiters.is_empty()) {
                        (_, false) => Rest::For(hurry),
                        (true, true) => Rest::For(BREATH),
                        (false, true) => Rest::UntilBell,
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "usage could not be counted, trying again"
                    );
                    self.forget();
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                    Rest::For(backoff)
                }
            };
            match self.rest(rest, &bell, &mut inbox).await {
                Some(Order::CatchUp(done)) => self.waiters.push(Waiter {
                    targets: self.source.ends(),
                    done,
                }),
                Some(Order::Stop) => return,
                None => {}
            }
        }
    }

    /// Rests until it is time for the next round or somebody asks for something.
    async fn rest(&self, rest: Rest, bell: &Notify, inbox: &mut mpsc::UnboundedReceiver<Order>) -> Option<Order> {
        let pause = async {
            match rest {
                Rest::For(pause) => tokio::time::sleep(pause).await,
                Rest::UntilBell => {
                    if tokio::time::timeout(IDLE, bell.notified()).await.is_ok() {
                        // Whoever wrote the first record writes more: one commit for all of them.
                        tokio::time::sleep(BREATH).await;
                    }
                }
            }
        };
        tokio::select! {
            order = inbox.recv() => Some(order.unwrap_or(Order::Stop)),
            () = pause => None,
        }
    }

    /// Tells those whose wait is over.
    async fn answer(&mut self) {
        if self.waiters.is_empty() || self.behind {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        let verdicts = self.counted().await.map(|counted| {
            let reached = |ends: Option<&[End]>| ends.is_some_and(|ends| ends.iter().all(&counted));
            let judged = waiters.iter_mut().map(|waiter| waiter.targets.get().map(reached));
            judged.collect::<Vec<_>>()
        });
        let verdicts = match verdicts {
            Ok(verdicts) => verdicts,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is counted cannot be looked up"
                );
                self.waiters = waiters;
                return;
            }
        };
        for (mut waiter, verdict) in waiters.into_iter().zip(verdicts) {
            match verdict {
                // Nobody waits any more when the receiver is gone.
                Ok(true) => drop(waiter.done.send(())),
                Ok(false) => self.waiters.push(waiter),
                Err(usage_source::Unanswered) => {
                    waiter.targets = self.source.ends();
                    self.waiters.push(waiter);
                }
            }
        }
    }

    fn forget(&mut self) {
        self.loaded = false;
        self.behind = true;
    }

    /// Counts what there is, up to one transaction's worth. True when there may be more.
    async fn round(&mut self) -> Result<bool, Error> {
        if !self.loaded {
            self.load().await?;
        }
        self.take_partitions().await?;
        if self.behind {
            self.catch_analytics_up().await?;
        }
        if self.looked.is_none_or(|at| at.elapsed() >= REQUEUED) {
            self.looked = Some(Instant::now());
            self.take_requeued().await?;
        }
        let folded = self.fold().await?;
        self.measure_lag();
        if folded.ledger.producers.is_empty() && folded.ledger.log.is_none() {
            return Ok(false);
        }
        self.commit(folded).await?;
        Ok(true)
    }

    /// Begins anew where the ledger stands.
    async fn load(&mut self) -> Result<(), Error> {
        self.source.rewind();
        self.load_producers().await?;
        self.load_partitions().await?;
        self.loaded = true;
        Ok(())
    }

    async fn load_producers(&mut self) -> Result<(), Error> {
        self.places.clear();
        for row in self.store.producers().await? {
            let place = Place {
                next_seq: row.next_seq,
                epoch: row.owner_epoch,
                ended: row.ended.is_some(),
            };
            self.places.insert(row.id, place);
            self.source.resume(source_id(row.id), row.next_seq);
        }
        Ok(())
    }

    async fn place(&mut self, producer: usage_source::ProducerId) -> Result<Claim, Error> {
        let key = id(producer);
        if !self.places.contains_key(&key) {
            let known = self.source.producers().into_iter().find(|one| one.producer == producer);
            let row = ProducerRow {
                id: key,
                node: known.as_ref().map(|one| one.node.clone()).unwrap_or_default(),
                worker: known.as_ref().map_or(0, |one| one.worker),
                first_seen: known.map_or_else(|| self.clock.now(), |one| Timestamp::from_millis(one.created_ms)),
                next_seq: 0,
                alive_through: None,
                ended: None,
                owner_epoch: 1,
            };
            self.store.register_producer(&row).await?;
            self.places.insert(
                key,
                Place {
                    next_seq: 0,
                    epoch: 1,
                    ended: false,
                },
            );
        }
        let place = self.places.get(&key).copied().unwrap_or(Place {
            next_seq: 0,
            epoch: 1,
            ended: false,
        });
        Ok(Claim {
            producer: key,
            next_seq: place.next_seq,
            owner_epoch: place.epoch,
        })
    }

    async fn fold(&mut self) -> Result<Folded, Error> {
        let mut fold = Fold::default();
        while fold.taken() < RECORDS_A_COMMIT {
            match self.source.next_batch()? {
                None => break,
                Some(Delivery::Records(batch)) => {
                    let claim = self.place(batch.producer).await?;
                    for (seq, bytes) in batch.records() {
                        fold.record(claim, seq, bytes);
                    }
                }
                Some(Delivery::Unreadable {
                    producer,
                    from,
                    to,
                    reason,
                }) => {
                    let claim = self.place(producer).await?;
                    fold.unreadable(claim, from..to, reason.as_str());
                }
                Some(Delivery::Refused(refused)) => match (refused.producer, refused.range.clone()) {
                    (Some(producer), Some(range)) => {
                        let claim = self.place(producer).await?;
                        fold.refused(claim, range, refused.reason, refused.raw);
                    }
                    _ => fold.unattributed(refused),
                },
            }
        }
        for producer in self.source.producers() {
            self.fold_end(&mut fold, &producer).await?;
        }
        let mut folded = fold.finish();
        self.add_log(&mut folded);
        Ok(folded)
    }

    async fn fold_end(&mut self, fold: &mut Fold, producer: &Producer) -> Result<(), Error> {
        let Some(ending) = producer.ending else { return Ok(()) };
        let claim = self.place(producer.producer).await?;
        if self.places.get(&claim.producer).is_some_and(|place| place.ended) {
            // It was acknowledged unless the process ended just before; analytics has caught up since.
            self.source.ack(producer.producer, producer.next_seq)?;
            return Ok(());
        }
        let read = fold.next_seq(claim.producer).unwrap_or(claim.next_seq);
        if read < producer.next_seq {
            return Ok(());
        }
        let ended = match ending {
            Ending::Orderly => Ended::Orderly,
            Ending::Interrupted => Ended::Interrupted,
        };
        let lost = producer.gap.map(|lost| {
            let kind = match lost.kind {
                GapKind::PowerLoss => "power_loss",
                GapKind::Copied => "copied",
                GapKind::Damaged => "damaged",
            };
            gap(
                claim.producer,
                // A log may have got more of it than its disk has kept.
                lost.from_seq.max(read),
                None,
                kind,
                Some(Timestamp::from_millis(lost.since_ms)),
            )
        });
        fold.end(claim, ended, lost);
        Ok(())
    }

    /// Makes what was read durable. The ledger survives a power loss: had it counted records that do not, no fact would
    /// ever stand behind its totals.
    async fn secure(&self) -> Result<(), Error> {
        let Some(secure) = self.source.secure() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(secure).await {
            Ok(true) => Ok(()),
            Ok(false) | Err(_) => Err(Error::Unsynced),
        }
    }

    async fn commit(&mut self, folded: Folded) -> Result<(), Error> {
        self.secure().await?;
        let Some(commit) = self.store.commit_usage(&folded.ledger, self.clock.now()).await? else {
            tracing::warn!("another process counts the same producers; reading positions again");
            self.forget();
            return Ok(());
        };
        self.source.committed();
        self.partitions.moved(folded.ledger.log.as_ref());
        self.metrics.records.inc_by(folded.records);
        self.metrics.duplicates.inc_by(folded.again.len() as u64);
        let mut done = Vec::with_capacity(folded.ledger.producers.len());
        for batch in &folded.ledger.producers {
            let place = Place {
                next_seq: batch.next_seq,
                epoch: batch.claim.owner_epoch,
                ended: batch.ended.is_some(),
            };
            self.places.insert(batch.claim.producer, place);
            self.metrics.gaps.inc_by(batch.gaps.len() as u64);
            self.metrics.quarantined.inc_by(batch.poison.len() as u64);
            done.push(AnalyticsBatch {
                ledger_commit: commit,
                producer: batch.claim.producer,
                first_seq: batch.claim.next_seq,
                next_seq: batch.next_seq,
                span: folded
                    .ledger
                    .log
                    .as_ref()
                    .and_then(|log| log.span_of(batch.claim.producer)),
            });
        }
        // From here on the ledger is ahead: a failure is made good from what the ledger noted.
        self.behind = true;
        let mut batches = folded.analytics;
        for (batch, note) in batches.iter_mut().zip(&done) {
            batch.ledger_commit = commit;
            self.add_interrupted(batch, note).await?;
        }
        self.compare(&folded.again).await?;
        self.finish(&batches, &done).await?;
        self.behind = false;
        Ok(())
    }

    async fn finish(&mut self, batches: &[Batch], notes: &[AnalyticsBatch]) -> Result<(), Error> {
        self.analytics.insert(batches).await?;
        let spans = batches
            .iter()
            .map(|batch| FactSpan::of(batch.facts.iter().map(|(_, fact)| fact.admitted_at)));
        let stored: Vec<_> = notes.iter().copied().zip(spans).collect();
        self.store.analytics_done(&stored).await?;
        for note in notes {
            self.source.ack(source_id(note.producer), note.next_seq)?;
        }
        Ok(())
    }

    /// Records that came again must be what was counted; another content is noted.
    async fn compare(&self, again: &[crate::fold::Again]) -> Result<(), Error> {
        for record in again {
            let Ok(Record::Fact(fact)) = Record::decode(&record.bytes) else {
                continue;
            };
            let Some(kept) = self.analytics.fact(record.producer, record.seq).await? else {
                continue;
            };
            if kept.fact != *fact {
                let mut bytes = Vec::new();
                let _ = Record::Fact(Box::new(kept.fact)).encode(&mut bytes);
                let hashes =
                    [&bytes, &record.bytes].map(|bytes| domain::key::KeyHash(sha2::Sha256::digest(bytes).into()));
                let [kept, refused] = hashes.map(domain::key::KeyHash::to_hex);
                self.store
                    .note_conflict(record.producer, record.seq, [&kept, &refused], self.clock.now())
                    .await?;
            }
        }
        Ok(())
    }

    fn measure_lag(&self) {
        let counted = |producer| self.places.get(&id(producer)).map_or(0, |place| place.next_seq);
        let lag = self.source.lag(&counted);
        self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }
}
