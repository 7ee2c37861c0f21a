//! What every source of usage keeps to: one suite, run on the segments of a journal and on a topic that a shipper fills
//! from such a journal.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use journal::{BootId, Full, Journal, Writer};
use tempfile::TempDir;
use usage_source::kafka::{KafkaSource, Settings, Shipper};
use usage_source::testing::{Broker, unique_topic};
use usage_source::{Again, Delivery, End, Ending, GapKind, Producer, ProducerId, Reason, Segments, Span, UsageSource};

const PATIENCE: Duration = Duration::from_secs(90);

fn open(dir: &Path, boot: u8) -> Arc<Journal> {
    let mut settings = journal::Settings::new(dir.join("journal"), Arc::new(|| 5_000)).unwrap();
    settings.node = "edge".to_owned();
    settings.segment_bytes = 16 << 10;
    settings.fsync_every = Duration::from_millis(20);
    settings.boot = BootId::from_bytes([boot; 16]);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Journal::open(settings.clone()) {
            Err(journal::Error::Locked(_)) if Instant::now() < deadline => thread::sleep(Duration::from_millis(10)),
            opened => return Arc::new(opened.unwrap()),
        }
    }
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

/// A deployment: a journal, and a source over it.
trait World {
    type Source: UsageSource;
    /// Begins to work with the journal of a folder.
    fn start(&mut self, journal: &Arc<Journal>);
    /// A new reader, which knows nothing.
    fn source(&self) -> Self::Source;
    /// Lets go of the journal, so that it can be opened again.
    fn end(&mut self);
}

#[derive(Default)]
struct Embedded(Option<Arc<Journal>>);

impl World for Embedded {
    type Source = Segments;

    fn start(&mut self, journal: &Arc<Journal>) {
        self.0 = Some(Arc::clone(journal));
    }

    fn source(&self) -> Segments {
        Segments::new(Arc::clone(self.0.as_ref().unwrap())).with_batch_bytes(2_000)
    }

    fn end(&mut self) {
        self.0 = None;
    }
}

struct Fleet {
    settings: Settings,
    shipper: Option<Shipper>,
}

impl World for Fleet {
    type Source = KafkaSource;

    fn start(&mut self, journal: &Arc<Journal>) {
        self.shipper = Some(Shipper::start(Arc::clone(journal), self.settings.clone()).unwrap());
    }

    fn source(&self) -> KafkaSource {
        KafkaSource::open(self.settings.clone()).unwrap()
    }

    fn end(&mut self) {
        self.shipper = None;
    }
}

fn on_both(name: &str, body: impl Fn(&mut dyn Run)) {
    body(&mut Runner(Embedded::default()));
    let Some(broker) = Broker::shared() else { return };
    let fleet = Fleet {
        settings: broker.settings(&unique_topic(name)),
        shipper: None,
    };
    body(&mut Runner(fleet));
}

/// A world behind a pointer: its source with the ledger that reads it.
trait Run {
    fn start(&mut self, journal: &Arc<Journal>);
    fn end(&mut self);
    fn ledger(&self) -> Box<dyn Books>;
}

struct Runner<W>(W);

impl<W: World> Run for Runner<W> {
    fn start(&mut self, journal: &Arc<Journal>) {
        self.0.start(journal);
    }

    fn end(&mut self) {
        self.0.end();
    }

    fn ledger(&self) -> Box<dyn Books> {
        Box::new(Ledger {
            source: self.0.source(),
            kept: Kept::default(),
            next: BTreeMap::new(),
            holes: Vec::new(),
            taken: 0,
            held: BTreeSet::new(),
            spans: BTreeMap::new(),
        })
    }
}

type Hole = (ProducerId, u64, u64, Reason);

/// What a ledger keeps: survives its reader.
#[derive(Debug, Clone, Default, PartialEq)]
struct Kept {
    next: BTreeMap<ProducerId, u64>,
    positions: BTreeMap<u32, u64>,
}

trait Books {
    /// Takes what there is at this moment.
    fn take(&mut self);
    fn next(&self) -> &BTreeMap<ProducerId, u64>;
    fn holes(&self) -> &[Hole];
    fn taken(&self) -> u64;
    /// Commits what was taken.
    fn commit(&mut self) -> Kept;
    /// Forgets what was taken since the last commit.
    fn abort(&mut self);
    /// Goes on where another reader stopped.
    fn adopt(&mut self, kept: Kept);
    fn ack(&mut self);
    fn ack_one(&mut self, producer: ProducerId, next: u64);
    fn producers(&self) -> Vec<Producer>;
    fn ends(&mut self) -> Vec<End>;
    fn reaches(&self, ends: &[End]) -> bool;
    fn again(&self, producer: ProducerId, from: u64, to: u64) -> Vec<(u64, Vec<u8>)>;
    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>);
    fn arm(&self);
    fn lag(&self) -> u64;
}

