//! Raw facts, roll-ups and histograms behind charts and drill-downs.
//!
//! Two engines stand behind one type, [`Analytics`]: a SQLite file of its own ([`Embedded`]) and a ClickHouse server
//! ([`ClickHouse`]). One suite (`tests/contract.rs`) holds both to the same numbers. A batch is exactly what one ledger
//! transaction accepted from one producer; each record of it goes in once, in whatever batch and however often it comes.
//! Roll-ups answer charts; money never comes from here. Percentiles come only from summed histograms.
//!
//! Deliberately absent: any opinion on what is billable. Callers hand the policy in.

mod answer;
mod batch;
mod clickhouse;
mod embedded;
mod engine;
mod error;
mod events;
mod recent;
mod settings;
mod sums;
#[cfg(feature = "testing")]
pub mod testing;
mod usage;

pub use batch::Batch;
pub use clickhouse::ClickHouse;
pub use embedded::Embedded;
pub use engine::{Analytics, open};
pub use error::Error;
pub use events::{BatchCounts, Cursor, EventFilter, Evidence, Page, RawCount, RawCounts, StoredFact, StoredSample};
pub use recent::RecentFilter;
pub use settings::{Server, Settings};
pub use usage::{Billable, Dimension, Interval, UsageQuery, UsageRow};
