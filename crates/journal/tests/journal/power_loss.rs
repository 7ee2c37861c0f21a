//! Power loss: a shim remembers what was synced and, at the cut, throws a random part of the rest away, sector by
//! sector and name by name.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    fs, io,
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::Ordering},
    thread,
    time::Duration,
};

use journal::{BootId, GapKind, Journal, Op, ProducerId, Reader, Writer, recover};

use crate::desk::{Desk, Dice, boot, payload, read};

const SECTOR: usize = 512;

/// What would be on the platter.
#[derive(Default)]
struct Platter {
    /// Contents by inode, as of the last sync.
    contents: HashMap<u64, Vec<u8>>,
    /// Names by the folder's inode, as of its last sync.
    names: HashMap<u64, BTreeMap<OsString, u64>>,
    /// Operations until the power goes; from then on every operation fails.
    left: Option<u64>,
}

impl Platter {
    fn is_off(&self) -> bool {
        self.left == Some(0)
    }

    fn hear(&mut self, op: Op<'_>) -> io::Result<()> {
        if self.is_off() {
            return Err(io::Error::other("the power is off"));
        }
        self.left = self.left.map(|left| left - 1);
        match op {
            Op::SyncData { file, .. } => {
                let meta = file.metadata()?;
                let mut bytes = vec![0; usize::try_from(meta.len()).unwrap()];
                file.read_exact_at(&mut bytes, 0)?;
                self.contents.insert(meta.ino(), bytes);
            }
            Op::SyncDir(path) => {
                let listed = list(path);
                self.names.insert(fs::metadata(path)?.ino(), listed);
            }
            Op::Remove(path) => {
                self.contents.remove(&fs::metadata(path)?.ino());
            }
            _ => {}
        }
        Ok(())
    }
}

fn list(path: &Path) -> BTreeMap<OsString, u64> {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.file_name(), entry.metadata().unwrap().ino()))
        .collect()
}

/// Files of the world after the cut: path below the folder, contents.
struct Image(Vec<(PathBuf, Vec<u8>)>);

struct Cut<'a> {
    platter: &'a Platter,
    live: HashMap<u64, PathBuf>,
    dice: &'a mut Dice,
}

impl Cut<'_> {
    fn image(platter: &Platter, root: &Path, dice: &mut Dice) -> Image {
        let mut live = HashMap::new();
        find_live(root, &mut live);
        let mut image = Image(Vec::new());
        Cut { platter, live, dice }.folder(fs::metadata(root).unwrap().ino(), Path::new(""), &mut image);
        image
    }

    /// A name that is both synced and current stays, though a replaced file may be the old or the new one; a name that
    /// is only one of them may be there or not.
    fn folder(&mut self, inode: u64, at: &Path, image: &mut Image) {
        let synced = self.platter.names.get(&inode).cloned().unwrap_or_default();
        let current = self.live.get(&inode).map(|path| list(path)).unwrap_or_default();
        let names: BTreeSet<_> = synced.keys().chain(current.keys()).cloned().collect();
        for name in names {
            let ino = match (synced.get(&name), current.get(&name)) {
                (Some(old), Some(new)) => Some(if self.dice.coin() { old } else { new }),
                (one, other) => one.or(other).filter(|_| self.dice.coin()),
            };
            let Some(&ino) = ino else {
                continue;
            };
            let path = at.join(&name);
            if self.live.get(&ino).is_some_and(|live| live.is_dir()) {
                self.folder(ino, &path, image);
            } else if let Some(bytes) = self.contents(ino) {
                image.0.push((path, bytes));
            }
        }
    }

    /// Each sector is as synced or as written later.
    fn contents(&mut self, inode: u64) -> Option<Vec<u8>> {
        let synced = self.platter.contents.get(&inode);
        let Some(live) = self.live.get(&inode) else {
            return synced.cloned();
        };
        let mut bytes = fs::read(live).unwrap();
        for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let old = synced.and_then(|synced| synced.get(index * SECTOR..index * SECTOR + sector.len()));
            if self.dice.coin() {
                match old {
                    Some(old) => sector.copy_from_slice(old),
                    None => sector.fill(0),
                }
            }
        }
        Some(bytes)
    }
}

