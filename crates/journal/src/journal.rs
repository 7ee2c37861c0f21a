//! The journal of one process: its folder, its producers of this run and of earlier ones, its helper threads.

use std::{
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
};

use crate::{
    Bell, Error, Position, Producer, ProducerId, ProducerTail, Reader, Settings, Status, Writer,
    disk::DiskFile,
    helper, instance,
    lane::Lane,
    recover::{self, Circumstances},
    segments,
    shared::Shared,
    status, writer,
};

const SPARE: &str = "spare-";
const NEW: &str = "new-";
const GONE: &str = "gone-";

/// The gateway's durable usage log. Shared by reference between its writers' threads and whoever reads.
pub struct Journal {
    shared: Arc<Shared>,
    recovered: Vec<ProducerTail>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held for as long as the journal is open.
    lock: Mutex<Option<File>>,
}

impl Journal {
    /// Opens the journal of a folder: takes its lock, recovers what earlier runs left, starts the helper threads.
    ///
    /// Fails with [`Error::Locked`] when another process has it, with [`Error::Settings`] and with [`Error::Io`].
    pub fn open(settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        let dir = settings.dir.clone();
        fs::create_dir_all(&dir).map_err(Error::io("make", &dir))?;
        let lock = instance::lock(&dir)?;
        let circumstances = Circumstances {
            boot: settings.boot,
            copied: instance::is_copy(&dir),
        };
        let past = recover::find(&dir, circumstances)?;
        let shared = Arc::new(Shared::new(settings, past));
        for past in shared.past().values_mut() {
            recover::decide(past, &shared.disk)?;
        }
        instance::claim(&dir, &shared.disk)?;
        tidy(&shared).map_err(Error::io("tidy", &dir))?;
        let recovered: Vec<ProducerTail> = shared.past().values().map(|past| past.tail.clone()).collect();
        for tail in &recovered {
            tracing::info!(producer = %tail.producer, next_seq = tail.next_seq, gap = ?tail.gap, "journal tail recovered");
        }
        let journal = Self {
            shared,
            recovered,
            threads: Mutex::default(),
            lock: Mutex::new(Some(lock)),
        };
        journal.start("journal-prepare", helper::run_prepare)?;
        journal.start("journal-sync", helper::run_sync)?;
        Ok(journal)
    }

