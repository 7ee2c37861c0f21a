//! What the gateway counts for operators.
//!
//! The hot path adds to numbers that only its own thread writes; a scrape sums them over the threads. No label grows
//! with consumers. `usage_events` is counted where a request's fate on the socket is known, not by the journal, so that
//! the two can be compared.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use serving::problem::ProblemKind;

/// Upper bounds of the duration histogram in microseconds; one bucket without bound follows.
const BOUNDS_US: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000,
];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// A number that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Tally(AtomicU64);

impl Tally {
    /// Adds without a locked instruction: only the owning thread may call it.
    pub(crate) fn add(&self, more: u64) {
        self.0
            .store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Requests of one operation by status class.
#[derive(Debug, Default)]
pub(crate) struct OperationTally([Tally; CLASSES.len()]);

impl OperationTally {
    /// One more answer with this status.
    pub(crate) fn count(&self, status: u16) {
        if let Some(tally) = self.0.get(usize::from(status / 100).wrapping_sub(1)) {
            tally.add(1);
        }
    }
}

type ApiAndOperation = (Box<str>, Box<str>);

/// Numbers that only one worker writes.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    operations: Mutex<HashMap<ApiAndOperation, Arc<OperationTally>>>,
    buckets: [Tally; BOUNDS_US.len() + 1],
    duration_us: Tally,
    rejections: [Tally; ProblemKind::ALL.len()],
    /// Facts whose requests have come to their end on the socket.
    pub(crate) usage_events: Tally,
    /// Requests served without a record because the journal was full, or whose record was lost.
    pub(crate) usage_gaps: Tally,
    /// Meters that found no readable value.
    pub(crate) meter_value_missing: Tally,
    /// Connections opened to upstreams.
    pub(crate) upstream_connections: Tally,
    /// Requests sent on a connection that had served one before.
    pub(crate) upstream_reused: Tally,
    /// Requests sent again because a pooled connection had gone stale.
    pub(crate) upstream_retries: Tally,
    upstream_errors: [Tally; ProblemKind::ALL.len()],
    /// The revision that the worker serves.
    pub(crate) revision: Tally,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sheet {
    /// The tally of one operation; looked up once and kept by the caller.
    pub(crate) fn operation(&self, api: &str, operation: &str) -> Arc<OperationTally> {
        Arc::clone(
            held(&self.operations)
                .entry((api.into(), operation.into()))
                .or_default(),
        )
    }

    /// One request took so long.
    pub(crate) fn observe(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].add(1);
        self.duration_us.add(us);
    }

    /// One request was refused before it was forwarded.
    pub(crate) fn rejected(&self, kind: ProblemKind) {
        if let Some(tally) = self.rejections.get(kind as usize) {
            tally.add(1);
        }
    }

    /// The gateway answered in place of an upstream.
    pub(crate) fn upstream_failed(&self, kind: ProblemKind) {
        if let Some(tally) = self.upstream_errors.get(kind as usize) {
            tally.add(1);
        }
    }

    /// The worker serves this revision from now on.
    pub(crate) fn serves(&self, revision: u64) {
        self.revision.0.store(revision, Ordering::Relaxed);
    }
}

/// The metrics of one gateway. Clones share them; register once, see [`Metrics::register`].
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Vec<Arc<Sheet>>>>);

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("workers", &held(&self.0).len())
            .finish()
    }
}

impl Metrics {
    /// Adds everything to a registry whose prefix is `tollgate`.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.clone()));
    }

    /// Facts counted at the socket so far: the gateway's own side of a reconciliation.
    pub fn usage_events(&self) -> u64 {
        self.sum(|sheet| &sheet.usage_events)
    }

    /// Requests refused so far for this reason.
    pub fn rejections(&self, kind: ProblemKind) -> u64 {
        held(&self.0)
            .iter()
            .filter_map(|sheet| sheet.rejections.get(kind as usize))
            .map(Tally::get)
            .sum()
    }

    /// Requests without a record so far.
    pub fn usage_gaps(&self) -> u64 {
        self.sum(|sheet| &sheet.usage_gaps)
    }

    /// The oldest revision that a worker still serves; 0 before the first.
    pub fn revision(&self) -> u64 {
        held(&self.0)
            .iter()
            .map(|sheet| sheet.revision.get())
            .min()
            .unwrap_or(0)
    }

    /// Connections opened to upstreams so far.
    pub fn upstream_connections(&self) -> u64 {
        self.sum(|sheet| &sheet.upstream_connections)
    }

    pub(crate) fn sheet(&self) -> Arc<Sheet> {
        let sheet = Arc::new(Sheet::default());
        held(&self.0).push(Arc::clone(&sheet));
        sheet
    }

    fn sum(&self, of: impl Fn(&Sheet) -> &Tally) -> u64 {
        held(&self.0).iter().map(|sheet| of(sheet).get()).sum()
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut totals = BTreeMap::new();
        for sheet in held(&self.0).iter() {
            for ((api, operation), tally) in held(&sheet.operations).iter() {
                for (class, count) in CLASSES.iter().zip(&tally.0) {
                    let labels = [
                        ("api", api.to_string()),
                        ("operation", operation.to_string()),
                        ("status_class", (*class).to_owned()),
                    ];
                    *totals.entry(labels).or_insert(0) += count.get();
                }
            }
        }
        let help = "Requests that were admitted, by the class of their answer";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        totals
            .iter()
            .filter(|(_, count)| **count > 0)
            .try_for_each(|(labels, count)| count_of(&mut metric, labels, *count))
    }

    #[expect(
        clippy::float_arithmetic,
        clippy::cast_precision_loss,
        reason = "the exposition format is seconds in floating point"
    )]
    fn encode_durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let sheets = held(&self.0);
        let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds
            .enumerate()
            .map(|(index, bound)| (bound, sheets.iter().map(|sheet| sheet.buckets[index].get()).sum()))
            .collect();
        let sum: u64 = sheets.iter().map(|sheet| sheet.duration_us.get()).sum();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let help = "Seconds from a request's head to the end of its answer";
        encoder
            .encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum as f64 / 1e6, count, &buckets, None)
    }

    fn encode_reasons(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        of: impl Fn(&Sheet) -> &[Tally; ProblemKind::ALL.len()],
    ) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (index, kind) in ProblemKind::ALL.iter().enumerate() {
            let count: u64 = held(&self.0).iter().map(|sheet| of(sheet)[index].get()).sum();
            if count > 0 {
                count_of(&mut metric, &[("reason", kind.name())], count)?;
            }
        }
        Ok(())
    }
}

