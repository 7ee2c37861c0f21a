//! Two gateways that share their counters.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use counters::Counters;
use counters::shared::protocol::CounterId;
use counters::shared::{Agent, Ledger, Memory, NotYet, Parts, Session, Settings, Told};
use domain::clock::Clock;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};

use crate::world::{Wish, World, key, world};

/// Nothing was used before the tests.
struct Blank;

impl Ledger for Blank {
    fn told<'a>(
        &'a self,
        _counter: &'a CounterId,
        _known: &'a [Session],
        _silent: &'a [Session],
    ) -> Pin<Box<dyn Future<Output = Result<Told, NotYet>> + Send + 'a>> {
        Box::pin(async {
            Ok(Told {
                used: 0,
                over: Vec::new(),
            })
        })
    }

    fn metered(&self, _counter: &CounterId, _used: u64) -> u64 {
        0
    }
}

struct Plane {
    world: World,
    counters: Counters,
    _agent: Agent,
}

fn plane(name: &str, table: &Memory, limits: Value) -> Plane {
    let parts = Parts {
        table: Arc::new(table.clone()),
        ledger: Arc::new(Blank),
        session: Session {
            node: name.into(),
            fence: 1,
        },
        clock: Clock::system(),
        settings: Settings {
            call: Duration::from_millis(100),
            ..Settings::default()
        },
    };
    let (agent, counters) = Agent::start(counters::Settings::default(), parts).unwrap();
    let world = world(&Wish {
        limits,
        counters: counters.clone(),
        ..Wish::default()
    });
    Plane {
        world,
        counters,
        _agent: agent,
    }
}

impl Plane {
    fn call(&self) -> (u16, String) {
        let reply = self
            .world
            .get_with("/petstore/pets/1", &[("X-API-Key", key(1).reveal())]);
        let problem = if reply.status == 200 {
            String::new()
        } else {
            reply.problem()
        };
        (reply.status, problem)
    }

    /// Calls until the quota refuses.
    fn use_up(&self) -> u64 {
        let until = Instant::now() + Duration::from_secs(20);
        let mut served = 0;
        loop {
            match self.call() {
                (200, _) => served += 1,
                (429, problem) if problem == "quota-exceeded" => return served,
                (503, problem) if problem == "overloaded" && Instant::now() < until => {
                    // The table is new: its live nodes are waited for.
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => panic!("{other:?} after {served}"),
            }
        }
    }
}

#[test]
fn two_gateways_serve_a_shared_quota_once() {
    let table = Memory::default();
    let limits = json!([{ "requests": 150, "per": "period" }]);
    let planes = ["a", "b"].map(|name| plane(name, &table, limits.clone()));
    let served: u64 = std::thread::scope(|scope| {
        let runs = planes.each_ref().map(|plane| scope.spawn(|| plane.use_up()));
        runs.map(|run| run.join().unwrap()).iter().sum()
    });
    assert_eq!(served, 150);
    let mut registry = Registry::with_prefix("tollgate");
    gateway::register_sharing(&mut registry, &planes[0].counters);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("tollgate_counters_leases 1\n"), "{text}");
}

/// The control of the test above.
#[test]
fn two_gateways_that_count_alone_serve_a_quota_twice() {
    let limits = json!([{ "requests": 150, "per": "period" }]);
    let served: u64 = ["a", "b"]
        .map(|name| plane(name, &Memory::default(), limits.clone()).use_up())
        .iter()
        .sum();
    assert_eq!(served, 300);
}

#[test]
fn counters_that_are_away_refuse_or_serve_as_the_plan_says() {
    for (policy, after) in [("closed", (503, "overloaded")), ("open", (200, ""))] {
        let table = Memory::default();
        let limits = json!([{ "requests": 2_000, "per": "period", "when_unavailable": policy }]);
        let plane = plane("a", &table, limits);
        let beyond = || {
            let tally = plane.counters.tally().unwrap();
            tally.served_unavailable.load(std::sync::atomic::Ordering::Relaxed)
        };
        // A new table gives nothing before its live nodes have been heard.
        std::thread::sleep(Duration::from_millis(2_500));
        assert_eq!(plane.call().0, 200);
        let before = beyond();
        table.set_away(true);
        std::thread::sleep(Duration::from_millis(500));
        // The slice is spent first.
        let spent = (0..400)
            .map(|_| plane.call())
            .take_while(|(status, _)| *status == 200)
            .count();
        assert!(spent > 0);
        let (status, problem) = plane.call();
        assert_eq!((status, &*problem), after, "{policy}, {spent} of the slice");
        assert_eq!(beyond() > before, policy == "open");
    }
}