struct Ledger<S> {
    source: S,
    kept: Kept,
    next: BTreeMap<ProducerId, u64>,
    holes: Vec<Hole>,
    taken: u64,
    /// Partitions that are this reader's.
    held: BTreeSet<u32>,
    /// What was ever read of each partition.
    spans: BTreeMap<u32, Span>,
}

impl<S: UsageSource> Ledger<S> {
    fn partitions(&mut self) {
        let changes = self.source.changes();
        for taken in changes.taken {
            self.held.remove(&taken);
        }
        for given in changes.given {
            self.held.insert(given);
            let at = self.kept.positions.get(&given).copied().unwrap_or(0);
            self.source.begin(given, at);
        }
    }

    fn note(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Records(batch) => {
                let next = self.next.entry(batch.producer).or_default();
                for (seq, payload) in batch.records() {
                    assert!(payload.starts_with(format!("{} {seq} ", batch.producer).as_bytes()));
                    if seq < *next {
                        continue;
                    }
                    assert_eq!(seq, *next, "a hole that nobody told of");
                    *next += 1;
                    self.taken += 1;
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
            Delivery::Refused(refused) => panic!("{refused:?}"),
        }
    }
}

impl<S: UsageSource> Books for Ledger<S> {
    fn take(&mut self) {
        self.partitions();
        while let Some(delivery) = self.source.next_batch().unwrap() {
            self.note(delivery);
        }
    }

    fn next(&self) -> &BTreeMap<ProducerId, u64> {
        &self.next
    }

    fn holes(&self) -> &[Hole] {
        &self.holes
    }

    fn taken(&self) -> u64 {
        self.taken
    }

    fn commit(&mut self) -> Kept {
        for span in self.source.spans() {
            assert_eq!(
                self.kept.positions.get(&span.partition).copied().unwrap_or(0),
                span.from
            );
            self.kept.positions.insert(span.partition, span.to);
            let seen = self.spans.entry(span.partition).or_insert(span);
            seen.to = span.to;
        }
        self.kept.next.clone_from(&self.next);
        self.source.committed();
        self.kept.clone()
    }

    fn abort(&mut self) {
        self.next.clone_from(&self.kept.next);
        self.source.rewind();
        for (&producer, &next) in &self.kept.next {
            self.source.resume(producer, next);
        }
        for &partition in &self.held {
            let at = self.kept.positions.get(&partition).copied().unwrap_or(0);
            self.source.begin(partition, at);
        }
    }

    fn adopt(&mut self, kept: Kept) {
        self.next.clone_from(&kept.next);
        for (&producer, &next) in &kept.next {
            self.source.resume(producer, next);
        }
        self.kept = kept;
    }

    fn ack(&mut self) {
        for (&producer, &next) in &self.next {
            self.source.ack(producer, next).unwrap();
        }
    }

    fn ack_one(&mut self, producer: ProducerId, next: u64) {
        self.source.ack(producer, next).unwrap();
    }

    fn producers(&self) -> Vec<Producer> {
        self.source.producers()
    }

