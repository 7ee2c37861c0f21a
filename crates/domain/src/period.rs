//! Billing periods: half-open intervals of UTC, counted from one anchor in the zone of the customer.
//!
//! The boundary of period `k` is always computed from the original anchor, never from the boundary before it, so that
//! an anchor on the 31st comes back to the 31st after February. Periods follow each other without gap or overlap and
//! are never empty. Trials, grace and proration are not decided here.

mod anchor;
mod every;
mod schedule;
#[cfg(test)]
mod tests;
mod zone;

pub use anchor::{Anchor, AnchorChoice, ParseAnchorError};
pub use every::{Every, ParseEveryError, Unit};
pub use schedule::{Schedule, ZoneChange};
pub use zone::{UnknownZone, Zone};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One period: from `start` up to but without `end`, which is the start of the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    /// Its number from the anchor; negative before it.
    pub k: i64,
    /// The first instant in it.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Period {
    /// Whether an instant lies in it.
    pub fn contains(&self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }

    /// Its length in milliseconds, at least 1.
    pub fn length_ms(&self) -> i64 {
        self.end.millis_since(self.start)
    }
}

/// Why there is no such period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// Outside the years 1 to 9999.
    #[error("the period lies outside the years 1 to 9999")]
    OutOfRange,
    /// The longer period is no whole number of the shorter.
    #[error("{whole} is no whole number of periods of a {part}")]
    NotAMultiple {
        /// The longer.
        whole: Every,
        /// The shorter.
        part: Every,
    },
}

/// The period of an anchor in which an instant lies.
///
/// # Errors
/// [`PeriodError::OutOfRange`].
pub fn period_at(anchor: &Anchor, every: Every, instant: Timestamp) -> Result<Period, PeriodError> {
    Schedule::new(anchor.clone(), every).period_at(instant)
}

/// Period `k` of an anchor; `None` for the day that a zone left out of its calendar.
///
/// # Errors
/// [`PeriodError::OutOfRange`].
pub fn period(anchor: &Anchor, every: Every, k: i64) -> Result<Option<Period>, PeriodError> {
    Schedule::new(anchor.clone(), every).period(k)
}
