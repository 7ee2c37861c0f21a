//! What is not billed returns to the quota it came from, and to no other.
//!
//! A larger run: `TOLLGATE_TEST_QUOTA=20000 cargo test --release --test returns -- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::api::{Subscriber, text};
use support::books::{Books, Event, assert_balanced, events, quota};
use support::chance::{seed, setting};
use support::client::Client;
use support::load::Plan;
use support::platform::Settings;
use support::world::World;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits(max: u64) -> Value {
    json!([{ "requests": max, "per": "period" }])
}

/// The quota as the gateway's own counters have it: used and remaining.
fn at_the_gateway(world: &World, key: &str) -> (u64, u64) {
    let answer = Client::new(world.platform.gateway())
        .get("/.tollgate/usage", &[("X-API-Key", key)])
        .unwrap();
    let usage: Value = serde_json::from_slice(&answer.body).unwrap();
    let limit = &usage["subscriptions"][0]["limits"][0];
    (limit["used"].as_u64().unwrap(), limit["remaining"].as_u64().unwrap())
}

#[test]
fn half_of_the_answers_are_503_and_what_is_left_is_max_less_billed() {
    let (seed, max) = (seed(), setting("TOLLGATE_TEST_QUOTA", 1_000));
    let world = World::start(&limits(max));
    let subscriber = world.subscriber("acme");
    let plan = || {
        Plan::new(world.platform.gateway(), &subscriber.key, "r")
            .pause(Duration::ZERO)
            .target(|random| match random.below(4) {
                0 | 1 => "/echo/things?status=503".to_owned(),
                2 => "/echo/things?status=404".to_owned(),
                _ => "/echo/things".to_owned(),
            })
    };
    let mut calls = plan().seed(seed).calls(i64::try_from(max).unwrap()).start().join();
    let books = Books::read(&world.api(), &subscriber, calls.clone(), world.upstream.served());
    let billed = books.billed();
    println!("{max} calls, {billed} billed");
    assert!(billed > max / 4 && billed < max * 3 / 4);
    assert_eq!(quota(&world.api(), &subscriber.subscription), (billed, max - billed));
    assert_eq!(at_the_gateway(&world, &subscriber.key), (billed, max - billed));
    assert_balanced(&books);
    // To the end: the last unit is reserved and returned until an answer takes it.
    let mut rest = plan();
    rest.prefix = "s".to_owned();
    calls.extend(
        rest.seed(seed ^ 1)
            .calls(i64::try_from(3 * max).unwrap())
            .start()
            .join(),
    );
    let books = Books::read(&world.api(), &subscriber, calls, world.upstream.served());
    assert_eq!(books.billed(), max, "all of it is used, and no more");
    assert!(books.calls.iter().any(|call| call.problem() == "quota-exceeded"));
    assert_eq!(at_the_gateway(&world, &subscriber.key), (max, 0));
    assert_balanced(&books);
}

fn call(world: &World, subscriber: &Subscriber, id: &str, target: &str) -> u16 {
    let authorization = format!("Bearer {}", subscriber.key);
    let mut client = Client::new(world.platform.gateway());
    client
        .get(target, &[("Authorization", &authorization), ("X-Request-Id", id)])
        .unwrap()
        .status
}

fn shift(time: &str, millis: i64) -> String {
    (time.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_millis(millis)).to_string()
}

fn freeze_at(world: &World, to: &str) {
    world
        .api()
        .post("/test-clock/advance", json!({ "to": to, "freeze": true }));
}

/// A slow answer with this status is under way while the period turns; three requests follow in the new period. What
/// the gateway and the ledger then say is used of the new one.
fn slow_answer_over_the_turn(status: u16) -> (World, Subscriber, u64) {
    let world = World::start_with(&limits(10), Settings::with_test_clock);
    let subscriber = world.subscriber("acme");
    let period = world.api().get(&format!("/subscriptions/{}", subscriber.subscription))["current_period"].clone();
    let end = text(&period["end"]);
    freeze_at(&world, &shift(&end, -1));
    let used = std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            call(
                &world,
                &subscriber,
                "slow",
                &format!("/echo/things?status={status}&delay=1500"),
            )
        });
        while world.upstream.served().is_empty() && !slow.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(
            at_the_gateway(&world, &subscriber.key).0,
            1,
            "reserved in the old period"
        );
        freeze_at(&world, &end);
        assert_eq!(
            at_the_gateway(&world, &subscriber.key),
            (0, 10),
            "the new period begins with nothing used"
        );
        (0..3).for_each(|n| assert_eq!(call(&world, &subscriber, &format!("new{n}"), "/echo/things"), 200));
        assert!(!slow.is_finished(), "the slow answer came before the turn");
        assert_eq!(slow.join().unwrap(), status);
        at_the_gateway(&world, &subscriber.key).0
    });
    assert_eq!(
        quota(&world.api(), &subscriber.subscription),
        (used, 10 - used),
        "ledger and gateway agree"
    );
    (world, subscriber, used)
}

