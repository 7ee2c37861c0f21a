//! The running service.

use std::time::Duration;

use analytics::Analytics;
use domain::clock::Clock;
use store::Store;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use usage_source::UsageSource;

use crate::metrics::Metrics;
use crate::pump::{Order, Pump};

/// Whoever stops the service waits so long for what is written to be counted.
const STOP_LIMIT: Duration = Duration::from_secs(10);

/// What metering works with.
#[derive(Debug)]
pub struct Parts<S> {
    /// The store whose ledger it writes.
    pub store: Store,
    /// Where facts go.
    pub analytics: Analytics,
    /// What it reads.
    pub source: S,
    /// The domain clock.
    pub clock: Clock,
}

/// The running service. [`Metering::stop`] ends it in order; dropping it cuts it off as a crash would, which loses nothing.
#[derive(Debug)]
pub struct Metering {
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<()>,
    metrics: Metrics,
}

/// The service has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("metering has ended")]
pub struct Gone;

/// Asks the service to be current; cheap to clone.
#[derive(Debug, Clone)]
pub struct Currency(mpsc::UnboundedSender<Order>);

impl Currency {
    /// Waits until every record whose append returned before this call is in the ledger and in analytics.
    ///
    /// # Errors
    /// [`Gone`] when the service has ended.
    pub async fn caught_up(&self) -> Result<(), Gone> {
        let (done, wait) = oneshot::channel();
        self.0.send(Order::CatchUp(done)).map_err(|_| Gone)?;
        wait.await.map_err(|_| Gone)
    }
}

impl Metering {
    /// Starts the service on the current runtime.
    pub fn start<S: UsageSource>(parts: Parts<S>) -> Self {
        let (orders, inbox) = mpsc::unbounded_channel();
        let metrics = Metrics::default();
        let pump = Pump::new(parts, metrics.clone());
        Self {
            orders,
            task: tokio::spawn(pump.run(inbox)),
            metrics,
        }
    }

    /// Adds the service's metrics.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.metrics.register(registry);
    }

    /// A handle for readers that want to be current.
    pub fn currency(&self) -> Currency {
        Currency(self.orders.clone())
    }

    /// Counts what is written by now and ends. Where that takes too long, because a server is away, it is left for the
    /// next start.
    pub async fn stop(mut self) {
        let counted = tokio::time::timeout(STOP_LIMIT, self.currency().caught_up()).await;
        let _ = self.orders.send(Order::Stop);
        let ended = match counted {
            Ok(_) => tokio::time::timeout(STOP_LIMIT, &mut self.task).await,
            Err(late) => Err(late),
        };
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "metering ended by a panic"),
            Err(_) => tracing::warn!("usage that is not counted yet is left for the next start"),
        }
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        self.task.abort();
    }
}
