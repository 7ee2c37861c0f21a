//! Raw facts, roll-ups and histograms behind charts and drill-downs.
//!
//! The embedded engine is one SQLite file of its own. A batch is exactly what one ledger transaction accepted from one
//! producer; it goes in with its roll-ups in one transaction and leaves a row behind, so that a replay adds nothing.
//! Roll-ups answer charts; money never comes from here. Percentiles come only from summed histograms.
//!
//! Deliberately absent: any opinion on what is billable. Callers hand the policy in.

mod batch;
mod database;
mod error;
mod events;
mod insert;
mod known;
mod purge;
mod recent;
mod rollup;
mod usage;

pub use batch::Batch;
pub use database::Embedded;
pub use error::Error;
pub use events::{Cursor, EventFilter, Evidence, Page, RawCount, StoredFact, StoredSample};
pub use recent::RecentFilter;
pub use usage::{Billable, Dimension, Interval, UsageQuery, UsageRow};
