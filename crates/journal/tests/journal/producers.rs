//! Producers over restarts, reboots, copies; freeing.

use std::{fs, path::Path, process::Command, sync::atomic::Ordering};

use journal::{BootId, Ending, Error, Gap, GapKind, Journal, ProducerTail, mark_restored, recover};

use crate::desk::{Desk, append, append_some, boot, expect_records};

fn only(journal: &Journal) -> &ProducerTail {
    let [tail] = journal.recovered() else {
        panic!("one producer expected: {:?}", journal.recovered())
    };
    tail
}

#[test]
fn an_orderly_close_is_recovered_as_such_even_after_a_reboot() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(4).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 300);
    writer.close().unwrap();
    journal.close().unwrap();
    journal.close().unwrap();

    let mut settings = desk.settings();
    settings.boot = boot(9);
    let journal = Journal::open(settings).unwrap();
    let tail = only(&journal);
    assert_eq!(
        (tail.producer, tail.worker, tail.node.as_str()),
        (producer, 4, "node-1")
    );
    assert_eq!(
        (tail.first_seq, tail.next_seq, tail.ending, tail.gap),
        (0, 300, Ending::Orderly, None)
    );
    expect_records(&mut journal.reader(), producer, 0, 300);
}

#[test]
fn without_a_close_the_same_boot_has_the_whole_tail_and_another_boot_a_gap() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    append_some(&mut writer, 10);
    desk.clock.store(2_000, Ordering::SeqCst);
    assert!(journal.sync());
    desk.clock.store(3_000, Ordering::SeqCst);
    append_some(&mut writer, 5);
    assert!(journal.sync());
    append_some(&mut writer, 5);
    desk.clock.store(4_000, Ordering::SeqCst);
    drop(writer);
    drop(journal);

    let same = recover(&desk.dir(), BootId::current().unwrap()).unwrap();
    assert_eq!(
        (same[0].next_seq, same[0].ending, same[0].gap),
        (20, Ending::Interrupted, None)
    );
    let other = recover(&desk.dir(), boot(9)).unwrap();
    // The note of the last sync (at 4,000, by the drop) tells of the one before.
    let gap = Gap {
        kind: GapKind::PowerLoss,
        from_seq: 20,
        since_ms: 3_000,
    };
    assert_eq!((other[0].next_seq, other[0].gap), (20, Some(gap)));
}

#[test]
fn a_verdict_is_passed_once_and_kept() {
    let desk = Desk::new();
    let reopened = |number: u8| {
        let mut settings = desk.settings();
        settings.boot = boot(number);
        Journal::open(settings).unwrap()
    };
    let journal = reopened(1);
    append_some(&mut journal.writer(0).unwrap(), 3);
    drop(journal);
    // Killed, recovered in the same boot: whole. A later boot does not make a gap of it.
    assert_eq!(only(&reopened(1)).gap, None);
    assert_eq!(only(&reopened(2)).gap, None);

    let journal = reopened(3);
    let past = only(&journal).producer;
    journal.free_below(past, 3).unwrap();
    append_some(&mut journal.writer(0).unwrap(), 3);
    drop(journal);
    let gap = Some(Gap {
        kind: GapKind::PowerLoss,
        from_seq: 3,
        since_ms: 1_000,
    });
    assert_eq!(only(&reopened(4)).gap, gap);
    assert_eq!(
        only(&reopened(4)).gap,
        gap,
        "the second look is in the boot that passed the verdict"
    );
    assert_eq!(only(&reopened(3)).gap, gap);
}

#[test]
fn a_second_process_is_refused_until_the_first_one_closes() {
    let desk = Desk::new();
    let journal = desk.open();
    assert!(matches!(Journal::open(desk.settings()), Err(Error::Locked(_))));
    journal.close().unwrap();
    assert!(journal.writer(0).is_err(), "a closed journal makes no producers");
    desk.open();
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_copied_folder_closes_the_old_producers_and_both_copies_go_on() {
    let desk = Desk::new();
    let other = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 10);
    copy(&desk.dir(), &other.dir());

    let copied = other.open();
    let gap = only(&copied)
        .gap
        .expect("a copy cannot know what the original wrote later");
    assert_eq!((gap.kind, gap.from_seq), (GapKind::Copied, 10));
    let mut fresh = copied.writer(0).unwrap();
    append_some(&mut fresh, 4);
    append_some(&mut writer, 5);
    assert_ne!(fresh.producer(), producer, "a number is never used by both");
    expect_records(&mut copied.reader(), producer, 0, 10);
    expect_records(&mut copied.reader(), fresh.producer(), 0, 4);
    expect_records(&mut journal.reader(), producer, 0, 15);

    // From now on the copy is a folder of its own.
    drop(fresh);
    drop(copied);
    let again = other.open();
    let gaps: Vec<_> = again
        .recovered()
        .iter()
        .map(|tail| tail.gap.map(|gap| gap.kind))
        .collect();
    assert_eq!(gaps.iter().filter(|gap| gap.is_none()).count(), 1, "{gaps:?}");
}

