//! Where metering reads usage from: for now the segments of the gateway's journal in the same process.
//!
//! Purpose: one stream of batches over all producers, in order within each, with the facts that the ledger needs
//! beside the records: which producers exist, which have ended, where records may be missing.
//!
//! Invariants: what is delivered of one producer has no holes; a range that cannot be read is delivered as such and
//! never skipped in silence; nothing is freed before [`Segments::ack`].
//!
//! Deliberately absent: decoding of records, remembering positions over a restart (the ledger does, in the transaction
//! that counts), and a trait, until there is a second adapter.

mod segments;

pub use journal::{Armed, Batch, Ending, Gap, GapKind, Position, Producer, ProducerId};
pub use segments::{Delivery, Reason, Segments};

/// A failed read or acknowledgement. The same call can be repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The journal refused.
    #[error("usage journal")]
    Journal(#[from] journal::Error),
}
