//! One Prometheus registry for the process.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// The content type of [`Metrics::render`].
pub const TEXT_FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The registry that every role adds its metrics to. Clones share it.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Default for Metrics {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Registry::with_prefix("tollgate"))))
    }
}

impl Metrics {
    /// Adds metrics; every name gets the prefix `tollgate_`.
    pub fn register(&self, add: impl FnOnce(&mut Registry)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The exposition in OpenMetrics text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which only a faulty collector causes.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::*;

    #[test]
    fn registered_metrics_are_rendered_under_the_prefix() {
        let metrics = Metrics::default();
        let counter: Counter = Counter::default();
        metrics.register(|registry| registry.register("usage_events", "Usage events written", counter.clone()));
        counter.inc_by(3);
        let text = metrics.render().unwrap();
        assert!(text.contains("tollgate_usage_events_total 3"), "{text}");
    }
}
