//! The usage ledger: how far each producer is counted and what it adds up to, in the same transactions.

mod batch;
mod producers;
mod totals;

pub use batch::{BucketKey, Claim, LedgerBatch, OpenRequest, Poison, ProducerBatch};
pub use producers::{AnalyticsBatch, Ended, Gap, Interrupted, ProducerRow, Quarantined};
pub use totals::{PeriodTotals, Total, WindowUse};
