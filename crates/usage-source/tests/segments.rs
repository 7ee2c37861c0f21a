//! The segments of a journal as metering sees them.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use journal::{BootId, Full, Journal, Settings, Writer};
use tempfile::TempDir;
use usage_source::{Delivery, Ending, GapKind, ProducerId, Reason, Segments, UsageSource as _};

fn open(dir: &Path, boot: u8) -> Arc<Journal> {
    let mut settings = Settings::new(dir.join("journal"), Arc::new(|| 5_000)).unwrap();
    settings.segment_bytes = 16 << 10;
    settings.fsync_every = Duration::from_millis(20);
    settings.boot = BootId::from_bytes([boot; 16]);
    Arc::new(Journal::open(settings).unwrap())
}

fn append(writer: &mut Writer, count: u64) {
    for _ in 0..count {
        let payload = format!("{} {} {}", writer.producer(), writer.next_seq(), "x".repeat(100));
        let ticket = loop {
            match writer.reserve(payload.len()) {
                Ok(ticket) => break ticket,
                Err(full) => assert_eq!(full, Full::Preparing),
            }
            thread::sleep(Duration::from_millis(1));
        };
        writer.append(ticket, payload.as_bytes()).unwrap();
    }
}

/// A ledger of positions: takes each record once, in order.
#[derive(Default)]
struct Ledger {
    next: BTreeMap<ProducerId, u64>,
    holes: Vec<(ProducerId, u64, u64, Reason)>,
    turns: Vec<ProducerId>,
}

impl Ledger {
    fn take_all(&mut self, source: &mut Segments) {
        while let Some(delivery) = source.next_batch().unwrap() {
            match delivery {
                Delivery::Records(batch) => {
                    self.turns.push(batch.producer);
                    let next = self.next.entry(batch.producer).or_default();
                    for (seq, payload) in batch.records() {
                        assert_eq!(seq, *next);
                        assert!(payload.starts_with(format!("{} {seq} ", batch.producer).as_bytes()));
                        *next += 1;
                    }
                }
                Delivery::Unreadable {
                    producer,
                    from,
                    to,
                    reason,
                } => {
                    assert_eq!(self.next.insert(producer, to).unwrap_or(0), from);
                    self.holes.push((producer, from, to, reason));
                }
                Delivery::Refused(refused) => panic!("segments have no messages: {refused:?}"),
            }
        }
    }

    fn ack(&self, source: &mut Segments) {
        for (&producer, &next) in &self.next {
            source.ack(producer, next).unwrap();
        }
    }
}

#[test]
fn every_record_of_every_producer_is_delivered_once_and_in_turn() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut source = Segments::new(Arc::clone(&journal)).with_batch_bytes(2_000);
    let mut ledger = Ledger::default();
    let mut writers: Vec<Writer> = (0..3).map(|worker| journal.writer(worker).unwrap()).collect();
    for round in 1..=3 {
        for writer in &mut writers {
            append(writer, 200);
        }
        let ends = source.positions();
        ledger.take_all(&mut source);
        assert!(
            ends.iter()
                .all(|end| ledger.next[&end.producer] == end.next_seq && end.next_seq == round * 200)
        );
        ledger.ack(&mut source);
    }
    assert!(ledger.holes.is_empty());
    let first: std::collections::BTreeSet<_> = ledger.turns[..3].iter().collect();
    assert_eq!(first.len(), 3, "each producer has its turn");
}

#[test]
fn an_ended_producer_is_listed_until_it_is_acknowledged_to_its_end() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut source = Segments::new(Arc::clone(&journal));
    let mut ledger = Ledger::default();
    let mut writer = journal.writer(7).unwrap();
    append(&mut writer, 20);
    let idle = journal.writer(8).unwrap();
    let unused = idle.producer();
    ledger.take_all(&mut source);
    ledger.ack(&mut source);
    assert!(source.producers().iter().all(|producer| producer.ending.is_none()));
    writer.close().unwrap();
    drop(idle);
    let endings: BTreeMap<u32, _> = source.producers().iter().map(|one| (one.worker, one.ending)).collect();
    assert_eq!(
        endings,
        BTreeMap::from([(7, Some(Ending::Orderly)), (8, Some(Ending::Interrupted))])
    );
    ledger.ack(&mut source);
    assert_eq!(source.producers().len(), 1);
    source.ack(unused, 0).unwrap();
    assert!(source.producers().is_empty());
}

