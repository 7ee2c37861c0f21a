//! Whoever changes a number behind the back of the program is found: whose requests, when, and in which records.

#![expect(clippy::unwrap_used, reason = "in a test a panic is a finding")]

use std::path::Path;
use std::time::Duration;

use analytics::{Analytics, Batch};
use domain::clock::{Clock, Timestamp};
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Outcome, ProducerId, Source, Steps};
use prometheus_client::registry::Registry;
use reconciliation::{Books, Comparison, Hop, Range, Reconciler, Whose, compare};
use sqlx::{Connection as _, SqliteConnection};
use store::ledger::{AnalyticsBatch, BucketKey, Claim, FactSpan, LedgerBatch, ProducerBatch, ProducerRow};
use store::{Location, Store};
use tempfile::TempDir;

const QUARTER_HOUR_MS: i64 = 900_000;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn subscription(number: u128) -> SubscriptionId {
    SubscriptionId::from_bits(number)
}

struct World {
    dir: TempDir,
    books: Books,
}

fn fact(of: SubscriptionId, id: u64, admitted_at: Timestamp) -> Fact {
    Fact {
        request_id: format!("r-{id}"),
        admitted_at,
        account: None,
        consumer: None,
        credential: None,
        subscription: Some(of),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(at("2026-03-01T00:00:00Z")),
        segment: 0,
        product: "p".to_owned(),
        plan: "pro".to_owned(),
        api: "a".to_owned(),
        operation: "op".to_owned(),
        method: "GET".to_owned(),
        path: "/a".to_owned(),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status: 200,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 0,
        bytes_out: 0,
        latency_us: 500,
        steps: Steps::default(),
        quantities: Vec::new(),
        limits: Vec::new(),
        revision: 1,
    }
}

fn bucket(fact: &Fact) -> BucketKey {
    let quarter = fact.admitted_at.as_millis().div_euclid(QUARTER_HOUR_MS) * QUARTER_HOUR_MS;
    BucketKey {
        subscription: fact.subscription.unwrap(),
        period_start: fact.period_start.unwrap(),
        segment: fact.segment,
        plan_version: fact.plan_version,
        meter: REQUESTS.to_owned(),
        mode: fact.mode,
        api: fact.api.clone(),
        operation: fact.operation.clone(),
        outcome: fact.outcome.class_key(),
        bucket: Timestamp::from_millis(quarter),
    }
}

impl World {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Store::open(&Location::Directory(dir.path().to_owned())).await.unwrap();
        store.migrate(at("2026-03-01T00:00:00Z")).await.unwrap();
        let analytics = Analytics::embedded(&dir.path().join("analytics.db")).await.unwrap();
        Self {
            dir,
            books: Books { store, analytics },
        }
    }

    /// Counts facts as metering does, as one batch of a producer; `stored` also stores them in analytics.
    async fn count(&self, producer: u128, first_seq: u64, facts: &[Fact], stored: bool) {
        let (store, producer) = (&self.books.store, ProducerId(producer));
        let row = ProducerRow {
            id: producer,
            node: "edge-1".to_owned(),
            worker: 0,
            first_seen: at("2026-03-01T00:00:00Z"),
            next_seq: 0,
            alive_through: None,
            ended: None,
            owner_epoch: 1,
        };
        store.register_producer(&row).await.unwrap();
        let next_seq = first_seq + facts.len() as u64;
        let mut ledger = LedgerBatch::default();
        for fact in facts {
            let slot = ledger.totals.entry(bucket(fact)).or_default();
            *slot = (slot.0.saturating_add(Quantity::from_units(1)), slot.1 + 1);
        }
        ledger.producers.push(ProducerBatch {
            claim: Claim {
                producer,
                next_seq: first_seq,
                owner_epoch: 1,
            },
            next_seq,
            alive_through: None,
            opened: std::collections::BTreeMap::new(),
            closed: Vec::new(),
            gaps: Vec::new(),
            poison: Vec::new(),
            ended: None,
        });
        let ledger_commit = store
            .commit_usage(&ledger, at("2026-03-20T00:00:00Z"))
            .await
            .unwrap()
            .unwrap();
        if !stored {
            return;
        }
        let batch = Batch {
            ledger_commit,
            producer,
            first_seq,
            next_seq,
            facts: (first_seq..).zip(facts.iter().cloned()).collect(),
            rejections: Vec::new(),
            samples: Vec::new(),
        };
        self.books.analytics.insert(&[batch]).await.unwrap();
        let note = AnalyticsBatch {
            ledger_commit,
            producer,
            first_seq,
            next_seq,
            span: None,
        };
        let span = FactSpan::of(facts.iter().map(|fact| fact.admitted_at));
        store.analytics_done(&[(note, span)]).await.unwrap();
    }

    /// Two subscriptions over ten hours, each batch of a producer ten minutes of both.
    async fn with_traffic() -> Self {
        let world = Self::new().await;
        let start = at("2026-03-15T02:00:00Z");
        for batch in 0..60_u64 {
            let facts: Vec<Fact> = (0..20)
                .map(|n| {
                    let id = batch * 20 + n;
                    let when = start.plus_millis(i64::try_from(batch * 600_000 + n * 29_000).unwrap());
                    fact(subscription(u128::from(n % 2) + 1), id, when)
                })
                .collect();
            world
                .count(u128::from(batch % 3) + 1, batch / 3 * 20, &facts, true)
                .await;
        }
        world
    }

    /// Changes a database as nobody should.
    async fn tamper(&self, file: &str, sql: &'static str) {
        let path = self.dir.path().join(file);
        let mut connection = SqliteConnection::connect(&format!("sqlite://{}", path.display()))
            .await
            .unwrap();
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        assert_eq!(changed, 1, "{sql}");
        connection.close().await.unwrap();
    }

    async fn compare(&self) -> Comparison {
        let range = Range::covering(at("2026-03-15T00:00:00Z"), at("2026-03-16T02:00:00Z"));
        let looks = (3, Duration::from_millis(1));
        let (store, analytics) = (&self.books.store, &self.books.analytics);
        compare((store, analytics), range, &Whose::All, looks).await.unwrap()
    }
}

