//! What metering shows to Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Metrics of the service. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) records: Counter,
    pub(crate) duplicates: Counter,
    pub(crate) gaps: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) lag: Gauge,
    pub(crate) analytics_pending: Gauge,
}

impl Metrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "usage_records",
            "Journal records counted by the ledger",
            self.records.clone(),
        );
        registry.register(
            "usage_duplicates",
            "Journal records that came again",
            self.duplicates.clone(),
        );
        registry.register("usage_gaps", "Ranges of records that may be missing", self.gaps.clone());
        registry.register(
            "usage_quarantined",
            "Records that cannot be read",
            self.quarantined.clone(),
        );
        registry.register(
            "usage_lag_events",
            "Journal records that the ledger has not counted yet",
            self.lag.clone(),
        );
        registry.register(
            "analytics_pending_batches",
            "Ledger batches that analytics has not stored yet",
            self.analytics_pending.clone(),
        );
    }
}