    fn ends(&mut self) -> Vec<End> {
        let deadline = Instant::now() + PATIENCE;
        let mut ends = self.source.ends();
        loop {
            assert!(Instant::now() < deadline, "the source does not say where it ends");
            match ends.get() {
                Ok(Some(ends)) => return ends.to_vec(),
                Ok(None) => self.take(),
                Err(_) => ends = self.source.ends(),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn reaches(&self, ends: &[End]) -> bool {
        ends.iter().all(|end| match end {
            End::Records(position) => self.next.get(&position.producer).copied().unwrap_or(0) >= position.next_seq,
            End::Offset { partition, offset } => {
                let read = self
                    .source
                    .spans()
                    .into_iter()
                    .find(|span| span.partition == *partition);
                let kept = self.kept.positions.get(partition).copied().unwrap_or(0);
                read.map_or(kept, |span| span.to) >= *offset
            }
        })
    }

    fn again(&self, producer: ProducerId, from: u64, to: u64) -> Vec<(u64, Vec<u8>)> {
        let partition = self.source.partition_of(producer);
        let read = self.source.read_again(Again {
            producer,
            from,
            to,
            span: partition.map(|partition| self.spans[&partition]),
        });
        let reread = read().unwrap();
        assert_eq!(reread.lost, None);
        reread.records
    }

    fn on_ready(&self, wake: Box<dyn Fn() + Send + Sync>) {
        self.source.on_ready(wake);
    }

    fn arm(&self) {
        self.source.arm();
    }

    fn lag(&self) -> u64 {
        let next = self.next.clone();
        self.source
            .lag(&move |producer| next.get(&producer).copied().unwrap_or(0))
    }
}

/// Takes until it is as wanted.
fn until(ledger: &mut dyn Books, what: &str, done: impl Fn(&dyn Books) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        ledger.take();
        if done(ledger) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "not seen in time: {what}; at {:?}",
            ledger.next()
        );
        thread::sleep(Duration::from_millis(10));
    }
}

fn all_at(ledger: &dyn Books, producers: &[ProducerId], next: u64) -> bool {
    producers.iter().all(|one| ledger.next().get(one) == Some(&next))
}

#[test]
fn every_record_of_every_producer_is_delivered_once_and_in_order() {
    on_both("order", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let mut writers: Vec<Writer> = (0..3).map(|worker| journal.writer(worker).unwrap()).collect();
        let ids: Vec<_> = writers.iter().map(Writer::producer).collect();
        for round in 1..=3 {
            for writer in &mut writers {
                append(writer, 200);
            }
            until(&mut *ledger, "a round", |ledger| all_at(ledger, &ids, round * 200));
            ledger.commit();
            ledger.ack();
        }
        assert_eq!((ledger.taken(), ledger.holes()), (1_800, &[][..]));
    });
}

#[test]
fn how_a_producer_ended_is_told_until_it_is_acknowledged_to_its_end() {
    on_both("endings", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let mut writer = journal.writer(7).unwrap();
        append(&mut writer, 20);
        let idle = journal.writer(8).unwrap();
        let (used, unused) = (writer.producer(), idle.producer());
        until(&mut *ledger, "both producers", |ledger| {
            ledger.next().get(&used) == Some(&20) && ledger.producers().len() == 2
        });
        ledger.commit();
        ledger.ack();
        assert!(ledger.producers().iter().all(|one| one.ending.is_none()));
        writer.close().unwrap();
        drop(idle);
        until(&mut *ledger, "the ends", |ledger| {
            ledger.producers().iter().all(|one| one.ending.is_some())
        });
        let endings: BTreeMap<_, _> = ledger
            .producers()
            .into_iter()
            .map(|one| (one.worker, (one.ending, one.next_seq, one.node)))
            .collect();
        assert_eq!(
            endings,
            BTreeMap::from([
                (7, (Some(Ending::Orderly), 20, "edge".to_owned())),
                (8, (Some(Ending::Interrupted), 0, "edge".to_owned()))
            ])
        );
        ledger.commit();
        ledger.ack_one(used, 19);
        assert_eq!(ledger.producers().len(), 2, "not acknowledged to its end");
        ledger.ack_one(used, 20);
        assert_eq!(ledger.producers().len(), 1);
        ledger.ack_one(unused, 0);
        assert!(ledger.producers().is_empty());
    });
}

#[test]
fn after_a_reboot_the_rest_is_delivered_and_the_gap_is_told() {
    on_both("reboot", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut writer = journal.writer(0).unwrap();
        let producer = writer.producer();
        append(&mut writer, 300);
        let mut ledger = world.ledger();
        until(&mut *ledger, "the first part", |ledger| {
            all_at(ledger, &[producer], 300)
        });
        let kept = ledger.commit();
        ledger.ack_one(producer, 250);
        drop(ledger);
        append(&mut writer, 50);
        world.end();
        drop(writer);
        drop(journal);

        let journal = open(dir.path(), 2);
        world.start(&journal);
        let mut ledger = world.ledger();
        ledger.adopt(kept);
        until(&mut *ledger, "the rest and the gap", |ledger| {
            all_at(ledger, &[producer], 350) && ledger.producers().iter().any(|one| one.gap.is_some())
        });
        assert!(ledger.holes().is_empty());
        assert_eq!(ledger.taken(), 50, "what was counted is not counted again");
        let gap = ledger.producers()[0].gap.unwrap();
        assert_eq!((gap.kind, gap.from_seq, gap.since_ms), (GapKind::PowerLoss, 350, 5_000));
        ledger.commit();
        ledger.ack();
        assert!(ledger.producers().is_empty());
    });
}

