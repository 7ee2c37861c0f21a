//! Usage over time, by dimension: what is asked and answered, and how a range is cut into roll-ups and facts.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::histogram::Histogram;
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Outcome};

use crate::sums::floor;

/// Whether an outcome is billed, as a policy decides. It sees outcomes by class ([`Outcome::class`]).
pub type Billable<'a> = &'a (dyn Fn(&Outcome) -> bool + Send + Sync);

/// Width of the rows of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interval {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A UTC day.
    Day,
    /// A UTC month.
    Month,
    /// The whole range in one row a group.
    Whole,
}

macro_rules! dimensions {
    ($($(#[$doc:meta])* $name:ident = $column:literal,)*) => {
        /// What usage may be grouped by or narrowed to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Dimension { $($(#[$doc])* $name,)* }

        impl Dimension {
            /// Every dimension.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name in APIs, which is also its column.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $column,)* }
            }

            /// The dimension of a name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($column => Some(Self::$name),)* _ => None }
            }
        }
    };
}

dimensions! {
    /// Account id.
    Account = "account",
    /// Consumer id.
    Consumer = "consumer",
    /// Subscription id.
    Subscription = "subscription",
    /// Credential id.
    Credential = "credential",
    /// API name.
    Api = "api",
    /// Operation key.
    Operation = "operation",
    /// HTTP method.
    Method = "method",
    /// `product/plan`.
    Plan = "plan",
    /// HTTP status.
    Status = "status",
}

impl Dimension {
    pub(crate) const fn is_of_rejections(self) -> bool {
        matches!(
            self,
            Self::Account | Self::Consumer | Self::Subscription | Self::Api | Self::Operation
        )
    }

    pub(crate) fn of(self, fact: &Fact) -> Option<String> {
        match self {
            Self::Account => fact.account.map(|id| id.to_string()),
            Self::Consumer => fact.consumer.map(|id| id.to_string()),
            Self::Subscription => fact.subscription.map(|id| id.to_string()),
            Self::Credential => fact.credential.map(|id| id.to_string()),
            Self::Api => Some(fact.api.clone()),
            Self::Operation => Some(fact.operation.clone()),
            Self::Method => Some(fact.method.clone()),
            Self::Plan => Some(format!("{}/{}", fact.product, fact.plan)),
            Self::Status => Some(fact.outcome.status.to_string()),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageQuery {
    /// First instant.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
    /// Width of rows.
    pub interval: Interval,
    /// One row for each combination of these.
    pub group_by: Vec<Dimension>,
    /// Only these values.
    pub filter: BTreeMap<Dimension, String>,
    /// Live or test traffic; never both in one sum.
    pub mode: Mode,
    /// The meter of `quantity` and `billable`.
    pub meter: String,
}

/// One row of usage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UsageRow {
    /// Start of the interval; start of the range for [`Interval::Whole`].
    pub time: Timestamp,
    /// The values of `group_by`, in its order; `None` where a fact or rejection has none.
    pub group: Vec<Option<String>>,
    /// Facts.
    pub requests: u64,
    /// Those with status 400 or above.
    pub errors: u64,
    /// What the meter took, billed or not.
    pub quantity: Quantity,
    /// The part of it that is billed.
    pub billable: Quantity,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of answers' bodies.
    pub bytes_out: u64,
    /// Latency in microseconds.
    pub latency: Histogram,
    /// Refused before they were forwarded.
    pub rejected: u64,
}

/// A part of a range that one kind of rows answers. Times in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    /// Width of the roll-up in seconds; `None` for facts.
    pub(crate) level: Option<i64>,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

const MINUTE: i64 = 60;

fn ceil(time: i64, level: i64) -> i64 {
    let width = level * 1_000;
    -(-time).div_euclid(width) * width
}

/// Cuts a range into whole days, hours and minutes as far as the interval allows, and facts at its ends.
fn spans(from: i64, to: i64, interval: Interval) -> Vec<Span> {
    let levels: &[i64] = match interval {
        Interval::Minute => &[MINUTE],
        Interval::Hour => &[MINUTE, 3_600],
        Interval::Day | Interval::Month | Interval::Whole => &[MINUTE, 3_600, 86_400],
    };
    let (mut head, mut tail) = (Vec::new(), Vec::new());
    let (mut from, mut to, mut finer) = (from, to, None);
    for level in levels {
        let (inner_from, inner_to) = (ceil(from, *level), to.div_euclid(level * 1_000) * level * 1_000);
        if inner_from >= inner_to {
            break;
        }
        head.push(Span {
            level: finer,
            from,
            to: inner_from,
        });
        tail.push(Span {
            level: finer,
            from: inner_to,
            to,
        });
        (from, to, finer) = (inner_from, inner_to, Some(*level));
    }
    head.push(Span { level: finer, from, to });
    head.extend(tail.into_iter().rev());
    head.retain(|span| span.from < span.to);
    head
}

impl UsageQuery {
    /// The parts of the range.
    pub(crate) fn spans(&self) -> Vec<Span> {
        spans(self.from.as_millis(), self.to.as_millis(), self.interval)
    }

    /// The parts that answer for rejections, which know their minute alone: a minute belongs to the range that its start
    /// lies in. None where the question narrows to what rejections do not know.
    pub(crate) fn spans_of_rejections(&self) -> Vec<(i64, Span)> {
        if !self.filter.keys().all(|dimension| dimension.is_of_rejections()) {
            return Vec::new();
        }
        let (from, to) = (ceil(self.from.as_millis(), MINUTE), ceil(self.to.as_millis(), MINUTE));
        let spans = spans(from, to, self.interval).into_iter();
        spans.filter_map(|span| Some((span.level?, span))).collect()
    }

    /// The row that an instant belongs to.
    pub(crate) fn row_time(&self, time: i64) -> Timestamp {
        let time = Timestamp::from_millis(time);
        match self.interval {
            Interval::Minute => Timestamp::from_millis(floor(time, MINUTE)),
            Interval::Hour => Timestamp::from_millis(floor(time, 3_600)),
            Interval::Day => Timestamp::from_millis(floor(time, 86_400)),
            Interval::Month => month_start(time),
            Interval::Whole => self.from,
        }
    }
}

fn month_start(time: Timestamp) -> Timestamp {
    let zoned = time.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    zoned
        .first_of_month()
        .and_then(|first| first.start_of_day())
        .map_or(time, |start| Timestamp::from_jiff(start.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_range_is_cut_without_hole_or_overlap(from in 0_i64..400_000_000, length in 0_i64..400_000_000) {
            for interval in [Interval::Minute, Interval::Hour, Interval::Day, Interval::Whole] {
                let cut = spans(from, from + length, interval);
                let mut at = from;
                for span in &cut {
                    prop_assert_eq!(span.from, at);
                    if let Some(level) = span.level {
                        prop_assert_eq!(span.from % (level * 1_000), 0);
                        prop_assert_eq!(span.to % (level * 1_000), 0);
                    }
                    at = span.to;
                }
                prop_assert!(length == 0 || at == from + length);
            }
        }
    }
}
