//! What every source of usage offers, and what it delivers.

use std::ops::Range;

use journal::{Batch, Position, Producer, ProducerId};
use tokio::sync::oneshot::{Receiver, error::TryRecvError};

use crate::Error;

/// Why a range of records cannot be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The records are no longer in the journal or in the log: freed earlier, expired, or their segment is gone.
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

/// A message of a log that cannot be read. It is kept as it came, so that it can be admitted after a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Whose records it holds, where that can be told.
    pub producer: Option<ProducerId>,
    /// The numbers of its records, where they can be told.
    pub range: Option<Range<u64>>,
    /// Why it cannot be read.
    pub reason: String,
    /// The message as it came, for [`crate::kafka::reread`].
    pub raw: Vec<u8>,
}

/// The next thing that the source has of some producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// Records that follow what was delivered of this producer before. A log may bring some that came before: they
    /// have the same numbers and the same content.
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
    /// A message that cannot be read; where its range is known, what follows goes on behind it.
    Refused(Refused),
}

/// A stretch of one partition of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The partition.
    pub partition: u32,
    /// The offset of its first message.
    pub from: u64,
    /// The offset after its last message.
    pub to: u64,
}

/// What became of the partitions of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// They are no longer this reader's.
    pub taken: Vec<u32>,
    /// They became this reader's, after the others were taken.
    pub given: Vec<u32>,
}

/// Records that are counted and must be read once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Whose.
    pub producer: ProducerId,
    /// The first number.
    pub from: u64,
    /// The number after the last one.
    pub to: u64,
    /// Where a log holds them; `None` for segments.
    pub span: Option<Span>,
}

/// Records that were read once more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reread {
    /// Numbers and payloads in order. A hole that the ledger knows is left out.
    pub records: Vec<(u64, Vec<u8>)>,
    /// From here on they are gone, although the ledger has counted them.
    pub lost: Option<u64>,
}

/// Reads again when called; it may block, so it is called where that harms nobody.
pub type ReadAgain = Box<dyn FnOnce() -> Result<Reread, Error> + Send>;

/// Where a source ended at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A producer's records.
    Records(Position),
    /// A partition of a log.
    Offset {
        /// The partition.
        partition: u32,
        /// The offset after its last message.
        offset: u64,
    },
}

/// The ends of a source at the moment of [`UsageSource::ends`]; a log has to be asked first.
#[derive(Debug)]
pub enum Ends {
    /// Known.
    Known(Vec<End>),
    /// On their way.
    Asked(Receiver<Vec<End>>),
}

impl Ends {
    /// The ends as soon as they are known. A source that could not say is to be asked anew.
    pub fn get(&mut self) -> Result<Option<&[End]>, Unanswered> {
        if let Self::Asked(answer) = self {
            match answer.try_recv() {
                Ok(ends) => *self = Self::Known(ends),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Closed) => return Err(Unanswered),
            }
        }
        match self {
            Self::Known(ends) => Ok(Some(ends)),
            Self::Asked(_) => Ok(None),
        }
    }
}

/// The log could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log could not be asked where it ends")]
pub struct Unanswered;

/// One stream of batches over all producers, in order within each, with the facts that a ledger needs beside the
/// records. Owned by the one task that writes the ledger.
///
/// The journal's segments need no positions but those of producers. A log has partitions, some of which are this
/// reader's; their positions live in the ledger, beside the totals, and the ledger decides whose they are.
pub trait UsageSource: Send + Sync + 'static {
    /// The name under which the ledger keeps positions of partitions; `None` when there are none to keep.
    fn log(&self) -> Option<&str>;

    /// What became of partitions since the last call. Those that were taken deliver nothing more; those that were given
    /// deliver nothing before [`Self::begin`].
    fn changes(&mut self) -> Changes;

    /// Delivers of a partition from `offset` on: the position that the ledger has.
    fn begin(&mut self, partition: u32, offset: u64);

    /// Gives a partition up: the ledger says that it is another's.
    fn give_up(&mut self, partition: u32);

    /// Forgets what was delivered and not committed: it comes again. [`Self::resume`] and [`Self::begin`] follow, with
    /// what the ledger has.
    fn rewind(&mut self);

    /// Reads a producer from `next_seq` on: the position that the ledger has.
    fn resume(&mut self, producer: ProducerId, next_seq: u64);

    /// The next records, unreadable range or message; `None` when there is nothing at this moment.
    fn next_batch(&mut self) -> Result<Option<Delivery>, Error>;

    /// What was delivered since the last [`Self::committed`] covers of the partitions.
    fn spans(&self) -> Vec<Span>;

    /// The partition that a producer's records are in.
    fn partition_of(&self, producer: ProducerId) -> Option<u32>;

    /// What was delivered is in the ledger.
    fn committed(&mut self);

    /// Every producer that is known here and not acknowledged to its end, with how it ended.
    fn producers(&self) -> Vec<Producer>;

    /// Where the source ends at this moment. A ledger that has reached this holds everything that was in it.
    fn ends(&mut self) -> Ends;

    /// About how many records are in the source and not counted; `counted` is the ledger's position of a producer.
    fn lag(&self, counted: &dyn Fn(ProducerId) -> u64) -> u64;

    /// Reads once more what the ledger has counted.
    fn read_again(&self, again: Again) -> ReadAgain;

    /// Makes what was delivered survive a power loss, where that is not certain already; false when that failed. It
    /// may block.
    fn secure(&self) -> Option<Box<dyn FnOnce() -> bool + Send>>;

    /// What lies below `next_seq` is counted and its analytics are done. A producer that has ended and is acknowledged
    /// to its end vanishes from [`Self::producers`].
    fn ack(&mut self, producer: ProducerId, next_seq: u64) -> Result<(), Error>;

    /// Asks for the next ring: arm, call [`Self::next_batch`] until it has nothing, then wait.
    fn arm(&self);

    /// Calls `wake` after each [`Self::arm`], when something came. It may run on a gateway thread: it must only wake
    /// somebody.
    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>);
}
