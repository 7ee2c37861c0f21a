//! Changes under load: applies lose no request and reset no limit, a revoked key is refused at once, SIGTERM drains.
//!
//! A longer run: `TOLLGATE_TEST_APPLIES=1000 TOLLGATE_TEST_REVOCATIONS=1000 cargo test --release --test applies --
//! --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Subscriber;
use support::books::{Books, assert_balanced, quota};
use support::chance::{seed, setting};
use support::client::Client;
use support::load::Plan;
use support::world::World;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits() -> Value {
    json!([{ "requests": 1_000_000, "per": "period" }])
}

/// Every step has other numbers, another title and another API. The plan `narrow` has a limit that a test uses up.
fn configuration(world: &World, step: u64) -> Value {
    let mut configuration = world.configuration(&json!([
        { "requests": 1_000_000 + step, "per": "period" },
        { "requests": 100_000 + step, "per": "second", "algorithm": "token_bucket", "burst": 100_000 },
        { "concurrency": 100 },
    ]));
    configuration["products"][0]["title"] = json!(format!("Echo {step}"));
    configuration["apis"].as_array_mut().unwrap().push(json!({
        "name": format!("extra-{}", step % 5),
        "base_path": format!("/extra-{}", step % 5),
        "upstream": { "targets": [{ "url": world.upstream.url }] },
    }));
    let narrow = json!([{ "requests": 20, "per": "day" }, { "requests": 1_000 + step, "per": "period" }]);
    let mut plan = configuration["products"][0]["plans"][0].clone();
    plan["name"] = json!("narrow");
    plan["limits"] = narrow;
    configuration["products"][0]["plans"].as_array_mut().unwrap().push(plan);
    configuration
}

fn status(world: &World, key: &str) -> (u16, String) {
    let answer = Client::new(world.platform.gateway())
        .get("/echo/things", &[("X-API-Key", key)])
        .unwrap();
    (answer.status, answer.problem())
}

#[test]
fn applies_under_load_fail_no_request_and_reset_no_limit() {
    let (seed, applies) = (seed(), setting("TOLLGATE_TEST_APPLIES", 50));
    let world = World::start(&limits());
    let api = world.api();
    api.put("/config", configuration(&world, 0));
    let subscriber = world.subscriber("acme");
    let narrow = world.subscriber_of("narrow", "narrow");
    (0..20).for_each(|_| assert_eq!(status(&world, &narrow.key).0, 200));
    assert_eq!(status(&world, &narrow.key), (429, "rate-limited".to_owned()));
    let load = Plan::new(world.platform.gateway(), &subscriber.key, "a")
        .seed(seed)
        .pause(Duration::from_millis(4))
        .start();
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    for step in 1..=applies {
        let apply = Instant::now();
        let answer = api.put("/config", configuration(&world, step));
        assert_eq!(answer["changed"], true, "{answer}");
        slowest = slowest.max(apply.elapsed());
        assert_eq!(
            status(&world, &narrow.key),
            (429, "rate-limited".to_owned()),
            "apply {step} reset a limit"
        );
    }
    let under_applies = load.successes();
    load.wait_successes(under_applies + 100);
    let books = Books::read(&api, &subscriber, load.stop(), world.upstream.served());
    let failed: Vec<_> = books.calls.iter().filter(|call| !call.is_success()).collect();
    println!(
        "{applies} applies in {} ms, slowest {} ms; {} requests, {} failed",
        began.elapsed().as_millis(),
        slowest.as_millis(),
        books.calls.len(),
        failed.len()
    );
    assert!(failed.is_empty(), "{:#?}", &failed[..failed.len().min(5)]);
    assert!(under_applies > applies, "there was no load");
    let (used, remaining) = quota(&api, &subscriber.subscription);
    assert_eq!(
        (used, used + remaining),
        (books.calls.len() as u64, 1_000_000 + applies)
    );
    let mut own = books;
    own.served.retain(|id| id.starts_with("a-"));
    assert_balanced(&own);
}

