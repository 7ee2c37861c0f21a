//! Appends and reads in one process and from another view of the folder.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use journal::{Error, Place, ProducerId, Reader};

use crate::desk::{Desk, append, append_some, expect_records, payload, read, ticket};

#[test]
fn records_come_back_in_order_over_many_segments() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(3).unwrap();
    append_some(&mut writer, 1_000);
    expect_records(&mut journal.reader(), writer.producer(), 0, 1_000);
    expect_records(&mut journal.reader(), writer.producer(), 777, 1_000);
    assert!(journal.status().writers[0].segments > 5);
}

#[test]
fn a_record_is_visible_to_every_reader_as_soon_as_append_returns() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    let (mut inside, mut outside) = (journal.reader(), Reader::open(desk.dir()));
    for seq in 0..600 {
        append_some(&mut writer, 1);
        for reader in [&mut inside, &mut outside] {
            let batch = reader
                .read_from(producer, seq, 1)
                .unwrap()
                .expect("the record is there");
            assert_eq!(
                batch.records().collect::<Vec<_>>(),
                vec![(seq, &payload(producer, seq)[..])]
            );
        }
    }
    assert_eq!(inside.read_from(producer, 600, 1).unwrap(), None);
    assert_eq!(outside.read_from(producer, 600, 1).unwrap(), None);
}

#[test]
fn records_appended_together_read_like_single_ones() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    for group in 0..40_u64 {
        let payloads: Vec<Vec<u8>> = (group * 16..(group + 1) * 16)
            .map(|seq| payload(producer, seq))
            .collect();
        let tickets: Vec<_> = payloads.iter().map(|payload| ticket(&writer, payload.len())).collect();
        let last = writer
            .append_many(tickets.into_iter().zip(payloads.iter().map(Vec::as_slice)))
            .unwrap()
            .unwrap();
        assert_eq!((last.seq, last.place), (group * 16 + 15, Place::Kernel));
    }
    assert_eq!(writer.append_many([]).unwrap(), None);
    expect_records(&mut journal.reader(), producer, 0, 640);
}

#[test]
fn empty_and_largest_payloads_are_records_like_others() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let largest = (0..16_384).rev().find(|bytes| writer.reserve(*bytes).is_ok()).unwrap();
    append(&mut writer, b"");
    append(&mut writer, &vec![9; largest]);
    append(&mut writer, b"");
    let (found, _) = read(&mut journal.reader(), writer.producer(), 0);
    assert_eq!(found, vec![vec![], vec![9; largest], vec![]]);
}

#[test]
fn positions_are_a_barrier_for_everything_appended_before() {
    let desk = Desk::new();
    let journal = desk.open();
    let mut one = journal.writer(0).unwrap();
    let mut two = journal.writer(1).unwrap();
    append_some(&mut one, 5);
    append_some(&mut two, 7);
    let mut ends: Vec<_> = journal
        .positions()
        .iter()
        .map(|end| (end.producer, end.next_seq))
        .collect();
    ends.sort_unstable();
    let mut expected = vec![(one.producer(), 5), (two.producer(), 7)];
    expected.sort_unstable();
    assert_eq!(ends, expected);
}

#[test]
fn the_bell_wakes_a_waiting_thread_and_calls_back() {
    let desk = Desk::new();
    let journal = Arc::new(desk.open());
    let mut writer = journal.writer(0).unwrap();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    journal.bell().on_ring(move || {
        counted.fetch_add(1, Ordering::SeqCst);
    });
    append_some(&mut writer, 10);
    assert_eq!(calls.load(Ordering::SeqCst), 0, "nobody asked");

    let armed = journal.bell().arm();
    assert!(
        !journal.bell().wait(armed, Duration::from_millis(5)),
        "nothing was appended"
    );
    let waiting = thread::spawn({
        let journal = Arc::clone(&journal);
        move || journal.bell().wait(armed, Duration::from_secs(30))
    });
    append_some(&mut writer, 2);
    assert!(waiting.join().unwrap());
    assert_eq!(calls.load(Ordering::SeqCst), 1, "one arm is one ring");
}

#[test]
fn an_unknown_producer_is_an_error_for_both_kinds_of_reader() {
    let desk = Desk::new();
    let journal = desk.open();
    let stranger = ProducerId::from_bytes([1; 16]);
    assert!(matches!(journal.reader().read_from(stranger, 0, 1), Err(Error::Unknown(id)) if id == stranger));
    assert!(matches!(Reader::open(desk.dir()).read_from(stranger, 0, 1), Err(Error::Unknown(id)) if id == stranger));
}
