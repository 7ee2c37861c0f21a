//! The platform in many processes on PostgreSQL, Kafka and ClickHouse: what is answered is counted and billed once, a
//! revoked key is refused everywhere, and a gateway starts from its disk while everything else is down.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::api::{Subscriber, text};
use support::books::{Books, assert_balanced, differences};
use support::chance::Random;
use support::fleet::{Fleet, SERVERS, status, until};
use support::invoices;
use support::load::{Call, Load, Plan};
use support::servers;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

const QUOTA: u64 = 1_000_000_000;

fn load(fleet: &Fleet, gateway: usize, subscriber: &Subscriber, seed: u64) -> Load {
    let target = |random: &mut Random| match random.below(6) {
        0 => "/echo/things?delay=30".to_owned(),
        1 => "/echo/things?status=503".to_owned(),
        2 => "/echo/things?status=404".to_owned(),
        _ => "/echo/things".to_owned(),
    };
    Plan::new(
        fleet.gateways[gateway].gateway(),
        &subscriber.key,
        &format!("g{gateway}"),
    )
    .connections(4)
    .seed(seed)
    .pause(Duration::from_millis(3))
    .target(target)
    .start()
}

/// Waits until everything that clients saw is counted, and holds all books against each other.
fn balance(fleet: &Fleet, subscriber: &Subscriber, calls: &[Call]) -> Books {
    let read = || Books::read(&fleet.api(), subscriber, calls.to_vec(), fleet.upstream.served());
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut books = read();
    while !differences(&books).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
        books = read();
    }
    books.invoiced = Some(invoices::billed_requests(&fleet.api(), subscriber));
    assert_balanced(&books);
    books
}

#[test]
fn two_gateways_serve_meter_and_bill_as_one_platform() {
    if !servers::are_there(&SERVERS) {
        return;
    }
    let mut fleet = Fleet::start(2, &json!([{ "requests": QUOTA, "per": "period" }]));
    let subscriber = fleet.subscriber("acme");
    let loads: Vec<_> = (0..2).map(|gateway| load(&fleet, gateway, &subscriber, 7)).collect();
    loads.iter().for_each(|load| load.wait_successes(200));
    let calls: Vec<Call> = loads.into_iter().flat_map(Load::stop).collect();
    balance(&fleet, &subscriber, &calls);
    let nodes = fleet.api().get("/gateways");
    let names: Vec<_> = nodes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| text(&node["node"]))
        .collect();
    assert_eq!(names, ["gateway-1", "gateway-2"]);
    // A revoked key is refused everywhere within a second.
    let path = format!("/consumers/{}/credentials", subscriber.consumer);
    let made = fleet.api().post(&path, json!({ "type": "api_key" }));
    let key = text(&made["secret"]);
    for gateway in &fleet.gateways {
        until("the key works", Duration::from_secs(5), || status(gateway, &key) == 200);
    }
    fleet.api().delete(&format!("{path}/{}", text(&made["id"])));
    let began = Instant::now();
    for gateway in &fleet.gateways {
        until("the key is refused", Duration::from_secs(5), || {
            status(gateway, &key) == 401
        });
    }
    println!("revoked everywhere after {} ms", began.elapsed().as_millis());
    // With everything else down, a gateway starts from its disk and serves.
    fleet.portal.kill();
    fleet.metering.kill();
    fleet.billing.kill();
    fleet.postgres.kill();
    fleet.kafka.kill();
    fleet.clickhouse.kill();
    let mut gateway = fleet.gateways.pop().unwrap();
    gateway.kill();
    gateway.restart();
    assert_eq!(status(&gateway, &subscriber.key), 200);
    assert_eq!(status(&gateway, &key), 401);
}
