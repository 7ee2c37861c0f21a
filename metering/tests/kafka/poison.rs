//! Messages and records that cannot be read: they stop nobody, they are no gap, and they are admitted once after a fix.

use std::time::Duration;

use domain::clock::Timestamp;
use metering::{RequeueReport, requeue};
use usage_source::ProducerId;
use usage_source::kafka::{Settings, ensure_topic};
use usage_source::testing::{Broker, raw, unique_topic};

use crate::world::{Books, PERIOD, encoded};

const PRODUCER: ProducerId = ProducerId::from_bytes([5; 16]);
const NOW: Timestamp = Timestamp::from_millis(PERIOD + 2_000_000);

fn facts(ids: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    ids.map(encoded).collect()
}

fn topic(broker: &Broker, name: &str) -> Settings {
    let settings = broker.settings(&unique_topic(name));
    ensure_topic(&settings, Duration::from_secs(60)).unwrap();
    settings
}

fn send(settings: &Settings, first: u64, payloads: &[Vec<u8>]) {
    let (key, header, payload) = raw::message(PRODUCER, first, payloads);
    raw::send(settings, Some(&key), Some(&header), &payload);
}

async fn replace(books: &Books, raw: Vec<u8>) {
    // As after a fix: what could not be read before can be read now.
    let changed = books
        .store
        .ledger
        .execute("UPDATE quarantine SET raw = $1", store::args![raw])
        .await
        .unwrap();
    assert_eq!(changed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_set_aside_and_admitted_once_after_a_fix() {
    let Some(broker) = Broker::shared() else { return };
    let (settings, books) = (topic(broker, "poison"), Books::new().await);
    send(&settings, 0, &facts(0..3));
    let (key, header, mut payload) = raw::message(PRODUCER, 3, &facts(3..6));
    payload[40] ^= 1;
    raw::send(&settings, Some(&key), Some(&header), &payload);
    send(&settings, 6, &facts(6..9));
    let meter = books.meter_topic(&settings);
    books.counted(6).await;
    let held = books.store.quarantined().await.unwrap();
    assert_eq!((held.len(), held[0].seq, held[0].to_seq), (1, 3, Some(6)));
    assert!(held[0].reason.contains("checksum"), "{}", held[0].reason);
    assert_eq!((books.missing().await, meter.metric("usage_quarantined_total")), (0, 1));
    // It may come again, in the same state or in a sound one: its window has passed.
    raw::send(&settings, Some(&key), Some(&header), &payload);
    send(&settings, 3, &facts(3..6));
    send(&settings, 9, &facts(9..10));
    books.counted(7).await;
    assert_eq!(books.store.quarantined().await.unwrap().len(), 1);

    let report = |admitted, unreadable| RequeueReport {
        admitted,
        unreadable,
        refused: 0,
    };
    assert_eq!(requeue(&books.store, NOW).await.unwrap(), report(0, 1));
    replace(&books, raw::kept(PRODUCER, 3, &facts(3..6))).await;
    assert_eq!(requeue(&books.store, NOW).await.unwrap(), report(3, 0));
    books.counted(10).await;
    assert_eq!(requeue(&books.store, NOW).await.unwrap(), report(0, 0));
    books.counted(10).await;
    assert!(books.store.quarantined().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_nobody_stops_nobody_and_what_it_held_is_missing_until_it_is_read() {
    let Some(broker) = Broker::shared() else { return };
    let (settings, books) = (topic(broker, "nobody"), Books::new().await);
    send(&settings, 0, &facts(0..3));
    let (_, header, payload) = raw::message(PRODUCER, 3, &facts(3..6));
    raw::send(&settings, Some(b"no id"), Some(&header), &payload);
    send(&settings, 6, &facts(6..9));
    let meter = books.meter_topic(&settings);
    books.counted(6).await;
    assert_eq!(
        (books.missing().await, books.store.quarantined().await.unwrap().len()),
        (3, 1)
    );
    replace(&books, raw::kept(PRODUCER, 3, &facts(3..6))).await;
    assert_eq!(requeue(&books.store, NOW).await.unwrap().admitted, 3);
    books.counted(9).await;
    assert_eq!(books.missing().await, 0);
    drop(meter);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_leaves_the_others_of_its_message() {
    let Some(broker) = Broker::shared() else { return };
    let (settings, books) = (topic(broker, "record"), Books::new().await);
    send(&settings, 0, &[encoded(0), vec![250, 1, 2], encoded(2)]);
    let meter = books.meter_topic(&settings);
    books.counted(2).await;
    let held = books.store.quarantined().await.unwrap();
    assert_eq!((held.len(), held[0].seq, held[0].to_seq), (1, 1, None));
    replace(&books, encoded(1)).await;
    assert_eq!(requeue(&books.store, NOW).await.unwrap().admitted, 1);
    books.counted(3).await;
    drop(meter);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_numbers_with_another_content_are_a_conflict_and_the_first_stays() {
    let Some(broker) = Broker::shared() else { return };
    let (settings, books) = (topic(broker, "conflict"), Books::new().await);
    let meter = books.meter_topic(&settings);
    send(&settings, 0, &facts(0..3));
    books.counted(3).await;
    send(&settings, 0, &facts(100..103));
    send(&settings, 3, &facts(3..4));
    books.counted(4).await;
    assert_eq!(books.store.conflicts().await.unwrap(), 3);
    assert!(books.analytics.request("r-100").await.unwrap().is_empty());
    drop(meter);
}
