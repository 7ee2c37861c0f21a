//! What an earlier run left: the valid records of each producer, how it ended, and whether records may be gone.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    BootId, Error, ProducerId,
    disk::Disk,
    format::{Header, NOTE_AT, NOTE_BYTES, Synced, decode_note, seed},
    instance,
    scan::{self, Place, Stop},
    segments::{self, Mark},
};

/// File in a producer's folder that holds the verdict over an unclean end, so that it is passed once.
const VERDICT: &str = "end";
const VERDICT_MAGIC: [u8; 8] = *b"TGENDREC";
const VERDICT_BYTES: usize = 32;

/// How a producer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With a close record: nothing was open, nothing is missing.
    Orderly,
    /// Without one (crash, `kill -9`, power loss): requests may have been in flight.
    Interrupted,
}

/// Why records may be missing behind the last valid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapKind {
    /// The kernel went down before the producer was closed: what was not synced may be gone.
    PowerLoss,
    /// The folder is a copy or was restored: the original may have gone on.
    Copied,
    /// Records that were certainly written cannot be read.
    Damaged,
}

/// Records that may be missing: from a sequence number to an unknown end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Why.
    pub kind: GapKind,
    /// The first sequence number that may be missing: the one after the last valid record.
    pub from_seq: u64,
    /// Unix milliseconds: whatever was written before this time is surely not missing.
    pub since_ms: i64,
}

/// What is left of one producer of an earlier run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerTail {
    /// The producer.
    pub producer: ProducerId,
    /// Name of the node it ran on; empty when its segment headers are unreadable.
    pub node: String,
    /// Number of the worker.
    pub worker: u32,
    /// Unix milliseconds of its oldest segment that is still here.
    pub created_ms: i64,
    /// The oldest record that is here and not freed; equal to `next_seq` when none is.
    pub first_seq: u64,
    /// The sequence number after the last valid record.
    pub next_seq: u64,
    /// How it ended.
    pub ending: Ending,
    /// Whether records may be missing at its end.
    pub gap: Option<Gap>,
}

/// A producer of an earlier run and the files that hold its records.
#[derive(Debug)]
pub(crate) struct Past {
    pub(crate) tail: ProducerTail,
    pub(crate) dir: PathBuf,
    pub(crate) marks: VecDeque<Mark>,
    /// No verdict is on disk yet.
    pub(crate) undecided: bool,
}

/// How the folder relates to the run that wrote it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    pub(crate) boot: BootId,
    pub(crate) copied: bool,
}

/// Looks at a journal folder without changing anything, for tools and tests; [`crate::Journal::open`] passes the same
/// verdicts and keeps them. `boot` is the kernel's boot that the caller runs in.
pub fn recover(dir: &Path, boot: BootId) -> Result<Vec<ProducerTail>, Error> {
    let circumstances = Circumstances {
        boot,
        copied: instance::is_copy(dir),
    };
    Ok(find(dir, circumstances)?.into_values().map(|past| past.tail).collect())
}

pub(crate) fn find(dir: &Path, circumstances: Circumstances) -> Result<BTreeMap<ProducerId, Past>, Error> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.parse().ok());
        if let Some(id) = id {
            let past = inspect(&path, id, circumstances).map_err(Error::io("recover", &path))?;
            found.insert(id, past);
        }
    }
    Ok(found)
}

/// What a walk over a producer's segments found.
#[derive(Default)]
struct Walk {
    first: Option<Header>,
    marks: VecDeque<Mark>,
    /// Records below are not needed any more.
    freed: u64,
    next_seq: u64,
    boot: Option<BootId>,
    closed: bool,
    /// A later segment starts behind the place where valid records end.
    torn_off: bool,
    synced: Synced,
    /// Start of the segment in which the valid records end; what is lost was written later.
    last_created_ms: i64,
}

fn inspect(dir: &Path, id: ProducerId, circumstances: Circumstances) -> io::Result<Past> {
    let verdict = read_verdict(dir);
    let walk = walk(dir, id)?;
    let (ending, gap) = match verdict {
        Some((ending, gap, next)) if next <= walk.next_seq => (ending, gap),
        _ => judge(&walk, circumstances),
    };
    let next_seq = verdict.map_or(walk.next_seq, |(_, _, next)| next.min(walk.next_seq));
    let oldest = walk.marks.front().map_or(next_seq, |mark| mark.first_seq);
    let first_seq = oldest.max(walk.freed).min(next_seq);
    let header = walk.first;
    let tail = ProducerTail {
        producer: id,
        node: header.as_ref().map(|header| header.node.clone()).unwrap_or_default(),
        worker: header.as_ref().map_or(0, |header| header.worker),
        created_ms: header.as_ref().map_or(0, |header| header.created_ms),
        first_seq,
        next_seq,
        ending,
        gap,
    };
    let undecided = verdict.is_none() && !(walk.closed && gap.is_none());
    Ok(Past {
        tail,
        dir: dir.to_owned(),
        marks: walk.marks,
        undecided,
    })
}

/// The segments with a valid header that were not freed.
fn in_use(dir: &Path, id: ProducerId, walk: &mut Walk) -> io::Result<Vec<(u64, File, Header)>> {
    let mut found = Vec::new();
    for number in segments::numbers(dir)? {
        let file = File::open(segments::path(dir, number))?;
        walk.hear(read_notes(&file, seed(id, number)));
        if let Some(header) = segments::header(&file, id, number) {
            walk.hear(header.synced);
            found.push((number, file, header));
        }
    }
    let freed = segments::read_freed(dir);
    let start = freed.and_then(|freed| found.iter().rposition(|(_, _, header)| header.first_seq <= freed));
    found.drain(..start.unwrap_or(0));
    // Without a readable position whatever comes first has to be taken for the front.
    walk.freed = freed.unwrap_or(0);
    walk.next_seq = freed
        .or_else(|| found.first().map(|(_, _, header)| header.first_seq))
        .unwrap_or(0);
    Ok(found)
}

