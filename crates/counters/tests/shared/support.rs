//! Nodes as the gateway runs them, and a ledger that knows all that they settle.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use counters::shared::protocol::CounterId;
use counters::shared::{Agent, Ledger, Memory, NotYet, Parts, Redis, Session, Settings, Table, Told};
use counters::{Admission, Billable, Counters, Reservation, Short, Times};
use domain::clock::{Clock, Timestamp};
use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule, QuotaOf, Sharing};
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::{Precision, WhenUnavailable};

/// A ledger that has every record at once.
#[derive(Debug, Default)]
pub(crate) struct Books {
    used: Mutex<HashMap<Session, u64>>,
    closed: Mutex<HashSet<Session>>,
    is_away: AtomicBool,
}

impl Books {
    pub(crate) fn total(&self) -> u64 {
        self.used.lock().unwrap().values().sum()
    }

    fn settle(&self, session: &Session, units: u64) {
        *self.used.lock().unwrap().entry(session.clone()).or_default() += units;
    }

    /// All records of a run are in the ledger.
    pub(crate) fn close(&self, session: &Session) {
        self.closed.lock().unwrap().insert(session.clone());
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.is_away.store(away, Ordering::Relaxed);
    }
}

/// The books as one node asks them.
struct Line(Arc<Books>);

impl Ledger for Line {
    fn told<'a>(
        &'a self,
        _counter: &'a CounterId,
        known: &'a [Session],
        silent: &'a [Session],
    ) -> Pin<Box<dyn Future<Output = Result<Told, NotYet>> + Send + 'a>> {
        Box::pin(async move {
            let used = self.0.used.lock().unwrap();
            let closed = self.0.closed.lock().unwrap();
            let is_known = |session: &Session| known.contains(session) || closed.contains(session);
            if self.0.is_away.load(Ordering::Relaxed) || !used.keys().all(is_known) {
                return Err(NotYet);
            }
            Ok(Told {
                used: used.values().sum(),
                over: silent
                    .iter()
                    .filter(|session| closed.contains(session))
                    .cloned()
                    .collect(),
            })
        })
    }

    fn metered(&self, _counter: &CounterId, used: u64) -> u64 {
        used
    }
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    Served,
    Exceeded,
    Unavailable,
}

/// A limit of one subscription.
pub(crate) struct Sold {
    pub(crate) limits: Vec<EnforcedLimit>,
    cycle: UsageCycle,
}

impl Sold {
    pub(crate) fn new(max: u64, precision: Precision, when_unavailable: WhenUnavailable) -> Self {
        let rule = EnforcedRule::Quota {
            meter: "requests".into(),
            of: QuotaOf::Requests,
            max,
            ceiling: Some(max),
            sharing: Sharing {
                precision,
                when_unavailable,
            },
        };
        Self {
            limits: vec![EnforcedLimit {
                key: "requests/period".into(),
                rule,
            }],
            cycle: UsageCycle::utc_months(),
        }
    }

    pub(crate) fn strict(max: u64) -> Self {
        Self::new(max, Precision::Strict, WhenUnavailable::Closed)
    }
}

/// One run of one node.
pub(crate) struct Node {
    pub(crate) session: Session,
    pub(crate) counters: Counters,
    agent: Option<Agent>,
    books: Arc<Books>,
    clock: Clock,
    origin: Instant,
    runtime: tokio::runtime::Runtime,
}

/// 2026-03-10.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_773_100_800_000);
/// A request waits no longer for a slice.
const PATIENCE: Duration = Duration::from_millis(600);

/// More patient than production: the machines of tests are crowded.
pub(crate) fn patient() -> Settings {
    Settings {
        call: Duration::from_millis(100),
        patience: Duration::from_millis(500),
        ledger: Duration::from_secs(2),
        idle: Duration::from_millis(1_500),
    }
}

