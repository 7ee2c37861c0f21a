//! What the ledger has counted and analytics may lack: read again and inserted again.

use std::collections::BTreeMap;

use analytics::Batch;
use domain::usage::{Fact, Kind, Outcome, Record};
use store::ledger::{AnalyticsBatch, Claim, Held, LedgerBatch, ProducerBatch, QUARANTINE};
use usage_source::{Again, Reread, Span, UsageSource, kafka};

use super::{Error, Pump, source_id};
use crate::fold::{Fold, empty_batch, gap};

const REPLAYED_BATCHES: u32 = 100;

/// Where the records of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Journal,
    Partition(u32),
    Quarantine,
}

impl<S: UsageSource> Pump<S> {
    /// Inserts what the ledger counted and analytics may lack. Batches of partitions that are another's are that other's.
    pub(super) async fn catch_analytics_up(&mut self) -> Result<(), Error> {
        let mut places = vec![Place::Quarantine];
        match self.source.log() {
            None => places.push(Place::Journal),
            Some(_) => places.extend(self.partitions.parts().into_iter().map(Place::Partition)),
        }
        for place in places {
            self.catch_up_with(place).await?;
        }
        self.metrics.analytics_pending.set(0);
        self.behind = false;
        Ok(())
    }

    /// Inserts what was admitted out of the quarantine since.
    pub(super) async fn take_requeued(&mut self) -> Result<(), Error> {
        self.catch_up_with(Place::Quarantine).await
    }

    async fn catch_up_with(&mut self, place: Place) -> Result<(), Error> {
        loop {
            let log = self.source.log().unwrap_or_default();
            let of = match place {
                Place::Journal => None,
                Place::Partition(part) => Some((log, part)),
                Place::Quarantine => Some((QUARANTINE, 0)),
            };
            let notes = self.store.pending_analytics_of(of, REPLAYED_BATCHES).await?;
            self.metrics
                .analytics_pending
                .set(i64::try_from(notes.len()).unwrap_or(i64::MAX));
            if notes.is_empty() {
                return Ok(());
            }
            for note in notes {
                let batch = self.batch_again(&note, place).await?;
                self.finish(&[batch], &[note]).await?;
            }
        }
    }

    /// The batch of a note, built once more from the records that it counted.
    async fn batch_again(&self, note: &AnalyticsBatch, place: Place) -> Result<Batch, Error> {
        let reread = match place {
            Place::Quarantine => Reread {
                records: records_of(&self.store.requeued_in(note.ledger_commit).await?, note),
                lost: None,
            },
            Place::Journal | Place::Partition(_) => self.read_again(note).await?,
        };
        if let Some(first) = reread.lost {
            self.note_lost(note, first).await?;
        }
        let claim = Claim {
            producer: note.producer,
            next_seq: note.first_seq,
            owner_epoch: 0,
        };
        let mut fold = Fold::default();
        for (seq, bytes) in &reread.records {
            fold.record(claim, *seq, bytes);
        }
        let mut batch = fold.finish().analytics.pop().unwrap_or_else(|| empty_batch(claim));
        batch.ledger_commit = note.ledger_commit;
        batch.next_seq = note.next_seq;
        self.add_interrupted(&mut batch, note).await?;
        Ok(batch)
    }

    async fn read_again(&self, note: &AnalyticsBatch) -> Result<Reread, Error> {
        let read = self.source.read_again(Again {
            producer: source_id(note.producer),
            from: note.first_seq,
            to: note.next_seq,
            span: note.span.map(|span| Span {
                partition: span.part,
                from: span.from,
                to: span.to,
            }),
        });
        let read = tokio::task::spawn_blocking(read).await.map_err(|_| Error::Cut)?;
        Ok(read?)
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
            producers: vec![batch],
            ..LedgerBatch::default()
        };
        let noted = self.store.commit_usage(&batch, self.clock.now()).await?;
        self.metrics.gaps.inc();
        noted.map(drop).ok_or(lost)
    }

    pub(super) async fn add_interrupted(&self, batch: &mut Batch, note: &AnalyticsBatch) -> Result<(), Error> {
        for cut in self.store.interrupted(note).await? {
            if let Ok(Record::Open(open)) = Record::decode(&cut.record) {
                batch.facts.push((cut.seq, interrupted(*open.so_far)));
            }
        }
        Ok(())
    }
}

/// The records of a requeued batch, out of the quarantine.
fn records_of(held: &[Held], note: &AnalyticsBatch) -> Vec<(u64, Vec<u8>)> {
    let mut records = Vec::new();
    for row in held {
        if row.to_seq.is_none() {
            records.push((row.seq, row.raw.clone()));
        } else if let Ok(kafka::Recovered::Records(batch)) = kafka::reread(&row.raw) {
            let wanted = batch
                .records()
                .filter(|(seq, _)| (note.first_seq..note.next_seq).contains(seq));
            records.extend(wanted.map(|(seq, bytes)| (seq, bytes.to_vec())));
        }
    }
    records
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