/// How long a key works after the answer to its revocation began to be awaited.
fn revoke_and_wait(world: &World, subscriber: &Subscriber) -> Duration {
    let path = format!(
        "/consumers/{}/credentials/{}",
        subscriber.consumer, subscriber.credential
    );
    let mut client = Client::new(world.platform.gateway());
    let mut ask = || client.get("/echo/things", &[("X-API-Key", &subscriber.key)]).unwrap();
    assert_eq!(ask().status, 200);
    world.api().delete(&path);
    let revoked = Instant::now();
    loop {
        let answer = ask();
        if answer.status == 401 {
            assert_eq!(answer.problem(), "invalid-credentials");
            return revoked.elapsed();
        }
        assert!(
            revoked.elapsed() < Duration::from_secs(1),
            "a revoked key works after a second"
        );
    }
}

#[test]
fn a_revoked_key_is_refused_at_once() {
    let (seed, revocations) = (seed(), setting("TOLLGATE_TEST_REVOCATIONS", 100));
    let world = World::start(&limits());
    let busy = world.subscriber("busy");
    let load = Plan::new(world.platform.gateway(), &busy.key, "b")
        .seed(seed)
        .connections(8)
        .start();
    let leavers: Vec<_> = (0..revocations)
        .map(|n| world.subscriber(&format!("leaver{n}")))
        .collect();
    let mut took: Vec<_> = leavers
        .iter()
        .map(|subscriber| revoke_and_wait(&world, subscriber))
        .collect();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)].as_micros();
    println!(
        "{revocations} revocations, refused after: p50 {} us, p99 {} us, worst {} us",
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < 100_000, "p99 within 100 ms");
    assert!(
        load.stop().iter().all(support::load::Call::is_success),
        "others are not touched"
    );
}

#[test]
fn a_stream_of_a_revoked_key_ends_within_a_second() {
    let world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let streamed = std::thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let began = Instant::now();
            let mut client = Client::new(world.platform.gateway());
            let answer = client.get("/echo/things?chunks=100&gap=100", &[("X-API-Key", &subscriber.key)]);
            (answer.is_err(), began.elapsed())
        });
        std::thread::sleep(Duration::from_millis(300));
        world.api().delete(&format!(
            "/consumers/{}/credentials/{}",
            subscriber.consumer, subscriber.credential
        ));
        stream.join().unwrap()
    });
    println!("the stream was cut after {} ms", streamed.1.as_millis());
    assert!(streamed.0 && streamed.1 < Duration::from_secs(3), "{streamed:?}");
}

#[test]
fn sigterm_lets_requests_in_flight_finish_and_takes_no_more() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let slow = Plan::new(world.platform.gateway(), &subscriber.key, "slow")
        .connections(8)
        .calls(8);
    let slow = slow.target(|_| "/echo/things?delay=1500".to_owned()).start();
    while world.upstream.served().len() < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let began = Instant::now();
    world.platform.signal("TERM");
    let gateway = world.platform.gateway();
    while std::net::TcpStream::connect_timeout(&gateway, Duration::from_secs(1)).is_ok() {
        assert!(
            began.elapsed() < Duration::from_millis(1_200),
            "new connections are taken while it drains"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let refused_after = began.elapsed();
    assert!(world.platform.is_alive(), "it ended before its requests");
    let calls = slow.join();
    assert!(calls.iter().all(support::load::Call::is_success), "{calls:?}");
    let ended = world.platform.wait();
    println!(
        "no new connection {} ms after SIGTERM, the end after {} ms: {ended}",
        refused_after.as_millis(),
        began.elapsed().as_millis()
    );
    assert_eq!(ended.code(), Some(0));
    world.platform.restart();
    assert_balanced(&Books::read(&world.api(), &subscriber, calls, world.upstream.served()));
    assert_eq!(world.metric("tollgate_usage_gaps_total"), 0);
}

/// The control: `kill -9` lets nothing finish.
#[test]
fn without_a_drain_requests_in_flight_are_cut() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let slow = Plan::new(world.platform.gateway(), &subscriber.key, "slow")
        .connections(8)
        .calls(8);
    let slow = slow.target(|_| "/echo/things?delay=1500".to_owned()).start();
    while world.upstream.served().len() < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    world.platform.kill();
    std::thread::sleep(Duration::from_millis(50));
    assert!(slow.stop().iter().all(|call| !call.is_success()));
}
