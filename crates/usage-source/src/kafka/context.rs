//! What librdkafka tells besides messages: its log lines and what ails it.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

/// What ails a client at this moment, for health; shared with its context.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// Notes what ails it; logged when it is something new.
    pub(crate) fn note(&self, what: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That nobody is left says less than why the last one went.
        if known.is_some() && what.contains("brokers are down") {
            return;
        }
        if known.as_deref() != Some(what) {
            tracing::warn!(trouble = what, "Kafka");
            *known = Some(what.to_owned());
        }
    }

    /// It works.
    pub(crate) fn over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// What ails it.
    pub(crate) fn now(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The context of clients that neither produce nor share partitions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plain(pub(crate) Trouble);

pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, line, "librdkafka");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, line, "librdkafka");
        }
    }
}

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.note(&format!("{error}: {reason}"));
    }
}

impl rdkafka::consumer::ConsumerContext for Plain {}
