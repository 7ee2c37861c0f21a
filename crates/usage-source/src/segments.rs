//! The journal's segments as a source of usage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use journal::{Armed, Batch, Journal, Position, Producer, ProducerId, Reader};

use crate::Error;

/// About how many bytes of payload a batch holds unless told otherwise.
const BATCH_BYTES: usize = 256 << 10;

/// Why a range of records cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The records are no longer in the journal: freed earlier, or their segment is gone.
    Missing,
    /// The records are there but their checksums do not fit.
    Damaged,
}

impl Reason {
    /// One word for the ledger row.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

/// The next thing that the source has of some producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Records that follow what was delivered of this producer before.
    Records(Batch),
    /// The records `from..to` cannot be delivered; what follows goes on at `to`.
    Unreadable {
        /// Whose records.
        producer: ProducerId,
        /// The first number that cannot be delivered.
        from: u64,
        /// The number after the last one.
        to: u64,
        /// Why.
        reason: Reason,
    },
}

/// Reads all producers of a journal in turn. Owned by the one task that writes the ledger.
pub struct Segments {
    journal: Arc<Journal>,
    reader: Reader,
    next: BTreeMap<ProducerId, u64>,
    /// Producers whose due record is unreadable with nothing behind it yet; named once in the log.
    stalled: BTreeSet<ProducerId>,
    /// The producer that had its turn last.
    turn: Option<ProducerId>,
    batch_bytes: usize,
}

impl Segments {
    /// The source over an open journal. Every producer is read from number 0 unless [`Self::resume`] says otherwise.
    pub fn new(journal: Arc<Journal>) -> Self {
        let reader = journal.reader();
        Self {
            journal,
            reader,
            next: BTreeMap::new(),
            stalled: BTreeSet::new(),
            turn: None,
            batch_bytes: BATCH_BYTES,
        }
    }

    /// The same source with batches of about `bytes` of payload.
    #[must_use]
    pub fn with_batch_bytes(self, bytes: usize) -> Self {
        Self {
            batch_bytes: bytes.max(1),
            ..self
        }
    }

    /// Reads a producer from `next_seq` on: the position that the ledger stored, after a start or an aborted
    /// transaction.
    pub fn resume(&mut self, producer: ProducerId, next_seq: u64) {
        self.next.insert(producer, next_seq);
        self.stalled.remove(&producer);
    }

    /// Every producer that is not freed, with how it ended and whether records may be missing at its end.
    pub fn producers(&self) -> Vec<Producer> {
        self.journal.producers()
    }

    /// The end of every producer at this moment. A ledger that has reached all of these holds every record whose append
    /// returned before the call.
    pub fn positions(&self) -> Vec<Position> {
        self.journal.positions()
    }

    /// The next records or the next unreadable range of some producer, each producer in its turn; `None` when
    /// everything was delivered.
    pub fn next_batch(&mut self) -> Result<Option<Delivery>, Error> {
        let mut ends = self.journal.positions();
        ends.sort_unstable_by_key(|end| end.producer);
        let start = ends.partition_point(|end| self.turn.is_some_and(|turn| end.producer <= turn));
        ends.rotate_left(start);
        for end in ends {
            let from = self.next.get(&end.producer).copied().unwrap_or(0);
            if from >= end.next_seq {
                continue;
            }
            self.turn = Some(end.producer);
            if let Some(delivery) = self.read(end, from)? {
                return Ok(Some(delivery));
            }
        }
        Ok(None)
    }

    fn read(&mut self, end: Position, from: u64) -> Result<Option<Delivery>, Error> {
        let producer = end.producer;
        let (to, reason) = match self.reader.read_from(producer, from, self.batch_bytes) {
            Ok(Some(batch)) => {
                self.stalled.remove(&producer);
                self.next.insert(producer, batch.next_seq());
                return Ok(Some(Delivery::Records(batch)));
            }
            // It vanished since the positions were taken, or the record is not there after all.
            Ok(None) | Err(journal::Error::Unknown(_)) => return Ok(None),
            Err(journal::Error::Missing { first, .. }) => (Some(first), Reason::Missing),
            Err(journal::Error::Damaged { resume, .. }) => (resume, Reason::Damaged),
            Err(error) => return Err(error.into()),
        };
        let Some(to) = to.or_else(|| self.final_end(producer)) else {
            if self.stalled.insert(producer) {
                tracing::error!(producer = %producer, seq = from, "journal record unreadable, waiting for the next segment");
            }
            return Ok(None);
        };
        let to = to.min(self.final_end(producer).unwrap_or(to));
        self.next.insert(producer, to);
        Ok(Some(Delivery::Unreadable {
            producer,
            from,
            to,
            reason,
        }))
    }

    /// The end of a producer that has ended.
    fn final_end(&self, producer: ProducerId) -> Option<u64> {
        let all = self.journal.producers();
        all.into_iter()
            .find(|one| one.producer == producer && one.ending.is_some())
            .map(|one| one.next_seq)
    }

    /// Frees what lies wholly below `next_seq`: the ledger commit up to there is durable and its analytics are done.
    /// A producer that has ended and is acknowledged to its end vanishes from [`Self::producers`], so note its gap
    /// before; one that ended without any record vanishes at `ack(producer, 0)`.
    pub fn ack(&mut self, producer: ProducerId, next_seq: u64) -> Result<(), Error> {
        self.journal.free_below(producer, next_seq)?;
        if !self.journal.positions().iter().any(|end| end.producer == producer) {
            self.reader.forget(producer);
            self.next.remove(&producer);
            self.stalled.remove(&producer);
        }
        Ok(())
    }

    /// Asks for the next ring: arm, call [`Self::next_batch`] until it has nothing, then wait.
    pub fn arm(&self) -> Armed {
        self.journal.bell().arm()
    }

    /// Waits on this thread until something was appended since `armed`; false when `timeout` passed first.
    pub fn wait(&self, armed: Armed, timeout: Duration) -> bool {
        self.journal.bell().wait(armed, timeout)
    }

    /// Calls `wake` once after each [`Self::arm`], when something is appended. It runs on a gateway thread: it must only wake somebody.
    pub fn on_ready(&self, wake: impl Fn() + Send + Sync + 'static) {
        self.journal.bell().on_ring(wake);
    }
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
