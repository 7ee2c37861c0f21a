//! What a gateway says of itself to the control plane of another process, and hears from it.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::{Clock, Timestamp};
use serving::health::Health;
use snapshot::{Control, Feed};
use store::{CounterRun, ProducerStand};
use tokio::task::JoinHandle;
use usage_source::kafka::Shipper;

use super::sharing::Link;
use crate::config::Config;

pub(super) const REPORT_EVERY: Duration = Duration::from_secs(2);
/// Clocks that differ by more than this make periods of different nodes end at different times.
const OFFSET_ALARM_MS: i64 = 500;

/// What a gateway says of itself.
#[derive(Debug, serde::Serialize)]
pub(super) struct Report {
    region: String,
    version: &'static str,
    revision: u64,
    pub(super) ready: bool,
    pub(super) waiting_records: u64,
    now: Timestamp,
    pub(super) started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) counters: Option<Runs>,
}

/// Runs of a gateway that shares its counters.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Runs {
    pub(super) fence: u64,
    pub(super) has_left: bool,
    pub(super) runs: Vec<CounterRun>,
}

impl Report {
    /// Of a gateway that has just begun, or is about to end.
    pub(super) fn new(config: &Config, feed: &Feed, clock: &Clock) -> Self {
        Self {
            region: config.region.clone(),
            version: env!("CARGO_PKG_VERSION"),
            revision: feed.current().revision(),
            ready: false,
            waiting_records: 0,
            now: clock.now(),
            started_at: clock.now(),
            counters: None,
        }
    }

    /// Says it. Blocks.
    pub(super) fn say(&self, control: &Control, node: &str) -> Result<Noted, super::data_plane::Cause> {
        let text = control.put(&format!("/gateways/{}", encoded(node)), self)?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// What the control plane answers.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Noted {
    clock_offset_ms: i64,
    #[serde(default)]
    pub(super) producers: Vec<ProducerStand>,
}

/// Who reports.
pub(super) struct Reporter {
    pub(super) config: Config,
    pub(super) control: Control,
    pub(super) feed: Feed,
    pub(super) health: Arc<Health>,
    pub(super) clock: Clock,
    pub(super) shipper: Option<Arc<Shipper>>,
    pub(super) link: Option<Arc<Link>>,
}

impl Reporter {
    /// Records that wait on the disk of this node.
    fn waiting(&self) -> u64 {
        self.shipper
            .as_ref()
            .map_or(0, |shipper| shipper.status().unshipped_records)
    }

    /// Tells the control plane how this node does, until the task is dropped.
    pub(super) fn start(self) -> JoinHandle<()> {
        tokio::spawn(async move {
            let started_at = self.clock.now();
            loop {
                self.tell(started_at).await;
                tokio::time::sleep(REPORT_EVERY).await;
            }
        })
    }

    async fn tell(&self, started_at: Timestamp) {
        let report = Report {
            ready: self.health.is_ready(),
            waiting_records: self.waiting(),
            started_at,
            counters: self.link.as_ref().map(|link| link.says()),
            ..Report::new(&self.config, &self.feed, &self.clock)
        };
        let (control, node) = (self.control.clone(), self.config.node.clone());
        let said = tokio::task::spawn_blocking(move || report.say(&control, &node)).await;
        // The feed tells of a control plane that is away.
        let Ok(Ok(noted)) = said else { return };
        watch_offset(&noted);
        if let Some(link) = &self.link {
            link.hears(&noted.producers);
        }
    }
}

fn watch_offset(noted: &Noted) {
    if noted.clock_offset_ms.abs() > OFFSET_ALARM_MS {
        tracing::error!(
            ahead_ms = noted.clock_offset_ms,
            "the clock of this node differs from the control plane's: usage periods end at other times here"
        );
    }
}

/// A name as one segment of a path.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    name.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