fn find_live(path: &Path, live: &mut HashMap<u64, PathBuf>) {
    live.insert(fs::metadata(path).unwrap().ino(), path.to_owned());
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            find_live(&entry.unwrap().path(), live);
        }
    }
}

/// Puts the image in the place of the folder's contents. The instance file stays: a power loss makes no copy.
fn put_back(image: Image, root: &Path) {
    for entry in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            fs::remove_dir_all(entry).unwrap();
        } else if !entry.ends_with("instance") {
            fs::remove_file(entry).unwrap();
        }
    }
    for (path, bytes) in image.0.into_iter().filter(|(path, _)| path != Path::new("instance")) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// One producer at the cut.
struct Truth {
    producer: ProducerId,
    next_seq: u64,
    synced_seq: u64,
    freed: u64,
    /// Clock at the append of each record.
    at_ms: Vec<i64>,
}

/// Writes with random syncs and frees until the power goes; leaves the folder as the next boot finds it.
fn run_and_cut(desk: &Desk, dice: &mut Dice) -> Vec<Truth> {
    let platter = Arc::new(Mutex::new(Platter::default()));
    let mut settings = desk.settings();
    settings.boot = boot(1);
    settings.faults = Some(Arc::new({
        let platter = Arc::clone(&platter);
        move |op| platter.lock().unwrap().hear(op)
    }));
    let journal = Journal::open(settings).unwrap();
    let mut writers: Vec<(Writer, Truth)> = (0..2).map(|worker| start(&journal, worker)).collect();
    // The power goes in the middle of some write, sync or rename, or after all of them.
    platter.lock().unwrap().left = Some(1 + dice.below(900));
    let off = || platter.lock().unwrap().is_off();
    for _ in 0..dice.below(25) {
        let pick = usize::try_from(dice.below(2)).unwrap();
        turn(desk, &journal, &mut writers[pick], (&mut *dice, &off));
    }
    platter.lock().unwrap().left = Some(0);
    for status in journal.status().writers {
        let (_, truth) = writers
            .iter_mut()
            .find(|(_, truth)| truth.producer == status.producer)
            .unwrap();
        (truth.next_seq, truth.synced_seq) = (status.next_seq, status.synced_seq);
    }
    let held = platter.lock().unwrap();
    let image = Cut::image(&held, &desk.dir(), dice);
    drop(held);
    let truths = writers.into_iter().map(|(_, truth)| truth).collect();
    drop(journal);
    put_back(image, &desk.dir());
    truths
}

fn start(journal: &Journal, worker: u32) -> (Writer, Truth) {
    let writer = journal.writer(worker).unwrap();
    let producer = writer.producer();
    (
        writer,
        Truth {
            producer,
            next_seq: 0,
            synced_seq: 0,
            freed: 0,
            at_ms: Vec::new(),
        },
    )
}

