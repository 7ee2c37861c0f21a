//! Load: connections that call one after the other, each request under an id of its own, and what became of each.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::chance::Random;
use super::client::{Answer, Client};

/// What a client saw of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The answer to its last byte. A refusal by the gateway has the name of its problem.
    Whole { status: u16, problem: String },
    /// Sent, at least in part, and no whole answer.
    Broken,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: String,
    pub connection: usize,
    /// How often the platform had been killed when it was sent.
    pub round: u64,
    pub fate: Fate,
    /// When the fate was known.
    pub at: Instant,
}

impl Call {
    pub fn is_success(&self) -> bool {
        matches!(self.fate, Fate::Whole { status: 200..=299, .. })
    }

    pub fn problem(&self) -> &str {
        match &self.fate {
            Fate::Whole { problem, .. } => problem,
            Fate::Broken => "",
        }
    }
}

type Target = Arc<dyn Fn(&mut Random) -> String + Send + Sync>;

/// How to call.
#[derive(Clone)]
pub struct Plan {
    pub gateway: SocketAddr,
    pub key: String,
    /// Begins every id.
    pub prefix: String,
    pub connections: usize,
    /// Pause of a connection between two calls.
    pub pause: Duration,
    pub seed: u64,
    target: Target,
    /// Calls that may still be made; refusals of the rate give theirs back.
    budget: Arc<AtomicI64>,
}

impl Plan {
    pub fn new(gateway: SocketAddr, key: &str, prefix: &str) -> Self {
        Self {
            gateway,
            key: key.to_owned(),
            prefix: prefix.to_owned(),
            connections: 16,
            pause: Duration::from_millis(5),
            seed: 1,
            target: Arc::new(|_| "/echo/things".to_owned()),
            budget: Arc::new(AtomicI64::new(i64::MAX)),
        }
    }

    #[must_use]
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    #[must_use]
    pub fn pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    #[must_use]
    pub fn target(self, target: impl Fn(&mut Random) -> String + Send + Sync + 'static) -> Self {
        Self {
            target: Arc::new(target),
            ..self
        }
    }

    /// Ends after so many calls that were not refused by a rate.
    #[must_use]
    pub fn calls(self, calls: i64) -> Self {
        Self {
            budget: Arc::new(AtomicI64::new(calls)),
            ..self
        }
    }

    pub fn start(self) -> Load {
        self.start_watched(|_, _| {})
    }

    /// Tells the watcher of every fate, on the thread of its connection.
    pub fn start_watched(self, watch: impl Fn(&Call, &Shared) + Send + Sync + 'static) -> Load {
        let shared = Arc::new(Shared::default());
        let watch: Watch = Arc::new(watch);
        let threads = (0..self.connections)
            .map(|connection| {
                let line = Line {
                    plan: self.clone(),
                    shared: Arc::clone(&shared),
                    watch: Arc::clone(&watch),
                    connection,
                };
                std::thread::spawn(move || line.run())
            })
            .collect();
        Load { shared, threads }
    }
}

type Watch = Arc<dyn Fn(&Call, &Shared) + Send + Sync>;

/// What the connections of a load have in common.
#[derive(Default)]
pub struct Shared {
    stop: AtomicBool,
    round: AtomicU64,
    calls: Mutex<Vec<Call>>,
    /// Requests that were sent and have no fate yet.
    pub in_flight: AtomicU64,
    successes: AtomicU64,
}

/// A load that goes on until it is stopped or its calls are made.
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// The platform was killed: what breaks from now on belongs to the next round.
    pub fn killed(&self) {
        self.shared.round.fetch_add(1, Ordering::SeqCst);
    }

    pub fn successes(&self) -> u64 {
        self.shared.successes.load(Ordering::SeqCst)
    }

    pub fn is_running(&self) -> bool {
        self.threads.iter().any(|thread| !thread.is_finished())
    }

    /// Waits until so many calls have succeeded.
    pub fn wait_successes(&self, count: u64) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.successes() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count} calls succeeded",
                self.successes()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Lets the calls under way end and gives all of them.
    pub fn stop(self) -> Vec<Call> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.join()
    }

    /// Waits until the budget is spent and gives all calls.
    pub fn join(self) -> Vec<Call> {
        for thread in self.threads {
            thread.join().unwrap();
        }
        std::mem::take(&mut *self.shared.calls.lock().unwrap())
    }
}

struct Line {
    plan: Plan,
    shared: Arc<Shared>,
    watch: Watch,
    connection: usize,
}

impl Line {
    fn run(self) {
        let mut random = Random(self.plan.seed ^ ((self.connection as u64 + 1) << 32));
        let mut client = Client::new(self.plan.gateway);
        let mut number = 0_u64;
        while !self.shared.stop.load(Ordering::SeqCst) && self.plan.budget.fetch_sub(1, Ordering::SeqCst) > 0 {
            // Only what was sent has a fate: a connection that is refused is no request.
            if client.connect().is_err() {
                self.plan.budget.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(3));
                continue;
            }
            let id = format!("{}-{}-{number}", self.plan.prefix, self.connection);
            number += 1;
            let problem = self.one(&mut client, id, &(self.plan.target)(&mut random));
            if problem == "rate-limited" {
                self.plan.budget.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
            if !self.plan.pause.is_zero() {
                std::thread::sleep(self.plan.pause);
            }
        }
    }

    fn one(&self, client: &mut Client, id: String, target: &str) -> String {
        let round = self.shared.round.load(Ordering::SeqCst);
        let authorization = format!("Bearer {}", self.plan.key);
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = client.get(target, &[("Authorization", &authorization), ("X-Request-Id", &id)]);
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        let fate = answer.map_or(Fate::Broken, |answer| fate(&answer, &id));
        let call = Call {
            id,
            connection: self.connection,
            round,
            fate,
            at: Instant::now(),
        };
        if call.is_success() {
            self.shared.successes.fetch_add(1, Ordering::SeqCst);
        }
        (self.watch)(&call, &self.shared);
        let problem = call.problem().to_owned();
        self.shared.calls.lock().unwrap().push(call);
        problem
    }
}

fn fate(answer: &Answer, id: &str) -> Fate {
    assert_eq!(answer.header("x-request-id"), Some(id), "an answer to another request");
    let is_problem = answer
        .header("content-type")
        .is_some_and(|kind| kind.contains("problem+json"));
    Fate::Whole {
        status: answer.status,
        problem: if is_problem { answer.problem() } else { String::new() },
    }
}
