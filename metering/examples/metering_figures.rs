//! What counting costs: segments of a journal to ledger and roll-ups, on the embedded engines or on servers.
//!
//! `FACTS` (1,000,000) requests of `SUBSCRIPTIONS` (100,000) active subscriptions with 8 operations and 2 meters are written
//! to a journal first; then metering counts them as it does after an outage. `STORE_URL` names a PostgreSQL and
//! `ANALYTICS_URL` a ClickHouse; without them both are files. Printed: events a second, and CPU of this process an event
//! (servers have processes of their own). Nothing here is asserted: the figures move with whatever else the machine does.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement stops at the first surprise"
)]
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures for people")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use analytics::Analytics;
use domain::clock::{Clock, Timestamp};
use domain::ids::{AccountId, ConsumerId, PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, MeterValue, Outcome, Record, Source, Steps};
use journal::{Full, Journal};
use metering::{Metering, Parts};
use store::{Location, Store};
use usage_source::Segments;

const START: i64 = 1_800_000_000_000;
const OPERATIONS: u64 = 8;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn fact(id: u64, (facts, subscriptions): (u64, u64)) -> Fact {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let of = u128::from(mixed % subscriptions + 1);
    // An hour of traffic.
    let at = i64::try_from(id * 3_600_000 / facts).unwrap();
    Fact {
        request_id: format!("bench-{id:016x}"),
        admitted_at: Timestamp::from_millis(START + at),
        account: Some(AccountId::from_bits(of / 4 + 1)),
        consumer: Some(ConsumerId::from_bits(of)),
        credential: None,
        subscription: Some(SubscriptionId::from_bits(of)),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(START)),
        segment: 0,
        product: "petstore".to_owned(),
        plan: "pro".to_owned(),
        api: "petstore".to_owned(),
        operation: format!("operation{}", mixed % OPERATIONS),
        method: "GET".to_owned(),
        path: format!("/petstore/pets/{}", mixed % 10_000),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status: 200,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 0,
        bytes_out: mixed % 20_000,
        latency_us: 500 + mixed % 50_000,
        steps: Steps::default(),
        quantities: vec![MeterValue {
            meter: "tokens".to_owned(),
            quantity: Quantity::from_units(mixed % 100),
            missing: false,
        }],
        limits: Vec::new(),
        revision: 1,
    }
}

fn write(journal: &Journal, size: (u64, u64)) {
    let mut writer = journal.writer(0).unwrap();
    let mut bytes = Vec::new();
    for id in 0..size.0 {
        bytes.clear();
        Record::Fact(Box::new(fact(id, size))).encode(&mut bytes).unwrap();
        let ticket = loop {
            match writer.reserve(bytes.len()) {
                Ok(ticket) => break ticket,
                Err(Full::Preparing) => std::thread::sleep(Duration::from_millis(1)),
                Err(full) => panic!("{full}"),
            }
        };
        writer.append(ticket, &bytes).unwrap();
    }
}

/// CPU that this process has used, user and system.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts in hundredths of a second.
    Duration::from_millis(ticks * 10)
}

#[tokio::main]
async fn main() {
    let size = (number("FACTS", 1_000_000), number("SUBSCRIPTIONS", 100_000));
    let dir = tempfile::tempdir().unwrap();
    let location = match std::env::var("STORE_URL") {
        Ok(url) => Location::parse(&url),
        Err(_) => Location::Directory(dir.path().to_owned()),
    };
    let store = Store::open(&location).await.unwrap();
    store.migrate(Timestamp::from_millis(START)).await.unwrap();
    let analytics = match std::env::var("ANALYTICS_URL") {
        Ok(url) => analytics::open(&url, &analytics::Settings::default()).await.unwrap(),
        Err(_) => Analytics::embedded(&dir.path().join("analytics.db")).await.unwrap(),
    };
    let mut settings = journal::Settings::new(dir.path().join("journal"), Arc::new(|| START)).unwrap();
    settings.max_bytes = 64 << 30;
    let journal = Arc::new(Journal::open(settings).unwrap());
    let (began, used) = (Instant::now(), cpu());
    let writing = Arc::clone(&journal);
    tokio::task::spawn_blocking(move || write(&writing, size))
        .await
        .unwrap();
    let each = |since: Duration, used: Duration| {
        let facts = size.0 as f64;
        format!(
            "{:.0} a second, {:.2} us of CPU each, {:.0} a second a core",
            facts / since.as_secs_f64(),
            used.as_secs_f64() * 1e6 / facts,
            facts / used.as_secs_f64()
        )
    };
    println!("written: {}", each(began.elapsed(), cpu().saturating_sub(used)));
    let (began, used) = (Instant::now(), cpu());
    let metering = Metering::start(Parts {
        store: store.clone(),
        analytics,
        source: Segments::new(Arc::clone(&journal)),
        clock: Clock::frozen(Timestamp::from_millis(START + 3_600_000)),
    });
    metering.currency().caught_up().await.unwrap();
    println!("counted: {}", each(began.elapsed(), cpu().saturating_sub(used)));
    println!(
        "waiting for analytics: {}",
        store.waiting_for_analytics().await.unwrap()
    );
    metering.stop().await;
}
