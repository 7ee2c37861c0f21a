//! What the journal, its writers and its helper threads share.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{Bell, ProducerId, Settings, disk::Disk, lane::Lane, recover::Past};

/// Lets a helper thread sleep until it is poked, its time has come or the journal stops.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    poked: Mutex<bool>,
    changed: Condvar,
}

impl Pace {
    pub(crate) fn poke(&self) {
        *self.poked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    pub(crate) fn sleep(&self, at_most: Duration) {
        let poked = self.poked.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut poked, _) = self
            .changed
            .wait_timeout_while(poked, at_most, |poked| !*poked)
            .unwrap_or_else(PoisonError::into_inner);
        *poked = false;
    }
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) disk: Disk,
    pub(crate) bell: Bell,
    /// Bytes of all segment files, spare ones too.
    pub(crate) total_bytes: AtomicU64,
    pub(crate) stop: AtomicBool,
    pub(crate) prepare_pace: Pace,
    pub(crate) sync_pace: Pace,
    pub(crate) spare_number: AtomicU64,
    lanes: Mutex<Vec<Arc<Lane>>>,
    past: Mutex<BTreeMap<ProducerId, Past>>,
    spares: Mutex<Vec<PathBuf>>,
}

impl Shared {
    pub(crate) fn new(settings: Settings, past: BTreeMap<ProducerId, Past>) -> Self {
        Self {
            disk: Disk::new(settings.faults.clone()),
            settings,
            bell: Bell::default(),
            total_bytes: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            prepare_pace: Pace::default(),
            sync_pace: Pace::default(),
            spare_number: AtomicU64::new(0),
            lanes: Mutex::default(),
            past: Mutex::new(past),
            spares: Mutex::default(),
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.settings.clock)()
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, Vec<Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lane(&self, id: ProducerId) -> Option<Arc<Lane>> {
        self.lanes().iter().find(|lane| lane.id == id).cloned()
    }

    pub(crate) fn past(&self) -> MutexGuard<'_, BTreeMap<ProducerId, Past>> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn spares(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        self.spares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sequence number after the producer's last record that readers may see.
    pub(crate) fn end_of(&self, id: ProducerId) -> Option<u64> {
        self.lane(id)
            .map(|lane| lane.next_seq())
            .or_else(|| self.past().get(&id).map(|past| past.tail.next_seq))
    }
}
