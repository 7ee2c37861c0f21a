//! How long a period is: `month`, `3 months`, `week`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

const MAX_COUNT: u32 = 1_000;

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unit {
    /// A day of the zone.
    Day,
    /// Seven days.
    Week,
    /// A month.
    Month,
    /// Twelve months.
    Year,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }
}

/// A length of calendar units, at least one and at most 1,000 of them. Written `month` or `3 months`; 12 months and a
/// year are the same length but not the same text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Every {
    count: NonZeroU32,
    unit: Unit,
}

/// Why a text is not a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a period: write day, week, month or year, or a number of them such as 3 months")]
pub struct ParseEveryError;

/// A length in the two sizes that do not convert into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many days.
    Days(i64),
    /// So many months.
    Months(i64),
}

impl Every {
    /// One month.
    pub const MONTH: Self = Self::one(Unit::Month);
    /// One year.
    pub const YEAR: Self = Self::one(Unit::Year);

    /// One unit.
    pub const fn one(unit: Unit) -> Self {
        Self {
            count: NonZeroU32::MIN,
            unit,
        }
    }

    /// So many units; `None` for none and for more than 1,000.
    pub fn new(count: u32, unit: Unit) -> Option<Self> {
        let count = NonZeroU32::new(count).filter(|count| count.get() <= MAX_COUNT)?;
        Some(Self { count, unit })
    }

    /// How many units.
    pub const fn count(self) -> u32 {
        self.count.get()
    }

    /// The unit.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    pub(super) fn step(self) -> Step {
        let count = i64::from(self.count.get());
        match self.unit {
            Unit::Day => Step::Days(count),
            Unit::Week => Step::Days(count * 7),
            Unit::Month => Step::Months(count),
            Unit::Year => Step::Months(count * 12),
        }
    }

    /// How many of `part` make up this length: a year is 12 months. `None` when it is no whole number of them.
    pub fn times(self, part: Self) -> Option<u32> {
        let (whole, part) = match (self.step(), part.step()) {
            (Step::Days(whole), Step::Days(part)) | (Step::Months(whole), Step::Months(part)) => (whole, part),
            (Step::Days(_), Step::Months(_)) | (Step::Months(_), Step::Days(_)) => return None,
        };
        if whole % part == 0 {
            u32::try_from(whole / part).ok()
        } else {
            None
        }
    }
}

impl Default for Every {
    fn default() -> Self {
        Self::MONTH
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count() {
            1 => f.write_str(self.unit.word()),
            count => write!(f, "{count} {}s", self.unit.word()),
        }
    }
}

impl fmt::Debug for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Every {
    type Err = ParseEveryError;

    fn from_str(text: &str) -> Result<Self, ParseEveryError> {
        let (count, word) = match text.split_once(' ') {
            None => (1, text),
            Some((count, word)) if count.bytes().all(|byte| byte.is_ascii_digit()) => {
                (count.parse().map_err(|_| ParseEveryError)?, word)
            }
            Some(_) => return Err(ParseEveryError),
        };
        let named = |unit: &Unit| word == unit.word() || (count != 1 && word.strip_suffix('s') == Some(unit.word()));
        let unit = Unit::ALL.into_iter().find(named).ok_or(ParseEveryError)?;
        Self::new(count, unit).ok_or(ParseEveryError)
    }
}

impl serde::Serialize for Every {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Every {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Every {
        text.parse().unwrap()
    }

    #[test]
    fn lengths_are_written_as_people_say_them() {
        for text in ["day", "week", "month", "year", "3 months", "2 weeks", "1000 days"] {
            assert_eq!(every(text).to_string(), text);
        }
        assert_eq!(every("1 month"), Every::MONTH);
        for text in [
            "",
            "months",
            "0 months",
            "3months",
            "-1 month",
            "1001 days",
            "1 months",
            "month ",
            "quarter",
            "+2 weeks",
        ] {
            assert!(text.parse::<Every>().is_err(), "{text}");
        }
    }

    #[test]
    fn months_and_days_do_not_convert_into_each_other() {
        assert_eq!(every("year").times(Every::MONTH), Some(12));
        assert_eq!(every("2 weeks").times(every("day")), Some(14));
        assert_eq!(every("month").times(every("month")), Some(1));
        assert_eq!(every("month").times(every("year")), None);
        assert_eq!(every("month").times(every("day")), None);
        assert_eq!(every("3 months").times(every("2 months")), None);
    }
}
