//! From the usage journal to the ledger, exactly once, and on to analytics.
//!
//! One task per deployment reads every producer in order. What it read becomes one ledger transaction that moves the
//! producers' positions by compare-and-set and adds to the totals; then the same records go to analytics, built only
//! from the range that the transaction noted; then the journal may free them. A crash between any two steps is made
//! good at the next start: positions that did not move are read again, batches that analytics lacks are inserted again,
//! and analytics passes over those that it has.
//!
//! Deliberately absent: remembered ids of requests (a record is known by producer and number), and any opinion on what
//! is billable.

mod fold;
mod meter;
mod metrics;
mod pump;

pub use meter::{Currency, Gone, Metering, Parts};
pub use pump::Error;
