//! Ships the journal to the usage topic, on a thread of its own; never on a gateway's thread.
//!
//! What librdkafka may hold unacknowledged is bounded; whatever else waits, waits in the journal. A delivery that fails
//! for good ends the session: the next one begins with what was acknowledged, so the topic never gets a hole.

mod lanes;
mod session;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use journal::Journal;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::context::Trouble;
use super::{Settings, TopicError, ensure_topic};
use crate::{Error, Segments};
use lanes::Lanes;
use session::Session;

/// How long a look at the topic may take before it begins anew.
const LOOK: Duration = Duration::from_secs(2);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// About what a record takes before any was sent.
const USUAL_RECORD: u64 = 300;

/// What the shipper says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShipperStatus {
    /// The topic was found and records can go.
    pub connected: bool,
    /// What ails it; the journal holds everything meanwhile.
    pub trouble: Option<String>,
    /// Records in the journal that Kafka has not acknowledged.
    pub unshipped_records: u64,
    /// About how many bytes these are.
    pub unshipped_bytes: u64,
    /// Records acknowledged in this run, those that were sent again counted twice.
    pub shipped_records: u64,
    /// Sessions that ended by a failed delivery.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    /// Until when a stopping shipper goes on; set before `stop`.
    deadline: Mutex<Option<Instant>>,
    connected: AtomicBool,
    drained: AtomicBool,
    unshipped: AtomicU64,
    unshipped_bytes: AtomicU64,
    shipped: AtomicU64,
    shipped_bytes: AtomicU64,
    failures: AtomicU64,
    trouble: Trouble,
    metrics: Metrics,
}

#[derive(Debug, Clone, Default)]
struct Metrics {
    shipped: Counter,
    failures: Counter,
    unshipped: Gauge,
    unshipped_bytes: Gauge,
    journal_bytes: Gauge,
    journal_max_bytes: Gauge,
}

