//! Limits in the form in which they are enforced on a request: numbers only, ready for the counters.
//!
//! The snapshot compiles a plan's limits into this form once; the counters read it for each request. The key of a limit
//! is stable over edits of its numbers, so that counters outlive them. Nothing here counts.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::limit::{Precision, WhenUnavailable};

/// A half-open interval of the domain clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// First instant.
    pub start: Timestamp,
    /// First instant after it.
    pub end: Timestamp,
}

impl Window {
    /// Whether the instant lies in it.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// One limit of a plan version, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcedLimit {
    /// The limit's stable key within its plan, such as `requests/period`.
    pub key: Arc<str>,
    /// What it counts, and up to where.
    pub rule: EnforcedRule,
}

/// What a limit counts, and up to where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcedRule {
    /// Tokens that refill evenly on the monotonic clock.
    Bucket {
        /// Tokens that refill in one `window_ns`; at least 1.
        requests: u64,
        /// Nanoseconds.
        window_ns: u64,
        /// Size of the bucket; at least 1.
        burst: u64,
    },
    /// Whole windows of the monotonic clock; each starts with its first request.
    Fixed {
        /// Requests a window.
        requests: u64,
        /// Nanoseconds.
        window_ns: u64,
    },
    /// UTC days or months of the domain clock.
    Calendar {
        /// Requests a day or month.
        requests: u64,
        /// Which.
        unit: CalendarUnit,
    },
    /// A meter's quantity in the subscription's usage period.
    Quota {
        /// The meter's name.
        meter: Arc<str>,
        /// Whether the meter is `requests`, so that units are reserved at admission.
        of: QuotaOf,
        /// Units a period, as sold.
        max: u64,
        /// Units up to which requests are served (with overage); `None` without end.
        ceiling: Option<u64>,
        /// How it is shared by several nodes.
        sharing: Sharing,
    },
    /// Requests in flight at once.
    Concurrency {
        /// At most so many.
        max: u64,
    },
}

/// How a limit is shared by several nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sharing {
    /// How exact it is.
    pub precision: Precision,
    /// What happens when the shared counters are away and what this node holds is used up.
    pub when_unavailable: WhenUnavailable,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuotaOf {
    /// Requests: reserved at admission.
    Requests,
    /// A quantity that is known only from the answer: admitted below the ceiling, added when settled.
    Quantities,
}

/// A UTC day or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarUnit {
    /// 00:00 to 24:00.
    Day,
    /// The first to the last.
    Month,
}

const DAY_MS: i64 = 86_400_000;

impl CalendarUnit {
    /// The UTC day or month of an instant.
    pub fn window(self, at: Timestamp) -> Window {
        match self {
            Self::Day => {
                let start = at.as_millis().div_euclid(DAY_MS).saturating_mul(DAY_MS);
                Window {
                    start: Timestamp::from_millis(start),
                    end: Timestamp::from_millis(start.saturating_add(DAY_MS)),
                }
            }
            Self::Month => month_of(at),
        }
    }
}

fn month_of(at: Timestamp) -> Window {
    let date = at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date();
    let start_of = |date: jiff::civil::Date| {
        date.to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(at, |start| Timestamp::from_jiff(start.timestamp()))
    };
    let first = date.first_of_month();
    let next = first.saturating_add(jiff::Span::new().months(1));
    Window {
        start: start_of(first),
        end: start_of(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_and_months_are_those_of_utc() {
        let day = CalendarUnit::Day.window(at("2028-02-29T23:59:59.999Z"));
        assert_eq!(
            (day.start, day.end),
            (at("2028-02-29T00:00:00Z"), at("2028-03-01T00:00:00Z"))
        );
        let month = CalendarUnit::Month.window(at("2028-02-29T23:59:59.999Z"));
        assert_eq!(
            (month.start, month.end),
            (at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z"))
        );
        assert!(!month.contains(month.end));
        let before = CalendarUnit::Day.window(at("1969-12-31T12:00:00Z"));
        assert_eq!(before.start, at("1969-12-31T00:00:00Z"));
    }
}
