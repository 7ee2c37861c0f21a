//! Admission: a ticket is a promise.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use journal::{Error, Full, Journal, Op, Place, Ticket, Writer};

use crate::desk::{Desk, Dice, SEGMENT, append, append_some, expect_records, ticket, wait_until};

/// A journal that can be told to get no further segments.
fn with_switch(desk: &Desk) -> (Journal, Arc<AtomicBool>) {
    let stuck = Arc::new(AtomicBool::new(false));
    let mut settings = desk.settings();
    settings.ahead = 3;
    settings.faults = Some(Arc::new({
        let stuck = Arc::clone(&stuck);
        move |op| match op {
            Op::Create(_) if stuck.load(Ordering::SeqCst) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }));
    (Journal::open(settings).unwrap(), stuck)
}

fn all_tickets(writer: &Writer, dice: &mut Dice) -> Vec<(Ticket, Vec<u8>)> {
    let mut held = Vec::new();
    loop {
        let bytes = usize::try_from(dice.below(2_500)).unwrap();
        match writer.reserve(bytes) {
            Ok(ticket) => held.push((ticket, vec![u8::try_from(held.len() % 256).unwrap(); bytes])),
            Err(full) => {
                assert!(
                    matches!(full, Full::Disk(io::ErrorKind::StorageFull) | Full::Preparing),
                    "{full}"
                );
                return held;
            }
        }
    }
}

#[test]
fn every_ticket_can_be_used_whatever_the_sizes_and_the_order() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut dice = Dice(seed);
        let desk = Desk::in_memory();
        let (journal, stuck) = with_switch(&desk);
        let mut writer = journal.writer(0).unwrap();
        for _ in 0..dice.below(30) {
            append(&mut writer, &[1; 300]);
        }
        let already = writer.next_seq();
        wait_until("three segments are ready", || journal.status().writers[0].ready == 3);
        stuck.store(true, Ordering::SeqCst);
        let mut held = all_tickets(&writer, &mut dice);
        assert!(held.len() > 10, "{}", held.len());
        let mut appended = Vec::new();
        while !held.is_empty() {
            let pick = usize::try_from(dice.below(held.len() as u64)).unwrap();
            let (ticket, mut payload) = held.swap_remove(pick);
            if seed % 2 == 1 && dice.coin() {
                payload.truncate(payload.len() / 2);
            }
            assert_eq!(writer.append(ticket, &payload).unwrap().place, Place::Kernel);
            appended.push(payload);
        }
        let (found, error) = crate::desk::read(&mut journal.reader(), writer.producer(), already);
        assert!(error.is_none() && found == appended, "seed {seed}: {error:?}");
    }
}

#[test]
fn a_dropped_ticket_gives_its_room_back() {
    let desk = Desk::in_memory();
    let (journal, stuck) = with_switch(&desk);
    let writer = journal.writer(0).unwrap();
    wait_until("three segments are ready", || journal.status().writers[0].ready == 3);
    stuck.store(true, Ordering::SeqCst);
    let count = |writer: &Writer| {
        let held: Vec<Ticket> = std::iter::from_fn(|| writer.reserve(500).ok()).collect();
        let other_thread = thread::spawn(move || held.len());
        other_thread.join().unwrap()
    };
    let first = count(&writer);
    assert!(first > 20);
    assert_eq!(count(&writer), first);
}

#[test]
fn records_without_a_ticket_never_take_reserved_room() {
    let desk = Desk::in_memory();
    let (journal, stuck) = with_switch(&desk);
    let mut writer = journal.writer(0).unwrap();
    wait_until("three segments are ready", || journal.status().writers[0].ready == 3);
    stuck.store(true, Ordering::SeqCst);
    let held: Vec<Ticket> = std::iter::from_fn(|| writer.reserve(500).ok()).collect();
    let refused = writer.append_unreserved(&[1; 500]);
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    for ticket in held {
        assert_eq!(writer.append(ticket, &[2; 500]).unwrap().place, Place::Kernel);
    }
}

