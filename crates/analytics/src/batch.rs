//! What goes in at once.

use domain::usage::{Fact, ProducerId, RejectionCount, RejectionSample};

/// What one ledger transaction accepted from one producer. The same (producer, sequence number) is always the same
/// record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The ledger commit that accepted it.
    pub ledger_commit: u64,
    /// Who wrote it.
    pub producer: ProducerId,
    /// Sequence number of the first record, accepted or not.
    pub first_seq: u64,
    /// Sequence number after the last record.
    pub next_seq: u64,
    /// Accepted facts by sequence number.
    pub facts: Vec<(u64, Fact)>,
    /// Aggregate rejections by sequence number of their record.
    pub rejections: Vec<(u64, Vec<RejectionCount>)>,
    /// Samples of rejections by sequence number of their record.
    pub samples: Vec<(u64, Vec<RejectionSample>)>,
}
