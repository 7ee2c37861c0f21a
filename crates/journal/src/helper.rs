//! The two helper threads: one prepares segments, one syncs. Two, because a sync that takes seconds must not
//! keep a full segment from being followed by the next.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use crate::{
    Full,
    disk::DiskFile,
    format::{NOTE_AT, Synced, encode_note, seed},
    lane::{Lane, Ready},
    shared::Shared,
};

/// How long the preparing thread waits after a failure, and otherwise without being asked.
const RETRY: Duration = Duration::from_millis(50);
const IDLE: Duration = Duration::from_secs(1);

pub(crate) fn run_prepare(shared: &Shared) {
    while !shared.stopped() {
        let lanes = shared.lanes().clone();
        let all_ready = lanes
            .iter()
            .filter(|lane| lane.ended().is_none())
            .fold(true, |all, lane| {
                let ready = fill(shared, lane);
                all && ready
            });
        shared.prepare_pace.sleep(if all_ready { IDLE } else { RETRY });
    }
}

/// Brings one lane to the wanted number of ready segments; says whether it is there.
fn fill(shared: &Shared, lane: &Lane) -> bool {
    while lane.ready_count.load(Ordering::Acquire) < shared.settings.ahead {
        match prepare(shared, lane) {
            Ok(ready) => {
                lane.set_blocked(None);
                lane.add_ready(ready);
            }
            Err(full) => {
                if lane.blocked() != Some(full) {
                    tracing::warn!(producer = %lane.id, reason = %full, "no further journal segment");
                }
                lane.set_blocked(Some(full));
                return false;
            }
        }
        if shared.stopped() {
            return true;
        }
    }
    true
}

fn prepare(shared: &Shared, lane: &Lane) -> Result<Ready, Full> {
    take_spare(shared, lane).map_or_else(|| create(shared, lane), Ok)
}

/// A freed segment of the right size under its new name. What it contains is dead: no checksum in it fits.
fn take_spare(shared: &Shared, lane: &Lane) -> Option<Ready> {
    loop {
        let spare = shared.spares().pop()?;
        let number = lane.next_number();
        let path = lane.segment_path(number);
        let taken = shared.disk.rename(&spare, &path).and_then(|()| shared.disk.open(&path));
        if let Ok(file) = taken {
            return Some(Ready {
                number,
                file: Arc::new(file),
            });
        }
        shared
            .total_bytes
            .fetch_sub(shared.settings.segment_bytes, Ordering::Relaxed);
    }
}

fn create(shared: &Shared, lane: &Lane) -> Result<Ready, Full> {
    let bytes = shared.settings.segment_bytes;
    if shared.total_bytes.load(Ordering::Relaxed).saturating_add(bytes) > shared.settings.max_bytes {
        return Err(Full::MaxBytes);
    }
    let number = lane.next_number();
    let made = shared.disk.create_zeroed(&lane.segment_path(number), bytes);
    let file = made.map_err(|error| Full::Disk(error.kind()))?;
    shared.total_bytes.fetch_add(bytes, Ordering::Relaxed);
    Ok(Ready {
        number,
        file: Arc::new(file),
    })
}

pub(crate) fn run_sync(shared: &Shared) {
    while !shared.stopped() {
        shared.sync_pace.sleep(shared.settings.fsync_every);
        sync_all(shared);
    }
}

/// Syncs what every lane has written so far; true when all of it is on the disk.
pub(crate) fn sync_all(shared: &Shared) -> bool {
    let lanes = shared.lanes().clone();
    lanes.iter().fold(true, |all, lane| {
        let done = sync_lane(shared, lane);
        all && done
    })
}

fn sync_lane(shared: &Shared, lane: &Lane) -> bool {
    let before = lane.synced();
    // The time is read first and the position second: whatever was written before `ms` lies below `seq`.
    let ms = shared.now_ms();
    let seq = lane.next_seq();
    let closed = lane.ended().is_some();
    let files = lane.unsynced();
    let nothing_new = before.seq == seq && files.len() <= 1;
    if nothing_new && !(closed && files.len() == 1) {
        return true;
    }
    if let Some(active) = files.last() {
        note(shared, lane, active, before);
    }
    if let Err(error) = sync_files(shared, lane, &files) {
        lane.faults.syncs.fetch_add(1, Ordering::Relaxed);
        lane.renew.store(true, Ordering::Release);
        tracing::warn!(producer = %lane.id, error = %error, "journal sync failed");
        return false;
    }
    match files.split_last() {
        Some((_, complete)) if !closed => lane.forget_synced(complete),
        _ => lane.forget_synced(&files),
    }
    lane.set_synced(Synced { ms, seq });
    true
}

fn sync_files(shared: &Shared, lane: &Lane, files: &[Arc<DiskFile>]) -> std::io::Result<()> {
    if files.len() > 1 {
        shared.disk.sync_dir(&lane.dir)?;
    }
    files.iter().try_for_each(|file| shared.disk.sync_data(file))
}

/// Writes down the sync before this one: its note becomes durable only together with what it speaks of.
fn note(shared: &Shared, lane: &Lane, active: &DiskFile, before: Synced) {
    let Some(number) = crate::segments::number_of(&active.path) else {
        return;
    };
    let at = NOTE_AT[usize::from(lane.notes.fetch_add(1, Ordering::Relaxed) % 2 == 1)];
    let bytes = encode_note(seed(lane.id, number), before);
    if shared.disk.write_at(active, &bytes, at).is_err() {
        lane.faults.syncs.fetch_add(1, Ordering::Relaxed);
    }
}
