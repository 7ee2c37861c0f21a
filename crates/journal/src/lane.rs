//! What the threads of the journal share about one live producer. Its writer alone decides; the helpers
//! hand it prepared segments and sync what it wrote.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
};

use crate::{
    Ending, Full, ProducerId,
    disk::DiskFile,
    format::Synced,
    segments::{self, Mark},
};

/// A segment that is full of zeros or of dead bytes, waiting for its header.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) number: u64,
    pub(crate) file: Arc<DiskFile>,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Failed writes of records.
    pub(crate) writes: AtomicU64,
    /// Failed syncs.
    pub(crate) syncs: AtomicU64,
    /// Records that wait in memory.
    pub(crate) queued: AtomicU64,
    /// Records that were given up.
    pub(crate) lost: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: ProducerId,
    pub(crate) worker: u32,
    pub(crate) dir: PathBuf,
    pub(crate) created_ms: i64,
    /// Records below are in the kernel. Stored after the write, so a reader that sees it finds them.
    pub(crate) next_seq: AtomicU64,
    /// Bytes promised to tickets.
    pub(crate) reserved: AtomicU64,
    /// Segments prepared and not yet used; kept beside the queue so that admission takes no lock.
    pub(crate) ready_count: AtomicU32,
    /// The sync of a segment failed: nothing more may be trusted to it.
    pub(crate) renew: AtomicBool,
    pub(crate) faults: Faults,
    /// Sync notes written so far; they alternate between two places.
    pub(crate) notes: AtomicU64,
    next_number: AtomicU64,
    ready: Mutex<VecDeque<Ready>>,
    marks: Mutex<VecDeque<Mark>>,
    unsynced: Mutex<Vec<Arc<DiskFile>>>,
    synced: Mutex<Synced>,
    blocked: Mutex<Option<Full>>,
    ended: Mutex<Option<Ending>>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lane {
    /// A lane whose first segment (number 0) is active already and synced at `created_ms`.
    pub(crate) fn new(id: ProducerId, worker: u32, dir: PathBuf, created_ms: i64) -> Self {
        Self {
            id,
            worker,
            dir,
            created_ms,
            next_seq: AtomicU64::new(0),
            reserved: AtomicU64::new(0),
            ready_count: AtomicU32::new(0),
            renew: AtomicBool::new(false),
            faults: Faults::default(),
            notes: AtomicU64::new(0),
            next_number: AtomicU64::new(1),
            ready: Mutex::default(),
            marks: Mutex::new(VecDeque::from([Mark {
                number: 0,
                first_seq: 0,
            }])),
            unsynced: Mutex::default(),
            synced: Mutex::new(Synced { ms: created_ms, seq: 0 }),
            blocked: Mutex::default(),
            ended: Mutex::default(),
        }
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq.load(Ordering::SeqCst)
    }

    pub(crate) fn segment_path(&self, number: u64) -> PathBuf {
        segments::path(&self.dir, number)
    }

    pub(crate) fn next_number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn add_ready(&self, ready: Ready) {
        let mut queue = held(&self.ready);
        queue.push_back(ready);
        self.ready_count.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn take_ready(&self) -> Option<Ready> {
        let taken = held(&self.ready).pop_front();
        if taken.is_some() {
            self.ready_count.fetch_sub(1, Ordering::Release);
        }
        taken
    }

    /// Registers a segment that is about to get its header: from now on it is synced and can be freed.
    pub(crate) fn activate(&self, ready: &Ready, first_seq: u64) {
        held(&self.marks).push_back(Mark {
            number: ready.number,
            first_seq,
        });
        held(&self.unsynced).push(Arc::clone(&ready.file));
    }

    pub(crate) fn watch(&self, file: &Arc<DiskFile>) {
        held(&self.unsynced).push(Arc::clone(file));
    }

    pub(crate) fn unsynced(&self) -> Vec<Arc<DiskFile>> {
        held(&self.unsynced).clone()
    }

    /// Forgets files that were synced after their last record was written. The caller must leave out the file that
    /// was the newest when the sync began: records may have come to it since.
    pub(crate) fn forget_synced(&self, done: &[Arc<DiskFile>]) {
        held(&self.unsynced).retain(|file| !done.iter().any(|done| Arc::ptr_eq(done, file)));
    }

    /// Forgets all files: nobody needs their records any more.
    pub(crate) fn forget_all(&self) {
        held(&self.unsynced).clear();
    }

    pub(crate) fn synced(&self) -> Synced {
        *held(&self.synced)
    }

    /// Notes a finished sync; one that began earlier and ended later changes nothing.
    pub(crate) fn set_synced(&self, synced: Synced) {
        let mut known = held(&self.synced);
        if synced.seq >= known.seq {
            *known = synced;
        }
    }

    pub(crate) fn blocked(&self) -> Option<Full> {
        *held(&self.blocked)
    }

    pub(crate) fn set_blocked(&self, blocked: Option<Full>) {
        *held(&self.blocked) = blocked;
    }

    pub(crate) fn ended(&self) -> Option<Ending> {
        *held(&self.ended)
    }

    pub(crate) fn end(&self, ending: Ending) {
        held(&self.ended).get_or_insert(ending);
    }

    /// Takes the segments out that are wholly below `next`.
    pub(crate) fn take_freed(&self, next: u64) -> Vec<u64> {
        let freed = segments::take_freed(&mut held(&self.marks), next);
        // An open file keeps its space, and what is freed needs no sync.
        held(&self.unsynced)
            .retain(|file| segments::number_of(&file.path).is_none_or(|number| !freed.contains(&number)));
        freed
    }

    pub(crate) fn segment_count(&self) -> usize {
        held(&self.marks).len()
    }
}