#[test]
fn a_payload_larger_than_its_ticket_is_admitted_only_when_there_is_room() {
    let desk = Desk::in_memory();
    let (journal, stuck) = with_switch(&desk);
    let mut writer = journal.writer(0).unwrap();
    wait_until("three segments are ready", || journal.status().writers[0].ready == 3);
    let small = writer.reserve(10).unwrap();
    assert_eq!(writer.append(small, &[1; 1_000]).unwrap().seq, 0);
    stuck.store(true, Ordering::SeqCst);
    let small = writer.reserve(10).unwrap();
    let _held: Vec<Ticket> = std::iter::from_fn(|| writer.reserve(10).ok()).collect();
    assert!(matches!(writer.append(small, &[1; 1_000]), Err(Error::Full(_))));
    assert_eq!(writer.next_seq(), 1, "a refused record uses no number");
}

#[test]
fn a_record_that_can_never_fit_is_told_apart() {
    let desk = Desk::in_memory();
    let journal = desk.open();
    let writer = journal.writer(0).unwrap();
    assert_eq!(writer.reserve(1 << 20).unwrap_err(), Full::TooLarge);
    assert_eq!(writer.reserve(usize::MAX - 8).unwrap_err(), Full::TooLarge);
}

#[test]
fn at_its_largest_size_the_journal_is_full_until_segments_are_freed() {
    let desk = Desk::in_memory();
    let mut settings = desk.settings();
    settings.max_bytes = 6 * SEGMENT;
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    for round in 0..5 {
        wait_until("the journal is full", || match writer.reserve(400) {
            Ok(ticket) => {
                writer.append(ticket, &[round; 400]).unwrap();
                false
            }
            Err(full) => full == Full::MaxBytes,
        });
        assert!(journal.status().bytes <= 6 * SEGMENT);
        assert!(writer.next_seq() > 150);
        journal.free_below(writer.producer(), writer.next_seq()).unwrap();
        wait_until("there is room again", || writer.reserve(400).is_ok());
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let desk = Desk::in_memory();
    let with = |change: fn(&mut journal::Settings)| {
        let mut settings = desk.settings();
        change(&mut settings);
        Journal::open(settings)
    };
    assert!(matches!(with(|s| s.segment_bytes = 100), Err(Error::Settings(_))));
    assert!(matches!(with(|s| s.ahead = 0), Err(Error::Settings(_))));
    assert!(matches!(
        with(|s| s.max_bytes = s.segment_bytes),
        Err(Error::Settings(_))
    ));
    assert!(matches!(
        with(|s| s.fsync_every = Duration::ZERO),
        Err(Error::Settings(_))
    ));
    let two = with(|s| s.max_bytes = 3 * s.segment_bytes).unwrap();
    let _first = two.writer(0).unwrap();
    assert!(
        matches!(two.writer(1), Err(Error::Settings(_))),
        "two writers need four segments"
    );
}

#[test]
fn full_segments_of_one_writer_do_not_starve_another_for_ever() {
    let desk = Desk::in_memory();
    let mut settings = desk.settings();
    settings.max_bytes = 6 * SEGMENT;
    let journal = Journal::open(settings).unwrap();
    let mut greedy = journal.writer(0).unwrap();
    let mut modest = journal.writer(1).unwrap();
    wait_until("the greedy one is full", || match greedy.reserve(400) {
        Ok(ticket) => greedy.append(ticket, &[1; 400]).is_err(),
        Err(full) => full == Full::MaxBytes,
    });
    wait_until("the modest one is full", || match modest.reserve(400) {
        Ok(ticket) => modest.append(ticket, &[1; 400]).is_err(),
        Err(full) => full == Full::MaxBytes,
    });
    journal.free_below(greedy.producer(), greedy.next_seq()).unwrap();
    journal.free_below(modest.producer(), modest.next_seq()).unwrap();
    let (before, _ticket) = (modest.next_seq(), ticket(&modest, 0));
    wait_until("the modest one has room", || modest.reserve(400).is_ok());
    append_some(&mut modest, 1);
    expect_records(&mut journal.reader(), modest.producer(), before, before + 1);
}
