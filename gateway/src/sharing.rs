//! What operators see of limits that several nodes share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use counters::Counters;
use counters::shared::Tally;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// A counter: its name, its help, and where it is kept.
type Plain = (&'static str, &'static str, fn(&Tally) -> &AtomicU64);

const PLAIN: [Plain; 6] = [
    ("counters_exchanges", "Exchanges with the shared counters", |tally| {
        &tally.exchanges
    }),
    (
        "counters_recalls",
        "Times that this node called unused units of other nodes back",
        |tally| &tally.recalls,
    ),
    (
        "counters_recalled",
        "Times that other nodes called unused units of this one back",
        |tally| &tally.recalled,
    ),
    (
        "counters_failures",
        "Questions to the shared counters without an answer",
        |tally| &tally.failures,
    ),
    (
        "counters_generations",
        "Parts of the shared counters that were found new or lost, and rebuilt",
        |tally| &tally.generations,
    ),
    (
        "counters_served_unavailable",
        "Requests served beyond this node's slice while the shared counters were away (when_unavailable: open)",
        |tally| &tally.served_unavailable,
    ),
];
const GAUGES: [Plain; 2] = [
    (
        "counters_leases",
        "Shared counters of which this node has a slice",
        |tally| &tally.leases,
    ),
    (
        "counters_largest_slice_units",
        "The most units of a shared counter that this node asked for at once",
        |tally| &tally.largest_slice,
    ),
];
const REFUSED: &str = "Requests refused because the shared counters were away (when_unavailable: closed)";

#[derive(Debug)]
struct Sharing(Counters);

/// Adds what is counted to a registry whose prefix is `tollgate`; nothing where this node counts alone.
pub fn register(registry: &mut Registry, counters: &Counters) {
    if counters.tally().is_some() {
        registry.register_collector(Box::new(Sharing(counters.clone())));
    }
}

impl Collector for Sharing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(tally) = self.0.tally() else { return Ok(()) };
        let refused: Plain = ("counters_refused_unavailable", REFUSED, |tally| {
            &tally.refused_unavailable
        });
        for (name, help, of) in PLAIN.into_iter().chain([refused]) {
            let total = of(tally).load(Ordering::Relaxed);
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, u64, u64>(&total, None)?;
        }
        for (name, help, of) in GAUGES {
            let value = i64::try_from(of(tally).load(Ordering::Relaxed)).unwrap_or(i64::MAX);
            encoder
                .encode_descriptor(name, help, None, MetricType::Gauge)?
                .encode_gauge(&value)?;
        }
        Ok(())
    }
}