#[test]
fn after_a_reboot_the_rest_is_delivered_and_the_gap_is_told() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append(&mut writer, 300);
    let mut ledger = Ledger::default();
    let mut source = Segments::new(Arc::clone(&journal));
    ledger.take_all(&mut source);
    source.ack(producer, 250).unwrap();
    append(&mut writer, 50);
    drop((writer, source));
    drop(journal);

    let journal = open(dir.path(), 2);
    let mut source = Segments::new(journal);
    let gap = source.producers()[0].gap.unwrap();
    assert_eq!((gap.kind, gap.from_seq, gap.since_ms), (GapKind::PowerLoss, 350, 5_000));
    source.resume(producer, 300);
    ledger.take_all(&mut source);
    assert_eq!(ledger.next[&producer], 350);
    assert!(ledger.holes.is_empty());
    ledger.ack(&mut source);
    assert!(source.producers().is_empty());
}

#[test]
fn a_source_that_was_not_told_its_position_says_what_is_missing() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut writer = journal.writer(0).unwrap();
    append(&mut writer, 500);
    journal.free_below(writer.producer(), 400).unwrap();
    let mut ledger = Ledger::default();
    ledger.take_all(&mut Segments::new(journal));
    let [(producer, 0, to, Reason::Missing)] = ledger.holes[..] else {
        panic!("{:?}", ledger.holes)
    };
    assert!(to > 200 && to <= 400);
    assert_eq!(ledger.next[&producer], 500);
}

#[test]
fn damage_is_delivered_as_a_range_and_other_producers_go_on() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut harmed = journal.writer(0).unwrap();
    let mut sound = journal.writer(1).unwrap();
    append(&mut harmed, 30);
    append(&mut sound, 30);
    let path = dir
        .path()
        .join("journal")
        .join(harmed.producer().to_string())
        .join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096 + 1_000] ^= 1;
    fs::write(&path, bytes).unwrap();

    let mut source = Segments::new(Arc::clone(&journal));
    let mut ledger = Ledger::default();
    ledger.take_all(&mut source);
    assert_eq!(ledger.next[&sound.producer()], 30);
    let stuck = ledger.next[&harmed.producer()];
    assert!(stuck < 30 && ledger.holes.is_empty(), "nothing intact follows yet");

    append(&mut harmed, 200);
    append(&mut sound, 1);
    ledger.take_all(&mut source);
    let [(producer, from, to, Reason::Damaged)] = ledger.holes[..] else {
        panic!("{:?}", ledger.holes)
    };
    assert_eq!((producer, from), (harmed.producer(), stuck));
    assert!(to > 30);
    assert_eq!(
        (ledger.next[&harmed.producer()], ledger.next[&sound.producer()]),
        (230, 31)
    );
}

#[test]
fn damage_at_the_end_of_an_ended_producer_is_delivered_up_to_its_end() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append(&mut writer, 30);
    writer.close().unwrap();
    let path = dir
        .path()
        .join("journal")
        .join(producer.to_string())
        .join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4_096 + 1_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut ledger = Ledger::default();
    ledger.take_all(&mut Segments::new(journal));
    assert_eq!(ledger.next[&producer], 30);
    assert_eq!(
        ledger.holes.iter().map(|hole| (hole.2, hole.3)).collect::<Vec<_>>(),
        [(30, Reason::Damaged)]
    );
}

#[test]
fn the_source_wakes_its_reader() {
    let dir = TempDir::new().unwrap();
    let journal = open(dir.path(), 1);
    let mut source = Segments::new(Arc::clone(&journal));
    let mut writer = journal.writer(0).unwrap();
    let rings = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&rings);
    source.on_ready(Box::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    }));
    let armed = source.armed();
    assert_eq!(source.next_batch().unwrap(), None);
    assert!(!source.wait(armed, Duration::from_millis(5)));
    append(&mut writer, 1);
    assert!(source.wait(armed, Duration::from_millis(5)));
    assert_eq!(rings.load(Ordering::SeqCst), 1);
    assert!(source.next_batch().unwrap().is_some());
}
