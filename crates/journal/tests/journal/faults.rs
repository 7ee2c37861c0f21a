//! Failing and slow disks.

use std::{
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use journal::{BootId, Error, Full, Journal, Op, Place, Settings, recover};

use crate::desk::{Desk, append, append_some, expect_records, payload, wait_until};

/// The offset where records begin; what is written there while segments are prepared is larger than any record.
const RECORDS_AT: u64 = 4096;

fn is_record(op: Op<'_>) -> bool {
    matches!(op, Op::Write { bytes, offset, .. } if offset >= RECORDS_AT && bytes.len() < 8_192)
}

/// Settings whose disk fails in the way of `fault` while the switch is on.
fn failing(
    desk: &Desk,
    fault: impl Fn(Op<'_>) -> io::Result<()> + Send + Sync + 'static,
) -> (Settings, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(false));
    let mut settings = desk.settings();
    let on = Arc::clone(&switch);
    settings.faults = Some(Arc::new(
        move |op| if on.load(Ordering::SeqCst) { fault(op) } else { Ok(()) },
    ));
    (settings, switch)
}

fn eio() -> io::Result<()> {
    Err(io::Error::from_raw_os_error(5))
}

#[test]
fn records_wait_in_memory_while_writes_fail_and_follow_in_order() {
    let desk = Desk::in_memory();
    let (settings, broken) = failing(&desk, |op| if is_record(op) { eio() } else { Ok(()) });
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 3);
    let tickets: Vec<_> = (0..4).map(|_| crate::desk::ticket(&writer, 300)).collect();
    broken.store(true, Ordering::SeqCst);
    for (ticket, seq) in tickets.into_iter().zip(3..) {
        let appended = writer.append(ticket, &payload(producer, seq)).unwrap();
        assert_eq!((appended.seq, appended.place), (seq, Place::Memory));
    }
    assert_eq!(writer.reserve(10).unwrap_err(), Full::Failing);
    assert!(matches!(
        writer.append_unreserved(b"tick"),
        Err(Error::Full(Full::Failing))
    ));
    let status = journal.status().writers[0].clone();
    assert_eq!((status.queued, status.next_seq), (4, 3));
    assert!(status.write_failures > 0);
    expect_records(&mut journal.reader(), producer, 0, 3);

    broken.store(false, Ordering::SeqCst);
    wait_until("the queue is written", || writer.retry());
    append_some(&mut writer, 10);
    expect_records(&mut journal.reader(), producer, 0, 17);
    assert_eq!(journal.status().writers[0].queued, 0);
    writer.close().unwrap();
}

#[test]
fn a_write_that_fails_half_way_leaves_no_torn_record() {
    let desk = Desk::in_memory();
    let (settings, broken) = failing(&desk, |op| {
        if let Op::Write {
            file, bytes, offset, ..
        } = op
            && is_record(op)
        {
            file.write_all_at(&bytes[..bytes.len() / 2], offset)?;
            return eio();
        }
        Ok(())
    });
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    for _ in 0..10 {
        append_some(&mut writer, 3);
        broken.store(true, Ordering::SeqCst);
        assert_eq!(append_now(&mut writer), Place::Memory);
        broken.store(false, Ordering::SeqCst);
        wait_until("the queue is written", || writer.retry());
    }
    expect_records(&mut journal.reader(), writer.producer(), 0, 40);
}

#[test]
fn a_write_that_fails_after_all_bytes_arrived_is_not_read_twice() {
    let desk = Desk::in_memory();
    let (settings, broken) = failing(&desk, |op| {
        if let Op::Write {
            file, bytes, offset, ..
        } = op
            && is_record(op)
        {
            file.write_all_at(bytes, offset)?;
            return eio();
        }
        Ok(())
    });
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 5);
    broken.store(true, Ordering::SeqCst);
    assert_eq!(append_now(&mut writer), Place::Memory);
    broken.store(false, Ordering::SeqCst);
    wait_until("the queue is written", || writer.retry());
    append_some(&mut writer, 5);
    expect_records(&mut journal.reader(), producer, 0, 11);
    drop(writer);
    drop(journal);
    let tails = recover(&desk.dir(), BootId::current().unwrap()).unwrap();
    assert_eq!((tails[0].next_seq, tails[0].gap), (11, None));
}

fn append_now(writer: &mut journal::Writer) -> Place {
    let seq = writer.next_seq();
    append(writer, &payload(writer.producer(), seq)).place
}

