//! The usage periods of one subscription, as the quotas of the gateway see them.
//!
//! The arithmetic is [`crate::period`]'s, the same that bills. Periods that were fixed otherwise (a change of plan or
//! anchor) stand before it. Each cycle carries a stamp by which counters notice that it is another one.

use std::hash::{Hash as _, Hasher as _};

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::enforce::{CalendarUnit, Window};
use crate::period::{Anchor, Every, Schedule, Zone};

/// A cycle as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CycleRecord {
    /// Anchor, length, zone and its changes.
    pub schedule: Schedule,
    /// Periods that differ from the schedule, in order, without overlap.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<Window>,
}

/// Why a record is not a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CycleError {
    /// Fixed periods overlap, are empty or out of order.
    #[error("fixed periods overlap, are empty or out of order")]
    Fixed,
}

/// The usage periods of one subscription.
#[derive(Debug, Clone)]
pub struct UsageCycle {
    record: CycleRecord,
    stamp: u64,
}

impl UsageCycle {
    /// From a record.
    ///
    /// # Errors
    /// [`CycleError`] for fixed periods out of order.
    pub fn new(record: CycleRecord) -> Result<Self, CycleError> {
        let filled = record.fixed.iter().all(|window| window.start < window.end);
        let ordered = record
            .fixed
            .iter()
            .zip(record.fixed.iter().skip(1))
            .all(|(one, next)| one.end <= next.start);
        if !filled || !ordered {
            return Err(CycleError::Fixed);
        }
        Ok(Self {
            stamp: stamp_of(&record),
            record,
        })
    }

    /// UTC calendar months: the cycle of callers without a subscription.
    pub fn utc_months() -> Self {
        let schedule = Schedule::new(Anchor::at(Timestamp::default(), Zone::UTC), Every::MONTH);
        let record = CycleRecord {
            schedule,
            fixed: Vec::new(),
        };
        Self {
            stamp: stamp_of(&record),
            record,
        }
    }

    /// Differs between cycles that differ; the same for equal ones within a process.
    pub const fn stamp(&self) -> u64 {
        self.stamp
    }

    /// The record that it came from.
    pub const fn record(&self) -> &CycleRecord {
        &self.record
    }

    /// The period of an instant. Where the calendar ends (the years 1 and 9999) it is the UTC month.
    pub fn window(&self, at: Timestamp) -> Window {
        if let Some(fixed) = self.record.fixed.iter().find(|window| window.contains(at)) {
            return *fixed;
        }
        let computed = self.record.schedule.period_at(at);
        let computed = computed.map_or_else(
            |_| CalendarUnit::Month.window(at),
            |period| Window {
                start: period.start,
                end: period.end,
            },
        );
        self.between_fixed(computed, at)
    }

    /// Cuts a computed period where a fixed one stands beside it.
    fn between_fixed(&self, computed: Window, at: Timestamp) -> Window {
        let start = self
            .record
            .fixed
            .iter()
            .map(|fixed| fixed.end)
            .filter(|end| *end <= at)
            .max();
        let end = self
            .record
            .fixed
            .iter()
            .map(|fixed| fixed.start)
            .filter(|start| *start > at)
            .min();
        Window {
            start: start.map_or(computed.start, |start| start.max(computed.start)),
            end: end.map_or(computed.end, |end| end.min(computed.end)),
        }
    }
}

/// The text of a record tells all that differs between records.
fn stamp_of(record: &CycleRecord) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    format!("{record:?}").hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn monthly(anchor: &str, zone: &str) -> CycleRecord {
        let anchor = Anchor::at(at(anchor), zone.parse().unwrap());
        CycleRecord {
            schedule: Schedule::new(anchor, Every::MONTH),
            fixed: Vec::new(),
        }
    }

    #[test]
    fn a_fixed_period_stands_before_the_schedule() {
        let mut record = monthly("2026-01-01T00:00:00Z", "UTC");
        record.fixed = vec![Window {
            start: at("2026-03-01T00:00:00Z"),
            end: at("2026-04-01T04:00:00Z"),
        }];
        let cycle = UsageCycle::new(record.clone()).unwrap();
        assert_eq!(
            cycle.window(at("2026-04-01T03:00:00Z")).start,
            at("2026-03-01T00:00:00Z")
        );
        assert_eq!(
            cycle.window(at("2026-04-01T04:00:00Z")).start,
            at("2026-04-01T04:00:00Z")
        );
        assert_eq!(cycle.window(at("2026-02-20T00:00:00Z")).end, at("2026-03-01T00:00:00Z"));
        record.fixed.push(record.fixed[0]);
        assert_eq!(UsageCycle::new(record).err(), Some(CycleError::Fixed));
    }

    #[test]
    fn stamps_tell_zones_apart() {
        let stamp = |zone| UsageCycle::new(monthly("2026-01-01T00:00:00Z", zone)).unwrap().stamp();
        assert_eq!(stamp("UTC"), stamp("UTC"));
        assert_ne!(stamp("UTC"), stamp("Asia/Kolkata"));
    }

    proptest! {
        #[test]
        fn every_instant_lies_in_one_period_and_periods_join(
            anchor in 0_i64..4_000_000_000_000,
            offset in -40_000_000_000_i64..400_000_000_000,
            zone in prop::sample::select(vec!["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Europe/Berlin"]),
        ) {
            let anchor = Timestamp::from_millis(anchor);
            let cycle = UsageCycle::new(monthly(&anchor.to_string(), zone)).unwrap();
            let now = anchor.plus_millis(offset);
            let window = cycle.window(now);
            prop_assert!(window.contains(now), "{window:?} {now}");
            prop_assert_eq!(cycle.window(window.end).start, window.end);
            prop_assert_eq!(cycle.window(window.end.plus_millis(-1)), window);
        }
    }
}
