//! The one task: read, fold, commit, hand to analytics, free.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use analytics::{Batch, Embedded};
use domain::clock::{Clock, Timestamp};
use domain::usage::{Fact, Kind, Outcome, ProducerId, Record};
use journal::Journal;
use sha2::Digest as _;
use store::Store;
use store::ledger::{AnalyticsBatch, Claim, Ended, LedgerBatch, ProducerBatch, ProducerRow};
use tokio::sync::{Notify, mpsc, oneshot};
use usage_source::{Delivery, Ending, GapKind, Position, Producer, Segments};

use crate::fold::{Fold, Folded, empty_batch, gap};
use crate::meter::Parts;
use crate::metrics::Metrics;

/// Records a ledger transaction takes at most.
const RECORDS_A_COMMIT: u64 = 20_000;
/// Pause between two commits while nobody waits, so that a commit is worth its sync.
const BREATH: Duration = Duration::from_millis(100);
/// Pause while somebody waits.
const HURRY: Duration = Duration::from_millis(1);
const IDLE: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LAST_BACKOFF: Duration = Duration::from_secs(5);
const REPLAYED_BATCHES: u32 = 100;

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
    /// The journal cannot be read.
    #[error("the usage journal cannot be read")]
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
}

/// How long to rest.
#[derive(Debug, Clone, Copy)]
enum Rest {
    For(Duration),
    UntilBell,
}

struct Waiter {
    targets: Vec<Position>,
    done: oneshot::Sender<()>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    next_seq: u64,
    epoch: i64,
    ended: bool,
}

/// The task's state.
pub(crate) struct Pump {
    store: Store,
    analytics: Embedded,
    journal: Arc<Journal>,
    source: Segments,
    clock: Clock,
    metrics: Metrics,
    places: HashMap<ProducerId, Place>,
    /// Ledger commits are ahead of analytics: batches must be read again.
    behind: bool,
    loaded: bool,
    waiters: Vec<Waiter>,
}

fn id(producer: journal::ProducerId) -> ProducerId {
    ProducerId(u128::from_be_bytes(producer.to_bytes()))
}

fn source_id(producer: ProducerId) -> journal::ProducerId {
    journal::ProducerId::from_bytes(producer.0.to_be_bytes())
}

