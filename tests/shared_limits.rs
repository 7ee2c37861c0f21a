//! Quotas that several gateways share over a real Redis: to the last unit where they are strict, within the slices where
//! they are fast, whatever happens to Redis and to gateways.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::{Subscriber, text};
use support::client::Client;
use support::fleet::{Fleet, SERVERS, status, until};
use support::platform::{Platform, Settings};
use support::servers::{self, Server};
use support::upstream::Upstream;
use support::world::configuration;

/// One test at a time: each has servers and processes of its own, and the machine has few cores.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

/// Whether two processes share their counters: the protection of these tests, and its absence in their controls.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counting {
    Shared,
    Alone,
}

/// Two processes with all roles on one PostgreSQL, and Redis between their gateways.
struct Pair {
    nodes: Vec<Platform>,
    upstream: Upstream,
    redis: Server,
    _postgres: Server,
    _dir: tempfile::TempDir,
}

impl Pair {
    fn start(limits: &Value, counting: Counting) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (postgres, redis) = (Server::start("postgres"), Server::start("redis"));
        let upstream = Upstream::start(dir.path());
        let node = |name: &str| {
            let settings = Settings::new(&dir.path().join(name))
                .with("TOLLGATE_NODE", name)
                .with(
                    "TOLLGATE_STORE_URL",
                    &format!("postgres://postgres:postgres@127.0.0.1:{}/postgres", postgres.port()),
                )
                .with("TOLLGATE_GATEWAY_THREADS", "1")
                .with(
                    "TOLLGATE_SECRETS_MASTER_KEY_FILE",
                    &dir.path().join("master.key").to_string_lossy(),
                );
            match counting {
                Counting::Shared => settings.with("TOLLGATE_COUNTERS_URL", &address(&redis)),
                Counting::Alone => settings,
            }
        };
        let first = node("node-1").start();
        first.api().put("/config", configuration(&upstream.url, limits));
        Self {
            nodes: vec![first, node("node-2").start()],
            upstream,
            redis,
            _postgres: postgres,
            _dir: dir,
        }
    }

    /// A subscriber whose key both gateways know.
    fn subscriber(&self) -> Subscriber {
        let subscriber = self.nodes[0].api().subscriber("acme", "echo", "standard", json!({}));
        for node in &self.nodes {
            until("a gateway learns of a new key", Duration::from_secs(10), || {
                status(node, &subscriber.key) == 200
            });
        }
        subscriber
    }

    fn metric(&self, name: &str) -> u64 {
        self.nodes.iter().map(|node| node.metric(name)).sum()
    }
}

fn address(redis: &Server) -> String {
    format!("redis://127.0.0.1:{}", redis.port())
}

fn flush(redis: &Server) {
    let mut line = TcpStream::connect(("127.0.0.1", redis.port())).unwrap();
    line.write_all(b"FLUSHALL\r\n").unwrap();
    let mut answer = [0; 5];
    line.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+OK\r\n");
}

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Served,
    /// The quota refuses.
    Exceeded,
    /// The shared counters cannot say, or the gateway is not there.
    Unavailable,
}

fn call(client: &mut Client, key: &str) -> Fate {
    match client.get("/echo/things", &[("X-API-Key", key)]) {
        Ok(answer) => match (answer.status, answer.problem().as_str()) {
            (200, _) => Fate::Served,
            (429, "quota-exceeded") => Fate::Exceeded,
            (503, "overloaded") => Fate::Unavailable,
            other => panic!("{other:?}: {}", answer.text()),
        },
        Err(_) => Fate::Unavailable,
    }
}

/// Requests on all gateways at once, until they are stopped.
struct Rush {
    served: AtomicU64,
    stop: AtomicBool,
}

const CONNECTIONS: usize = 3;

/// Calls both gateways from several connections while `meanwhile` runs; the answer is how many were served.
fn rush(nodes: &[std::net::SocketAddr], key: &str, meanwhile: impl FnOnce(&dyn Fn() -> u64)) -> u64 {
    let rush = Rush {
        served: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for address in nodes.iter().flat_map(|address| [*address; CONNECTIONS]) {
            let rush = &rush;
            scope.spawn(move || {
                let mut client = Client::new(address);
                while !rush.stop.load(Ordering::Relaxed) {
                    match call(&mut client, key) {
                        Fate::Served => {
                            rush.served.fetch_add(1, Ordering::Relaxed);
                        }
                        Fate::Exceeded | Fate::Unavailable => std::thread::sleep(Duration::from_millis(10)),
                    }
                }
            });
        }
        meanwhile(&|| rush.served.load(Ordering::Relaxed));
        rush.stop.store(true, Ordering::Relaxed);
    });
    rush.served.load(Ordering::Relaxed)
}

fn addresses(nodes: &[Platform]) -> Vec<std::net::SocketAddr> {
    nodes.iter().map(Platform::gateway).collect()
}

