//! The data plane of this process: journal, counters, and the gateway with the snapshot that it is fed.

use std::sync::Arc;
use std::time::Duration;

use counters::Counters;
use domain::clock::{Clock, Timestamp};
use domain::ids::SubscriptionId;
use gateway::Gateway;
use journal::Journal;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serving::tls::ServerTls;
use snapshot::{Control, Feed, Remote, control, remote};
use store::ledger::WindowUse;
use store::{CounterNode, Store};
use usage_source::kafka::Shipper;

use super::sharing::{self, Sharing};
use super::start::Shared;
use super::{Error, baseline};
use crate::config::{Config, WhenFull};

const SNAPSHOT_FILE: &str = "snapshot";
/// A control plane that does not tell where counters stand is waited for so long.
const BASELINE_PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// Opens the journal of this node.
pub(super) fn open_journal(config: &Config, clock: &Clock) -> Result<Arc<Journal>, Error> {
    let now = clock.clone();
    let wall = Arc::new(move || now.now().as_millis());
    let mut settings = journal::Settings::new(config.data("journal"), wall).map_err(Error::JournalSettings)?;
    settings.node.clone_from(&config.node);
    settings.max_bytes = config.journal_max_bytes;
    settings.segment_bytes = segment_bytes(config.journal_max_bytes);
    Ok(Arc::new(Journal::open(settings)?))
}

/// A sixteenth of the whole, within what the journal takes, so that freeing works in small steps.
fn segment_bytes(max_bytes: u64) -> u64 {
    (max_bytes / 16).clamp(64 << 10, 4 << 20) & !4095
}

/// Ships the journal to the topic, where there is one.
pub(super) fn ship(shared: &Shared<'_>, journal: &Arc<Journal>) -> Result<Option<Arc<Shipper>>, Error> {
    let Some(settings) = &shared.config.usage_kafka else {
        return Ok(None);
    };
    let shipper = Shipper::start(Arc::clone(journal), settings.clone())?;
    shared.metrics.register(|registry| shipper.register(registry));
    Ok(Some(Arc::new(shipper)))
}

/// The line to a control plane in another process, and what comes over it.
pub(super) struct Fed {
    pub(super) control: Control,
    pub(super) remote: Remote,
}

/// Begins to be fed by another process; ready when there is a snapshot, from disk or from there.
pub(super) async fn feed(shared: &Shared<'_>, publisher: snapshot::Publisher) -> Result<Fed, Error> {
    let config = shared.config;
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).map_err(|source| Error::ControlFile {
            path: path.clone(),
            source,
        })
    };
    let files = config.control_tls.as_ref();
    let identity = files.map(|files| Ok::<_, Error>((read(&files.cert)?, read(&files.key)?)));
    let control = Control::new(&control::Settings {
        url: config.control_url.clone().unwrap_or_default(),
        token: config.control_token.clone(),
        ca: config.control_ca.as_ref().map(read).transpose()?,
        identity: identity.transpose()?,
    })?;
    let remote = Remote::start(remote::Parts {
        control: control.clone(),
        master_key: shared.master_key.clone(),
        publisher,
        file: config.data(SNAPSHOT_FILE),
        clock: shared.clock.clone(),
    })
    .map_err(Error::Runtime)?;
    remote.served().await;
    Ok(Fed { control, remote })
}

/// Where the ledger is read for counters.
#[derive(Debug, Clone)]
pub(super) enum Ledger {
    /// In the store that this process has open.
    Here(Store),
    /// At the control plane.
    There(Control),
}

impl Ledger {
    async fn used_since(&self, since: Timestamp, periods: Timestamp) -> Result<Vec<WindowUse>, Error> {
        match self {
            Self::Here(store) => Ok(store.used_since(since, periods).await?),
            Self::There(control) => Ok(ask_patiently(control, since, periods).await),
        }
    }

    /// What one subscription has used in windows that begin at an instant or later, and the gateways of whose runs that may
    /// lack something.
    pub(super) async fn used_by(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
    ) -> Result<(Vec<WindowUse>, Vec<CounterNode>), Cause> {
        match self {
            Self::Here(store) => {
                // Read first: of a run that has ended by now the totals have everything.
                let nodes = store.counter_nodes().await?;
                Ok((store.used_by(subscription, since, since).await?, nodes))
            }
            Self::There(control) => {
                let path = format!("/feed/use?subscription={subscription}&since={since}&periods_since={since}");
                let line = control.clone();
                let used = tokio::task::spawn_blocking(move || get_used(&line, &path)).await??;
                let nodes = used.nodes.ok_or("the control plane does not know of shared counters")?;
                Ok((used.items, nodes))
            }
        }
    }
}

