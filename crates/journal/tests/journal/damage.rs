//! Flipped bits, cut and exchanged files: what is read is a prefix of what was written, or the rest after a named hole.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use journal::{BootId, Error, ProducerId, Reader, recover};
use proptest::prelude::*;

use crate::desk::{Desk, append_some, payload, read};

#[derive(Debug, Clone)]
enum Harm {
    Flip { file: usize, at: u64, bit: u8 },
    Cut { file: usize, to: u64 },
    Overwrite { file: usize, with: usize },
    Zero { file: usize, at: u64, bytes: u64 },
}

fn harm() -> impl Strategy<Value = Harm> {
    let file = 0..64_usize;
    // Half of the places lie in headers and notes.
    let at = prop_oneof![0..1_100_u64, 0..(16_u64 << 10)];
    prop_oneof![
        4 => (file.clone(), at.clone(), 0..8_u8).prop_map(|(file, at, bit)| Harm::Flip { file, at, bit }),
        1 => (file.clone(), at.clone()).prop_map(|(file, to)| Harm::Cut { file, to }),
        1 => (file.clone(), file.clone()).prop_map(|(file, with)| Harm::Overwrite { file, with }),
        1 => (file, at, 1..600_u64).prop_map(|(file, at, bytes)| Harm::Zero { file, at, bytes }),
    ]
}

fn apply(harm: &Harm, files: &[PathBuf]) {
    let pick = |index: usize| &files[index % files.len()];
    match *harm {
        Harm::Flip { file, at, bit } => edit(pick(file), |bytes| {
            if let Some(byte) = usize::try_from(at).ok().and_then(|at| bytes.get_mut(at)) {
                *byte ^= 1 << bit;
            }
        }),
        Harm::Cut { file, to } => edit(pick(file), |bytes| bytes.truncate(usize::try_from(to).unwrap())),
        Harm::Overwrite { file, with } => {
            let other = fs::read(pick(with)).unwrap();
            fs::write(pick(file), other).unwrap();
        }
        Harm::Zero { file, at, bytes: count } => edit(pick(file), |bytes| {
            let (skip, take) = (usize::try_from(at).unwrap(), usize::try_from(count).unwrap());
            bytes.iter_mut().skip(skip).take(take).for_each(|byte| *byte = 0);
        }),
    }
}

fn edit(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// A folder with three producers, among them recycled segments, one closed, one freed in part; and how far each was written.
fn folder(desk: &Desk) -> HashMap<ProducerId, u64> {
    let journal = desk.open();
    let mut first = journal.writer(0).unwrap();
    append_some(&mut first, 400);
    journal.free_below(first.producer(), 250).unwrap();
    let mut second = journal.writer(1).unwrap();
    append_some(&mut second, 300);
    let mut third = journal.writer(2).unwrap();
    append_some(&mut third, 30);
    journal.sync();
    append_some(&mut third, 130);
    let written = [&first, &second, &third].map(|writer| (writer.producer(), writer.next_seq()));
    second.close().unwrap();
    written.into()
}

fn harmable(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_dir())
    {
        files.extend(fs::read_dir(entry.path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    files.sort();
    files
}

/// Reads on behind every hole, as metering does; each record that comes must be the one that was written.
fn read_all(dir: &Path, producer: ProducerId, written: u64) {
    let mut reader = Reader::open(dir);
    let mut next = 0;
    for _ in 0..100 {
        let (found, error) = read(&mut reader, producer, next);
        for (record, seq) in found.iter().zip(next..) {
            assert!(seq < written, "a record that was never written");
            assert_eq!(record, &payload(producer, seq), "a wrong record");
        }
        next += found.len() as u64;
        match error {
            Some(
                Error::Missing { first: resume, .. }
                | Error::Damaged {
                    resume: Some(resume), ..
                },
            ) => {
                assert!(resume > next, "reading must go on");
                next = resume;
            }
            _ => return,
        }
    }
    panic!("reading does not end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_makes_a_wrong_record_or_a_panic(harms in prop::collection::vec(harm(), 1..6)) {
        let desk = Desk::in_memory();
        let written = folder(&desk);
        let files = harmable(&desk.dir());
        for harm in &harms {
            apply(harm, &files);
        }
        for boot in [BootId::current().unwrap(), crate::desk::boot(9)] {
            for tail in recover(&desk.dir(), boot).unwrap() {
                prop_assert!(tail.next_seq <= written[&tail.producer]);
                prop_assert!(tail.first_seq <= tail.next_seq || tail.gap.is_some());
            }
        }
        let journal = desk.open();
        prop_assert_eq!(journal.recovered().len(), 3);
        for (&producer, &end) in &written {
            read_all(&desk.dir(), producer, end);
        }
    }
}

#[test]
fn a_flipped_bit_in_the_middle_is_told_with_the_place_where_reading_goes_on() {
    let desk = Desk::in_memory();
    let journal = desk.open();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    append_some(&mut writer, 400);
    let files = harmable(&desk.dir());
    edit(&files[1], |bytes| bytes[5_000] ^= 4);
    let mut reader = journal.reader();
    let (found, error) = read(&mut reader, producer, 0);
    let Some(Error::Damaged {
        from,
        resume: Some(resume),
        ..
    }) = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(found.len() as u64, from);
    assert!(resume > from);
    crate::desk::expect_records(&mut reader, producer, resume, 400);
}