/// Waits until nothing was served for a while; whether that came within the limit.
fn dries_up(served: &dyn Fn() -> u64, quiet: Duration, limit: Duration) -> bool {
    let began = Instant::now();
    let (mut last, mut since) = (served(), Instant::now());
    while began.elapsed() < limit {
        std::thread::sleep(Duration::from_millis(20));
        if served() != last {
            (last, since) = (served(), Instant::now());
        } else if since.elapsed() > quiet {
            return true;
        }
    }
    false
}

/// One gateway uses 1,000 of 1,100, then both race for the last 100.
fn race(counting: Counting, mode: &str) -> (u64, Pair) {
    let pair = Pair::start(&json!([{ "requests": 1_100, "per": "period", "mode": mode }]), counting);
    let subscriber = pair.subscriber();
    let mut client = Client::new(pair.nodes[0].gateway());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = 0;
    while before < 1_000 {
        assert!(Instant::now() < deadline, "only {before} served");
        match call(&mut client, &subscriber.key) {
            Fate::Served => before += 1,
            Fate::Exceeded => panic!("refused after {before}"),
            // The counters are new: live gateways are waited for.
            Fate::Unavailable => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    let last = rush(&addresses(&pair.nodes), &subscriber.key, |served| {
        assert!(dries_up(served, Duration::from_secs(3), Duration::from_secs(60)));
    });
    (before + last, pair)
}

#[test]
fn two_gateways_race_for_the_last_hundred_of_a_strict_quota_and_serve_exactly_these() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let (served, pair) = race(Counting::Shared, "strict");
    assert_eq!(served, 1_100);
    assert_eq!(pair.upstream.served().len(), 1_100);
    assert!(pair.metric("tollgate_counters_exchanges_total") > 0);
    assert!(pair.metric("tollgate_counters_leases") >= 2);
    // What the ledger has is what was served.
    until("the ledger has all", Duration::from_secs(20), || {
        used(&pair.nodes[0]) == 1_100
    });
}

fn used(node: &Platform) -> u64 {
    let all = node.api().get("/subscriptions");
    let id = text(&all["items"][0]["id"]);
    let quota = node.api().get(&format!("/subscriptions/{id}"));
    let used = &quota["quota"][0]["used"];
    used.as_u64().unwrap_or_else(|| text(used).parse().unwrap())
}

#[test]
fn two_gateways_exceed_a_fast_quota_by_no_more_than_their_slices() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let (served, pair) = race(Counting::Shared, "fast");
    let slices = pair.metric("tollgate_counters_largest_slice_units");
    println!("fast: served {served} of 1100, slices {slices}");
    assert!((1_100..=1_100 + slices).contains(&served), "{served}, slices {slices}");
    assert!(slices < 1_000, "the control below would pass: {slices}");
}

/// The control of both tests above: gateways that count alone serve the quota again.
#[test]
fn two_gateways_that_count_alone_serve_a_quota_twice() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let (served, pair) = race(Counting::Alone, "strict");
    assert_eq!(served, 2_200);
    assert_eq!(pair.metric("tollgate_counters_exchanges_total"), 0);
}

/// Redis is flushed, killed and stopped while both gateways serve.
fn troubled(mode: &str, quota: u64) -> (u64, Pair) {
    let pair = Pair::start(
        &json!([{ "requests": quota, "per": "period", "mode": mode }]),
        Counting::Shared,
    );
    let subscriber = pair.subscriber();
    let past = |served: &dyn Fn() -> u64, part: u64| {
        until("some were served", Duration::from_secs(60), || {
            served() >= quota * part / 5
        });
    };
    let served = rush(&addresses(&pair.nodes), &subscriber.key, |served| {
        past(served, 1);
        flush(&pair.redis);
        past(served, 2);
        pair.redis.kill();
        std::thread::sleep(Duration::from_millis(700));
        pair.redis.restart();
        past(served, 3);
        pair.redis.pause();
        std::thread::sleep(Duration::from_secs(3));
        pair.redis.resume();
        past(served, 4);
        flush(&pair.redis);
        // What was under way to the ledger at the rebuilds is free again after some seconds.
        assert!(dries_up(served, Duration::from_secs(12), Duration::from_secs(120)));
    });
    (served, pair)
}

#[test]
fn a_strict_quota_ends_exactly_where_it_should_though_redis_is_lost_again_and_again() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let (served, pair) = troubled("strict", 4_000);
    assert_eq!(pair.upstream.served().len(), 4_000, "clients saw {served}");
    assert_eq!(served, 4_000);
    assert!(pair.metric("tollgate_counters_generations_total") >= 4);
    until("the ledger has all", Duration::from_secs(20), || {
        used(&pair.nodes[0]) == 4_000
    });
}

#[test]
fn a_fast_quota_goes_on_within_its_slices_though_redis_is_lost_again_and_again() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let (served, pair) = troubled("fast", 4_000);
    let slices = pair.metric("tollgate_counters_largest_slice_units");
    println!("fast: served {served} of 4000, slices {slices}");
    assert!((4_000..=4_000 + slices).contains(&served), "{served}, slices {slices}");
}

