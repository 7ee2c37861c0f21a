//! Billing periods: half-open intervals of UTC, counted from one anchor in the zone of the customer.
//!
//! The boundary of period `k` is always computed from the original anchor, never from the boundary before it, so that
//! an anchor on the 31st comes back to the 31st after February. Periods follow each other without gap or overlap and
//! are never empty.

mod every;

pub use every::{Every, ParseEveryError, Unit};
