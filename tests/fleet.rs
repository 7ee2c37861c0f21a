//! The platform in many processes on PostgreSQL, Kafka and ClickHouse: the stories of the one-process platform hold, and
//! no fault of a process or a server loses a request or counts one twice.

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
use support::chance::{Random, seed, setting};
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

/// What can be killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Gateway,
    Metering,
    Billing,
    Portal,
    Postgres,
    Kafka,
    ClickHouse,
}

const VICTIMS: [Victim; 7] = [
    Victim::Gateway,
    Victim::Metering,
    Victim::Billing,
    Victim::Portal,
    Victim::Postgres,
    Victim::Kafka,
    Victim::ClickHouse,
];

impl Victim {
    /// `kill -9`, and a start after a while.
    fn kill_and_restart(self, fleet: &mut Fleet, loads: &[Load], pause: Duration) {
        match self {
            Self::Gateway => {
                fleet.gateways[0].kill();
                loads[0].killed();
                std::thread::sleep(pause);
                fleet.gateways[0].restart();
            }
            Self::Metering => restart(&mut fleet.metering, pause),
            Self::Billing => restart(&mut fleet.billing, pause),
            Self::Portal => restart(&mut fleet.portal, pause),
            Self::Postgres => restart_server(&fleet.postgres, pause),
            Self::Kafka => restart_server(&fleet.kafka, pause),
            Self::ClickHouse => restart_server(&fleet.clickhouse, pause),
        }
    }
}

fn restart(process: &mut support::platform::Platform, pause: Duration) {
    process.kill();
    std::thread::sleep(pause);
    process.restart();
}

fn restart_server(server: &servers::Server, pause: Duration) {
    server.kill();
    std::thread::sleep(pause);
    server.restart();
}

/// The long run: `TOLLGATE_TEST_ROUNDS=300 cargo test --release --test fleet -- --nocapture`.
#[test]
fn nothing_is_lost_and_nothing_counted_twice_whatever_is_killed() {
    if !servers::are_there(&SERVERS) {
        return;
    }
    let (seed, rounds) = (seed(), setting("TOLLGATE_TEST_ROUNDS", 7));
    let mut random = Random(seed);
    let mut fleet = Fleet::start(2, &json!([{ "requests": QUOTA, "per": "period" }]));
    let subscriber = fleet.subscriber("acme");
    let loads: Vec<_> = (0..2).map(|gateway| load(&fleet, gateway, &subscriber, seed)).collect();
    // Every victim once, in an order of chance; then whatever chance picks.
    let mut order = VICTIMS.to_vec();
    for last in (1..order.len()).rev() {
        order.swap(last, usize::try_from(random.below(last as u64 + 1)).unwrap());
    }
    for round in 0..rounds {
        let victim = match order.pop() {
            Some(victim) => victim,
            None => VICTIMS[usize::try_from(random.below(VICTIMS.len() as u64)).unwrap()],
        };
        println!("round {round}: {victim:?}");
        std::thread::sleep(Duration::from_millis(random.below(500)));
        victim.kill_and_restart(&mut fleet, &loads, Duration::from_millis(200 + random.below(800)));
    }
    for load in &loads {
        load.wait_successes(load.successes() + 50);
    }
    let calls: Vec<Call> = loads.into_iter().flat_map(Load::stop).collect();
    let books = balance(&fleet, &subscriber, &calls);
    println!(
        "{rounds} rounds survived: {} requests, {} facts, {} billed",
        books.calls.len(),
        books.events.len(),
        books.billed()
    );
}