fn count_of<S: EncodeLabelSet>(metric: &mut MetricEncoder<'_>, labels: &S, count: u64) -> fmt::Result {
    metric
        .encode_family(labels)?
        .encode_counter::<NoLabelSet, u64, u64>(&count, None)
}

/// A plain counter: its name, its help, and where each worker keeps it.
type Plain = (&'static str, &'static str, fn(&Sheet) -> &Tally);

const PLAIN: [Plain; 6] = [
    (
        "usage_events",
        "Facts of requests that came to their end on the socket",
        |sheet| &sheet.usage_events,
    ),
    (
        "unmetered_requests",
        "Requests served without a usage record",
        |sheet| &sheet.usage_gaps,
    ),
    (
        "meter_value_missing",
        "Meters that found no readable value and counted zero",
        |sheet| &sheet.meter_value_missing,
    ),
    (
        "upstream_connections_opened",
        "Connections opened to upstreams",
        |sheet| &sheet.upstream_connections,
    ),
    (
        "upstream_connections_reused",
        "Requests sent on a kept connection",
        |sheet| &sheet.upstream_reused,
    ),
    (
        "upstream_retries",
        "Requests sent again after a kept connection had gone stale",
        |sheet| &sheet.upstream_retries,
    ),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_requests(&mut encoder)?;
        self.encode_durations(&mut encoder)?;
        let rejections = ("rejections", "Requests refused before they were forwarded");
        self.encode_reasons(&mut encoder, rejections, |sheet| &sheet.rejections)?;
        let errors = ("upstream_errors", "Answers of the gateway in place of an upstream");
        self.encode_reasons(&mut encoder, errors, |sheet| &sheet.upstream_errors)?;
        for (name, help, of) in PLAIN {
            let total = self.sum(of);
            encoder
                .encode_descriptor(name, help, None, MetricType::Counter)?
                .encode_counter::<NoLabelSet, u64, u64>(&total, None)?;
        }
        let revision = i64::try_from(self.revision()).unwrap_or(i64::MAX);
        encoder
            .encode_descriptor(
                "snapshot_revision",
                "Oldest revision that a worker serves",
                None,
                MetricType::Gauge,
            )?
            .encode_gauge(&revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_sums_over_the_workers() {
        let metrics = Metrics::default();
        for status in [200, 503] {
            let sheet = metrics.sheet();
            sheet.operation("petstore", "getPet").count(status);
            sheet.operation("petstore", "getPet").count(200);
            sheet.rejected(ProblemKind::RateLimited);
            sheet.observe(Duration::from_millis(3));
            sheet.usage_events.add(2);
            sheet.serves(u64::from(status));
        }
        let mut registry = Registry::with_prefix("tollgate");
        metrics.register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"tollgate_requests_total{api="petstore",operation="getPet",status_class="2xx"} 3"#,
            r#"tollgate_requests_total{api="petstore",operation="getPet",status_class="5xx"} 1"#,
            r#"tollgate_rejections_total{reason="rate-limited"} 2"#,
            r#"tollgate_request_duration_seconds_bucket{le="0.0025"} 0"#,
            r#"tollgate_request_duration_seconds_bucket{le="0.005"} 2"#,
            r#"tollgate_request_duration_seconds_bucket{le="+Inf"} 2"#,
            "tollgate_request_duration_seconds_sum 0.006",
            "tollgate_usage_events_total 4",
            "tollgate_snapshot_revision 200",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}