fn file(name: &str, dir: &Path) -> bool {
    dir.join(name).exists()
}

#[tokio::test]
async fn hops_that_nobody_touched_are_equal() {
    let world = World::with_traffic().await;
    assert!(file("ledger.db", world.dir.path()) && file("analytics.db", world.dir.path()));
    let comparison = world.compare().await;
    for hop in [Hop::Ledger, Hop::Facts, Hop::Rollups, Hop::HourlyRollups] {
        assert_eq!(comparison.look.total(hop).requests, 1_200, "{hop:?}");
    }
    assert_eq!((comparison.differences.len(), comparison.waiting), (0, 0));
}

#[tokio::test]
async fn one_tampered_bucket_of_the_ledger_is_named_by_its_quarter_of_an_hour() {
    let world = World::with_traffic().await;
    let sql = "UPDATE usage_bucket SET units = units + 3 WHERE bucket = 1773556200000 AND meter = 'requests'
        AND subscription = (SELECT MIN(subscription) FROM usage_bucket)";
    world.tamper("ledger.db", sql).await;
    let found = world.compare().await.differences;
    let hops: Vec<Hop> = found.iter().map(|one| one.hop).collect();
    assert_eq!(
        hops,
        [Hop::Facts, Hop::Rollups, Hop::HourlyRollups],
        "all disagree with the ledger: {found:#?}"
    );
    for one in &found {
        assert_eq!(one.subscription_id, subscription(1));
        assert_eq!(
            (one.from, one.to),
            (at("2026-03-15T06:30:00Z"), at("2026-03-15T06:45:00Z"))
        );
        assert_eq!(one.ledger, one.found + 3);
        assert!(one.batches.is_empty(), "no record is missing: {one:#?}");
    }
}

#[tokio::test]
async fn one_dropped_fact_is_named_by_its_producer_and_range() {
    let world = World::with_traffic().await;
    world
        .tamper("analytics.db", "DELETE FROM fact WHERE request_id = 'r-605'")
        .await;
    let found = world.compare().await.differences;
    assert_eq!(found.len(), 1, "{found:#?}");
    let one = &found[0];
    assert_eq!((one.hop, one.subscription_id), (Hop::Facts, subscription(2)));
    assert_eq!(
        (one.from, one.to),
        (at("2026-03-15T07:00:00Z"), at("2026-03-15T07:15:00Z"))
    );
    assert_eq!(one.batches.len(), 1, "{one:#?}");
    let batch = &one.batches[0];
    assert_eq!(batch.producer, ProducerId(1).to_string());
    assert_eq!((batch.from_seq, batch.to_seq), (200, 220));
    assert_eq!((batch.handed, batch.found), (20, 19));
}

#[tokio::test]
async fn one_dropped_row_of_a_roll_up_is_named_by_its_time() {
    let world = World::with_traffic().await;
    let sql = "DELETE FROM rollup WHERE (level, time, dims) IN (SELECT level, time, dims FROM rollup
        WHERE level = 3600 AND time = 1773558000000 ORDER BY dims LIMIT 1)";
    world.tamper("analytics.db", sql).await;
    let found = world.compare().await.differences;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].hop, Hop::HourlyRollups);
    assert_eq!(
        (found[0].from, found[0].to),
        (at("2026-03-15T07:00:00Z"), at("2026-03-15T08:00:00Z"))
    );
}

#[tokio::test]
async fn what_waits_for_analytics_is_no_difference() {
    let world = World::with_traffic().await;
    let late = [fact(subscription(1), 9_000, at("2026-03-15T20:00:00Z"))];
    world.count(9, 0, &late, false).await;
    let comparison = world.compare().await;
    assert_eq!((comparison.differences.len(), comparison.waiting), (0, 1));
    assert_eq!(comparison.look.total(Hop::Ledger).requests, 1_201);
}

#[tokio::test]
async fn whoever_asks_is_answered_by_the_reconciler_and_the_metric_tells() {
    let world = World::with_traffic().await;
    world
        .tamper("analytics.db", "DELETE FROM fact WHERE request_id = 'r-605'")
        .await;
    let now = at("2026-03-15T21:00:00Z");
    let reconciler = Reconciler::start(world.books.clone(), Clock::frozen(now));
    let mut registry = Registry::default();
    reconciler.register(&mut registry);
    let (store, wake) = (&world.books.store, reconciler.waker());
    let patience = Duration::from_secs(60);
    let done = reconciliation::ask(store, "run/1", now, (patience, &wake))
        .await
        .unwrap();
    assert!(done, "nobody reconciled");
    let last = store.last_reconciliation().await.unwrap().unwrap();
    assert_eq!((last.slot.as_str(), last.discrepancy), ("run/1", 1));
    assert!(
        last.report.contains(r#""from_seq":200,"to_seq":220"#),
        "{}",
        last.report
    );
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        if text.contains("billing_discrepancy_units 1") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A slot is reconciled once, by whoever comes first.
    store
        .ask_reconciliation(
            &store::ledger::AskedReconciliation {
                slot: "run/1".to_owned(),
                from: now,
                to: now,
            },
            now,
        )
        .await
        .unwrap();
    assert_eq!(store.claim_reconciliation(now, now).await.unwrap(), None);
}
