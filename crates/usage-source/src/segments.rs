//! The journal's segments as a source of usage.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use journal::{Armed, Journal, Position, Producer, ProducerId, Reader};

use crate::Error;
use crate::source::{Again, Changes, Delivery, End, Ends, ReadAgain, Reason, Reread, Span, UsageSource};

/// About how many bytes of payload a batch holds unless told otherwise.
const BATCH_BYTES: usize = 256 << 10;
/// How many are read at once when they are read again.
const REREAD_BYTES: usize = 1 << 20;

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
    /// The source over an open journal. Every producer is read from number 0 unless [`UsageSource::resume`] says otherwise.
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

    /// The end of every producer at this moment. A ledger that has reached all of these holds every record whose append
    /// returned before the call.
    pub fn positions(&self) -> Vec<Position> {
        self.journal.positions()
    }

    /// Waits on this thread until something was appended since `armed`; false when `timeout` passed first.
    pub fn wait(&self, armed: Armed, timeout: Duration) -> bool {
        self.journal.bell().wait(armed, timeout)
    }

    /// As [`UsageSource::arm`], for [`Self::wait`].
    pub fn armed(&self) -> Armed {
        self.journal.bell().arm()
    }
}

impl UsageSource for Segments {
    fn log(&self) -> Option<&str> {
        None
    }

    fn changes(&mut self) -> Changes {
        Changes::default()
    }

    fn begin(&mut self, _partition: u32, _offset: u64) {}

    fn give_up(&mut self, _partition: u32) {}

    fn rewind(&mut self) {
        self.next.clear();
        self.stalled.clear();
    }

    fn resume(&mut self, producer: ProducerId, next_seq: u64) {
        self.next.insert(producer, next_seq);
        self.stalled.remove(&producer);
    }

    /// The next records or the next unreadable range of some producer, each producer in its turn.
    fn next_batch(&mut self) -> Result<Option<Delivery>, Error> {
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

    fn spans(&self) -> Vec<Span> {
        Vec::new()
    }

    fn partition_of(&self, _producer: ProducerId) -> Option<u32> {
        None
    }

    fn committed(&mut self) {}

    /// Every producer that is not freed, with how it ended and whether records may be missing at its end.
    fn producers(&self) -> Vec<Producer> {
        self.journal.producers()
    }

    fn ends(&mut self) -> Ends {
        Ends::Known(self.journal.positions().into_iter().map(End::Records).collect())
    }

    fn lag(&self, counted: &dyn Fn(ProducerId) -> u64) -> u64 {
        let ends = self.journal.positions().into_iter();
        ends.map(|end| end.next_seq.saturating_sub(counted(end.producer))).sum()
    }

    fn read_again(&self, again: Again) -> ReadAgain {
        let mut reader = self.journal.reader();
        Box::new(move || {
            let mut read = Reread::default();
            let mut at = again.from;
            while at < again.to {
                match reader.read_from(again.producer, at, REREAD_BYTES) {
                    Ok(Some(batch)) => {
                        let wanted = batch.records().filter(|(seq, _)| *seq < again.to);
                        read.records.extend(wanted.map(|(seq, bytes)| (seq, bytes.to_vec())));
                        at = batch.next_seq();
                    }
                    // The ledger has noted the hole already.
                    Err(journal::Error::Missing { first, .. }) => at = first.max(at + 1),
                    Err(journal::Error::Damaged { resume, .. }) => at = resume.unwrap_or(again.to),
                    Ok(None) | Err(journal::Error::Unknown(_)) => {
                        read.lost = Some(at);
                        return Ok(read);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(read)
        })
    }

    fn secure(&self) -> Option<Box<dyn FnOnce() -> bool + Send>> {
        let journal = Arc::clone(&self.journal);
        Some(Box::new(move || journal.sync()))
    }

    /// Frees what lies wholly below `next_seq`. A producer that has ended and is acknowledged to its end vanishes, so
    /// note its gap before; one that ended without any record vanishes at `ack(producer, 0)`.
    fn ack(&mut self, producer: ProducerId, next_seq: u64) -> Result<(), Error> {
        self.journal.free_below(producer, next_seq)?;
        if !self.journal.positions().iter().any(|end| end.producer == producer) {
            self.reader.forget(producer);
            self.next.remove(&producer);
            self.stalled.remove(&producer);
        }
        Ok(())
    }

    fn arm(&self) {
        self.journal.bell().arm();
    }

    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>) {
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
