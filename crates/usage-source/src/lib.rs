//! Where metering reads usage from: the segments of a journal in the same process, or a topic of Kafka that gateways ship
//! their journals to.
//!
//! Purpose: one stream of batches over all producers, in order within each, with the facts that the ledger needs
//! beside the records: which producers exist, which have ended, where records may be missing.
//!
//! Invariants: what is delivered of one producer has no holes; a range that cannot be read is delivered as such and
//! never skipped in silence; nothing is freed before [`UsageSource::ack`], and nothing that was shipped before Kafka has
//! acknowledged it.
//!
//! Deliberately absent: decoding of records, and remembering positions over a restart (the ledger does, in the transaction
//! that counts).

pub mod kafka;
mod segments;
mod source;
#[cfg(feature = "testing")]
pub mod testing;

pub use journal::{Armed, Batch, Ending, Gap, GapKind, Position, Producer, ProducerId};
pub use segments::Segments;
pub use source::{
    Again, Changes, Delivery, End, Ends, ReadAgain, Reason, Refused, Reread, Span, Unanswered, UsageSource,
};

/// A failed read or acknowledgement. The same call can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal refused.
    #[error("usage journal")]
    Journal(#[from] journal::Error),
    /// The topic refused or is away.
    #[error("usage topic")]
    Topic(#[from] kafka::TopicError),
    /// The operating system gives no thread.
    #[error("no thread for usage")]
    Thread(#[source] std::io::Error),
}
