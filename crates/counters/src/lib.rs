//! Exact counters of limits, on one node or shared by several.
//!
//! All limits of one subscription (live and test apart) or of one anonymous address sit in one [`Cell`] under one small
//! lock: [`Cell::admit`] checks them all, then counts them all, so a refused request is counted nowhere and no limit is
//! ever exceeded. What was counted is a [`Reservation`], which either becomes a count or is returned, always to the very
//! window that it came from. Counters are found by stable ids and live outside the snapshot, so a new snapshot resets
//! none of them.
//!
//! | limit | clock | window |
//! |---|---|---|
//! | token bucket | monotonic | none: integer refill by the nanosecond |
//! | second, minute, hour | monotonic | starts with its first counted request |
//! | day, month | domain | UTC |
//! | period (quota) | domain | the subscription's usage period |
//! | concurrency | none | none |
//!
//! A quota is refused when used and reserved units together reach its ceiling. Units that are merely reserved may still
//! be returned by an outcome that is not billed; admitting beside them could exceed the maximum, so such a refusal
//! ([`Refused::pending`]) is possible while the last units are in flight, and only then.
//!
//! Several nodes share the windows of the domain clock (day, month, period) through [`shared`]: each spends slices that it
//! was given. Rates of a second, a minute and an hour, concurrency, quotas without an end and anonymous addresses are
//! each node's own.
//!
//! Deliberately absent: persistence (a node alone is rebuilt with [`Counters::load_baseline`], a shared counter from the
//! ledger), and any await, I/O or allocation on the way of a request that was seen before and has a slice left.

mod bucket;
mod cell;
mod fixed;
mod lease;
mod registry;
mod reservation;
pub mod shared;
mod slot;
mod times;
mod view;
mod windowed;

pub use cell::{Admission, Cell, LimitKind, Refused};
pub use lease::Short;
pub use registry::{Baseline, Counters, Settings};
pub use reservation::{Billable, Reservation};
pub use times::Times;
pub use view::{LimitView, Tightest};