fn in_period<'a>(events: &'a [Event], start: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.period_start == start).collect()
}

#[test]
fn a_503_that_ends_after_the_period_turned_leaves_the_new_period_untouched() {
    let (world, subscriber, used) = slow_answer_over_the_turn(503);
    assert_eq!(used, 3, "nothing was given to the new period");
    let events = events(&world.api(), &subscriber.subscription);
    let slow = events.iter().find(|event| event.request_id == "slow").unwrap();
    assert_eq!((slow.status, slow.billable), (503, false));
    assert_eq!(in_period(&events, &slow.period_start).len(), 1);
    let rest = events
        .iter()
        .filter(|event| event.period_start != slow.period_start && event.billable);
    assert_eq!(rest.count(), 3);
}

/// The control: the same answer counts, and counts in the old period, when it is a success.
#[test]
fn a_success_that_ends_after_the_period_turned_is_billed_to_the_period_of_its_admission() {
    let (world, subscriber, used) = slow_answer_over_the_turn(200);
    assert_eq!(used, 3);
    let events = events(&world.api(), &subscriber.subscription);
    let slow = events.iter().find(|event| event.request_id == "slow").unwrap();
    assert!(slow.billable);
    assert_eq!(in_period(&events, &slow.period_start).len(), 1);
}

/// The control: within one period the same 503 gives its unit back when it ends.
#[test]
fn a_503_holds_its_unit_until_it_ends() {
    let world = World::start(&limits(10));
    let subscriber = world.subscriber("acme");
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| call(&world, &subscriber, "slow", "/echo/things?status=503&delay=400"));
        while world.upstream.served().is_empty() && !slow.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(at_the_gateway(&world, &subscriber.key), (1, 9));
        assert_eq!(slow.join().unwrap(), 503);
    });
    assert_eq!(at_the_gateway(&world, &subscriber.key), (0, 10));
    assert_eq!(quota(&world.api(), &subscriber.subscription), (0, 10));
}

/// Sends a request, reads so much of the answer and leaves.
fn leave(world: &World, subscriber: &Subscriber, id: &str, target: &str, read: usize) {
    let mut stream = TcpStream::connect(world.platform.gateway()).unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nX-API-Key: {}\r\nX-Request-Id: {id}\r\n\r\n",
        subscriber.key
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut bytes = vec![0; read];
    stream.read_exact(&mut bytes).unwrap();
    let served = || world.upstream.served().iter().any(|served| served == id);
    while !served() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for_events(world: &World, subscriber: &Subscriber, count: usize) -> Vec<Event> {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let events = events(&world.api(), &subscriber.subscription);
        if events.len() >= count {
            return events;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "{} of {count} facts: {events:?}",
            events.len()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_client_that_leaves_pays_only_when_the_upstream_had_answered() {
    let world = World::start(&limits(100));
    let subscriber = world.subscriber("acme");
    leave(&world, &subscriber, "before", "/echo/things?delay=700", 0);
    leave(&world, &subscriber, "after", "/echo/things?chunks=50&gap=100", 15);
    let events = wait_for_events(&world, &subscriber, 2);
    let of = |id: &str| events.iter().find(|event| event.request_id == id).unwrap();
    let (before, after) = (of("before"), of("after"));
    assert_eq!(
        (before.status, before.billable, before.client_aborted),
        (499, false, true)
    );
    assert_eq!((after.status, after.billable, after.client_aborted), (200, true, true));
    assert_eq!(quota(&world.api(), &subscriber.subscription), (1, 99));
    assert_eq!(at_the_gateway(&world, &subscriber.key), (1, 99));
}

#[test]
fn answers_that_blame_the_client_are_billed_and_those_that_blame_the_server_are_not() {
    let world = World::start(&limits(100));
    let subscriber = world.subscriber("acme");
    let statuses = [
        200, 201, 301, 304, 400, 401, 404, 409, 422, 429, 499, 500, 502, 503, 504, 599,
    ];
    for status in statuses {
        assert_eq!(
            call(
                &world,
                &subscriber,
                &format!("s{status}"),
                &format!("/echo/things?status={status}")
            ),
            status
        );
    }
    let events = events(&world.api(), &subscriber.subscription);
    assert_eq!(events.len(), statuses.len());
    for event in &events {
        assert_eq!(event.billable, event.status < 500, "{event:?}");
    }
    let billed = events.iter().filter(|event| event.billable).count() as u64;
    assert_eq!(quota(&world.api(), &subscriber.subscription), (billed, 100 - billed));
    assert_eq!(at_the_gateway(&world, &subscriber.key), (billed, 100 - billed));
}
