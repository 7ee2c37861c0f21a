//! A range of days of the reader's zone, cut into hours, days or months, which begin where they do for the reader.

use domain::clock::Timestamp;
use jiff::tz::TimeZone;
use jiff::{ToSpan as _, Zoned};

use super::show;
use crate::http::problem::Problem;

const HOUR_MS: i64 = 3_600_000;
const MOST_DAYS: i64 = 92;
/// Ranges of up to so many days are shown by hour.
const HOURS_UP_TO: i64 = 2;
const MOST_INTERVALS: usize = 120;

/// How wide the intervals are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Hour,
    Day,
    Month,
}

/// One interval.
#[derive(Debug, Clone)]
pub(crate) struct Interval {
    pub(crate) from: Timestamp,
    pub(crate) to: Timestamp,
    /// Below the axis.
    pub(crate) label: String,
    /// In the table and on hover.
    pub(crate) title: String,
}

/// A range in the reader's zone, cut into intervals.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    pub(crate) first: jiff::civil::Date,
    pub(crate) last: jiff::civil::Date,
    pub(crate) width: Width,
    pub(crate) intervals: Vec<Interval>,
}

fn stamp(zoned: &Zoned) -> Timestamp {
    Timestamp::from_jiff(zoned.timestamp())
}

impl Range {
    /// From one day to another, both included; what lies after `now` is left out. The last 30 days where nothing is asked.
    pub(crate) fn new(from: Option<&str>, to: Option<&str>, now: Timestamp, zone: &TimeZone) -> Result<Self, Problem> {
        let today = now.to_jiff().to_zoned(zone.clone()).date();
        let read = |text: Option<&str>| text.and_then(|text| text.parse::<jiff::civil::Date>().ok());
        let last = read(to).unwrap_or(today).min(today);
        let usual = last.checked_sub(29.days()).unwrap_or(last);
        let first = read(from).unwrap_or(usual).min(last);
        // Years of nothing are not worth a thousand questions.
        let oldest = last.checked_sub(3.years()).unwrap_or(last);
        let first = first.max(oldest);
        let days = i64::from(first.until(last).map_or(0, |span| span.get_days())) + 1;
        let width = if days <= HOURS_UP_TO {
            Width::Hour
        } else if days <= MOST_DAYS {
            Width::Day
        } else {
            Width::Month
        };
        let mut range = Self {
            first,
            last,
            width,
            intervals: Vec::new(),
        };
        range.cut(now.plus_millis(1), zone).map_err(|error| {
            tracing::error!(%error, "a range cannot be cut into days");
            Problem::internal()
        })?;
        Ok(range)
    }

    fn cut(&mut self, end: Timestamp, zone: &TimeZone) -> Result<(), jiff::Error> {
        let mut day = self.first;
        if self.width == Width::Month {
            day = day.first_of_month();
        }
        while day <= self.last && self.intervals.len() < MOST_INTERVALS {
            let start = day.to_zoned(zone.clone())?;
            let next = match self.width {
                Width::Month => day.checked_add(1.month())?,
                Width::Hour | Width::Day => day.tomorrow()?,
            };
            let until = stamp(&next.to_zoned(zone.clone())?).min(end);
            match self.width {
                Width::Hour => self.hours(stamp(&start), until, zone),
                Width::Day => self.push(stamp(&start), until, show::day_label(stamp(&start), zone)),
                Width::Month => self.push(stamp(&start), until, show::month_label(day)),
            }
            day = next;
        }
        Ok(())
    }

    fn hours(&mut self, start: Timestamp, until: Timestamp, zone: &TimeZone) {
        let mut from = start;
        while from < until {
            let to = from.plus_millis(HOUR_MS).min(until);
            self.push(from, to, show::hour_label(from, zone));
            from = to;
        }
    }

    fn push(&mut self, from: Timestamp, to: Timestamp, (label, title): (String, String)) {
        self.intervals.push(Interval { from, to, label, title });
    }

    /// First instant, and the first after the range.
    pub(crate) fn bounds(&self) -> Option<(Timestamp, Timestamp)> {
        Some((self.intervals.first()?.from, self.intervals.last()?.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_where_the_reader_is_and_end_now() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-03-30T10:00:00Z");
        let range = Range::new(Some("2026-03-28"), Some("2026-04-05"), now, &zone).unwrap();
        assert_eq!(range.width, Width::Day);
        let starts: Vec<_> = range.intervals.iter().map(|one| one.from.to_string()).collect();
        assert_eq!(
            starts,
            [
                "2026-03-27T23:00:00.000Z",
                "2026-03-28T23:00:00.000Z",
                "2026-03-29T22:00:00.000Z"
            ]
        );
        assert_eq!(range.bounds().unwrap().1, now.plus_millis(1));
        assert!(range.intervals.windows(2).all(|pair| pair[0].to == pair[1].from));
    }

    #[test]
    fn a_day_has_hours_also_when_the_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now = at("2026-10-30T10:00:00Z");
        let day = Range::new(Some("2026-10-25"), Some("2026-10-25"), now, &zone).unwrap();
        assert_eq!((day.width, day.intervals.len()), (Width::Hour, 25));
        let year = Range::new(Some("2025-11-01"), Some("2026-10-30"), now, &zone).unwrap();
        assert_eq!((year.width, year.intervals.len()), (Width::Month, 12));
        let silly = Range::new(Some("0001-01-01"), Some("nonsense"), now, &zone).unwrap();
        assert!(silly.intervals.len() <= MOST_INTERVALS);
        let turned = Range::new(Some("2026-10-29"), Some("2026-10-01"), now, &zone).unwrap();
        assert_eq!(turned.first, turned.last);
    }
}
