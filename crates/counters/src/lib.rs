//! Exact counters of limits on one node.
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
//! Deliberately absent: several nodes (leases, a shared counter), persistence (counters are rebuilt with
//! [`Counters::load_baseline`]), and any await, I/O or allocation on the way of a request that was seen before.

mod bucket;
mod cell;
mod fixed;
mod registry;
mod reservation;
mod slot;
mod times;
mod view;
mod windowed;

pub use cell::{Admission, Cell, LimitKind, Refused};
pub use registry::{Baseline, Counters, Settings};
pub use reservation::{Billable, Reservation};
pub use times::Times;
pub use view::{LimitView, Tightest};
