//! Where the periods of a subscription are counted from.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime};
use serde::{Deserialize, Serialize};

use super::every::Step;
use super::{Every, PeriodError, Zone};
use crate::clock::Timestamp;

/// A time on the clocks of a zone. Periods are counted from it for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// What clocks of the zone show at the start of period 0.
    pub local: DateTime,
    /// The zone.
    pub zone: Zone,
}

/// What the maker of a subscription asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AnchorChoice {
    /// The instant of activation.
    #[default]
    Start,
    /// The calendar's own months, years, weeks (from Monday) or days, the first one in part.
    Calendar,
    /// This instant, before or after activation.
    At(Timestamp),
}

/// Why a text is not an anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an anchor: write start, calendar or a time of RFC 3339 such as 2027-01-31T00:00:00Z")]
pub struct ParseAnchorError;

impl Anchor {
    /// The anchor at an instant, in a zone.
    pub fn at(instant: Timestamp, zone: Zone) -> Self {
        Self {
            local: zone.local(instant),
            zone,
        }
    }

    /// The anchor of a subscription that becomes active at `start`. `every` is the longest period of its price, whose
    /// calendar a choice of [`AnchorChoice::Calendar`] follows.
    pub fn resolve(choice: AnchorChoice, start: Timestamp, zone: Zone, every: Every) -> Self {
        match choice {
            AnchorChoice::Start => Self::at(start, zone),
            AnchorChoice::At(instant) => Self::at(instant, zone),
            AnchorChoice::Calendar => {
                let date = calendar_start(zone.date_at(start), every);
                Self {
                    local: date.to_datetime(jiff::civil::Time::midnight()),
                    zone,
                }
            }
        }
    }

    /// What clocks show at the boundary before period `k`: `k` steps from the anchor, held within the month.
    pub(super) fn boundary(&self, every: Every, k: i64) -> Result<DateTime, PeriodError> {
        let (step, months) = match every.step() {
            Step::Days(days) => (days, false),
            Step::Months(months) => (months, true),
        };
        let total = step.checked_mul(k).ok_or(PeriodError::OutOfRange)?;
        let span = if months {
            jiff::Span::new().try_months(total)
        } else {
            jiff::Span::new().try_days(total)
        };
        span.and_then(|span| self.local.checked_add(span))
            .map_err(|_| PeriodError::OutOfRange)
    }

    /// A number of a period that begins near a local time: at most one step away from the right one.
    pub(super) fn estimate(&self, every: Every, local: DateTime) -> i64 {
        match every.step() {
            Step::Days(days) => {
                let since = local.date().duration_since(self.local.date());
                (since.as_secs() / 86_400).div_euclid(days)
            }
            Step::Months(months) => {
                let index = |at: DateTime| i64::from(at.year()) * 12 + i64::from(at.month());
                (index(local) - index(self.local)).div_euclid(months)
            }
        }
    }
}

/// The first day of the calendar period in which a date lies: of the year when several months make a period.
fn calendar_start(date: Date, every: Every) -> Date {
    match every.step() {
        Step::Months(1) => date.first_of_month(),
        Step::Months(_) => date.first_of_year(),
        Step::Days(days) if days % 7 == 0 => {
            let past_monday = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(past_monday.days()).unwrap_or(date)
        }
        Step::Days(_) => date,
    }
}

impl fmt::Display for AnchorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::Calendar => f.write_str("calendar"),
            Self::At(instant) => write!(f, "{instant}"),
        }
    }
}

impl FromStr for AnchorChoice {
    type Err = ParseAnchorError;

    fn from_str(text: &str) -> Result<Self, ParseAnchorError> {
        match text {
            "start" => Ok(Self::Start),
            "calendar" => Ok(Self::Calendar),
            time => time.parse().map(Self::At).map_err(|_| ParseAnchorError),
        }
    }
}

impl Serialize for AnchorChoice {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AnchorChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