impl Pump {
    pub(crate) fn new(parts: Parts, metrics: Metrics) -> Self {
        Self {
            source: Segments::new(Arc::clone(&parts.journal)),
            store: parts.store,
            analytics: parts.analytics,
            journal: parts.journal,
            clock: parts.clock,
            metrics,
            places: HashMap::new(),
            behind: true,
            loaded: false,
            waiters: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        let bell = Arc::new(Notify::new());
        let ring = Arc::clone(&bell);
        self.source.on_ready(move || ring.notify_one());
        let mut backoff = FIRST_BACKOFF;
        loop {
            self.source.arm();
            let outcome = self.round().await;
            self.answer();
            let rest = match outcome {
                Ok(more) => {
                    backoff = FIRST_BACKOFF;
                    match (more, self.waiters.is_empty()) {
                        (_, false) => Rest::For(HURRY),
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
                    targets: self.source.positions(),
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

    fn answer(&mut self) {
        let counted = |target: &Position| {
            let place = self.places.get(&id(target.producer));
            target.next_seq == 0 || place.is_some_and(|place| place.next_seq >= target.next_seq)
        };
        let (ready, waiting) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition::<Vec<_>, _>(|waiter| !self.behind && waiter.targets.iter().all(counted));
        self.waiters = waiting;
        for waiter in ready {
            // Nobody waits any more when the receiver is gone.
            let _ = waiter.done.send(());
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
        if self.behind {
            self.catch_analytics_up().await?;
        }
        let folded = self.fold().await?;
        self.measure_lag();
        if folded.ledger.producers.is_empty() {
            return Ok(false);
        }
        self.commit(folded).await?;
        Ok(true)
    }

    async fn load(&mut self) -> Result<(), Error> {
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
        for producer in self.source.producers() {
            if !self.places.contains_key(&id(producer.producer)) {
                self.source.resume(producer.producer, 0);
            }
        }
        self.loaded = true;
        Ok(())
    }

    async fn place(&mut self, producer: journal::ProducerId) -> Result<Claim, Error> {
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
        while fold.records() < RECORDS_A_COMMIT {
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
            }
        }
        for producer in self.source.producers() {
            self.fold_end(&mut fold, &producer).await?;
        }
        Ok(fold.finish())
    }

    async fn fold_end(&mut self, fold: &mut Fold, producer: &Producer) -> Result<(), Error> {
        let Some(ending) = producer.ending else { return Ok(()) };
        let claim = self.place(producer.producer).await?;
        let read = fold.next_seq(claim.producer).unwrap_or(claim.next_seq);
        if read < producer.next_seq || self.places.get(&claim.producer).is_some_and(|place| place.ended) {
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
                lost.from_seq,
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
        let journal = Arc::clone(&self.journal);
        match tokio::task::spawn_blocking(move || journal.sync()).await {
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
        self.store.analytics_done(notes).await?;
        for note in notes {
            self.source.ack(source_id(note.producer), note.next_seq)?;
        }
        Ok(())
    }

    /// Inserts what the ledger counted and analytics may lack, from the journal.
    async fn catch_analytics_up(&mut self) -> Result<(), Error> {
        loop {
            let notes = self.store.pending_analytics(REPLAYED_BATCHES).await?;
            self.metrics
                .analytics_pending
                .set(i64::try_from(notes.len()).unwrap_or(i64::MAX));
            if notes.is_empty() {
                self.behind = false;
                return Ok(());
            }
            for note in notes {
                let batch = self.read_again(&note).await?;
                self.finish(&[batch], &[note]).await?;
            }
        }
    }

    async fn read_again(&self, note: &AnalyticsBatch) -> Result<Batch, Error> {
        let claim = Claim {
            producer: note.producer,
            next_seq: note.first_seq,
            owner_epoch: 0,
        };
        let mut fold = Fold::default();
        let mut reader = self.journal.reader();
        let mut at = note.first_seq;
        while at < note.next_seq {
            match reader.read_from(source_id(note.producer), at, 1 << 20) {
                Ok(Some(batch)) => {
                    for (seq, bytes) in batch.records().filter(|(seq, _)| *seq < note.next_seq) {
                        fold.record(claim, seq, bytes);
                    }
                    at = batch.next_seq();
                }
                // The ledger has noted the hole already.
                Err(journal::Error::Missing { first, .. }) => at = first.max(at + 1),
                Err(journal::Error::Damaged { resume, .. }) => at = resume.unwrap_or(note.next_seq),
                Ok(None) | Err(journal::Error::Unknown(_)) => {
                    self.note_lost(note, at).await?;
                    at = note.next_seq;
                }
                Err(error) => return Err(usage_source::Error::from(error).into()),
            }
        }
        let mut batch = fold.finish().analytics.pop().unwrap_or_else(|| empty_batch(claim));
        batch.ledger_commit = note.ledger_commit;
        batch.next_seq = note.next_seq;
        self.add_interrupted(&mut batch, note).await?;
        Ok(batch)
    }

    /// Notes a gap in the ledger: it has counted records that no fact will ever stand behind. Their totals stay, and the
    /// platform must not wait for a journal that somebody took away.
    async fn note_lost(&self, note: &AnalyticsBatch, first: u64) -> Result<(), Error> {
        let (producer, next_seq) = (note.producer, note.next_seq);
        let lost = Error::Lost { producer, first };
        tracing::error!(to = next_seq, "{lost}");
        let Some(place) = self.places.get(&producer) else {
            return Err(lost);
        };
        let batch = ProducerBatch {
            claim: Claim {
                producer,
                next_seq: place.next_seq,
                owner_epoch: place.epoch,
            },
            next_seq: place.next_seq,
            alive_through: None,
            opened: BTreeMap::new(),
            closed: Vec::new(),
            gaps: vec![gap(producer, first, Some(next_seq), "facts_lost", None)],
            poison: Vec::new(),
            ended: None,
        };
        let batch = LedgerBatch {
            totals: BTreeMap::new(),
            producers: vec![batch],
        };
        let noted = self.store.commit_usage(&batch, self.clock.now()).await?;
        self.metrics.gaps.inc();
        noted.map(drop).ok_or(lost)
    }

    async fn add_interrupted(&self, batch: &mut Batch, note: &AnalyticsBatch) -> Result<(), Error> {
        for cut in self.store.interrupted(note).await? {
            if let Ok(Record::Open(open)) = Record::decode(&cut.record) {
                batch.facts.push((cut.seq, interrupted(*open.so_far)));
            }
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
        let lag: u64 = self
            .source
            .positions()
            .iter()
            .map(|end| {
                end.next_seq
                    .saturating_sub(self.places.get(&id(end.producer)).map_or(0, |place| place.next_seq))
            })
            .sum();
        self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
    }
}

/// The fact of a request that was cut off with its gateway: never billed.
fn interrupted(so_far: Fact) -> Fact {
    let outcome = Outcome {
        kind: Kind::Interrupted,
        ..so_far.outcome
    };
    Fact {
        outcome,
        quantities: Vec::new(),
        ..so_far
    }
}