impl Shared {
    /// Whether it is time to end although something may be left.
    fn must_end(&self) -> bool {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        self.stopping() && deadline.is_none_or(|deadline| Instant::now() >= deadline)
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn count_shipped(&self, records: u64, bytes: u64) {
        self.shipped.fetch_add(records, Ordering::Relaxed);
        self.shipped_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.metrics.shipped.inc_by(records);
    }

    /// What is left, for health and metrics.
    fn measure(&self, unshipped: u64, journal: &Journal) {
        let shipped = self.shipped.load(Ordering::Relaxed);
        let bytes = self.shipped_bytes.load(Ordering::Relaxed);
        let each = bytes.checked_div(shipped).unwrap_or(USUAL_RECORD);
        let about = unshipped.saturating_mul(each);
        self.unshipped.store(unshipped, Ordering::Relaxed);
        self.unshipped_bytes.store(about, Ordering::Relaxed);
        let status = journal.status();
        let gauges = [
            (&self.metrics.unshipped, unshipped),
            (&self.metrics.unshipped_bytes, about),
            (&self.metrics.journal_bytes, status.bytes),
            (&self.metrics.journal_max_bytes, status.max_bytes),
        ];
        for (gauge, value) in gauges {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}

/// The running shipper. Dropping it ends it at once; what is unshipped stays in the journal for the next start.
#[derive(Debug)]
pub struct Shipper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts to ship. Kafka need not be there: the shipper waits for it and says so in its [status](Self::status).
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(journal: Arc<Journal>, settings: Settings) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        let work = Work {
            segments: Segments::new(Arc::clone(&journal)),
            lanes: Lanes::new(&journal, &settings.topic),
            journal,
            settings,
            shared: Arc::clone(&shared),
        };
        let thread = thread::Builder::new()
            .name("usage-shipper".to_owned())
            .spawn(move || work.run())
            .map_err(Error::Thread)?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// How it is.
    pub fn status(&self) -> ShipperStatus {
        ShipperStatus {
            connected: self.shared.connected.load(Ordering::Relaxed),
            trouble: self.shared.trouble.now(),
            unshipped_records: self.shared.unshipped.load(Ordering::Relaxed),
            unshipped_bytes: self.shared.unshipped_bytes.load(Ordering::Relaxed),
            shipped_records: self.shared.shipped.load(Ordering::Relaxed),
            failures: self.shared.failures.load(Ordering::Relaxed),
        }
    }

    /// Adds the shipper's metrics.
    pub fn register(&self, registry: &mut Registry) {
        let metrics = &self.shared.metrics;
        registry.register(
            "usage_shipped_records",
            "Journal records that Kafka has acknowledged",
            metrics.shipped.clone(),
        );
        registry.register(
            "usage_ship_failures",
            "Deliveries to Kafka that failed for good and began anew",
            metrics.failures.clone(),
        );
        registry.register(
            "usage_unshipped_records",
            "Journal records that Kafka has not acknowledged",
            metrics.unshipped.clone(),
        );
        registry.register(
            "usage_unshipped_bytes",
            "About how many bytes Kafka has not acknowledged",
            metrics.unshipped_bytes.clone(),
        );
        registry.register(
            "journal_bytes",
            "Bytes of all files of the usage journal",
            metrics.journal_bytes.clone(),
        );
        registry.register(
            "journal_max_bytes",
            "The bound on the files of the usage journal",
            metrics.journal_max_bytes.clone(),
        );
    }

    /// Ships what is in the journal by now, for at most `within`, and ends. Close the writers first, so that their ends are
    /// shipped too. True when nothing is left. It blocks.
    pub fn stop(mut self, within: Duration) -> bool {
        let deadline = Instant::now() + within;
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        self.end();
        self.shared.drained.load(Ordering::Acquire)
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the usage shipper ended by a panic");
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error(transparent)]
    Topic(#[from] TopicError),
    #[error("the producer cannot be made: {0}")]
    Client(#[source] rdkafka::error::KafkaError),
    #[error("a delivery failed: {0}")]
    Delivery(String),
    #[error(transparent)]
    Source(#[from] Error),
}

/// What the thread owns.
pub(crate) struct Work {
    pub(crate) segments: Segments,
    pub(crate) lanes: Lanes,
    pub(crate) journal: Arc<Journal>,
    pub(crate) settings: Settings,
    pub(crate) shared: Arc<Shared>,
}

impl Work {
    fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        while !self.shared.must_end() {
            let began = Instant::now();
            match self.session() {
                Ok(()) => break,
                Err(broken) => {
                    self.shared.connected.store(false, Ordering::Relaxed);
                    self.shared.trouble.note(&broken.to_string());
                    if matches!(broken, Broken::Delivery(_)) {
                        self.shared.failures.fetch_add(1, Ordering::Relaxed);
                        self.shared.metrics.failures.inc();
                    }
                }
            }
            self.measure();
            if began.elapsed() > LAST_PAUSE * 2 {
                pause = FIRST_PAUSE;
            }
            self.rest(pause);
            pause = (pause * 2).min(LAST_PAUSE);
        }
        self.lanes.note();
        self.shared.connected.store(false, Ordering::Relaxed);
    }

    /// From the first look at the topic until somebody stops the shipper or a delivery fails.
    fn session(&mut self) -> Result<(), Broken> {
        let topic = loop {
            self.measure();
            match ensure_topic(&self.settings, LOOK) {
                Ok(topic) => break topic,
                Err(error) if error.is_away() && !self.shared.must_end() => {
                    self.shared.trouble.note(&error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
        };
        let mut session = Session::open(self, topic)?;
        self.shared.trouble.over();
        self.shared.connected.store(true, Ordering::Relaxed);
        session.run(self)
    }

    pub(crate) fn measure(&self) {
        self.shared.measure(self.lanes.unshipped(&self.journal), &self.journal);
    }

    fn rest(&self, pause: Duration) {
        let until = Instant::now() + pause;
        while Instant::now() < until && !self.shared.must_end() {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