    fn start(&self, name: &str, run: fn(&Shared)) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&shared))
            .map_err(Error::io("start a thread for", &self.shared.settings.dir))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// The folder of the journal.
    pub fn dir(&self) -> &Path {
        &self.shared.settings.dir
    }

    /// What earlier runs left, as found when the journal was opened.
    pub fn recovered(&self) -> &[ProducerTail] {
        &self.recovered
    }

    /// Makes a producer and its writer. Blocks for one small sync, so that the producer's existence survives a power
    /// loss from its first record on.
    pub fn writer(&self, worker: u32) -> Result<Writer, Error> {
        if self.shared.stopped() {
            return Err(Error::Closed);
        }
        let workers = self.shared.lanes().len() as u64 + 1;
        if self.shared.settings.max_bytes < workers * 2 * self.shared.settings.segment_bytes {
            return Err(Error::Settings("max_bytes must hold two segments for each writer"));
        }
        let dir = self.shared.settings.dir.clone();
        let id = ProducerId::fresh().map_err(Error::io("draw a producer id for", &dir))?;
        let lane = Arc::new(Lane::new(id, worker, dir.join(id.to_string()), self.shared.now_ms()));
        let file = self.make_first(&lane).map_err(Error::io("make a producer in", &dir))?;
        self.shared
            .total_bytes
            .fetch_add(self.shared.settings.segment_bytes, Ordering::Relaxed);
        lane.watch(&file);
        self.shared.lanes().push(Arc::clone(&lane));
        self.shared.prepare_pace.poke();
        Ok(Writer::new(Arc::clone(&self.shared), lane, file))
    }

    /// Builds the producer's folder under another name and renames it when its first header is on the disk: a folder
    /// with a producer's name always began with a valid header.
    fn make_first(&self, lane: &Lane) -> io::Result<Arc<DiskFile>> {
        let disk = &self.shared.disk;
        let root = &self.shared.settings.dir;
        let draft = root.join(format!("{NEW}{}", lane.id));
        disk.make_dir(&draft)?;
        let made = disk
            .create_zeroed(&segments::path(&draft, 0), self.shared.settings.segment_bytes)
            .and_then(|file| {
                disk.write_at(&file, &writer::header(&self.shared, lane, 0, 0).encode(), 0)?;
                disk.sync_data(&file)?;
                disk.sync_dir(&draft)?;
                disk.rename(&draft, &lane.dir)?;
                disk.sync_dir(root)?;
                disk.open(&lane.segment_path(0))
            });
        if made.is_err() {
            // What cannot be removed now is removed by the next recovery.
            let _left_over = fs::remove_dir_all(&draft);
        }
        made.map(Arc::new)
    }

    /// A reader in this process: knows without a system call when there is nothing new.
    pub fn reader(&self) -> Reader {
        Reader::with(self.shared.settings.dir.clone(), Arc::clone(&self.shared))
    }

    /// The bell that rings when something was appended.
    pub fn bell(&self) -> &Bell {
        &self.shared.bell
    }

    /// The end of every producer at this moment, ended ones too. Whoever has read up to all of these has seen every
    /// record whose append returned before the call.
    pub fn positions(&self) -> Vec<Position> {
        let producers = self.producers().into_iter();
        producers
            .map(|producer| Position {
                producer: producer.producer,
                next_seq: producer.next_seq,
            })
            .collect()
    }

    /// Every producer that is not freed yet.
    pub fn producers(&self) -> Vec<Producer> {
        let mut all: Vec<Producer> = self
            .shared
            .past()
            .values()
            .map(|past| status::of_past(&past.tail))
            .collect();
        all.extend(
            self.shared
                .lanes()
                .iter()
                .map(|lane| status::of_lane(lane, &self.shared.settings.node)),
        );
        all
    }

    /// Frees the segments of a producer all of whose records are below `next`. When it has ended and `next` is its
    /// end, the producer vanishes; note its gap before. Call it when nobody will read below `next` again.
    /// Returns how many segments were freed. Unknown producers are no error: they vanished already.
    pub fn free_below(&self, producer: ProducerId, next: u64) -> Result<usize, Error> {
        let known = self
            .free_of_lane(producer, next)
            .or_else(|| self.free_of_past(producer, next));
        let Some((dir, numbers, vanish)) = known else {
            return Ok(0);
        };
        let freed = if vanish {
            self.vanish(producer, &dir)?
        } else {
            self.release(&dir, &numbers, next)?
        };
        if freed > 0 {
            self.shared.prepare_pace.poke();
        }
        Ok(freed)
    }

    fn free_of_lane(&self, producer: ProducerId, next: u64) -> Option<(PathBuf, Vec<u64>, bool)> {
        let lane = self.shared.lane(producer)?;
        let numbers = lane.take_freed(next);
        let vanish = lane.ended().is_some() && lane.next_seq() <= next;
        if vanish {
            lane.forget_all();
            self.shared.lanes().retain(|other| other.id != producer);
        }
        Some((lane.dir.clone(), numbers, vanish))
    }

    fn free_of_past(&self, producer: ProducerId, next: u64) -> Option<(PathBuf, Vec<u64>, bool)> {
        let mut all = self.shared.past();
        let past = all.get_mut(&producer)?;
        let numbers = segments::take_freed(&mut past.marks, next);
        let vanish = past.tail.next_seq <= next;
        let dir = past.dir.clone();
        if vanish {
            all.remove(&producer);
        }
        Some((dir, numbers, vanish))
    }

    /// Writes the freed position down before the first segment goes.
    fn release(&self, dir: &Path, numbers: &[u64], next: u64) -> Result<usize, Error> {
        if numbers.is_empty() {
            return Ok(0);
        }
        segments::write_freed(dir, &self.shared.disk, next).map_err(Error::io("note what is freed in", dir))?;
        for &number in numbers {
            self.recycle(&segments::path(dir, number))?;
        }
        Ok(numbers.len())
    }

    /// Renames the whole folder before anything in it goes: after a crash it is there entirely or not at all.
    fn vanish(&self, producer: ProducerId, dir: &Path) -> Result<usize, Error> {
        let root = &self.shared.settings.dir;
        let gone = root.join(format!("{GONE}{producer}"));
        self.shared.disk.rename(dir, &gone).map_err(Error::io("rename", dir))?;
        self.shared.disk.sync_dir(root).map_err(Error::io("sync", root))?;
        let numbers = segments::numbers(&gone).map_err(Error::io("list", &gone))?;
        for &number in &numbers {
            self.recycle(&segments::path(&gone, number))?;
        }
        fs::remove_dir_all(&gone).map_err(Error::io("remove", &gone))?;
        Ok(numbers.len())
    }

    /// Keeps a dead segment for later use, or removes it when enough are kept or its size is another.
    fn recycle(&self, path: &Path) -> Result<(), Error> {
        let bytes = fs::metadata(path).map_err(Error::io("look at", path))?.len();
        let mut spares = self.shared.spares();
        if bytes == self.shared.settings.segment_bytes && spares.len() < self.shared.lanes().len().max(1) {
            let number = self.shared.spare_number.fetch_add(1, Ordering::Relaxed);
            let spare = self.shared.settings.dir.join(format!("{SPARE}{number}"));
            self.shared
                .disk
                .rename(path, &spare)
                .map_err(Error::io("rename", path))?;
            spares.push(spare);
            return Ok(());
        }
        drop(spares);
        self.shared.disk.remove(path).map_err(Error::io("remove", path))?;
        self.shared.total_bytes.fetch_sub(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// What the journal holds and what ails it.
    pub fn status(&self) -> Status {
        let spares = self.shared.spares().len();
        let past_producers = self.shared.past().len();
        let lanes = self.shared.lanes().clone();
        Status {
            bytes: self.shared.total_bytes.load(Ordering::Relaxed),
            max_bytes: self.shared.settings.max_bytes,
            spares,
            past_producers,
            writers: lanes.iter().map(|lane| status::of_writer(lane)).collect(),
        }
    }

    /// Syncs on the calling thread all that was appended; false when a sync failed.
    pub fn sync(&self) -> bool {
        helper::sync_all(&self.shared)
    }

    /// Stops the helper threads, syncs, removes prepared segments and gives the lock back. Close the writers first:
    /// one that is still open counts as interrupted. Does nothing when called again.
    pub fn close(&self) -> Result<(), Error> {
        self.stop();
        let Some(lock) = self.lock.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        let synced = self.sync();
        let dropped = self.drop_prepared();
        unlock(&lock);
        dropped?;
        if synced {
            return Ok(());
        }
        Err(Error::io("sync", &self.shared.settings.dir)(io::Error::other(
            "the last sync failed",
        )))
    }

    fn drop_prepared(&self) -> Result<(), Error> {
        let lanes = self.shared.lanes().clone();
        let ended = lanes.iter().filter(|lane| lane.ended().is_some());
        let prepared = ended.flat_map(|lane| std::iter::from_fn(|| lane.take_ready()));
        let mut unused: Vec<PathBuf> = prepared.map(|ready| ready.file.path.clone()).collect();
        unused.append(&mut self.shared.spares());
        for path in unused {
            self.shared.disk.remove(&path).map_err(Error::io("remove", &path))?;
            self.shared
                .total_bytes
                .fetch_sub(self.shared.settings.segment_bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.prepare_pace.poke();
        self.shared.sync_pace.poke();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a journal thread panicked");
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
        if let Some(lock) = self.lock.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            unlock(&lock);
        }
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

/// Gives the lock back at once: closing the file alone does not while a child that is just being started still shares it.
fn unlock(lock: &File) {
    if let Err(error) = lock.unlock() {
        tracing::warn!(error = %error, "journal lock not given back");
    }
}

/// Removes what a crash left half made or half removed, and counts what is there.
fn tidy(shared: &Shared) -> io::Result<()> {
    let mut bytes = 0;
    for entry in fs::read_dir(&shared.settings.dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned();
        if name.starts_with(NEW) || name.starts_with(GONE) {
            fs::remove_dir_all(&path)?;
        } else if name.starts_with(SPARE) {
            shared.disk.remove(&path)?;
        }
    }
    for past in shared.past().values() {
        for number in segments::numbers(&past.dir)? {
            bytes += fs::metadata(segments::path(&past.dir, number))?.len();
        }
    }
    shared.total_bytes.store(bytes, Ordering::Relaxed);
    Ok(())
}