fn walk(dir: &Path, id: ProducerId) -> io::Result<Walk> {
    let mut walk = Walk {
        synced: Synced { ms: i64::MIN, seq: 0 },
        ..Walk::default()
    };
    for (number, file, header) in in_use(dir, id, &mut walk)? {
        walk.torn_off = walk.torn_off || header.first_seq > walk.next_seq;
        if !walk.torn_off && !walk.closed {
            let mut place = Place::start(seed(id, number), header.first_seq);
            walk.closed = run_through(&file, &mut place)? == Stop::Closed;
            walk.next_seq = walk.next_seq.max(place.seq);
            walk.marks.push_back(Mark {
                number,
                first_seq: header.first_seq,
            });
            walk.last_created_ms = header.created_ms;
        }
        walk.boot = Some(header.boot);
        walk.first.get_or_insert(header);
    }
    Ok(walk)
}

impl Walk {
    fn hear(&mut self, synced: Synced) {
        if (synced.seq, synced.ms) > (self.synced.seq, self.synced.ms) {
            self.synced = synced;
        }
    }
}

fn run_through(file: &File, place: &mut Place) -> io::Result<Stop> {
    let mut buffer = Vec::new();
    loop {
        let stop = scan::window(file, place, &mut buffer, |_, _| true)?;
        if stop != Stop::More {
            return Ok(stop);
        }
    }
}

fn read_notes(file: &File, seed: u32) -> Synced {
    let mut latest = Synced { ms: i64::MIN, seq: 0 };
    for at in NOTE_AT {
        let mut bytes = [0_u8; NOTE_BYTES];
        let read = file.read_exact_at(&mut bytes, at);
        if let Some(note) = read.ok().and_then(|()| decode_note(seed, &bytes))
            && (note.seq, note.ms) > (latest.seq, latest.ms)
        {
            latest = note;
        }
    }
    latest
}

fn judge(walk: &Walk, circumstances: Circumstances) -> (Ending, Option<Gap>) {
    let damaged = walk.torn_off || walk.next_seq < walk.synced.seq || walk.first.is_none();
    if walk.closed && !damaged {
        return (Ending::Orderly, None);
    }
    let same_boot = walk.boot == Some(circumstances.boot);
    let (kind, since_ms) = if damaged && (same_boot || walk.next_seq < walk.synced.seq) {
        (GapKind::Damaged, walk.last_created_ms)
    } else if circumstances.copied {
        (GapKind::Copied, walk.synced.ms.max(walk.last_created_ms))
    } else if same_boot {
        return (Ending::Interrupted, None);
    } else {
        (GapKind::PowerLoss, walk.synced.ms.max(walk.last_created_ms))
    };
    (
        Ending::Interrupted,
        Some(Gap {
            kind,
            from_seq: walk.next_seq,
            since_ms,
        }),
    )
}

/// Keeps the verdict over an unclean end: the records it counts are synced first, so that it stays true.
pub(crate) fn decide(past: &mut Past, disk: &Disk) -> Result<(), Error> {
    if !past.undecided {
        return Ok(());
    }
    let path = past.dir.join(VERDICT);
    sync_segments(past, disk)
        .and_then(|()| disk.replace(&path, &verdict(&past.tail)))
        .map_err(Error::io("write", &path))?;
    past.undecided = false;
    Ok(())
}

fn sync_segments(past: &Past, disk: &Disk) -> io::Result<()> {
    for mark in &past.marks {
        disk.sync_data(&disk.open(&segments::path(&past.dir, mark.number))?)?;
    }
    disk.sync_dir(&past.dir)
}

fn verdict(tail: &ProducerTail) -> [u8; VERDICT_BYTES] {
    let mut out = [0_u8; VERDICT_BYTES];
    out[..8].copy_from_slice(&VERDICT_MAGIC);
    out[8..16].copy_from_slice(&tail.next_seq.to_le_bytes());
    out[16..24].copy_from_slice(&tail.gap.map_or(0, |gap| gap.since_ms).to_le_bytes());
    out[24] = match tail.ending {
        Ending::Orderly => 0,
        Ending::Interrupted => 1,
    };
    out[25] = match tail.gap.map(|gap| gap.kind) {
        None => 0,
        Some(GapKind::PowerLoss) => 1,
        Some(GapKind::Copied) => 2,
        Some(GapKind::Damaged) => 3,
    };
    let crc = crc32c::crc32c_append(crc32c::crc32c(&tail.producer.to_bytes()), &out[..28]);
    out[28..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn read_verdict(dir: &Path) -> Option<(Ending, Option<Gap>, u64)> {
    let id: ProducerId = dir.file_name()?.to_str()?.parse().ok()?;
    let bytes: [u8; VERDICT_BYTES] = fs::read(dir.join(VERDICT)).ok()?.try_into().ok()?;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&id.to_bytes()), &bytes[..28]);
    if bytes[..8] != VERDICT_MAGIC || bytes[28..] != crc.to_le_bytes() {
        return None;
    }
    let next_seq = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    let since_ms = i64::from_le_bytes(bytes[16..24].try_into().ok()?);
    let kind = match bytes[25] {
        1 => Some(GapKind::PowerLoss),
        2 => Some(GapKind::Copied),
        3 => Some(GapKind::Damaged),
        _ => None,
    };
    let ending = if bytes[24] == 0 {
        Ending::Orderly
    } else {
        Ending::Interrupted
    };
    Some((
        ending,
        kind.map(|kind| Gap {
            kind,
            from_seq: next_seq,
            since_ms,
        }),
        next_seq,
    ))
}