#[test]
fn damage_is_delivered_as_a_range_and_other_producers_go_on() {
    on_both("damage", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        let mut harmed = journal.writer(0).unwrap();
        let mut sound = journal.writer(1).unwrap();
        append(&mut harmed, 30);
        append(&mut sound, 30);
        let folder = dir.path().join("journal").join(harmed.producer().to_string());
        let path = folder.join("0000000000.seg");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[4_096 + 1_000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        append(&mut harmed, 200);
        append(&mut sound, 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let ids = [harmed.producer(), sound.producer()];
        until(&mut *ledger, "what is behind the damage", |ledger| {
            ledger.next().get(&ids[0]) == Some(&230) && ledger.next().get(&ids[1]) == Some(&31)
        });
        let [(producer, from, to, Reason::Damaged)] = ledger.holes()[..] else {
            panic!("{:?}", ledger.holes())
        };
        assert!(producer == ids[0] && from < 30 && to > 30);
    });
}

#[test]
fn what_was_not_committed_comes_again_and_what_was_does_not() {
    on_both("abort", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let mut writers: Vec<Writer> = (0..4).map(|worker| journal.writer(worker).unwrap()).collect();
        let ids: Vec<_> = writers.iter().map(Writer::producer).collect();
        for writer in &mut writers {
            append(writer, 100);
        }
        until(&mut *ledger, "the first part", |ledger| all_at(ledger, &ids, 100));
        ledger.commit();
        for writer in &mut writers {
            append(writer, 100);
        }
        for _ in 0..3 {
            until(&mut *ledger, "the second part", |ledger| all_at(ledger, &ids, 200));
            ledger.abort();
            assert!(all_at(&*ledger, &ids, 100));
        }
        until(&mut *ledger, "the second part at last", |ledger| {
            all_at(ledger, &ids, 200)
        });
        ledger.commit();
        assert!(ledger.holes().is_empty());
        assert_eq!(ledger.taken(), 400 + 4 * 400);
    });
}

#[test]
fn another_reader_goes_on_where_the_ledger_stands() {
    on_both("adopt", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut writer = journal.writer(0).unwrap();
        let ids = [writer.producer()];
        append(&mut writer, 120);
        let mut first = world.ledger();
        until(&mut *first, "the first part", |ledger| all_at(ledger, &ids, 120));
        let kept = first.commit();
        append(&mut writer, 30);
        // Taken and never committed.
        until(&mut *first, "the second part", |ledger| all_at(ledger, &ids, 150));
        drop(first);
        let mut second = world.ledger();
        second.adopt(kept);
        until(&mut *second, "the second part again", |ledger| {
            all_at(ledger, &ids, 150)
        });
        assert_eq!((second.taken(), second.holes().len()), (30, 0));
    });
}

#[test]
fn whoever_reaches_the_ends_has_everything_that_was_there_and_nothing_lags() {
    on_both("ends", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let mut writer = journal.writer(0).unwrap();
        let ids = [writer.producer()];
        append(&mut writer, 500);
        until(&mut *ledger, "all records", |ledger| all_at(ledger, &ids, 500));
        let ends = ledger.ends();
        until(&mut *ledger, "the ends", |ledger| ledger.reaches(&ends));
        ledger.commit();
        until(&mut *ledger, "no lag", |ledger| ledger.lag() == 0);
        append(&mut writer, 500);
        let deadline = Instant::now() + PATIENCE;
        while ledger.lag() != 500 {
            assert!(Instant::now() < deadline, "lag is {}", ledger.lag());
            thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn what_was_counted_can_be_read_once_more() {
    on_both("again", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let mut writers: Vec<Writer> = (0..4).map(|worker| journal.writer(worker).unwrap()).collect();
        let ids: Vec<_> = writers.iter().map(Writer::producer).collect();
        for writer in &mut writers {
            append(writer, 300);
        }
        until(&mut *ledger, "all records", |ledger| all_at(ledger, &ids, 300));
        ledger.commit();
        for producer in ids {
            let records = ledger.again(producer, 40, 290);
            let numbers: Vec<u64> = records.iter().map(|(seq, _)| *seq).collect();
            assert_eq!(numbers, (40..290).collect::<Vec<_>>());
            for (seq, payload) in records {
                assert!(payload.starts_with(format!("{producer} {seq} ").as_bytes()));
            }
        }
    });
}

#[test]
fn the_source_wakes_its_reader() {
    on_both("bell", |world| {
        let dir = TempDir::new().unwrap();
        let journal = open(dir.path(), 1);
        world.start(&journal);
        let mut ledger = world.ledger();
        let rings = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&rings);
        ledger.on_ready(Box::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        }));
        let mut writer = journal.writer(0).unwrap();
        let ids = [writer.producer()];
        append(&mut writer, 1);
        until(&mut *ledger, "one record", |ledger| all_at(ledger, &ids, 1));
        thread::sleep(Duration::from_millis(500));
        ledger.take();
        ledger.arm();
        ledger.take();
        let before = rings.load(Ordering::SeqCst);
        append(&mut writer, 1);
        let deadline = Instant::now() + PATIENCE;
        while rings.load(Ordering::SeqCst) == before {
            assert!(Instant::now() < deadline, "nobody was woken");
            thread::sleep(Duration::from_millis(5));
        }
        until(&mut *ledger, "the record that it was woken for", |ledger| {
            all_at(ledger, &ids, 2)
        });
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 1);
    });
}
