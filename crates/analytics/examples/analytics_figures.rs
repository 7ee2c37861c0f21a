//! What insertion and drill-down cost on both engines: rows a second, milliseconds, CPU, and the ratios between them.
//!
//! `FACTS` (200,000) go in as batches of metering would; on ClickHouse they are then multiplied by the server to `ROWS`
//! (10,000,000) raw facts, other producers and other consumers each time, before the questions are asked. Nothing here is
//! asserted: the figures move with whatever else the machine does.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a measurement stops at the first surprise"
)]
#![expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use analytics::testing::{Engines, Server, settings};
use analytics::{Analytics, Batch, Dimension, EventFilter, Evidence, Interval, RecentFilter, UsageQuery, open};
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, MeterValue, Outcome, ProducerId, Source, Steps};

const DAY: i64 = 86_400_000;
const START: i64 = 20_000 * DAY;
const DAYS: i64 = 30;
const BATCH: u64 = 10_000;
const SUBSCRIPTIONS: u64 = 1_000;
const ASKED: u64 = 60;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

fn consumer(id: u64) -> ConsumerId {
    ConsumerId::from_bits(u128::from(id % SUBSCRIPTIONS + 1))
}

fn fact(id: u64, facts: u64) -> Fact {
    let mixed = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let status = if mixed.is_multiple_of(50) { 503 } else { 200 };
    Fact {
        request_id: format!("bench-{id:016x}"),
        admitted_at: Timestamp::from_millis(
            START + i64::try_from(id * u64::try_from(DAYS * DAY).unwrap() / facts).unwrap(),
        ),
        account: Some(AccountId::from_bits(u128::from(mixed % SUBSCRIPTIONS / 4 + 1))),
        consumer: Some(consumer(mixed)),
        credential: None,
        subscription: Some(SubscriptionId::from_bits(u128::from(mixed % SUBSCRIPTIONS + 1))),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(START)),
        segment: 0,
        product: "petstore".to_owned(),
        plan: "pro".to_owned(),
        api: "petstore".to_owned(),
        operation: format!("operation{}", mixed % 8),
        method: "GET".to_owned(),
        path: format!("/petstore/pets/{}", mixed % 10_000),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status,
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

fn batch(number: u64, facts: u64) -> Batch {
    let numbers = number * BATCH..((number + 1) * BATCH).min(facts);
    Batch {
        ledger_commit: number + 1,
        producer: ProducerId(7),
        first_seq: numbers.start,
        next_seq: numbers.end,
        facts: numbers.map(|id| (id, fact(id, facts))).collect(),
        rejections: Vec::new(),
        samples: Vec::new(),
    }
}

/// CPU of a process and those it has waited for, from `/proc/PID/stat`.
fn cpu(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    // Hundredths of a second on every Linux that this runs on.
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

struct Inserted {
    rate: f64,
}

async fn insertion(name: &str, analytics: &Analytics, facts: u64, server: Option<&Server>) -> Inserted {
    let pid = server.map(Server::process).unwrap_or_default();
    let (own, other, mut busy) = (cpu("self"), cpu(&pid), Duration::ZERO);
    for number in 0..facts.div_ceil(BATCH) {
        let batch = batch(number, facts);
        let began = Instant::now();
        analytics.insert(&[batch]).await.unwrap();
        busy += began.elapsed();
    }
    let rate = facts as f64 / busy.as_secs_f64();
    let us = |spent: Duration| spent.as_secs_f64() * 1e6 / facts as f64;
    println!(
        "insert    {name:<10} {rate:>9.0} facts/s in batches of {BATCH}; CPU {:.1} us a fact here (made and inserted), {:.1} us in the server",
        us(cpu("self").saturating_sub(own)),
        us(cpu(&pid).saturating_sub(other)),
    );
    Inserted { rate }
}

/// Median and 95th percentile in milliseconds.
fn percentiles(mut times: Vec<Duration>) -> (f64, f64) {
    times.sort();
    let at = |share: usize| times[(times.len() * share).div_ceil(100).max(1) - 1].as_secs_f64() * 1e3;
    (at(50), at(95))
}

async fn asked(name: &str, question: &str, ask: impl AsyncFn(u64) -> usize) -> f64 {
    let (mut times, mut found) = (Vec::new(), 0);
    for round in 0..ASKED {
        let began = Instant::now();
        found += ask(round).await;
        times.push(began.elapsed());
    }
    assert!(found > 0, "{question} found nothing");
    let (median, p95) = percentiles(times);
    println!("drill     {name:<10} {question:<46} p50 {median:>8.1} ms   p95 {p95:>8.1} ms");
    p95
}

fn range(round: u64, days: i64) -> (Timestamp, Timestamp) {
    let from = START + i64::try_from(round).unwrap() % (DAYS - days).max(1) * DAY;
    (Timestamp::from_millis(from), Timestamp::from_millis(from + days * DAY))
}

async fn questions(name: &str, analytics: &Analytics, facts: u64) -> Vec<f64> {
    let any = |_: &Outcome| true;
    let mut p95 = Vec::new();
    p95.push(
        asked(name, "the requests behind an invoice line, 50", async |round| {
            let evidence = Evidence {
                subscription: SubscriptionId::from_bits(u128::from(round * 7 % SUBSCRIPTIONS + 1)),
                period_start: Timestamp::from_millis(START),
                segment: Some(0),
                meter: "requests".to_owned(),
                after_commit: 0,
                through_commit: u64::MAX / 4,
            };
            analytics.evidence(&evidence, &any, None, 50).await.unwrap().items.len()
        })
        .await,
    );
    p95.push(
        asked(name, "an app's last 50 failures of 30 days", async |round| {
            let filter = RecentFilter {
                consumers: vec![consumer(round * 7)],
                from: range(0, DAYS).0,
                to: range(0, DAYS).1,
                mode: Mode::Live,
                status: Some((500, 599)),
                path: None,
            };
            analytics.recent(&filter, None, 50).await.unwrap().items.len()
        })
        .await,
    );
    p95.push(
        asked(name, "an organisation's first 100 requests of a day", async |round| {
            let (from, to) = range(round, 1);
            let account = Some(AccountId::from_bits(u128::from(round % 250 + 1)));
            let filter = EventFilter {
                from,
                to,
                account,
                consumer: None,
                subscription: None,
                mode: Mode::Live,
            };
            analytics.events(&filter, None, 100).await.unwrap().items.len()
        })
        .await,
    );
    p95.push(
        asked(name, "one request by its id", async |round| {
            analytics
                .request(&format!("bench-{:016x}", round * facts / ASKED))
                .await
                .unwrap()
                .len()
        })
        .await,
    );
    p95.push(
        asked(name, "30 days of an app by operation and day", async |round| {
            let (from, to) = range(0, DAYS);
            let mut query = UsageQuery {
                from,
                to,
                interval: Interval::Day,
                group_by: vec![Dimension::Operation],
                filter: BTreeMap::new(),
                mode: Mode::Live,
                meter: "tokens".to_owned(),
            };
            query
                .filter
                .insert(Dimension::Consumer, consumer(round * 7).to_string());
            analytics.usage(&query, &any).await.unwrap().len()
        })
        .await,
    );
    p95
}

/// Copies of what is there, by the server itself, until there are `rows`.
async fn multiply(server: &Server, database: &str, facts: u64, rows: u64) {
    let url = format!("http://127.0.0.1:{}", server.port());
    let client = ::clickhouse::Client::default().with_url(url).with_database(database);
    let began = Instant::now();
    for copy in 1..rows.div_ceil(facts) {
        let sql = format!(
            "INSERT INTO fact SELECT producer + {copy} AS producer, seq, ledger_commit, event_time,
                 concat(request_id, '-{copy}') AS request_id, account, consumer, subscription, period_start, api,
                 operation, mode, status, outcome, record FROM fact WHERE producer = 7"
        );
        client.query(&sql).execute().await.unwrap();
    }
    let count: u64 = client.query("SELECT count() FROM fact").fetch_one().await.unwrap();
    let size: u64 = client
        .query("SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'fact'")
        .fetch_one()
        .await
        .unwrap();
    println!(
        "multiplied to {count} raw facts in {:.0} s, {:.0} bytes each on disk",
        began.elapsed().as_secs_f64(),
        size as f64 / count as f64
    );
}

#[tokio::main]
async fn main() {
    let (facts, rows) = (number("FACTS", 200_000), number("ROWS", 10_000_000));
    let files = Engines::Files(tempfile::tempdir().unwrap());
    let embedded = files.make().await;
    let on_file = insertion("embedded", &embedded, facts, None).await;
    let small = questions("embedded", &embedded, facts).await;
    let Some(server) = Server::start() else { return };
    let clickhouse = open(&server.url("figures"), &settings()).await.unwrap();
    let on_server = insertion("clickhouse", &clickhouse, facts, Some(&server)).await;
    let same = questions("clickhouse", &clickhouse, facts).await;
    println!(
        "ratio     ClickHouse inserts at {:.2} of the embedded engine's rate",
        on_server.rate / on_file.rate
    );
    for (ours, theirs) in same.iter().zip(&small) {
        println!(
            "ratio     p95 at {facts} facts: {:.2} of the embedded engine's",
            ours / theirs
        );
    }
    multiply(&server, "figures", facts, rows).await;
    let large = questions("clickhouse", &clickhouse, facts).await;
    for (large, small) in large.iter().zip(&same) {
        println!("ratio     p95 at {rows} facts: {:.2} of that at {facts}", large / small);
    }
}
