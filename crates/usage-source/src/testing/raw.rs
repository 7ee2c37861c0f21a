//! The topic as a client sees it that knows nothing of ledgers.

use std::time::{Duration, Instant};

use journal::{Batch, Producer, ProducerId};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::check;
use crate::kafka::{Recovered, Settings, reread, wire};

const PATIENCE: Duration = Duration::from_secs(60);

/// Every record in the topic, in the order of its partitions, with its number and as often as it is there: what a reader
/// counts that does not look at numbers.
///
/// # Panics
/// When the topic cannot be read.
pub fn every_record(settings: &Settings) -> Vec<(ProducerId, u64)> {
    let mut config = settings.client();
    config
        .set("group.id", "looking")
        .set("enable.auto.commit", "false")
        .set("broker.address.family", "v4");
    let consumer: BaseConsumer = check("consumer", config.create());
    let metadata = check("metadata", consumer.fetch_metadata(Some(&settings.topic), PATIENCE));
    let partitions = metadata.topics()[0].partitions().iter().map(|one| one.id());
    let mut list = TopicPartitionList::new();
    let mut left = 0;
    for partition in partitions {
        let ends = consumer.fetch_watermarks(&settings.topic, partition, PATIENCE);
        left += check("watermarks", ends).1;
        check(
            "offset",
            list.add_partition_offset(&settings.topic, partition, Offset::Beginning),
        );
    }
    check("assign", consumer.assign(&list));
    let (mut found, began) = (Vec::new(), Instant::now());
    while left > 0 {
        assert!(
            began.elapsed() < PATIENCE,
            "{left} messages of the topic are not to be had"
        );
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        left -= 1;
        let fetched = crate::kafka::fetched(&message);
        if let Some(batch) = fetched {
            found.extend(batch.records().map(|(seq, _)| (batch.producer, seq)));
        }
    }
    found
}

/// Puts a message of anybody's making into partition 0 and waits for it.
///
/// # Panics
/// When it is not taken.
pub fn send(settings: &Settings, key: Option<&[u8]>, header: Option<&[u8]>, payload: &[u8]) {
    let mut config = settings.client();
    config.set("broker.address.family", "v4");
    let producer: BaseProducer = check("producer", config.create());
    let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&settings.topic).partition(0).payload(payload);
    if let Some(key) = key {
        record = record.key(key);
    }
    if let Some(value) = header {
        let header = Header {
            key: wire::HEADER,
            value: Some(value),
        };
        record = record.headers(OwnedHeaders::new().insert(header));
    }
    if let Err((error, _)) = producer.send(record) {
        panic!("send: {error}");
    }
    check("flush", producer.flush(PATIENCE));
}

/// Records as a message: key, header and payload.
///
/// # Panics
/// When there is no payload.
pub fn message(producer: ProducerId, first_seq: u64, payloads: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for payload in payloads {
        ranges.push(bytes.len()..bytes.len() + payload.len());
        bytes.extend_from_slice(payload);
    }
    let batch = Batch::new(producer, first_seq, bytes, ranges);
    let batch = batch.unwrap_or_else(|| panic!("no payload"));
    let about = Producer {
        producer,
        node: "test".to_owned(),
        worker: 0,
        created_ms: 0,
        next_seq: batch.next_seq(),
        ending: None,
        gap: None,
    };
    let sent = wire::records(&about, &batch);
    (sent.key.to_vec(), sent.header.to_vec(), sent.payload)
}

/// The same message as it is kept when it cannot be read; by now it can.
///
/// # Panics
/// When it cannot be read.
pub fn kept(producer: ProducerId, first_seq: u64, payloads: &[Vec<u8>]) -> Vec<u8> {
    let (key, header, payload) = message(producer, first_seq, payloads);
    let kept = wire::keep(Some(&key), Some(&header), &payload);
    assert!(matches!(reread(&kept), Ok(Recovered::Records(_))));
    kept
}
