//! From a source of usage to the ledger, exactly once, and on to analytics.
//!
//! One task a process reads producers in order: all of them from the journal of the same process, or those in the
//! partitions of a log that are its own. What it read becomes one ledger transaction that moves the positions of producers
//! and partitions by compare-and-set and adds to the totals; then the same records go to analytics, built only
//! from the range that the transaction noted; then the source may free them. A crash between any two steps is made
//! good at the next start: positions that did not move are read again, batches that analytics lacks are inserted again,
//! and analytics passes over those that it has.
//!
//! Deliberately absent: remembered ids of requests (a record is known by producer and number), and any opinion on what
//! is billable.

mod fold;
mod meter;
mod metrics;
mod pump;
mod requeue;

pub use meter::{Currency, Gone, Metering, Parts};
pub use pump::Error;
pub use requeue::{RequeueReport, requeue};
