//! What became of mails, in numbers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Numbers since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Mails that the server took or the outbox holds.
    pub sent: u64,
    /// Tries that failed.
    pub failures: u64,
    /// Mails that were given up.
    pub dropped: u64,
    /// Mails that wait.
    pub waiting: u64,
}

/// The numbers as they are counted. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    pub(crate) sent: Counter,
    pub(crate) failures: Counter,
    pub(crate) dropped: Counter,
    pub(crate) waiting: Gauge,
}

impl Metrics {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            sent: self.sent.get(),
            failures: self.failures.get(),
            dropped: self.dropped.get(),
            waiting: u64::try_from(self.waiting.get()).unwrap_or(0),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register("mails_sent", "Mails handed over", self.sent.clone());
        registry.register(
            "mails_failures",
            "Tries to send a mail that failed",
            self.failures.clone(),
        );
        registry.register("mails_dropped", "Mails that were given up", self.dropped.clone());
        registry.register("mails_waiting", "Mails that wait to be sent", self.waiting.clone());
    }
}
