//! Brokers that are killed, answers that are lost, messages that come again, a topic that is away.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use usage_source::kafka::Settings;
use usage_source::testing::{Broker, unique_topic};

use crate::world::{Books, Node, in_topic, write};

const ROOM: u64 = 512 << 20;

/// As no shipper is set up: nothing is waited for, nothing is recognised.
fn unprotected(settings: Settings) -> Settings {
    settings
        .with_property("enable.gapless.guarantee", "false")
        .with_property("enable.idempotence", "false")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_counted_once_and_the_journal_is_freed() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("plain"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let node = Node::start(dir.path(), &settings, ROOM);
    let meter = books.meter_topic(&settings);
    let mut writers: Vec<_> = (0..3).map(|worker| node.journal.writer(worker).unwrap()).collect();
    for (at, writer) in (0..).zip(&mut writers) {
        assert_eq!(write(writer, at * 2_000..(at + 1) * 2_000), 2_000);
    }
    node.shipped();
    meter.metering.currency().caught_up().await.unwrap();
    assert_eq!((books.ledger().await, books.facts().await), (6_000, 6_000));
    assert_eq!(meter.metric("usage_records_total"), 6_000);
    assert_eq!(in_topic(&settings), (6_000, 6_000));
    for writer in writers {
        writer.close().unwrap();
    }
    books
        .until("the ends of the producers", async || {
            let rows = books.store.producers().await.unwrap();
            rows.len() == 3 && rows.iter().all(|row| row.ended.is_some())
        })
        .await;
    assert!(node.shipper.stop(Duration::from_secs(30)), "something is left");
    assert!(node.journal.producers().is_empty(), "all of it was acknowledged");
    assert_eq!((books.missing().await, books.store.conflicts().await.unwrap()), (0, 0));
    meter.metering.stop().await;
}

/// Kills the broker while records flow; returns what was written.
fn write_through_a_kill(broker: &Broker, node: &Node) -> u64 {
    let mut writer = node.journal.writer(0).unwrap();
    let mut written = write(&mut writer, 0..500);
    node.shipped();
    std::thread::scope(|scope| {
        let killer = scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(300));
            // What is sent meanwhile dies with it.
            broker.freeze();
            std::thread::sleep(Duration::from_millis(400));
            broker.kill();
            std::thread::sleep(Duration::from_millis(1_500));
            broker.restart();
        });
        let mut id = 500;
        while !killer.is_finished() || id < 20_000 {
            written += write(&mut writer, id..id + 50);
            id += 50;
            std::thread::sleep(Duration::from_millis(5));
        }
        killer.join().unwrap();
    });
    writer.close().unwrap();
    written
}