/// A gateway starts without its control plane, so it may have to start without knowing what other nodes have counted.
async fn ask_patiently(control: &Control, since: Timestamp, periods: Timestamp) -> Vec<WindowUse> {
    let until = tokio::time::Instant::now() + BASELINE_PATIENCE;
    loop {
        let line = control.clone();
        let asked = tokio::task::spawn_blocking(move || ask(&line, since, periods)).await;
        match asked {
            Ok(Ok(uses)) => return uses,
            Ok(Err(error)) if tokio::time::Instant::now() >= until => {
                tracing::warn!(
                    error = &*error,
                    "limits begin at zero on this node: the control plane does not tell what was used"
                );
                return Vec::new();
            }
            Ok(Err(_)) => tokio::time::sleep(ASK_AGAIN).await,
            Err(error) => {
                tracing::error!(%error, "limits begin at zero on this node");
                return Vec::new();
            }
        }
    }
}

pub(super) type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(serde::Deserialize)]
struct Used {
    items: Vec<WindowUse>,
    #[serde(default)]
    nodes: Option<Vec<CounterNode>>,
}

fn get_used(control: &Control, path: &str) -> Result<Used, Cause> {
    let text = control.get(path)?.ok_or("an empty answer")?;
    Ok(serde_json::from_reader(text)?)
}

fn ask(control: &Control, since: Timestamp, periods: Timestamp) -> Result<Vec<WindowUse>, Cause> {
    Ok(get_used(control, &format!("/feed/use?since={since}&periods_since={periods}"))?.items)
}

/// What a gateway is started with.
pub(super) struct Plane {
    pub(super) journal: Arc<Journal>,
    pub(super) feed: Feed,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) ledger: Ledger,
}

/// A gateway that runs.
pub(super) struct Started {
    pub(super) running: gateway::Running,
    pub(super) counters: Counters,
    /// Where it shares its counters.
    pub(super) sharing: Option<Sharing>,
}

/// Counters of this node alone, which stand where the ledger does.
async fn alone(shared: &Shared<'_>, plane: &Plane) -> Result<Counters, Error> {
    let counters = Counters::default();
    let (snapshot, now) = (plane.feed.current(), shared.clock.now());
    let since = (baseline::calendar_since(now), baseline::periods_since(&snapshot, now));
    let uses = plane.ledger.used_since(since.0, since.1).await?;
    counters.load_baseline(baseline::baselines(&snapshot, &uses, now));
    Ok(counters)
}

/// Starts the gateway.
pub(super) async fn start(shared: &Shared<'_>, plane: Plane) -> Result<Started, Error> {
    let sharing = sharing::start(shared, &plane).await?;
    let counters = match &sharing {
        Some(sharing) => sharing.counters.clone(),
        None => alone(shared, &plane).await?,
    };
    let counted = gateway::Metrics::default();
    shared.metrics.register(|registry| counted.register(registry));
    let config = shared.config;
    let mut settings = gateway::Settings::new(config.gateway_listen);
    settings.threads = config.gateway_threads;
    settings.tls = plane.tls;
    settings.trusted_proxies = gateway::TrustedProxies(config.trusted_proxies.clone());
    settings.when_full = match config.journal_when_full {
        WhenFull::Shed => gateway::WhenFull::Shed,
        WhenFull::ServeUnmetered => gateway::WhenFull::ServeUnmetered,
    };
    let parts = gateway::Parts {
        feed: plane.feed,
        journal: plane.journal,
        counters: counters.clone(),
        clock: shared.clock.clone(),
        metrics: counted,
    };
    let running = Gateway::start(&settings, &parts)?;
    if let Some(sharing) = &sharing {
        sharing.link.begun();
    }
    Ok(Started {
        running,
        counters,
        sharing,
    })
}

/// Adds the metrics of the feed.
pub(super) fn register(registry: &mut Registry, status: &Arc<remote::Status>) {
    registry.register_collector(Box::new(FeedMetrics(Arc::clone(status))));
}

#[derive(Debug)]
struct FeedMetrics(Arc<remote::Status>);

impl Collector for FeedMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let connected = ConstGauge::new(i64::from(self.0.connected()));
        let name = "snapshot_feed_connected";
        let help = "Whether the control plane answered the last question";
        connected.encode(encoder.encode_descriptor(name, help, None, connected.metric_type())?)?;
        let counts = [
            (
                "snapshot_feed_failures",
                "Questions to the control plane without an answer",
                self.0.failed(),
            ),
            (
                "snapshot_refusals",
                "Snapshots that were refused whole",
                self.0.refused(),
            ),
        ];
        for (name, help, count) in counts {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
