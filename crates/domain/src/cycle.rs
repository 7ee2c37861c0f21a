//! The usage periods of one subscription, as the quotas of the gateway see them.
//!
//! Periods follow from the original anchor in the account's zone; windows that were fixed when a plan, anchor or zone
//! changed stand before that arithmetic. Each cycle carries a stamp by which counters notice that it is another one.

use std::hash::{Hash as _, Hasher as _};

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::enforce::Window;

/// The length of a usage period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CycleUnit {
    /// A calendar day.
    Day,
    /// Seven calendar days.
    Week,
    /// A calendar month.
    Month,
    /// A calendar year.
    Year,
}

/// A cycle as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleRecord {
    /// The original anchor: start of period 0.
    pub anchor: Timestamp,
    /// IANA zone.
    pub zone: String,
    /// Unit of the period.
    pub unit: CycleUnit,
    /// Units a period; at least 1.
    #[serde(default = "one")]
    pub count: u16,
    /// Periods that differ from the arithmetic, in order, without overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<Window>,
}

const fn one() -> u16 {
    1
}

/// Why a record is not a cycle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// The zone is not known.
    #[error("unknown time zone {0:?}")]
    Zone(String),
    /// A period of no length.
    #[error("a period must be at least one unit long")]
    Empty,
    /// Fixed periods overlap, run backwards or are out of order.
    #[error("fixed periods overlap or are out of order")]
    Fixed,
}

/// The usage periods of one subscription.
#[derive(Debug, Clone)]
pub struct UsageCycle {
    record: CycleRecord,
    local: jiff::civil::DateTime,
    zone: TimeZone,
    stamp: u64,
}

impl UsageCycle {
    /// From a record.
    ///
    /// # Errors
    /// [`CycleError`] for an unknown zone, an empty period or fixed periods out of order.
    pub fn new(record: CycleRecord) -> Result<Self, CycleError> {
        let zone = TimeZone::get(&record.zone).map_err(|_| CycleError::Zone(record.zone.clone()))?;
        if record.count == 0 {
            return Err(CycleError::Empty);
        }
        let forwards = record.fixed.iter().all(|window| window.start < window.end);
        let ordered = record.fixed.iter().zip(record.fixed.iter().skip(1)).all(|(one, next)| one.end <= next.start);
        if !forwards || !ordered {
            return Err(CycleError::Fixed);
        }
        let mut hasher = std::hash::DefaultHasher::new();
        record.hash(&mut hasher);
        let local = record.anchor.to_jiff().to_zoned(zone.clone()).datetime();
        Ok(Self { stamp: hasher.finish(), local, zone, record })
    }

    /// UTC calendar months: the cycle of callers without a subscription.
    pub fn utc_months() -> Self {
        let record = CycleRecord {
            anchor: Timestamp::default(),
            zone: "UTC".to_owned(),
            unit: CycleUnit::Month,
            count: 1,
            fixed: Vec::new(),
        };
        let local = record.anchor.to_jiff().to_zoned(TimeZone::UTC).datetime();
        Self { record, local, zone: TimeZone::UTC, stamp: 0 }
    }

    /// Differs between cycles that differ; stable within a process.
    pub const fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The record that it came from.
    pub const fn record(&self) -> &CycleRecord {
        &self.record
    }

    /// The period of an instant. An instant before the anchor lies in a period counted backwards from it.
    pub fn window(&self, at: Timestamp) -> Window {
        if let Some(fixed) = self.record.fixed.iter().find(|window| window.contains(at)) {
            return *fixed;
        }
        let mut k = self.guess(at);
        // The guess is off by one at most where month ends are clamped; the bound keeps a hostile zone from looping.
        for _ in 0..4 {
            if at < self.start(k) {
                k = k.saturating_sub(1);
            } else if at >= self.start(k.saturating_add(1)) {
                k = k.saturating_add(1);
            } else {
                break;
            }
        }
        self.between_fixed(Window { start: self.start(k), end: self.start(k.saturating_add(1)) }, at)
    }

    /// Cuts a computed period where a fixed one stands beside it.
    fn between_fixed(&self, computed: Window, at: Timestamp) -> Window {
        let start = self.record.fixed.iter().map(|fixed| fixed.end).filter(|end| *end <= at).max();
        let end = self.record.fixed.iter().map(|fixed| fixed.start).filter(|start| *start > at).min();
        Window {
            start: start.map_or(computed.start, |start| start.max(computed.start)),
            end: end.map_or(computed.end, |end| end.min(computed.end)),
        }
    }

