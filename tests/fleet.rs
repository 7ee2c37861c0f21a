//! The platform in many processes on PostgreSQL, Kafka and ClickHouse: what is answered is counted and billed once whatever
//! is killed or stopped, a revoked key is refused everywhere, a gateway starts from its disk while everything else is down,
//! and who changes a number behind the back of the platform is found.

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
    .pause(Duration::from_millis(20))
    .target(target)
    .start()
}

/// Waits until everything that clients saw is counted, and holds all books against each other.
fn balance(fleet: &Fleet, subscriber: &Subscriber, calls: &[Call]) -> Books {
    let read = || Books::read(&fleet.api(), subscriber, calls.to_vec(), fleet.upstream.served());
    let deadline = Instant::now() + Duration::from_secs(180);
    fleet.quiet(&subscriber.subscription, deadline);
    let mut books = read();
    while !differences(&books).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_secs(2));
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

/// What a fault meets.
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

/// What happens to it.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// `kill -9`, and a start after a while.
    Kill,
    /// SIGSTOP, and SIGCONT after a while: it believes that no time has passed.
    Pause,
}

const FAULTS: [(Victim, Fault); 11] = [
    (Victim::Gateway, Fault::Kill),
    (Victim::Metering, Fault::Kill),
    (Victim::Billing, Fault::Kill),
    (Victim::Portal, Fault::Kill),
    (Victim::Postgres, Fault::Kill),
    (Victim::Kafka, Fault::Kill),
    (Victim::ClickHouse, Fault::Kill),
    (Victim::Gateway, Fault::Pause),
    (Victim::Metering, Fault::Pause),
    (Victim::Billing, Fault::Pause),
    (Victim::Portal, Fault::Pause),
];

impl Victim {
    fn suffer(self, fault: Fault, fleet: &mut Fleet, loads: &[Load], pause: Duration) {
        match self {
            Self::Gateway => {
                if matches!(fault, Fault::Kill) {
                    fleet.gateways[0].kill();
                    loads[0].killed();
                    std::thread::sleep(pause);
                    fleet.gateways[0].restart();
                } else {
                    on_process(&mut fleet.gateways[0], fault, pause);
                }
            }
            Self::Metering => on_process(&mut fleet.metering, fault, pause),
            Self::Billing => on_process(&mut fleet.billing, fault, pause),
            Self::Portal => on_process(&mut fleet.portal, fault, pause),
            Self::Postgres => restart_server(&fleet.postgres, pause),
            Self::Kafka => restart_server(&fleet.kafka, pause),
            Self::ClickHouse => restart_server(&fleet.clickhouse, pause),
        }
    }
}

fn on_process(process: &mut support::platform::Platform, fault: Fault, pause: Duration) {
    match fault {
        Fault::Kill => {
            process.kill();
            std::thread::sleep(pause);
            process.restart();
        }
        Fault::Pause => {
            process.signal("STOP");
            std::thread::sleep(pause);
            process.signal("CONT");
        }
    }
}

fn restart_server(server: &servers::Server, pause: Duration) {
    server.kill();
    std::thread::sleep(pause);
    server.restart();
}

