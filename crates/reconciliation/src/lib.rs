//! The same requests, counted at every hop: the ledger's totals, the raw facts one by one, the roll-ups, and what documents
//! have billed.
//!
//! [`compare`] counts a span of time by subscription and narrows each difference down to a quarter of an hour and, for
//! facts, to the producer and the range of records. Counts go on while they are read: a difference is one only when a
//! second look shows the same and nothing counted waits for analytics. [`periods`] holds what was used against what was
//! billed. [`Reconciler`] does both every hour, and whenever it is asked through the ledger database, so that any process
//! with analytics can answer for any other.
//!
//! Deliberately absent: any repair. What differs is evidence, and people decide.

mod error;
mod find;
mod look;
mod periods;
mod reconciler;

pub use error::Error;
pub use find::{BatchDifference, Comparison, Difference, compare};
pub use look::{Count, Hop, Look, Range, Whose};
pub use periods::{Period, Standing, periods};
pub use reconciler::{Books, Finding, Reconciler, ask};