#[test]
fn the_queue_in_memory_is_bounded_and_what_is_lost_uses_no_number() {
    let desk = Desk::in_memory();
    let (mut settings, broken) = failing(&desk, |op| if is_record(op) { eio() } else { Ok(()) });
    settings.queue_bytes = 1_000;
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    let tickets: Vec<_> = (0..10).map(|_| crate::desk::ticket(&writer, 300)).collect();
    broken.store(true, Ordering::SeqCst);
    let outcomes: Vec<bool> = tickets
        .into_iter()
        .map(|ticket| writer.append(ticket, &[7; 200]).is_ok())
        .collect();
    assert_eq!(outcomes.iter().filter(|ok| **ok).count(), 5);
    assert_eq!(journal.status().writers[0].lost, 5);
    broken.store(false, Ordering::SeqCst);
    wait_until("the queue is written", || writer.retry());
    assert_eq!(writer.next_seq(), 5);
    assert_eq!(journal.positions()[0].next_seq, 5);
}

#[test]
fn segments_that_cannot_be_made_shed_requests_until_they_can() {
    let desk = Desk::in_memory();
    let (settings, broken) = failing(&desk, |op| if matches!(op, Op::Create(_)) { eio() } else { Ok(()) });
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    broken.store(true, Ordering::SeqCst);
    wait_until("the journal refuses", || match writer.reserve(400) {
        Ok(ticket) => writer.append(ticket, &[1; 400]).is_err(),
        Err(full) => matches!(full, Full::Disk(_)),
    });
    broken.store(false, Ordering::SeqCst);
    wait_until("there is room again", || writer.reserve(400).is_ok());
    assert_eq!(journal.status().writers[0].blocked, None);
}

#[test]
fn after_a_failed_sync_records_go_to_another_segment() {
    let desk = Desk::in_memory();
    let (settings, broken) = failing(&desk, |op| {
        if matches!(op, Op::SyncData { .. }) {
            eio()
        } else {
            Ok(())
        }
    });
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    append_some(&mut writer, 3);
    assert!(journal.sync());
    wait_until("a segment is ready", || journal.status().writers[0].ready > 0);
    append_some(&mut writer, 3);
    broken.store(true, Ordering::SeqCst);
    assert!(!journal.sync());
    let status = journal.status().writers[0].clone();
    assert_eq!((status.segments, status.synced_seq, status.sync_failures), (1, 3, 1));
    broken.store(false, Ordering::SeqCst);
    append_some(&mut writer, 3);
    assert!(journal.sync());
    assert_eq!(journal.status().writers[0].segments, 2);
    expect_records(&mut journal.reader(), writer.producer(), 0, 9);
}

#[test]
fn a_sync_of_seconds_blocks_no_append() {
    const SYNC: Duration = Duration::from_secs(5);
    let desk = Desk::in_memory();
    let slow = Arc::new(AtomicU32::new(0));
    let mut settings = desk.settings();
    settings.faults = Some(Arc::new({
        let slow = Arc::clone(&slow);
        move |op| {
            let take = |left: u32| left.checked_sub(1);
            if matches!(op, Op::SyncData { .. }) && slow.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
            {
                thread::sleep(SYNC);
            }
            Ok(())
        }
    }));
    settings.fsync_every = Duration::from_millis(10);
    settings.ahead = 2;
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    append_some(&mut writer, 1);
    slow.store(1, Ordering::SeqCst);
    append_some(&mut writer, 1);
    wait_until("a sync is under way", || slow.load(Ordering::SeqCst) == 0);
    // Many segments are filled meanwhile.
    let start = Instant::now();
    append_some(&mut writer, 2_000);
    let spent = start.elapsed();
    assert!(
        journal.status().writers[0].synced_seq <= 2,
        "the sync is still under way"
    );
    assert!(spent < SYNC / 2, "2,000 appends took {spent:?}");
    expect_records(&mut journal.reader(), writer.producer(), 0, 2_002);
    wait_until("the sync is over", || journal.status().writers[0].synced_seq >= 2);

    // The control: whoever syncs on the appending thread does wait.
    slow.store(1, Ordering::SeqCst);
    append_some(&mut writer, 1);
    let start = Instant::now();
    while slow.load(Ordering::SeqCst) == 1 {
        journal.sync();
    }
    assert!(start.elapsed() > SYNC / 2);
}