#[test]
fn a_redis_that_stands_still_holds_up_no_request_for_longer_than_one_question() {
    if !servers::are_there(&["postgres", "redis"]) {
        return;
    }
    let _turn = turn();
    let pair = Pair::start(&json!([{ "requests": 1_000_000, "per": "period" }]), Counting::Shared);
    let subscriber = pair.subscriber();
    let mut client = Client::new(pair.nodes[0].gateway());
    until("served", Duration::from_secs(20), || {
        call(&mut Client::new(pair.nodes[0].gateway()), &subscriber.key) == Fate::Served
    });
    (0..50).for_each(|_| assert_eq!(call(&mut client, &subscriber.key), Fate::Served));
    pair.redis.pause();
    let (mut slowest, mut slow, mut fates) = (Duration::ZERO, 0, (0, 0));
    for _ in 0..2_000 {
        let began = Instant::now();
        match call(&mut client, &subscriber.key) {
            Fate::Served => fates.0 += 1,
            Fate::Unavailable => fates.1 += 1,
            Fate::Exceeded => panic!("only the counters are away"),
        }
        slowest = slowest.max(began.elapsed());
        slow += u32::from(began.elapsed() > Duration::from_millis(60));
    }
    println!(
        "served from the slice {}, refused {}, slow {slow}, slowest {slowest:?}",
        fates.0, fates.1
    );
    // 20 ms for the question; the rest is what a crowded machine takes.
    assert!(fates.0 > 0 && fates.1 > 0, "{fates:?}");
    assert!(
        slow <= 20 && slowest < Duration::from_secs(1),
        "{slow} slow, {slowest:?}"
    );
    pair.redis.resume();
    let back = until("served again", Duration::from_secs(10), || {
        call(&mut Client::new(pair.nodes[0].gateway()), &subscriber.key) == Fate::Served
    });
    println!("served again after {back:?}");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    WaitedFor,
    /// Somebody says that it never comes back: the protection is off.
    GivenUp,
}

/// A gateway is killed with usage that the ledger does not have, and Redis is lost with all that it knew of it.
fn tail(lost: Lost) -> (u64, Fleet, Server, Subscriber) {
    let redis = Server::start("redis");
    let mut fleet = Fleet::start_sharing(2, &json!([{ "requests": 600, "per": "period" }]), &address(&redis));
    let subscriber = fleet.subscriber("acme");
    // Nothing reaches the ledger from here on.
    fleet.metering.signal("STOP");
    let mut client = Client::new(fleet.gateways[0].gateway());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = 0;
    while before < 200 {
        assert!(Instant::now() < deadline, "only {before} served");
        match call(&mut client, &subscriber.key) {
            Fate::Served => before += 1,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    fleet.gateways[0].kill();
    flush(&redis);
    if lost == Lost::GivenUp {
        fleet.api().delete("/gateways/gateway-1");
    }
    let other = [fleet.gateways[1].gateway()];
    let after = rush(&other, &subscriber.key, |served| {
        dries_up(served, Duration::from_secs(6), Duration::from_secs(60));
    });
    (before + after, fleet, redis, subscriber)
}

#[test]
fn the_usage_of_a_killed_gateway_that_is_not_in_the_ledger_is_not_given_away_when_redis_is_lost() {
    if !servers::are_there(&SERVERS) || !servers::are_there(&["redis"]) {
        return;
    }
    let _turn = turn();
    let (served, mut fleet, _redis, subscriber) = tail(Lost::WaitedFor);
    // Without the first gateway nobody knows what it used: the other one gives nothing of a lost strict limit.
    assert_eq!(served, 200);
    fleet.gateways[0].restart();
    // It is there again, and its tail is still not in the ledger.
    let still = rush(&addresses(&fleet.gateways), &subscriber.key, |served| {
        dries_up(served, Duration::from_secs(4), Duration::from_secs(60));
    });
    assert_eq!(still, 0);
    fleet.metering.signal("CONT");
    let rest = rush(&addresses(&fleet.gateways), &subscriber.key, |served| {
        until("the quota is used up", Duration::from_secs(90), || served() >= 400);
        dries_up(served, Duration::from_secs(5), Duration::from_secs(30));
    });
    assert_eq!(rest, 400);
    until("the ledger has all", Duration::from_secs(60), || {
        used(&fleet.portal) == 600
    });
}

/// The control of the test above.
#[test]
fn the_usage_of_a_gateway_that_was_given_up_is_served_again() {
    if !servers::are_there(&SERVERS) || !servers::are_there(&["redis"]) {
        return;
    }
    let _turn = turn();
    let (served, fleet, _redis, _subscriber) = tail(Lost::GivenUp);
    fleet.metering.signal("CONT");
    assert_eq!(served, 200 + 600);
}