impl Node {
    pub(crate) fn start(name: &str, fence: u64, table: Arc<dyn Table>, books: &Arc<Books>) -> Self {
        let session = Session {
            node: name.into(),
            fence,
        };
        // From now on the ledger knows that this run may use units.
        books.settle(&session, 0);
        let clock = Clock::frozen(NOW);
        let parts = Parts {
            table,
            ledger: Arc::new(Line(Arc::clone(books))),
            session: session.clone(),
            clock: clock.clone(),
            settings: patient(),
        };
        let (agent, counters) = Agent::start(counters::Settings::default(), parts).unwrap();
        Self {
            session,
            counters,
            agent: Some(agent),
            books: Arc::clone(books),
            clock,
            origin: Instant::now(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn times(&self) -> Times {
        Times {
            mono_ns: u64::try_from(self.origin.elapsed().as_nanos()).unwrap(),
            wall: self.clock.now(),
        }
    }

    /// Admits as the gateway does.
    pub(crate) fn admit(&self, sold: &Sold) -> Result<Reservation, Passed> {
        let admission = Admission {
            limits: &sold.limits,
            applies: &[0],
            cycle: &sold.cycle,
            revision: 1,
            weight: 1,
        };
        let cell = self.counters.subscription(SubscriptionId::from_bits(9), Mode::Live);
        let until = Instant::now() + PATIENCE;
        loop {
            match cell.admit(&admission, self.times()) {
                Ok(reservation) => return Ok(reservation),
                Err(refused) if refused.short == Some(Short::Spent) && Instant::now() < until => {
                    let Some(waiting) = cell.ask(&admission, self.times()) else {
                        continue;
                    };
                    let _answered = self
                        .runtime
                        .block_on(async { tokio::time::timeout(PATIENCE, waiting).await });
                }
                Err(refused) if refused.short.is_some() => return Err(Passed::Unavailable),
                Err(_) => return Err(Passed::Exceeded),
            }
        }
    }

    /// One request that is billed.
    pub(crate) fn call(&self, sold: &Sold) -> Passed {
        match self.admit(sold) {
            Ok(reservation) => {
                // The record is in the journal before the reservation becomes a count.
                self.books.settle(&self.session, 1);
                reservation.settle(Billable::Yes, &[]);
                Passed::Served
            }
            Err(passed) => passed,
        }
    }

    /// Calls until the limit refuses; a table that is away is waited for. How many were served.
    pub(crate) fn use_up(&self, sold: &Sold) -> u64 {
        let until = Instant::now() + Duration::from_secs(30);
        let mut served = 0;
        loop {
            match self.call(sold) {
                Passed::Served => served += 1,
                Passed::Exceeded => return served,
                Passed::Unavailable => {
                    assert!(Instant::now() < until, "unavailable for long after {served}");
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
    }

    /// Calls until so many were served.
    pub(crate) fn use_some(&self, sold: &Sold, count: u64) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut served = 0;
        while served < count {
            assert!(Instant::now() < until, "only {served} of {count}");
            match self.call(sold) {
                Passed::Served => served += 1,
                Passed::Exceeded | Passed::Unavailable => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Stops in order: everything unused returns.
    pub(crate) fn stop(mut self) {
        self.agent.take().unwrap().stop();
    }

    /// Ends as a killed process does.
    pub(crate) fn kill(mut self) {
        drop(self.agent.take());
        // Its thread says nothing any more after a moment.
        std::thread::sleep(Duration::from_millis(150));
    }
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Views of one table for several nodes.
pub(crate) enum Tables {
    Memory(Memory),
    Redis(crate::servers::Servers),
}

impl Tables {
    pub(crate) fn view(&self) -> Arc<dyn Table> {
        match self {
            Self::Memory(memory) => Arc::new(memory.clone()),
            Self::Redis(servers) => Arc::new(Redis::new(&servers.url).unwrap()),
        }
    }

    /// Runs a test on memory and on every kind of Redis.
    pub(crate) fn on_all(test: &str, body: impl Fn(&Self)) {
        body(&Self::Memory(Memory::default()));
        for kind in ["single", "cluster", "sentinel"] {
            if let Some(servers) = crate::servers::Servers::start(kind, test) {
                body(&Self::Redis(servers));
            }
        }
    }

    /// Runs a test on memory and on one server.
    pub(crate) fn on_two(test: &str, body: impl Fn(&Self)) {
        body(&Self::Memory(Memory::default()));
        if let Some(servers) = crate::servers::Servers::start("single", test) {
            body(&Self::Redis(servers));
        }
    }

    /// Loses everything.
    pub(crate) fn lose(&self) {
        match self {
            Self::Memory(memory) => memory.lose(),
            Self::Redis(servers) => {
                assert_eq!(crate::servers::Servers::command(servers.port, &["flushall"]), "OK");
            }
        }
    }
}