#[test]
fn a_moved_folder_is_no_copy() {
    let desk = Desk::new();
    let other = Desk::new();
    let journal = desk.open();
    append_some(&mut journal.writer(0).unwrap(), 10);
    drop(journal);
    fs::rename(desk.dir(), other.dir()).unwrap();
    assert_eq!(only(&other.open()).gap, None);
}

#[test]
fn a_restored_folder_closes_the_old_producers_once() {
    let desk = Desk::new();
    let journal = desk.open();
    append_some(&mut journal.writer(0).unwrap(), 10);
    drop(journal);
    mark_restored(&desk.dir()).unwrap();
    let journal = desk.open();
    assert_eq!(only(&journal).gap.map(|gap| gap.kind), Some(GapKind::Copied));
    append_some(&mut journal.writer(0).unwrap(), 1);
    drop(journal);
    let journal = desk.open();
    assert_eq!(journal.recovered().iter().filter(|tail| tail.gap.is_none()).count(), 1);
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn freed_segments_go_and_the_rest_stays_readable() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 1_000);
    let segments = journal.status().writers[0].segments;
    let freed = journal.free_below(producer, 500).unwrap();
    assert!(freed > 2 && freed < segments, "{freed} of {segments}");
    expect_records(&mut journal.reader(), producer, 500, 1_000);
    let missing = journal.reader().read_from(producer, 0, 1);
    assert!(
        matches!(missing, Err(Error::Missing { first, .. }) if first <= 500 && first > 300),
        "{missing:?}"
    );
    assert_eq!(
        journal.free_below(producer, 1_000).unwrap(),
        segments - freed - 1,
        "the last one is being written"
    );
    assert_eq!(journal.free_below(producer, 1_000).unwrap(), 0);
}

#[test]
fn an_ended_producer_vanishes_when_it_is_freed_to_its_end() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let (producer, folder) = (writer.producer(), desk.dir().join(writer.producer().to_string()));
    append_some(&mut writer, 10);
    let idle = journal.writer(1).unwrap();
    let unused = idle.producer();
    journal.free_below(producer, 10).unwrap();
    assert_eq!(journal.producers().len(), 2, "a live producer stays");
    writer.close().unwrap();
    idle.close().unwrap();
    assert!(
        journal
            .producers()
            .iter()
            .all(|one| one.ending == Some(Ending::Orderly))
    );
    journal.free_below(producer, 9).unwrap();
    assert!(folder.exists());
    journal.free_below(producer, 10).unwrap();
    journal.free_below(unused, 0).unwrap();
    assert!(!folder.exists());
    assert!(journal.producers().is_empty());
    assert_eq!(journal.free_below(producer, 10).unwrap(), 0, "once more is no error");
    journal.close().unwrap();
    assert_eq!(files(&desk.dir()), ["instance", "lock"]);
    assert_eq!(journal.status().bytes, 0);
}

#[test]
fn recycled_segments_never_show_their_old_records() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut old = journal.writer(0).unwrap();
    append_some(&mut old, 1_000);
    let dead = old.producer();
    old.close().unwrap();
    journal.free_below(dead, 1_000).unwrap();
    assert!(journal.status().spares > 0, "segments are kept for later use");
    let mut fresh = journal.writer(0).unwrap();
    for seq in 0..200 {
        append(&mut fresh, b"short");
        expect_count(&journal, &fresh, seq + 1);
    }
    append_some(&mut fresh, 0);
    drop(fresh);
    drop(journal);
    assert_eq!(only(&desk.open()).next_seq, 200);
}

fn expect_count(journal: &Journal, writer: &journal::Writer, count: u64) {
    let batch = journal
        .reader()
        .read_from(writer.producer(), count - 1, 1 << 20)
        .unwrap()
        .unwrap();
    assert_eq!(batch.last_seq() + 1, count);
}

#[test]
fn half_made_and_half_removed_folders_are_tidied_away() {
    let desk = Desk::new();
    drop(desk.open());
    for name in ["new-0123", "gone-0123"] {
        fs::create_dir(desk.dir().join(name)).unwrap();
        fs::write(desk.dir().join(name).join("0000000000.seg"), b"x").unwrap();
    }
    fs::write(desk.dir().join("spare-7"), b"x").unwrap();
    let journal = desk.open();
    assert!(journal.recovered().is_empty());
    assert_eq!(files(&desk.dir()), ["instance", "lock"]);
}
