//! The way from journal to ledger to analytics on real files, with crashes between its steps.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use analytics::{Analytics, Interval, UsageQuery};
use domain::clock::{Clock, Timestamp};
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use domain::usage::{Fact, Kind, Open, Outcome, Record, RejectionCount, Source, Steps};
use journal::{Journal, Settings, Writer};
use metering::{Metering, Parts};
use store::{Location, Store};
use usage_source::Segments;

const PERIOD: i64 = 1_800_000_000_000;

fn fact(id: u64) -> Fact {
    Fact {
        request_id: format!("r-{id}"),
        admitted_at: Timestamp::from_millis(PERIOD + i64::try_from(id).unwrap()),
        account: None,
        consumer: None,
        credential: None,
        subscription: Some(SubscriptionId::from_bits(3)),
        plan_version: PlanVersionId::from_bits(4),
        period_start: Some(Timestamp::from_millis(PERIOD)),
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

fn write(writer: &mut Writer, record: &Record) {
    let mut bytes = Vec::new();
    record.encode(&mut bytes).unwrap();
    writer.append_unreserved(&bytes).unwrap();
}

fn write_facts(writer: &mut Writer, ids: std::ops::Range<u64>) {
    for id in ids {
        write(writer, &Record::Fact(Box::new(fact(id))));
    }
}

async fn journal(dir: &Path) -> Arc<Journal> {
    let mut settings = Settings::new(dir.join("journal"), Arc::new(|| PERIOD)).unwrap();
    settings.segment_bytes = 64 << 10;
    // A task that was cut off lets go of the folder a moment later.
    for _ in 0..100 {
        match Journal::open(settings.clone()) {
            Err(journal::Error::Locked(_)) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            opened => return Arc::new(opened.unwrap()),
        }
    }
    panic!("the folder stays locked");
}

async fn databases(dir: &Path) -> (Store, Analytics) {
    let store = Store::open(&Location::Directory(dir.to_owned())).await.unwrap();
    store.migrate(Timestamp::from_millis(PERIOD)).await.unwrap();
    (store, Analytics::embedded(&dir.join("analytics.db")).await.unwrap())
}

fn start(store: &Store, analytics: &Analytics, journal: &Arc<Journal>) -> Metering {
    Metering::start(Parts {
        store: store.clone(),
        analytics: analytics.clone(),
        source: Segments::new(Arc::clone(journal)),
        clock: Clock::frozen(Timestamp::from_millis(PERIOD + 1_000_000)),
    })
}

async fn ledger_count(store: &Store) -> Quantity {
    let totals = store
        .period_totals(SubscriptionId::from_bits(3), Timestamp::from_millis(PERIOD), Mode::Live)
        .await
        .unwrap();
    totals
        .totals
        .iter()
        .filter(|total| total.meter == REQUESTS)
        .map(|total| total.quantity)
        .sum()
}

fn everything() -> UsageQuery {
    UsageQuery {
        from: Timestamp::from_millis(PERIOD - 1),
        to: Timestamp::from_millis(PERIOD + 86_400_000),
        interval: Interval::Whole,
        group_by: Vec::new(),
        filter: BTreeMap::new(),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    }
}

async fn analytics_count(analytics: &Analytics) -> u64 {
    let rows = analytics.usage(&everything(), &|_| true).await.unwrap();
    rows.iter().map(|row| row.requests).sum()
}

async fn analytics_rejected(analytics: &Analytics) -> u64 {
    let rows = analytics.usage(&everything(), &|_| true).await.unwrap();
    rows.iter().map(|row| row.rejected).sum()
}

#[tokio::test]
async fn whoever_asks_to_be_current_sees_everything_written_before() {
    let dir = tempfile::tempdir().unwrap();
    let (store, analytics) = databases(dir.path()).await;
    let journal = journal(dir.path()).await;
    let metering = start(&store, &analytics, &journal);
    let mut writer = journal.writer(0).unwrap();
    for round in 1..=5 {
        write_facts(&mut writer, (round - 1) * 100..round * 100);
        metering.currency().caught_up().await.unwrap();
        assert_eq!(ledger_count(&store).await, Quantity::from_units(round * 100));
        assert_eq!(analytics_count(&analytics).await, round * 100);
    }
    metering.stop().await;
}

#[tokio::test]
async fn a_start_in_the_middle_counts_every_record_once() {
    let dir = tempfile::tempdir().unwrap();
    let (store, analytics) = databases(dir.path()).await;
    for round in 0..4_u64 {
        let journal = journal(dir.path()).await;
        let mut writer = journal.writer(0).unwrap();
        write_facts(&mut writer, round * 500..round * 500 + 250);
        let metering = start(&store, &analytics, &journal);
        metering.currency().caught_up().await.unwrap();
        write_facts(&mut writer, round * 500 + 250..round * 500 + 500);
        if round % 2 == 0 {
            // Nothing is counted after this; the next round finds the rest in the journal.
            drop(metering);
        } else {
            metering.stop().await;
        }
        drop(writer);
        drop(journal);
    }
    let journal = journal(dir.path()).await;
    let metering = start(&store, &analytics, &journal);
    metering.currency().caught_up().await.unwrap();
    assert_eq!(ledger_count(&store).await, Quantity::from_units(2_000));
    assert_eq!(analytics_count(&analytics).await, 2_000);
    assert!(
        store
            .producers()
            .await
            .unwrap()
            .iter()
            .filter(|row| row.ended.is_some())
            .count()
            >= 4
    );
    metering.stop().await;
}

#[tokio::test]
async fn a_batch_that_analytics_missed_is_inserted_from_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (store, analytics) = databases(dir.path()).await;
    let journal = journal(dir.path()).await;
    let mut writer = journal.writer(0).unwrap();
    write_facts(&mut writer, 0..300);
    // Analytics is away: the ledger counts all the same.
    analytics.close().await;
    let metering = start(&store, &analytics, &journal);
    for _ in 0..100 {
        if ledger_count(&store).await == Quantity::from_units(300) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(ledger_count(&store).await, Quantity::from_units(300));
    assert!(!store.pending_analytics(10).await.unwrap().is_empty());
    drop(metering);
    let analytics = Analytics::embedded(&dir.path().join("analytics.db")).await.unwrap();
    let metering = start(&store, &analytics, &journal);
    metering.currency().caught_up().await.unwrap();
    assert_eq!(analytics_count(&analytics).await, 300);
    assert_eq!(ledger_count(&store).await, Quantity::from_units(300));
    assert!(store.pending_analytics(10).await.unwrap().is_empty());
    metering.stop().await;
}

fn refusals(count: u64) -> Record {
    Record::Rejections(vec![RejectionCount {
        reason: "rate-limited".to_owned(),
        api: "a".to_owned(),
        operation: "op".to_owned(),
        subscription: Some(SubscriptionId::from_bits(3)),
        consumer: None,
        account: None,
        mode: Mode::Live,
        minute: Timestamp::from_millis(PERIOD),
        count,
    }])
}

#[tokio::test]
async fn a_ledger_from_an_older_copy_counts_again_what_analytics_has_already() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = dir.path().join(store::LEDGER_FILE);
    let journal = journal(dir.path()).await;
    let mut writer = journal.writer(0).unwrap();
    // Each round: some facts and refusals are counted, in commits whose bounds nobody foresees.
    let count = async |writer: &mut Writer, ids: std::ops::Range<u64>| {
        let (store, analytics) = databases(dir.path()).await;
        let metering = start(&store, &analytics, &journal);
        for part in ids.clone().step_by(50) {
            write_facts(writer, part..(part + 50).min(ids.end));
            write(writer, &refusals(7));
            metering.currency().caught_up().await.unwrap();
        }
        let counted = (
            ledger_count(&store).await,
            analytics_count(&analytics).await,
            analytics_rejected(&analytics).await,
        );
        metering.stop().await;
        store.close().await;
        analytics.close().await;
        counted
    };
    assert_eq!(count(&mut writer, 0..100).await, (Quantity::from_units(100), 100, 14));
    let older = std::fs::read(&ledger).unwrap();
    assert_eq!(count(&mut writer, 100..250).await, (Quantity::from_units(250), 250, 35));
    for file in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{file}", ledger.display()));
    }
    std::fs::write(&ledger, older).unwrap();
    let again = tokio::time::timeout(std::time::Duration::from_secs(30), count(&mut writer, 250..300));
    let again = again.await.expect("usage is counted again for ever");
    assert_eq!(again, (Quantity::from_units(300), 300, 42));
}

