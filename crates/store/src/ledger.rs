//! The usage ledger: how far each producer is counted and what it adds up to, in the same transactions.

mod batch;
mod positions;
mod producers;
mod reconciliations;
mod requeue;
mod totals;

pub use batch::{BucketKey, Claim, LedgerBatch, OpenRequest, Poison, ProducerBatch};
pub use positions::{LogBatch, LogMove, LogSpan, QUARANTINE, Unattributed, UsagePosition};
pub use producers::{AnalyticsBatch, Ended, Gap, Interrupted, ProducerRow, Quarantined};
pub use reconciliations::{AskedReconciliation, DoneReconciliation, FactSpan, StoredBatch};
pub use requeue::{Held, Requeued};
pub use totals::{PeriodTotals, Total, WindowUse};
