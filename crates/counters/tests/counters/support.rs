//! Limits and clocks for tests.

use counters::{Admission, Times};
use domain::clock::Timestamp;
use domain::cycle::{CycleRecord, UsageCycle};
use domain::enforce::{CalendarUnit, EnforcedLimit, EnforcedRule, QuotaOf, Sharing};
use domain::period::{Anchor, Every, Schedule, Zone};
use domain::quantity::Quantity;
use domain::usage::MeterValue;

pub(crate) const SECOND: u64 = 1_000_000_000;

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn times(mono_ns: u64, wall: &str) -> Times {
    Times {
        mono_ns,
        wall: at(wall),
    }
}

pub(crate) fn cycle(anchor: &str, zone: &str, every: Every) -> UsageCycle {
    let zone: Zone = zone.parse().unwrap();
    let schedule = Schedule::new(Anchor::at(at(anchor), zone), every);
    UsageCycle::new(CycleRecord {
        schedule,
        fixed: Vec::new(),
    })
    .unwrap()
}

pub(crate) fn limit(key: &str, rule: EnforcedRule) -> EnforcedLimit {
    EnforcedLimit { key: key.into(), rule }
}

pub(crate) fn bucket(requests: u64, burst: u64) -> EnforcedLimit {
    limit(
        "requests/second",
        EnforcedRule::Bucket {
            requests,
            window_ns: SECOND,
            burst,
        },
    )
}

pub(crate) fn minute(requests: u64) -> EnforcedLimit {
    limit(
        "requests/minute",
        EnforcedRule::Fixed {
            requests,
            window_ns: 60 * SECOND,
        },
    )
}

pub(crate) fn day(requests: u64) -> EnforcedLimit {
    limit(
        "requests/day",
        EnforcedRule::Calendar {
            requests,
            unit: CalendarUnit::Day,
        },
    )
}

pub(crate) fn quota(max: u64) -> EnforcedLimit {
    let rule = EnforcedRule::Quota {
        meter: "requests".into(),
        of: QuotaOf::Requests,
        max,
        ceiling: Some(max),
        sharing: Sharing::default(),
    };
    limit("requests/period", rule)
}

pub(crate) fn tokens(max: u64, ceiling: Option<u64>) -> EnforcedLimit {
    limit(
        "tokens/period",
        EnforcedRule::Quota {
            meter: "tokens".into(),
            of: QuotaOf::Quantities,
            max,
            ceiling,
            sharing: Sharing::default(),
        },
    )
}

pub(crate) fn concurrency(max: u64) -> EnforcedLimit {
    limit("concurrency", EnforcedRule::Concurrency { max })
}

pub(crate) fn used(quantity: &str) -> Vec<MeterValue> {
    let quantity: Quantity = quantity.parse().unwrap();
    vec![MeterValue {
        meter: "tokens".to_owned(),
        quantity,
        missing: false,
    }]
}

/// All limits apply, with weight 1.
pub(crate) struct Plan {
    pub(crate) limits: Vec<EnforcedLimit>,
    pub(crate) all: Vec<u16>,
    pub(crate) cycle: UsageCycle,
    pub(crate) revision: u64,
}

impl Plan {
    pub(crate) fn new(limits: Vec<EnforcedLimit>) -> Self {
        Self::with_cycle(limits, cycle("2026-01-31T00:00:00Z", "UTC", Every::MONTH))
    }

    pub(crate) fn with_cycle(limits: Vec<EnforcedLimit>, cycle: UsageCycle) -> Self {
        let all = (0..u16::try_from(limits.len()).unwrap()).collect();
        Self {
            limits,
            all,
            cycle,
            revision: 1,
        }
    }

    pub(crate) fn admission(&self) -> Admission<'_> {
        Admission {
            limits: &self.limits,
            applies: &self.all,
            cycle: &self.cycle,
            revision: self.revision,
            weight: 1,
        }
    }
}