    fn guess(&self, at: Timestamp) -> i64 {
        let date = at.to_jiff().to_zoned(self.zone.clone()).datetime();
        let months = i64::from(date.year() - self.local.year()) * 12 + i64::from(date.month() - self.local.month());
        let days = at.millis_since(self.record.anchor).div_euclid(86_400_000);
        let count = i64::from(self.record.count);
        match self.record.unit {
            CycleUnit::Day => days.div_euclid(count),
            CycleUnit::Week => days.div_euclid(7 * count),
            CycleUnit::Month => months.div_euclid(count),
            CycleUnit::Year => months.div_euclid(12 * count),
        }
    }

    fn start(&self, k: i64) -> Timestamp {
        let steps = k.saturating_mul(i64::from(self.record.count));
        let span = jiff::Span::new();
        let span = match self.record.unit {
            CycleUnit::Day => span.try_days(steps),
            CycleUnit::Week => span.try_weeks(steps),
            CycleUnit::Month => span.try_months(steps),
            CycleUnit::Year => span.try_years(steps),
        };
        let far = Timestamp::from_millis(if k < 0 { i64::MIN } else { i64::MAX });
        span.and_then(|span| self.local.checked_add(span))
            .and_then(|local| local.to_zoned(self.zone.clone()))
            .map_or(far, |start| Timestamp::from_jiff(start.timestamp()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn monthly(anchor: &str, zone: &str) -> UsageCycle {
        let record =
            CycleRecord { anchor: at(anchor), zone: zone.to_owned(), unit: CycleUnit::Month, count: 1, fixed: Vec::new() };
        UsageCycle::new(record).unwrap()
    }

    #[test]
    fn months_are_counted_from_the_original_anchor() {
        let cycle = monthly("2027-01-31T00:00:00Z", "UTC");
        for (inside, start) in [
            ("2027-02-27T23:59:59.999Z", "2027-01-31T00:00:00Z"),
            ("2027-02-28T00:00:00Z", "2027-02-28T00:00:00Z"),
            ("2027-03-30T23:59:59.999Z", "2027-02-28T00:00:00Z"),
            ("2027-03-31T00:00:00Z", "2027-03-31T00:00:00Z"),
            ("2026-12-31T00:00:00Z", "2026-12-31T00:00:00Z"),
        ] {
            assert_eq!(cycle.window(at(inside)).start, at(start), "{inside}");
        }
    }

    #[test]
    fn a_local_time_in_a_gap_starts_after_it() {
        let cycle = monthly("2026-02-08T07:30:00Z", "America/New_York");
        assert_eq!(cycle.window(at("2026-03-20T00:00:00Z")).start, at("2026-03-08T07:30:00Z"));
    }

    #[test]
    fn a_fixed_period_stands_before_the_arithmetic() {
        let mut record = monthly("2026-01-01T00:00:00Z", "UTC").record().clone();
        record.fixed = vec![Window { start: at("2026-03-01T00:00:00Z"), end: at("2026-04-01T04:00:00Z") }];
        let cycle = UsageCycle::new(record).unwrap();
        assert_eq!(cycle.window(at("2026-04-01T03:00:00Z")).start, at("2026-03-01T00:00:00Z"));
        assert_eq!(cycle.window(at("2026-04-01T04:00:00Z")).start, at("2026-04-01T04:00:00Z"));
        assert_eq!(cycle.window(at("2026-02-20T00:00:00Z")).end, at("2026-03-01T00:00:00Z"));
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_one_period_and_periods_join(
            anchor in 0_i64..4_000_000_000_000,
            offset in -40_000_000_000_i64..400_000_000_000,
            zone in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Europe/Berlin"]),
            unit in prop::sample::select(vec![CycleUnit::Day, CycleUnit::Week, CycleUnit::Month, CycleUnit::Year]),
            count in 1_u16..5,
        ) {
            let record = CycleRecord {
                anchor: Timestamp::from_millis(anchor), zone: zone.to_owned(), unit, count, fixed: Vec::new(),
            };
            let cycle = UsageCycle::new(record).unwrap();
            let now = Timestamp::from_millis(anchor + offset);
            let window = cycle.window(now);
            prop_assert!(window.contains(now), "{window:?} {now}");
            prop_assert_eq!(cycle.window(window.end).start, window.end);
            prop_assert_eq!(cycle.window(window.end.plus_millis(-1)), window);
        }
    }
}
