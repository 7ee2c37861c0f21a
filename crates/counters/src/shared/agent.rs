//! The agent of one node: a thread that takes the cells' orders, beats, listens, sweeps, and returns everything at the end.

use std::sync::Arc;
use std::time::Duration;

use domain::clock::Clock;
use tokio::sync::{mpsc, oneshot};

use super::carrier::Carrier;
use super::post::{Order, Post, Tally};
use super::protocol::{Ledger, Notice, PARTITIONS, Session, Table};
use crate::lease::Purpose;
use crate::registry::{Counters, Settings as Bounds};

/// Signs of life come so often.
const BEAT: Duration = Duration::from_millis(300);
/// While the table is away it is looked for so often.
const LOOK: Duration = Duration::from_millis(100);
const SWEEP: Duration = Duration::from_secs(1);
const LISTEN_AGAIN: Duration = Duration::from_millis(100);

/// Patience of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// One question to the table; no request waits longer for a table that is away.
    pub call: Duration,
    /// A slice, with recalls from other nodes; a request waits at most so long.
    pub patience: Duration,
    /// One question to the ledger.
    pub ledger: Duration,
    /// Unused units return after so long.
    pub idle: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            call: Duration::from_millis(20),
            patience: Duration::from_millis(250),
            ledger: Duration::from_secs(5),
            idle: Duration::from_secs(5),
        }
    }
}

/// What an agent works with.
#[derive(Clone)]
pub struct Parts {
    /// Where counters are shared.
    pub table: Arc<dyn Table>,
    /// Where the truth is.
    pub ledger: Arc<dyn Ledger>,
    /// This run of this node.
    pub session: Session,
    /// The domain clock.
    pub clock: Clock,
    /// Patience.
    pub settings: Settings,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// A running agent. Dropped without [`Agent::stop`] it ends without returning anything, as a killed node does.
#[derive(Debug)]
pub struct Agent {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Agent {
    /// Starts an agent and gives the counters for which it speaks.
    ///
    /// # Errors
    /// When no thread or no runtime can be started.
    pub fn start(bounds: Bounds, parts: Parts) -> std::io::Result<(Self, Counters)> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let tally = Arc::<Tally>::default();
        let post = Post {
            orders,
            tally: Arc::clone(&tally),
        };
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("counters".to_owned()).spawn(move || {
            let local = tokio::task::LocalSet::new();
            local.block_on(&runtime, run(Carrier::new(parts, tally), inbox, stopped));
        })?;
        let agent = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((agent, Counters::with_post(bounds, Some(post))))
    }

    /// Returns everything unused and ends. Call it when nothing is served any more. Blocks the calling thread for a few
    /// round trips.
    pub fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // An agent that has ended already has nothing to return.
            let _ended = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

async fn run(carrier: Carrier, mut inbox: mpsc::UnboundedReceiver<Order>, stopped: oneshot::Receiver<()>) {
    let beating = tokio::task::spawn_local(beat(carrier.clone()));
    let listening = tokio::task::spawn_local(listen(carrier.clone()));
    let sweeping = tokio::task::spawn_local(sweep(carrier.clone()));
    let taking = async {
        while let Some(order) = inbox.recv().await {
            match order {
                Order::Ask(wanted) => carrier.wants(wanted),
                Order::Return(counter) => carrier.start(&counter, Purpose::Return),
            }
        }
        // All cells are gone: only the stop is waited for.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = taking => {}
        stop = stopped => if stop.is_ok() {
            carrier.leave().await;
        }
    }
    beating.abort();
    listening.abort();
    sweeping.abort();
}

async fn beat(carrier: Carrier) {
    loop {
        for partition in 0..PARTITIONS {
            carrier.beat(partition).await;
        }
        tokio::time::sleep(if carrier.is_away() { LOOK } else { BEAT }).await;
    }
}

async fn listen(carrier: Carrier) {
    loop {
        match carrier.table().listen().await {
            Ok(notices) => notices.into_iter().for_each(|notice| match notice {
                Notice::Recall(counter, recall) => carrier.recalled(&counter, recall),
                Notice::Available(counter) => carrier.available(&counter),
            }),
            Err(_away) => tokio::time::sleep(LISTEN_AGAIN).await,
        }
    }
}

async fn sweep(carrier: Carrier) {
    loop {
        tokio::time::sleep(SWEEP).await;
        carrier.sweep();
    }
}
