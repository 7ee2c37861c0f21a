//! Quotas that this gateway shares with others: the agent that speaks for it, and the ledger behind the shared table.
//!
//! A table that was lost is rebuilt from the ledger and from what live gateways hold. So that it is never rebuilt without a
//! gateway that may have used units which the ledger lacks:
//!
//! - A gateway names itself to the control plane before it takes part for the first time.
//! - It says which of its runs wrote with which producers, from a file of its own and from its journal, until the ledger
//!   has everything of them. Nothing is asked of a run's last seconds, and no lease is written down: the shared table, or
//!   the ledger once the producers have ended, tells what an earlier run used.
//! - A counter of a lost table stays untold while any such run has neither declared in the new table what it holds nor
//!   ended in the ledger.
//!
//! Deliberately absent: any of this where `counters.url` is not set; then each gateway counts alone.

mod marks;
mod runs;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use counters::Counters;
use counters::shared::protocol::CounterId;
use counters::shared::{Agent, NotYet, Parts, Redis, Session, Settings, Told};
use domain::clock::Clock;
use domain::ids::{ConsumerId, SubscriptionId};
use journal::Journal;
use snapshot::{CompiledSubscription, Feed, Snapshot};
use store::ledger::WindowUse;
use store::{CounterNode, ProducerStand};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::data_plane::{Ledger, Plane};
use super::report::{REPORT_EVERY, Report, Runs};
use super::start::Shared;
use super::{Error, baseline};
use crate::config::Config;
use marks::Marks;
use runs::RunsFile;

const RUNS_FILE: &str = "counter-runs.json";
/// After the ledger could not tell it is asked again.
const REST: Duration = Duration::from_millis(500);

/// What a gateway that shares its counters has besides.
pub(super) struct Sharing {
    agent: Agent,
    pub(super) counters: Counters,
    pub(super) link: Arc<Link>,
    /// Tells the store of this process about the runs.
    telling: JoinHandle<()>,
}

/// Begins to share counters, where the configuration says with whom.
pub(super) async fn start(shared: &Shared<'_>, plane: &Plane) -> Result<Option<Sharing>, Error> {
    let Some(url) = &shared.config.counters_url else {
        return Ok(None);
    };
    let table = Redis::new(url)?;
    let link = Arc::new(Link::open(shared, plane)?);
    link.announce().await;
    let parts = Parts {
        table: Arc::new(table),
        ledger: Arc::clone(&link) as Arc<dyn counters::shared::Ledger>,
        session: Session {
            node: shared.config.node.as_str().into(),
            fence: link.lock().runs.fence(),
        },
        clock: shared.clock.clone(),
        settings: Settings::default(),
    };
    let (agent, counters) = Agent::start(counters::Settings::default(), parts).map_err(Error::Runtime)?;
    shared
        .metrics
        .register(|registry| gateway::register_sharing(registry, &counters));
    let telling = tokio::spawn(Arc::clone(&link).keep_telling());
    Ok(Some(Sharing {
        agent,
        counters,
        link,
        telling,
    }))
}

impl Sharing {
    /// Gives back everything unused. The link tells the control plane afterwards, when usage is shipped.
    pub(super) async fn stop(self) -> Arc<Link> {
        self.telling.abort();
        let agent = self.agent;
        if let Err(error) = tokio::task::spawn_blocking(move || agent.stop()).await {
            tracing::error!(%error, "the agent of shared counters ended by a panic");
        }
        self.link
    }
}

type Index = HashMap<SubscriptionId, ConsumerId>;

struct State {
    runs: RunsFile,
    has_left: bool,
    marks: Marks,
    /// Whose the subscriptions of a revision are.
    index: (u64, Arc<Index>),
    /// Until when the ledger is not asked again, after it could not tell.
    resting: Option<Instant>,
}

/// The line to the ledger and to who else shares counters.
pub(super) struct Link {
    config: Config,
    ledger: Ledger,
    feed: Feed,
    clock: Clock,
    journal: Arc<Journal>,
    /// Of everything but gateways: databases are bound to it.
    runtime: Handle,
    state: Mutex<State>,
}

