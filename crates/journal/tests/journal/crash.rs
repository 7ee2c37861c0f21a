//! `kill -9` of a real process that appends.

use std::{
    collections::HashMap,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use journal::{Ending, Journal, ProducerId};

use crate::desk::{Desk, Dice, payload, read};

/// The example that appends; cargo builds it beside the tests.
fn appender() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples/appender");
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// Runs the child for about `millis` after its first output, kills it, and returns its producer and the numbers that it printed.
fn run_and_kill(dir: &Path, mode: &str, millis: u64) -> (ProducerId, Vec<u64>) {
    let mut child = Command::new(appender())
        .arg(dir)
        .arg(mode)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut text = vec![0; 33];
    output.read_exact(&mut text).unwrap();
    let reading = thread::spawn(move || {
        output.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    });
    thread::sleep(Duration::from_millis(millis));
    child.kill().unwrap();
    child.wait().unwrap();
    let text = reading.join().unwrap();
    // A line without its end was cut by the kill: its number was not acknowledged.
    let complete = &text[..=text.rfind('\n').unwrap()];
    let mut lines = complete.lines();
    let producer = lines.next().unwrap().parse().unwrap();
    (producer, lines.map(|line| line.parse().unwrap()).collect())
}

/// Numbers of the producer that are recovered; each says its own number, so none is there twice.
fn recovered(journal: &Journal, producer: ProducerId) -> u64 {
    let (found, error) = read(&mut journal.reader(), producer, 0);
    assert!(error.is_none(), "{error:?}");
    for (record, seq) in found.iter().zip(0..) {
        assert_eq!(record, &payload(producer, seq));
    }
    found.len() as u64
}

#[test]
fn every_acknowledged_record_survives_every_kill() {
    let seed = 20;
    println!("seed {seed}");
    let mut dice = Dice(seed);
    let desk = Desk::new();
    let mut kept: HashMap<ProducerId, u64> = HashMap::new();
    for round in 0..20 {
        let (producer, acknowledged) = run_and_kill(&desk.dir(), "safe", 5 + dice.below(60));
        let mut settings = desk.settings();
        settings.segment_bytes = 64 << 10;
        let journal = Journal::open(settings).unwrap();
        let tail = journal
            .recovered()
            .iter()
            .find(|tail| tail.producer == producer)
            .unwrap();
        assert_eq!((tail.ending, tail.gap), (Ending::Interrupted, None));
        let found = recovered(&journal, producer);
        let acked = acknowledged.len() as u64;
        assert!(acked > 0, "round {round}: the child appended nothing");
        assert!(
            found == acked || found == acked + 1,
            "round {round}: {acked} acknowledged, {found} found"
        );
        kept.insert(producer, found);
        for (&producer, &count) in &kept {
            assert_eq!(
                recovered(&journal, producer),
                count,
                "earlier producers stay as they were"
            );
        }
        if dice.coin() {
            journal.free_below(producer, found).unwrap();
            kept.remove(&producer);
        }
        assert_eq!(journal.producers().len(), kept.len());
    }
}

#[test]
fn the_crash_test_notices_records_acknowledged_before_they_are_appended() {
    let desk = Desk::new();
    let (producer, acknowledged) = run_and_kill(&desk.dir(), "careless", 40);
    let found = recovered(&desk.open(), producer);
    assert!(
        found < acknowledged.len() as u64,
        "{found} found of {}",
        acknowledged.len()
    );
}
