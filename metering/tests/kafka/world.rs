//! A small fleet in one process: gateways that write and ship, a topic, processes that meter, one set of books.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::{Analytics, Interval, UsageQuery};
use domain::clock::{Clock, Timestamp};
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Outcome, Record, Source, Steps};
use journal::{Full, Journal, Writer};
use metering::{Metering, Parts};
use prometheus_client::registry::Registry;
use store::{Location, Store};
use tempfile::TempDir;
use usage_source::UsageSource;
use usage_source::kafka::{KafkaSource, Settings, Shipper};

pub(crate) const PERIOD: i64 = 1_800_000_000_000;
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn fact(id: u64) -> Fact {
    Fact {
        request_id: format!("r-{id}"),
        admitted_at: Timestamp::from_millis(PERIOD + i64::try_from(id % 1_000_000).unwrap()),
        account: None,
        consumer: None,
        credential: None,
        subscription: Some(SubscriptionId::from_bits(3)),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(PERIOD)),
        segment: 0,
        product: "p".to_owned(),
        plan: "pro".to_owned(),
        api: "a".to_owned(),
        operation: "op".to_owned(),
        method: "GET".to_owned(),
        path: "/a".to_owned(),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status: 200,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 0,
        bytes_out: 0,
        latency_us: 500,
        steps: Steps::default(),
        quantities: Vec::new(),
        limits: Vec::new(),
        revision: 1,
    }
}

pub(crate) fn encoded(id: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    Record::Fact(Box::new(fact(id))).encode(&mut bytes).unwrap();
    bytes
}

/// Writes facts as a gateway does: with room reserved before. Returns how many had room.
pub(crate) fn write(writer: &mut Writer, ids: std::ops::Range<u64>) -> u64 {
    let mut written = 0;
    for id in ids {
        let bytes = encoded(id);
        let ticket = loop {
            match writer.reserve(bytes.len()) {
                Ok(ticket) => break Some(ticket),
                Err(Full::Preparing) => std::thread::sleep(Duration::from_millis(1)),
                Err(Full::MaxBytes) => break None,
                Err(full) => panic!("{full}"),
            }
        };
        let Some(ticket) = ticket else { continue };
        writer.append(ticket, &bytes).unwrap();
        written += 1;
    }
    written
}

/// A gateway's node: its journal and its shipper.
pub(crate) struct Node {
    pub(crate) journal: Arc<Journal>,
    pub(crate) shipper: Shipper,
}

impl Node {
    pub(crate) fn start(dir: &Path, settings: &Settings, max_bytes: u64) -> Self {
        let mut journaling = journal::Settings::new(dir.join("journal"), Arc::new(|| PERIOD)).unwrap();
        journaling.segment_bytes = 64 << 10;
        journaling.max_bytes = max_bytes;
        journaling.node = "edge".to_owned();
        let deadline = Instant::now() + PATIENCE;
        let journal = loop {
            match Journal::open(journaling.clone()) {
                Err(journal::Error::Locked(_)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                opened => break Arc::new(opened.unwrap()),
            }
        };
        let shipper = Shipper::start(Arc::clone(&journal), settings.clone()).unwrap();
        Self { journal, shipper }
    }

    /// Waits until Kafka has acknowledged everything.
    pub(crate) fn shipped(&self) {
        let deadline = Instant::now() + PATIENCE;
        // For nodes that began with an empty journal: what is acknowledged in this run is all of it.
        while self.shipper.status().shipped_records < self.written() {
            assert!(Instant::now() < deadline, "not shipped: {:?}", self.shipper.status());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn written(&self) -> u64 {
        self.journal.positions().iter().map(|end| end.next_seq).sum()
    }

    /// Cuts the node off as a crash does.
    pub(crate) fn crash(self) {
        drop(self.shipper);
        drop(self.journal);
    }
}

/// What has been counted.
pub(crate) struct Books {
    pub(crate) dir: TempDir,
    pub(crate) store: Store,
    pub(crate) analytics: Analytics,
}

impl Books {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(&Location::Directory(dir.path().to_owned())).await.unwrap();
        store.migrate(Timestamp::from_millis(PERIOD)).await.unwrap();
        let analytics = Analytics::embedded(&dir.path().join("analytics.db")).await.unwrap();
        Self { dir, store, analytics }
    }

    pub(crate) fn meter<S: UsageSource>(&self, source: S) -> Meter {
        let metering = Metering::start(Parts {
            store: self.store.clone(),
            analytics: self.analytics.clone(),
            source,
            clock: Clock::frozen(Timestamp::from_millis(PERIOD + 1_000_000)),
        });
        let mut registry = Registry::default();
        metering.register(&mut registry);
        Meter { metering, registry }
    }

    pub(crate) fn meter_topic(&self, settings: &Settings) -> Meter {
        self.meter(KafkaSource::open(settings.clone()).unwrap())
    }

    pub(crate) async fn ledger(&self) -> u64 {
        let totals = self
            .store
            .period_totals(SubscriptionId::from_bits(3), Timestamp::from_millis(PERIOD), Mode::Live)
            .await
            .unwrap();
        let requests = totals.totals.iter().filter(|total| total.meter == REQUESTS);
        let sum: Quantity = requests.map(|total| total.quantity).sum();
        sum.parts().0.try_into().unwrap()
    }

    /// Requests in the raw facts and in the roll-ups.
    pub(crate) async fn facts(&self) -> u64 {
        let query = UsageQuery {
            from: Timestamp::from_millis(PERIOD - 1),
            to: Timestamp::from_millis(PERIOD + 86_400_000),
            interval: Interval::Whole,
            group_by: Vec::new(),
            filter: BTreeMap::new(),
            mode: Mode::Live,
            meter: REQUESTS.to_owned(),
        };
        let rows = self.analytics.usage(&query, &|_| true).await.unwrap();
        rows.iter().map(|row| row.requests).sum()
    }

    /// Records that are known to be missing.
    pub(crate) async fn missing(&self) -> u64 {
        let gaps = self.store.gaps().await.unwrap();
        gaps.iter()
            .map(|gap| gap.to_seq.unwrap_or(gap.from_seq) - gap.from_seq)
            .sum()
    }

    /// Waits until the ledger has as much, and a moment longer, so that what is too much is seen.
    pub(crate) async fn counted(&self, wanted: u64) {
        self.until("the ledger", async || self.ledger().await >= wanted).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(self.ledger().await, wanted, "in the ledger");
        self.until("analytics", async || self.facts().await >= wanted).await;
        assert_eq!(self.facts().await, wanted, "in analytics");
    }

    pub(crate) async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done().await {
            assert!(
                Instant::now() < deadline,
                "not seen in time: {what}; ledger {}, facts {}",
                self.ledger().await,
                self.facts().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A process that meters, with its metrics.
pub(crate) struct Meter {
    pub(crate) metering: Metering,
    registry: Registry,
}

impl Meter {
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}"))
            .rsplit(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap()
    }
}

/// How many records the topic holds, and how many different ones.
pub(crate) fn in_topic(settings: &Settings) -> (u64, u64) {
    let all = usage_source::testing::raw::every_record(settings);
    let different: BTreeSet<_> = all.iter().collect();
    (all.len() as u64, different.len() as u64)
}