impl Link {
    fn open(shared: &Shared<'_>, plane: &Plane) -> Result<Self, Error> {
        let path = shared.config.data(RUNS_FILE);
        let left_over = plane.journal.recovered().iter().map(|tail| tail.producer.to_string());
        let runs = RunsFile::begin(path.clone(), shared.clock.now().as_millis(), left_over)
            .map_err(|source| Error::RunsFile { path, source })?;
        Ok(Self {
            config: shared.config.clone(),
            ledger: plane.ledger.clone(),
            feed: plane.feed.clone(),
            clock: shared.clock.clone(),
            journal: Arc::clone(&plane.journal),
            runtime: Handle::current(),
            state: Mutex::new(State {
                runs,
                has_left: false,
                marks: Marks::default(),
                index: (u64::MAX, Arc::default()),
                resting: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names this node, unless the control plane knows it already. Waits for that: it is done once in a node's life.
    async fn announce(&self) {
        if self.lock().runs.is_announced_as(&self.config.node) {
            return;
        }
        while let Err(error) = self.tell().await {
            tracing::warn!(
                error = &*error,
                "this node shares counters for the first time: the control plane has to know it before"
            );
            tokio::time::sleep(REPORT_EVERY).await;
        }
        let kept = self.lock().runs.announced_as(&self.config.node);
        kept.unwrap_or_else(|error| unkept(&error));
    }

    /// The gateway has its producers now.
    pub(super) fn begun(&self) {
        let writers = self.journal.status().writers;
        let own = writers.iter().map(|writer| writer.producer.to_string()).collect();
        let kept = self.lock().runs.writes_with(own);
        kept.unwrap_or_else(|error| unkept(&error));
    }

    /// What this node says of its runs; looks where the journal stands.
    pub(super) fn says(&self) -> Runs {
        let positions = self.journal.status().writers;
        let positions = positions
            .iter()
            .map(|writer| (writer.producer.to_string(), writer.next_seq));
        let mut state = self.lock();
        state.marks.look(positions.collect());
        Runs {
            fence: state.runs.fence(),
            has_left: state.has_left,
            runs: state.runs.runs().to_vec(),
        }
    }

    /// Takes up how far the ledger is.
    pub(super) fn hears(&self, stands: &[ProducerStand]) {
        let mut state = self.lock();
        state.marks.hear(stands);
        let kept = state.runs.forget(stands);
        kept.unwrap_or_else(|error| unkept(&error));
    }

    async fn tell(&self) -> Result<(), super::data_plane::Cause> {
        let says = self.says();
        let stands = match &self.ledger {
            Ledger::Here(store) => {
                let node = CounterNode {
                    node: self.config.node.clone(),
                    fence: says.fence,
                    has_left: says.has_left,
                    runs: says.runs,
                };
                store.note_counter_node(&node).await?;
                store.producer_stands(&node.runs).await?
            }
            Ledger::There(control) => {
                let mut report = Report::new(&self.config, &self.feed, &self.clock);
                report.counters = Some(says);
                let (control, node) = (control.clone(), self.config.node.clone());
                tokio::task::spawn_blocking(move || report.say(&control, &node))
                    .await??
                    .producers
            }
        };
        self.hears(&stands);
        Ok(())
    }

    /// Tells the store of this process about the runs, until the task is dropped. Where the control plane is another
    /// process the reporter does.
    async fn keep_telling(self: Arc<Self>) {
        if matches!(self.ledger, Ledger::There(_)) {
            return;
        }
        loop {
            if let Err(error) = self.tell().await {
                tracing::warn!(error = &*error, "the runs of this node could not be noted");
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }

    /// This run is over, and all that it wrote is in the journal or further.
    pub(super) async fn leave(&self) {
        self.lock().has_left = true;
        if let Err(error) = self.tell().await {
            tracing::warn!(
                error = &*error,
                "the control plane does not know that this gateway has ended: should the shared counters be lost, they wait for its next start"
            );
        }
    }

    fn subscription(&self, id: SubscriptionId) -> Option<Arc<CompiledSubscription>> {
        let snapshot = self.feed.current();
        let consumer = snapshot.consumer(*self.index(&snapshot).get(&id)?)?;
        let mut all = consumer.subscriptions.iter();
        all.find(|subscription| subscription.id == id).cloned()
    }

    fn index(&self, snapshot: &Snapshot) -> Arc<Index> {
        let mut state = self.lock();
        if state.index.0 != snapshot.revision() {
            let consumers = snapshot.consumers();
            let pairs = consumers.flat_map(|consumer| consumer.subscriptions.iter().map(|own| (own.id, consumer.id)));
            state.index = (snapshot.revision(), Arc::new(pairs.collect()));
        }
        Arc::clone(&state.index.1)
    }

    async fn ask(&self, counter: &CounterId) -> Result<(Vec<WindowUse>, Vec<CounterNode>), NotYet> {
        let (ledger, of, since) = (self.ledger.clone(), counter.subscription, counter.start);
        let asked = self.runtime.spawn(async move { ledger.used_by(of, since).await });
        match asked.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => {
                tracing::warn!(error = &*error, "the ledger cannot be read for shared counters");
                Err(NotYet)
            }
            Err(error) => {
                tracing::error!(%error, "the ledger cannot be read for shared counters");
                Err(NotYet)
            }
        }
    }

    /// What could not be told of one counter can for the moment be told of none.
    async fn look(&self, counter: &CounterId, known: &[Session], silent: &[Session]) -> Result<Told, NotYet> {
        if self.lock().resting.is_some_and(|until| Instant::now() < until) {
            return Err(NotYet);
        }
        let told = self.look_now(counter, known, silent).await;
        if told.is_err() {
            self.lock().resting = Some(Instant::now() + REST);
        }
        told
    }

    async fn look_now(&self, counter: &CounterId, known: &[Session], silent: &[Session]) -> Result<Told, NotYet> {
        let (uses, nodes) = self.ask(counter).await?;
        if let Some(node) = missing(&nodes, known) {
            tracing::warn!(
                node,
                "a shared counter cannot be rebuilt before this gateway is there again or all its usage is in the ledger"
            );
            return Err(NotYet);
        }
        let subscription = self.subscription(counter.subscription).ok_or(NotYet)?;
        let rows: Vec<&WindowUse> = uses
            .iter()
            .filter(|row| row.subscription == counter.subscription && row.mode == counter.mode)
            .collect();
        let (window, used) =
            baseline::used_by_limit(&subscription, &counter.limit, &rows, counter.start).ok_or(NotYet)?;
        if window.start != counter.start {
            return Err(NotYet);
        }
        Ok(Told {
            used: used.ceil_units(),
            over: silent
                .iter()
                .filter(|session| is_over(&nodes, session))
                .cloned()
                .collect(),
        })
    }
}

fn unkept(error: &std::io::Error) {
    tracing::error!(%error, "the runs of this node cannot be kept");
}

impl counters::shared::Ledger for Link {
    fn told<'a>(
        &'a self,
        counter: &'a CounterId,
        known: &'a [Session],
        silent: &'a [Session],
    ) -> Pin<Box<dyn Future<Output = Result<Told, NotYet>> + Send + 'a>> {
        Box::pin(self.look(counter, known, silent))
    }

    fn metered(&self, counter: &CounterId, used: u64) -> u64 {
        self.lock().marks.metered(counter, used)
    }
}

/// A gateway of which a run may have used units that neither the ledger has nor the table knows. A gateway whose latest
/// run has not told the control plane what it found on its disk is one.
fn missing<'a>(nodes: &'a [CounterNode], known: &[Session]) -> Option<&'a str> {
    let fences: HashSet<(&str, u64)> = known.iter().map(|session| (&*session.node, session.fence)).collect();
    let is_missing = |node: &&CounterNode| {
        let of_node = known.iter().filter(|session| *session.node == *node.node);
        let has_later = of_node.clone().any(|session| session.fence > node.fence);
        has_later
            || node
                .runs
                .iter()
                .any(|run| !fences.contains(&(node.node.as_str(), run.fence)))
    };
    nodes.iter().find(is_missing).map(|node| node.node.as_str())
}

/// Whether the ledger has all that a silent run wrote.
fn is_over(nodes: &[CounterNode], session: &Session) -> bool {
    let Some(node) = nodes.iter().find(|node| *node.node == *session.node) else {
        return true;
    };
    let is_open = |fence: u64| node.runs.iter().any(|run| run.fence == fence);
    node.fence >= session.fence && !is_open(session.fence) && !is_open(0)
}

#[cfg(test)]
mod tests {
    use store::CounterRun;

    use super::*;

    fn node(name: &str, fence: u64, has_left: bool, open: &[u64]) -> CounterNode {
        let run = |fence: &u64| CounterRun {
            fence: *fence,
            producers: Vec::new(),
        };
        CounterNode {
            node: name.to_owned(),
            fence,
            has_left,
            runs: open.iter().map(run).collect(),
        }
    }

    fn session(node: &str, fence: u64) -> Session {
        Session {
            node: node.into(),
            fence,
        }
    }

    #[test]
    fn nothing_is_rebuilt_without_a_run_that_is_neither_there_nor_in_the_ledger() {
        let nodes = [node("a", 20, false, &[20]), node("b", 7, false, &[7])];
        let (a, b) = (session("a", 20), session("b", 7));
        assert_eq!(missing(&nodes, &[a.clone(), b.clone()]), None);
        assert_eq!(missing(&nodes, std::slice::from_ref(&a)), Some("b"));
        // An earlier run of a node that has come again and whose usage is under way.
        let back = [node("a", 20, false, &[10, 20]), nodes[1].clone()];
        assert_eq!(missing(&back, &[a.clone(), b.clone()]), Some("a"));
        assert_eq!(missing(&back, &[a, b.clone(), session("a", 10)]), None);
        // A later run than the control plane has heard of.
        assert_eq!(missing(&nodes, &[session("a", 20), session("a", 30), b]), Some("a"));
        // Gone in order, its last records under way.
        assert_eq!(missing(&[node("c", 5, true, &[5])], &[]), Some("c"));
        assert_eq!(missing(&[], &[session("c", 5)]), None);
    }

    #[test]
    fn what_a_silent_run_held_is_free_when_the_ledger_has_all_that_it_wrote() {
        let silent = session("a", 10);
        assert!(!is_over(&[node("a", 10, false, &[10])], &silent), "it may come back");
        assert!(!is_over(&[node("a", 20, false, &[10, 20])], &silent), "under way");
        assert!(!is_over(&[node("a", 20, false, &[0, 20])], &silent), "perhaps its own");
        assert!(!is_over(&[node("a", 5, false, &[5])], &silent), "not heard of yet");
        assert!(is_over(&[node("a", 20, false, &[20])], &silent));
        assert!(is_over(&[], &silent), "it left, or was given up");
    }
}