#[tokio::test]
async fn requests_open_when_their_gateway_ended_are_listed_as_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let (store, analytics) = databases(dir.path()).await;
    {
        let journal = journal(dir.path()).await;
        let mut writer = journal.writer(0).unwrap();
        write_facts(&mut writer, 0..10);
        write(
            &mut writer,
            &Record::Open(Open {
                so_far: Box::new(fact(77)),
            }),
        );
        // Neither is closed: as after a kill.
        std::mem::forget(writer);
        drop(journal);
    }
    let journal = journal(dir.path()).await;
    let metering = start(&store, &analytics, &journal);
    metering.currency().caught_up().await.unwrap();
    for _ in 0..100 {
        if !analytics.request("r-77").await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let found = analytics.request("r-77").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].fact.outcome.kind, Kind::Interrupted);
    assert_eq!(ledger_count(&store).await, Quantity::from_units(10));
    metering.stop().await;
}

#[tokio::test]
async fn a_second_writer_of_the_same_producers_is_refused_by_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let (store, analytics) = databases(dir.path()).await;
    let journal = journal(dir.path()).await;
    let mut writer = journal.writer(0).unwrap();
    let (one, two) = (start(&store, &analytics, &journal), start(&store, &analytics, &journal));
    for round in 0..20 {
        write_facts(&mut writer, round * 50..round * 50 + 50);
        tokio::time::sleep(std::time::Duration::from_millis(15)).await;
    }
    one.currency().caught_up().await.unwrap();
    assert_eq!(ledger_count(&store).await, Quantity::from_units(1_000));
    assert_eq!(analytics_count(&analytics).await, 1_000);
    drop((one, two));
}