fn turn(desk: &Desk, journal: &Journal, one: &mut (Writer, Truth), world: (&mut Dice, &dyn Fn() -> bool)) {
    let (writer, truth) = one;
    let (dice, off) = world;
    for _ in 0..dice.below(60) {
        let at_ms = desk.clock.fetch_add(1, Ordering::SeqCst) + 1;
        let seq = writer.next_seq();
        let payload = payload(truth.producer, seq);
        while !off() {
            if let Ok(ticket) = writer.reserve(payload.len()) {
                truth.at_ms.push(at_ms);
                assert_eq!(writer.append(ticket, &payload).unwrap().seq, seq);
                break;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
    match dice.below(4) {
        0 => assert!(journal.sync() || off()),
        1 => {
            // Only what is durable elsewhere is freed, which the ledger knows; here any position will do.
            truth.freed = truth.freed.max(dice.below(writer.next_seq() + 1));
            let freed = journal.free_below(truth.producer, truth.freed);
            assert!(freed.is_ok() || off(), "{freed:?}");
        }
        _ => {}
    }
}

/// What an observer without checksums takes for records: follows the lengths alone.
fn naive(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut at = 4_096;
    let mut found = Vec::new();
    while let Some(head) = bytes.get(at..at + 4) {
        let len = usize::from(u16::from_le_bytes([head[0], head[1]]));
        if head[3] != 1 {
            break;
        }
        found.extend(bytes.get(at + 8..at + 8 + len).map(<[u8]>::to_vec));
        at += 8 + len;
    }
    found
}

fn naive_is_wrong(dir: &Path, truth: &Truth) -> bool {
    let Ok(entries) = fs::read_dir(dir.join(truth.producer.to_string())) else {
        return false;
    };
    let segments = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"));
    segments.flat_map(|path| naive(&path)).any(|record| {
        let text = String::from_utf8_lossy(&record).into_owned();
        let seq = text.split(' ').nth(1).and_then(|seq| seq.parse().ok());
        seq.is_none_or(|seq: u64| seq >= truth.next_seq || record != payload(truth.producer, seq))
    })
}

/// Checks one producer after the cut; returns how many records were lost.
fn check(seed: u64, dir: &Path, truth: &Truth) -> u64 {
    let tails = recover(dir, boot(2)).unwrap();
    let tail = tails.iter().find(|tail| tail.producer == truth.producer);
    let tail = tail.unwrap_or_else(|| panic!("seed {seed}: the producer is gone without a trace"));
    let gap = tail.gap.unwrap_or_else(|| panic!("seed {seed}: no gap"));
    assert_eq!(
        (gap.kind, gap.from_seq),
        (GapKind::PowerLoss, tail.next_seq),
        "seed {seed}"
    );
    assert!(
        tail.next_seq >= truth.synced_seq,
        "seed {seed}: {} < {}",
        tail.next_seq,
        truth.synced_seq
    );
    assert!(tail.next_seq <= truth.next_seq, "seed {seed}");
    let lost = usize::try_from(tail.next_seq)
        .ok()
        .and_then(|next| truth.at_ms.get(next..))
        .unwrap_or_default();
    assert!(
        lost.iter().all(|at| *at >= gap.since_ms),
        "seed {seed}: lost before {}",
        gap.since_ms
    );
    let (found, _) = read(&mut Reader::open(dir), truth.producer, tail.first_seq);
    assert_eq!(found.len() as u64, tail.next_seq - tail.first_seq, "seed {seed}");
    for (record, seq) in found.iter().zip(tail.first_seq..) {
        assert_eq!(record, &payload(truth.producer, seq), "seed {seed}: a wrong record");
    }
    assert!(
        tail.first_seq <= truth.freed,
        "seed {seed}: records that nobody freed are missing in front"
    );
    truth.next_seq - tail.next_seq
}

#[test]
fn a_power_loss_leaves_a_gap_and_never_a_wrong_record() {
    let (mut lost, mut torn, mut silent) = (0, 0, 0);
    for seed in 0..200 {
        let desk = Desk::in_memory();
        let mut dice = Dice(seed);
        let truths = run_and_cut(&desk, &mut dice);
        for truth in &truths {
            let gone = check(seed, &desk.dir(), truth);
            lost += gone;
            torn += u64::from(naive_is_wrong(&desk.dir(), truth));
            // The control without the boot id: the same boot has no gap to tell of.
            let same = recover(&desk.dir(), boot(1)).unwrap();
            let tail = same.iter().find(|tail| tail.producer == truth.producer).unwrap();
            silent += u64::from(gone > 0 && tail.gap.is_none());
        }
        let journal = desk.open();
        assert_ne!(BootId::current().unwrap(), boot(1));
        assert!(journal.recovered().iter().all(|tail| tail.gap.is_some()), "seed {seed}");
    }
    println!(
        "200 cuts, seeds 0..200: {lost} records lost, {torn} torn producers, {silent} losses silent without the boot id"
    );
    assert!(lost > 1_000, "the shim loses records: {lost}");
    assert!(torn > 20, "without checksums wrong records would be read: {torn}");
    assert!(silent > 20, "without the boot id losses would be silent: {silent}");
}
