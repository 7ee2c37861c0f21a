//! What every test starts from: a folder, a clock that the test moves, a small generator of random numbers.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use journal::{Appended, BootId, Error, Full, Journal, ProducerId, Reader, Settings, Ticket, Writer};
use tempfile::TempDir;

pub(crate) const SEGMENT: u64 = 16 << 10;

pub(crate) struct Desk {
    folder: TempDir,
    pub(crate) clock: Arc<AtomicI64>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: Arc::new(AtomicI64::new(1_000)),
        }
    }

    /// In memory where that is possible: for tests whose faults are simulated and need no real disk.
    pub(crate) fn in_memory() -> Self {
        let shm = Path::new("/dev/shm");
        let folder = if shm.is_dir() {
            tempfile::tempdir_in(shm)
        } else {
            tempfile::tempdir()
        };
        Self {
            folder: folder.unwrap(),
            clock: Arc::new(AtomicI64::new(1_000)),
        }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// Settings with small segments; the journal syncs only when told to.
    pub(crate) fn settings(&self) -> Settings {
        let clock = Arc::clone(&self.clock);
        let mut settings = Settings::new(self.dir(), Arc::new(move || clock.load(Ordering::SeqCst))).unwrap();
        settings.segment_bytes = SEGMENT;
        settings.fsync_every = Duration::from_hours(1);
        "node-1".clone_into(&mut settings.node);
        settings
    }

    pub(crate) fn open(&self) -> Journal {
        Journal::open(self.settings()).unwrap()
    }
}

pub(crate) fn boot(number: u8) -> BootId {
    BootId::from_bytes([number; 16])
}

/// A ticket, after waiting for the next segment where that is still being prepared.
pub(crate) fn ticket(writer: &Writer, bytes: usize) -> Ticket {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match writer.reserve(bytes) {
            Ok(ticket) => return ticket,
            Err(full) => {
                assert_eq!(
                    full,
                    Full::Preparing,
                    "only a segment in preparation is worth waiting for"
                );
                assert!(Instant::now() < deadline, "no segment within 30 s");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

pub(crate) fn append(writer: &mut Writer, payload: &[u8]) -> Appended {
    let ticket = ticket(writer, payload.len());
    writer.append(ticket, payload).unwrap()
}

/// What record `seq` says, of a length that varies.
pub(crate) fn payload(producer: ProducerId, seq: u64) -> Vec<u8> {
    let tail = "x".repeat(usize::try_from(seq % 200).unwrap());
    format!("record {seq} of {producer} {tail}").into_bytes()
}

/// Appends `count` records that say their own number.
pub(crate) fn append_some(writer: &mut Writer, count: u64) {
    for _ in 0..count {
        let seq = writer.next_seq();
        let appended = append(writer, &payload(writer.producer(), seq));
        assert_eq!(appended.seq, seq);
    }
}

/// All payloads from `from` on, until there is nothing more or an error.
pub(crate) fn read(reader: &mut Reader, producer: ProducerId, from: u64) -> (Vec<Vec<u8>>, Option<Error>) {
    let mut found = Vec::new();
    let mut next = from;
    loop {
        match reader.read_from(producer, next, 4096) {
            Ok(Some(batch)) => {
                assert_eq!(batch.first_seq, next, "a batch starts where it was asked to");
                for (seq, payload) in batch.records() {
                    assert_eq!(seq, next, "numbers have no holes");
                    found.push(payload.to_vec());
                    next += 1;
                }
                assert_eq!(batch.next_seq(), next);
            }
            Ok(None) => return (found, None),
            Err(error) => return (found, Some(error)),
        }
    }
}

/// Checks that exactly the records `from..to` are readable and say their own number.
pub(crate) fn expect_records(reader: &mut Reader, producer: ProducerId, from: u64, to: u64) {
    let (found, error) = read(reader, producer, from);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(found.len() as u64, to - from);
    for (payload_found, seq) in found.iter().zip(from..) {
        assert_eq!(payload_found, &payload(producer, seq));
    }
}

/// Waits until `done`, at most 30 s.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// `SplitMix64`: the same numbers for the same seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}