/// Needs more of a machine than two cores: nine processes and three servers start again and again. Therefore only where
/// it is asked for: `TOLLGATE_TEST_ROUNDS=11 cargo test --release --test fleet -- --nocapture` has every fault once.
#[test]
fn nothing_is_lost_and_nothing_counted_twice_whatever_is_killed_or_paused() {
    let rounds = setting("TOLLGATE_TEST_ROUNDS", 0);
    if rounds == 0 {
        println!("skipped: faults of the whole fleet; say TOLLGATE_TEST_ROUNDS=11");
        return;
    }
    if !servers::are_there(&SERVERS) {
        return;
    }
    let seed = seed();
    let mut random = Random(seed);
    let mut fleet = Fleet::start(2, &json!([{ "requests": QUOTA, "per": "period" }]));
    let subscriber = fleet.subscriber("acme");
    let loads: Vec<_> = (0..2).map(|gateway| load(&fleet, gateway, &subscriber, seed)).collect();
    // Every fault once, in an order of chance; then whatever chance picks.
    let mut order = FAULTS.to_vec();
    for last in (1..order.len()).rev() {
        order.swap(last, usize::try_from(random.below(last as u64 + 1)).unwrap());
    }
    for round in 0..rounds {
        let (victim, fault) = match order.pop() {
            Some(next) => next,
            None => FAULTS[usize::try_from(random.below(FAULTS.len() as u64)).unwrap()],
        };
        println!("round {round}: {fault:?} {victim:?}");
        std::thread::sleep(Duration::from_millis(random.below(500)));
        let pause = Duration::from_millis(200 + random.below(800));
        victim.suffer(fault, &mut fleet, &loads, pause);
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

/// Alerts and dashboards speak of metrics that exist.
fn metrics_are_those_of_the_alerts(fleet: &Fleet) {
    let processes = [&fleet.gateways[0], &fleet.portal, &fleet.metering, &fleet.billing];
    let shown: String = processes.iter().map(|process| process.metrics()).collect();
    let ops = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("ops");
    for file in ["prometheus/rules.yml", "grafana/tollgate.json"] {
        let text = std::fs::read_to_string(ops.join(file)).unwrap();
        let names = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
        // Shared counters are shown where Redis is, which this fleet has not.
        let here = |name: &&str| name.starts_with("tollgate_") && !name.starts_with("tollgate_counters_");
        for name in names.filter(here) {
            assert!(
                shown.contains(&format!("\n{name}")),
                "{file} speaks of {name}, which nobody shows"
            );
        }
    }
}

#[test]
fn one_tampered_total_and_one_dropped_fact_are_each_named() {
    if !servers::are_there(&SERVERS) {
        return;
    }
    let fleet = Fleet::start(1, &json!([{ "requests": QUOTA, "per": "period" }]));
    let subscriber = fleet.subscriber("acme");
    let load = load(&fleet, 0, &subscriber, 7);
    load.wait_successes(100);
    let calls = load.stop();
    // Without an invoice: the clock stands where the traffic was.
    let deadline = Instant::now() + Duration::from_secs(180);
    let books = loop {
        fleet.quiet(&subscriber.subscription, deadline);
        let books = Books::read(&fleet.api(), &subscriber, calls.clone(), fleet.upstream.served());
        if differences(&books).is_empty() || Instant::now() >= deadline {
            break books;
        }
    };
    assert_balanced(&books);
    metrics_are_those_of_the_alerts(&fleet);
    let report = fleet.api().get("/reconciliation");
    assert_eq!(report["differences"], json!([]), "nobody touched anything");
    let lost = &books.events[books.events.len() / 2];
    fleet.clickhouse_says(&format!(
        "ALTER TABLE tollgate.fact DELETE WHERE request_id = '{}' SETTINGS mutations_sync = 2",
        lost.request_id
    ));
    let report = fleet.api().get("/reconciliation");
    let found = report["differences"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{report:#}");
    assert_eq!(found[0]["hop"], "facts");
    assert_eq!(found[0]["subscription_id"], subscriber.subscription.as_str());
    assert_eq!(found[0]["batches"][0]["producer"], lost.producer.as_str());
    let [handed, there] = ["handed", "found"].map(|name| found[0]["batches"][0][name].as_u64().unwrap());
    assert_eq!(handed, there + 1);
    fleet.postgres_says(
        "UPDATE usage_bucket SET units = units + 5 WHERE ctid = (SELECT ctid FROM usage_bucket WHERE meter = 'requests' LIMIT 1)",
    );
    let report = fleet.api().get("/reconciliation");
    let found = report["differences"].as_array().unwrap();
    let rollups = found.iter().find(|one| one["hop"] == "rollups").unwrap();
    let [ledger, there] = ["ledger", "found"].map(|name| rollups[name].as_u64().unwrap());
    assert_eq!(ledger, there + 5, "{report:#}");
    // The metering process finds it by itself, too: a billing run has it look.
    let to = jiff::Timestamp::now() + jiff::SignedDuration::from_mins(1);
    let advanced = fleet
        .api()
        .call("POST", "/test-clock/advance", Some(&json!({ "to": to.to_string() })));
    assert!(matches!(advanced.status, 200 | 202), "{}", advanced.text());
    until("the metric tells", Duration::from_secs(60), || {
        fleet.metering.metric("tollgate_billing_discrepancy_units") > 0
    });
}