#[ignore = "did not end in its last two runs and nobody knows why: run it by name before relying on it"]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_loses_nothing() {
    let Some(broker) = Broker::own() else { return };
    let settings = broker.settings(&unique_topic("kill"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let node = Node::start(dir.path(), &settings, ROOM);
    let meter = books.meter_topic(&settings);
    let written = tokio::task::block_in_place(|| write_through_a_kill(&broker, &node));
    assert!(node.shipper.stop(Duration::from_secs(120)), "something is left");
    books.counted(written).await;
    assert_eq!(books.missing().await, 0);

    // The control: a shipper that takes what was sent for what has arrived.
    let settings = unprotected(broker.settings(&unique_topic("kill-control"))).with_property("acks", "0");
    let (dir, control) = (TempDir::new().unwrap(), Books::new().await);
    let node = Node::start(dir.path(), &settings, ROOM);
    let written = tokio::task::block_in_place(|| write_through_a_kill(&broker, &node));
    node.shipper.stop(Duration::from_secs(120));
    let (_, arrived) = tokio::task::block_in_place(|| in_topic(&settings));
    assert!(arrived < written, "nothing was lost, so this test sees no loss");
    // And what is lost is never lost in silence.
    let careless = control.meter_topic(&settings);
    control
        .until("the rest and its gaps", async || {
            control.ledger().await + control.missing().await == written && control.missing().await > 0
        })
        .await;
    drop((meter, careless));
}

/// Lets the broker append and loses its answers, three times, while records flow; returns what was written.
fn write_through_lost_answers(proxy: &usage_source::testing::Proxy, node: &Node) -> u64 {
    let mut writer = node.journal.writer(0).unwrap();
    let mut written = write(&mut writer, 0..500);
    node.shipped();
    let mut id = 500;
    let mut flow = |writer: &mut journal::Writer, long: Duration| {
        let began = Instant::now();
        while began.elapsed() < long {
            written += write(writer, id..id + 50);
            id += 50;
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    for _ in 0..3 {
        flow(&mut writer, Duration::from_millis(300));
        proxy.swallow_answers();
        flow(&mut writer, Duration::from_millis(600));
        proxy.heal();
    }
    flow(&mut writer, Duration::from_millis(500));
    writer.close().unwrap();
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_lost_double_nothing() {
    let Some((_broker, proxy)) = Broker::behind_proxy() else {
        return;
    };
    let settings = usage_source::testing::settings(proxy.port(), &unique_topic("lost-answers"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let node = Node::start(dir.path(), &settings, ROOM);
    let written = tokio::task::block_in_place(|| write_through_lost_answers(&proxy, &node));
    assert!(proxy.swallowed() > 0, "no answer was lost");
    assert!(node.shipper.stop(Duration::from_secs(120)), "something is left");
    assert_eq!(
        in_topic(&settings),
        (written, written),
        "(records, different ones) in the topic"
    );
    let meter = books.meter_topic(&settings);
    books.counted(written).await;
    assert_eq!((meter.metric("usage_duplicates_total"), books.missing().await), (0, 0));

    // The control: without idempotence Kafka keeps what is sent again.
    let settings = usage_source::testing::settings(proxy.port(), &unique_topic("lost-answers-control"));
    let settings = unprotected(settings);
    let dir = TempDir::new().unwrap();
    let node = Node::start(dir.path(), &settings, ROOM);
    let written = tokio::task::block_in_place(|| write_through_lost_answers(&proxy, &node));
    assert!(node.shipper.stop(Duration::from_secs(120)), "something is left");
    let (records, _) = in_topic(&settings);
    assert!(records > written, "nothing came twice, so this test sees no repetition");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shipped_twice_is_counted_once() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("twice"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let meter = books.meter_topic(&settings);
    let node = Node::start(dir.path(), &settings, ROOM);
    let mut writer = node.journal.writer(0).unwrap();
    // Less than a segment, so nothing is freed while the producer lives.
    assert_eq!(write(&mut writer, 0..150), 150);
    node.shipped();
    books.counted(150).await;
    // The node dies before it notes what Kafka has acknowledged, and ships all of it again.
    std::mem::forget(writer);
    node.crash();
    std::fs::remove_file(dir.path().join("journal/shipped")).unwrap();
    let node = Node::start(dir.path(), &settings, ROOM);
    books
        .until("the repetition", async || meter.metric("usage_duplicates_total") >= 150)
        .await;
    books.counted(150).await;
    assert_eq!((books.missing().await, books.store.conflicts().await.unwrap()), (0, 0));
    // The control: a reader that does not look at numbers counts every record twice.
    assert_eq!(in_topic(&settings), (300, 150));
    books
        .until("the end of the producer", async || {
            books
                .store
                .producers()
                .await
                .unwrap()
                .iter()
                .all(|row| row.ended.is_some())
        })
        .await;
    node.crash();
}

/// Usage that the ledger has counted and analytics has not, with repetitions in the topic.
async fn counted_but_not_stored(books: &Books, settings: &Settings) -> u64 {
    let dir = TempDir::new().unwrap();
    let node = Node::start(dir.path(), settings, ROOM);
    let mut writer = node.journal.writer(0).unwrap();
    assert_eq!(write(&mut writer, 0..150), 150);
    node.shipped();
    std::mem::forget(writer);
    node.crash();
    std::fs::remove_file(dir.path().join("journal/shipped")).unwrap();
    let node = Node::start(dir.path(), settings, ROOM);
    let mut writer = node.journal.writer(0).unwrap();
    assert_eq!(write(&mut writer, 1_000..1_500), 500);
    writer.close().unwrap();
    assert!(node.shipper.stop(Duration::from_secs(60)), "something is left");
    assert_eq!(in_topic(settings), (800, 650), "(records, different ones) in the topic");
    // Analytics is away: the ledger counts all the same, and metering dies before it is back.
    books.analytics.close().await;
    let meter = books.meter_topic(settings);
    books
        .until("the ledger", async || {
            let commits = books.store.ledger_commit().await.unwrap();
            commits > 0 && books.ledger().await > 0
        })
        .await;
    drop(meter);
    assert!(!books.store.pending_analytics(10).await.unwrap().is_empty());
    650
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metering_that_dies_between_ledger_and_analytics_stores_each_fact_once() {
    let Some(broker) = Broker::shared() else { return };
    let settings = broker.settings(&unique_topic("between"));
    let mut books = Books::new().await;
    let wanted = counted_but_not_stored(&books, &settings).await;
    books.analytics = analytics::Analytics::embedded(&books.dir.path().join("analytics.db"))
        .await
        .unwrap();
    let meter = books.meter_topic(&settings);
    books.counted(wanted).await;
    // A batch is marked as stored a moment after it is.
    books
        .until("nothing waits for analytics", async || {
            books.store.pending_analytics(10).await.unwrap().is_empty()
        })
        .await;
    drop(meter);

    // The control: a metering that does not look at what it left behind.
    let settings = broker.settings(&unique_topic("between-control"));
    let mut books = Books::new().await;
    let wanted = counted_but_not_stored(&books, &settings).await;
    let left = books.store.pending_analytics(100).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|batch| (batch, None)).collect();
    books.store.analytics_done(&left).await.unwrap();
    books.analytics = analytics::Analytics::embedded(&books.dir.path().join("analytics.db"))
        .await
        .unwrap();
    let meter = books.meter_topic(&settings);
    books.until("the ledger", async || books.ledger().await == wanted).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        books.facts().await < wanted,
        "nothing was left behind, so this test sees nothing"
    );
    drop(meter);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_topic_is_away_the_journal_holds_what_it_may_and_then_catches_up() {
    let Some((_broker, proxy)) = Broker::behind_proxy() else {
        return;
    };
    let settings = usage_source::testing::settings(proxy.port(), &unique_topic("away"));
    let (dir, books) = (TempDir::new().unwrap(), Books::new().await);
    let node = Node::start(dir.path(), &settings, 4 << 20);
    let meter = books.meter_topic(&settings);
    let mut writer = node.journal.writer(0).unwrap();
    assert_eq!(write(&mut writer, 0..1_000), 1_000);
    node.shipped();
    books.counted(1_000).await;
    proxy.cut();
    let began = Instant::now();
    let mut written = 1_000;
    let mut id = 1_000;
    // More than fits: what has no room is refused before it is forwarded, and written down by nobody.
    while written == id && id < 300_000 {
        written += tokio::task::block_in_place(|| write(&mut writer, id..id + 500));
        id += 500;
        assert!(node.journal.status().bytes <= 4 << 20, "{:?}", node.journal.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let away = began.elapsed();
    books
        .until("the shipper's trouble", async || {
            let status = node.shipper.status();
            status.trouble.is_some() && status.unshipped_records >= written - 1_000
        })
        .await;
    assert_eq!(books.ledger().await, 1_000);
    assert!(written < id, "the journal never was full");
    proxy.heal();
    let began = Instant::now();
    books.until("the rest", async || books.ledger().await >= written).await;
    let caught_up = began.elapsed();
    eprintln!("away {away:?}: {} records; caught up in {caught_up:?}", written - 1_000);
    // There is room again at once.
    assert_eq!(tokio::task::block_in_place(|| write(&mut writer, id..id + 100)), 100);
    books.counted(written + 100).await;
    assert_eq!((books.missing().await, node.shipper.status().trouble), (0, None));
    assert_eq!(meter.metric("usage_lag_events"), 0);
    drop(meter);
}
