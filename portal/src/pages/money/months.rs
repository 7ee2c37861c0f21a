//! Calendar months and days in UTC, as reports use them.

use std::fmt;
use std::str::FromStr;

use domain::clock::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Month {
    first: Date,
}

/// The text is no month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoMonth;

impl Month {
    /// The month that holds an instant.
    pub(crate) fn of(at: Timestamp) -> Self {
        Self {
            first: date(at).first_of_month(),
        }
    }

    /// Its first instant.
    pub(crate) fn start(self) -> Timestamp {
        start_of(self.first)
    }

    /// Its first day.
    pub(crate) fn first_day(self) -> Date {
        self.first
    }

    /// The first instant after it.
    pub(crate) fn end(self) -> Timestamp {
        self.next().start()
    }

    /// The month after it.
    pub(crate) fn next(self) -> Self {
        Self {
            first: self.first.last_of_month().tomorrow().unwrap_or(self.first),
        }
    }

    /// The month before it.
    pub(crate) fn before(self) -> Self {
        let last = self.first.yesterday().unwrap_or(self.first);
        Self {
            first: last.first_of_month(),
        }
    }

    /// `October 2026`.
    pub(crate) fn name(self) -> String {
        self.first.strftime("%B %Y").to_string()
    }

    /// `Oct`.
    pub(crate) fn short(self) -> String {
        self.first.strftime("%b %y").to_string()
    }

    /// The last `count` months up to the one of `now`, oldest first.
    pub(crate) fn last(count: usize, now: Timestamp) -> Vec<Self> {
        let mut months: Vec<Self> = std::iter::successors(Some(Self::of(now)), |month| Some(month.before()))
            .take(count)
            .collect();
        months.reverse();
        months
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first.strftime("%Y-%m"))
    }
}

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let first: Date = format!("{text}-01").parse().map_err(|_| NoMonth)?;
        Ok(Self { first })
    }
}

/// The day of an instant.
pub(crate) fn date(at: Timestamp) -> Date {
    at.to_jiff().to_zoned(TimeZone::UTC).date()
}

/// The first instant of a day.
pub(crate) fn start_of(day: Date) -> Timestamp {
    day.to_zoned(TimeZone::UTC).map_or(Timestamp::from_millis(0), |zoned| {
        Timestamp::from_jiff(zoned.timestamp())
    })
}

/// The first instant after a day.
pub(crate) fn end_of(day: Date) -> Timestamp {
    start_of(day.tomorrow().unwrap_or(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_without_gaps() {
        let now: Timestamp = "2026-03-31T23:59:59Z".parse().unwrap();
        let months = Month::last(14, now);
        assert_eq!(months.first().unwrap().to_string(), "2025-02");
        assert_eq!(months.last().unwrap().name(), "March 2026");
        for pair in months.windows(2) {
            assert_eq!(pair[0].end(), pair[1].start());
        }
        assert_eq!("2026-13".parse::<Month>(), Err(NoMonth));
    }
}
