//! Ends that are neither the client's answer nor the upstream's failure: leaving, revocation, drain.

use std::time::Duration;

use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use domain::usage::Source;
use serde_json::json;
use snapshot::source::Change;

use crate::client::head;
use crate::world::{SUBSCRIPTION, Wish, consumer, eventually, key, key_record, subscription, world};

fn limited() -> Wish {
    Wish {
        limits: json!([{ "requests": 100, "per": "period" }, { "concurrency": 10 }]),
        ..Wish::default()
    }
}

#[test]
fn a_client_that_leaves_before_the_answer_is_recorded_and_not_billed() {
    let world = world(&limited());
    let mut conn = world.connect();
    conn.send(head("GET", "/petstore/slow/1500", &[("X-API-Key", key(1).reveal())]).as_bytes());
    eventually("the request", || world.upstream.count() == 1);
    drop(conn);
    eventually("the record", || world.facts().len() == 1);
    let outcome = world.facts()[0].outcome;
    assert_eq!((outcome.source, outcome.status), (Source::Gateway, 499));
    assert!(outcome.client_aborted && !outcome.upstream_answered);
    assert_eq!(
        (world.used("requests/period"), world.used("concurrency")),
        (json!(0), json!(0))
    );
    assert_eq!(world.metrics.usage_events(), 1);
}

#[test]
fn a_client_that_leaves_within_the_answer_is_billed_and_the_upstream_is_let_go() {
    let world = world(&limited());
    let mut conn = world.connect();
    conn.send(head("GET", "/petstore/chunks/400/5", &[("X-API-Key", key(1).reveal())]).as_bytes());
    assert_eq!(conn.read_head().status, 200);
    assert!(conn.read_chunk().unwrap().is_some());
    drop(conn);
    eventually("the record", || world.facts().len() == 1);
    let outcome = world.facts()[0].outcome;
    assert_eq!((outcome.source, outcome.status), (Source::Upstream, 200));
    assert!(outcome.client_aborted && outcome.upstream_answered);
    assert_eq!(
        (world.used("requests/period"), world.used("concurrency")),
        (json!(1), json!(0))
    );
    eventually("the upstream to notice", || world.upstream.aborted() == 1);
    eventually("the count at the socket", || world.metrics.usage_events() == 1);
}

#[test]
fn a_request_body_that_breaks_off_is_not_billed() {
    let world = world(&limited());
    let mut conn = world.connect();
    let fields = [
        ("X-API-Key", key(1).reveal().to_owned()),
        ("Content-Length", "100".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    conn.send(head("POST", "/petstore/pets/1", &fields).as_bytes());
    conn.send(b"only this");
    eventually("the request", || world.upstream.count() == 1);
    drop(conn);
    eventually("the record", || world.facts().len() == 1);
    let fact = &world.facts()[0];
    assert_eq!(
        (fact.outcome.source, fact.outcome.status, fact.bytes_in),
        (Source::Gateway, 499, 9)
    );
    assert_eq!(world.used("requests/period"), 0);
}

#[test]
fn a_revoked_key_is_refused_at_once() {
    let world = world(&limited());
    let mut latencies = Vec::new();
    let mut conn = world.connect();
    let auth = key(1);
    for _ in 0..50 {
        world.change([Change::UpsertKey(key_record(1, 6))]);
        eventually("service", || {
            conn.get("/petstore/pets/1", &[("X-API-Key", auth.reveal())]).status != 401
        });
        let mut revoked = key_record(1, 6);
        revoked.revoked = true;
        world.change([Change::UpsertKey(revoked)]);
        latencies.push(eventually("refusal", || {
            conn.get("/petstore/pets/1", &[("X-API-Key", auth.reveal())]).status == 401
        }));
    }
    latencies.sort();
    let worst = latencies[latencies.len() - 1];
    assert!(worst < Duration::from_millis(100), "{worst:?}");
}

#[test]
fn open_streams_end_within_a_second_when_their_caller_is_no_longer_served() {
    let world = world(&limited());
    let revoked = || {
        let mut record = key_record(1, 6);
        record.revoked = true;
        Change::UpsertKey(record)
    };
    let suspended = || {
        Change::UpsertConsumer(consumer(
            6,
            ConsumerStatus::Suspended,
            vec![subscription(SubscriptionStatus::Active)],
        ))
    };
    let paused = || {
        Change::UpsertConsumer(consumer(
            6,
            ConsumerStatus::Active,
            vec![subscription(SubscriptionStatus::Paused)],
        ))
    };
    let restored = || {
        [
            Change::UpsertKey(key_record(1, 6)),
            Change::UpsertConsumer(consumer(
                6,
                ConsumerStatus::Active,
                vec![subscription(SubscriptionStatus::Active)],
            )),
        ]
    };
    for change in [revoked(), suspended(), paused()] {
        let mut conn = world.connect();
        conn.send(head("GET", "/petstore/chunks/1000/5", &[("X-API-Key", key(1).reveal())]).as_bytes());
        assert_eq!(conn.read_head().status, 200);
        // A change that leaves the caller alone ends nothing.
        world.change(restored());
        for _ in 0..100 {
            assert!(conn.read_chunk().unwrap().is_some());
        }
        world.change([change]);
        let started = std::time::Instant::now();
        while conn.read_chunk().is_ok_and(|chunk| chunk.is_some()) {}
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        world.change(restored());
    }
    let facts = world.facts();
    assert_eq!(facts.len(), 3);
    assert!(
        facts
            .iter()
            .all(|fact| fact.outcome.source == Source::Upstream && fact.subscription == Some(SUBSCRIPTION))
    );
}

#[test]
fn a_drain_finishes_what_is_under_way_and_closes_the_producers() {
    let world = world(&limited());
    let address = world.running.local_addr();
    let mut conn = world.connect();
    conn.send(head("GET", "/petstore/chunks/20/20", &[("X-API-Key", key(1).reveal())]).as_bytes());
    assert_eq!(conn.read_head().status, 200);
    world.running.drain(Duration::from_secs(10));
    let mut chunks = 0;
    while let Some(_chunk) = conn.read_chunk().unwrap() {
        chunks += 1;
    }
    assert_eq!(chunks, 20);
    let crate::world::World { running, journal, .. } = world;
    assert_eq!(running.join(), 0);
    assert!(std::net::TcpStream::connect(address).is_err());
    let producers = journal.producers();
    assert_eq!(producers.len(), 2);
    assert!(
        producers
            .iter()
            .all(|producer| producer.ending == Some(journal::Ending::Orderly)),
        "{producers:?}"
    );
}

#[test]
fn what_is_still_under_way_at_the_end_of_a_drain_is_cut_and_recorded() {
    let world = world(&limited());
    let mut conn = world.connect();
    conn.send(head("GET", "/petstore/chunks/1000/20", &[("X-API-Key", key(1).reveal())]).as_bytes());
    assert_eq!(conn.read_head().status, 200);
    world.running.drain(Duration::from_millis(100));
    while conn.read_chunk().is_ok_and(|chunk| chunk.is_some()) {}
    eventually("the record", || world.facts().len() == 1);
    assert!(world.facts()[0].outcome.client_aborted);
    assert_eq!(world.running.join(), 1);
}
