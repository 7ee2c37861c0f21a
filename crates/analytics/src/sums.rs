//! Roll-ups of facts, added up in memory: what both engines store.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::histogram::{Histogram, bucket};
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind};

/// Widths of roll-ups in seconds, finest first.
pub(crate) const LEVELS: [i64; 3] = [60, 3_600, 86_400];

/// The combination that a fact is rolled up under.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Dims {
    pub(crate) account: Option<String>,
    pub(crate) consumer: Option<String>,
    pub(crate) subscription: Option<String>,
    pub(crate) credential: Option<String>,
    pub(crate) api: String,
    pub(crate) operation: String,
    pub(crate) method: String,
    pub(crate) plan: String,
    pub(crate) status: u16,
    pub(crate) mode: &'static str,
    pub(crate) outcome: String,
}

impl Dims {
    pub(crate) fn of(fact: &Fact) -> Self {
        Self {
            account: fact.account.map(|id| id.to_string()),
            consumer: fact.consumer.map(|id| id.to_string()),
            subscription: fact.subscription.map(|id| id.to_string()),
            credential: fact.credential.map(|id| id.to_string()),
            api: fact.api.clone(),
            operation: fact.operation.clone(),
            method: fact.method.clone(),
            plan: format!("{}/{}", fact.product, fact.plan),
            status: fact.outcome.status,
            mode: fact.mode.as_str(),
            outcome: fact.outcome.class_key(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) requests: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) latency: Histogram,
    pub(crate) quantities: BTreeMap<String, Quantity>,
}

/// Where sums belong: the level, the start of the interval in milliseconds, the combination.
pub(crate) type Place = (i64, i64, Dims);

/// The start of the interval of `level` seconds that holds `time`, in milliseconds.
pub(crate) fn floor(time: Timestamp, level: i64) -> i64 {
    let width = level * 1_000;
    time.as_millis().div_euclid(width) * width
}

/// Adds facts up at every level.
pub(crate) fn add_up<'f>(facts: impl IntoIterator<Item = &'f Fact>) -> BTreeMap<Place, Sums> {
    let mut sums: BTreeMap<Place, Sums> = BTreeMap::new();
    for fact in facts {
        let dims = Dims::of(fact);
        for level in LEVELS {
            let place = (level, floor(fact.admitted_at, level), dims.clone());
            count(sums.entry(place).or_default(), fact);
        }
    }
    sums
}

fn count(sums: &mut Sums, fact: &Fact) {
    // A checkpoint is part of a request that is counted once, by its final fact.
    if fact.outcome.kind != Kind::Checkpoint {
        sums.requests += 1;
        sums.latency.add(bucket(fact.latency_us), 1);
    }
    sums.bytes_in = sums.bytes_in.saturating_add(fact.bytes_in);
    sums.bytes_out = sums.bytes_out.saturating_add(fact.bytes_out);
    for value in &fact.quantities {
        let slot = sums.quantities.entry(value.meter.clone()).or_default();
        *slot = slot.saturating_add(value.quantity);
    }
}
