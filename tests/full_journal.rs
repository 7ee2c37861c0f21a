//! A full journal: the gateway lives, refuses with `overloaded`, recovers by itself, and every count is equal at the end.
//!
//! The journal empties by itself as long as the ledger counts, so another program holds the ledger's file meanwhile. A
//! longer run: `TOLLGATE_TEST_FILLS=50 cargo test --release --test full_journal -- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Subscriber;
use support::books::{Books, Difference, assert_balanced, differences};
use support::chance::{seed, setting};
use support::client::Client;
use support::load::{Call, Fate, Load, Plan};
use support::platform::Settings;
use support::surgery::Database;
use support::world::World;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits() -> Value {
    json!([{ "requests": 1_000_000_000, "per": "period" }])
}

/// A mounted tmpfs; unmounted on drop.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// Takes the write lock of the ledger, so that nothing is counted and nothing is freed.
fn hold_ledger(world: &World) -> Database {
    let mut ledger = Database::open(&world.platform.settings.data_dir.join("ledger.db"));
    ledger.run("BEGIN IMMEDIATE");
    ledger
}

/// Takes all that is free on a file system.
fn fill(path: &Path) {
    let mut file = std::fs::File::create(path).unwrap();
    let block = vec![1_u8; 16 << 10];
    while file.write_all(&block).is_ok() {}
}

fn load(world: &World, subscriber: &Subscriber, seed: u64) -> Load {
    let plan = Plan::new(world.platform.gateway(), &subscriber.key, "f").seed(seed);
    plan.pause(Duration::ZERO).start_watched(|call, _| {
        // Whoever is refused comes back a little later.
        if call.problem() == "overloaded" {
            std::thread::sleep(Duration::from_millis(10));
        }
    })
}

/// Waits until the load gets no further, and checks that the platform lives and says so.
fn wait_until_full(world: &mut World, load: &Load, key: &str) {
    let deadline = Instant::now() + Duration::from_secs(40);
    loop {
        let (before, full) = (load.successes(), answer(world, key));
        if full == (503, "overloaded".to_owned()) && load.successes() == before {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the journal never fills: {} successes",
            load.successes()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(world.platform.is_alive());
    let healthy = Client::new(world.platform.ops()).get("/healthz", &[]).unwrap();
    assert_eq!(healthy.status, 200);
}

fn answer(world: &World, key: &str) -> (u16, String) {
    let answer = Client::new(world.platform.gateway())
        .get("/echo/things", &[("X-API-Key", key)])
        .unwrap();
    (answer.status, answer.problem())
}

/// The books without the requests of [`answer`], which have no id of the load.
fn own_books(world: &World, subscriber: &Subscriber, calls: Vec<Call>) -> Books {
    let mut books = Books::read(&world.api(), subscriber, calls, world.upstream.served());
    books.served.retain(|id| id.starts_with("f-"));
    books
}

fn refused(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.problem() == "overloaded").count()
}

/// Everything was either served and counted, or refused and nowhere.
fn check_fates(calls: &[Call]) {
    let odd = calls
        .iter()
        .find(|call| !call.is_success() && call.problem() != "overloaded");
    assert!(odd.is_none(), "{odd:?}");
    assert!(calls.iter().all(|call| call.fate != Fate::Broken));
}

#[test]
fn a_disk_filled_by_others_is_survived() {
    let (seed, fills) = (seed(), setting("TOLLGATE_TEST_FILLS", 2));
    let mut tmpfs = None;
    let mut journal = PathBuf::new();
    let began = Instant::now();
    let mut world = World::start_with(&limits(), |settings| {
        journal = settings.data_dir.join("journal");
        tmpfs = Tmpfs::mount(&journal, "8m");
        settings
            .with("TOLLGATE_JOURNAL_MAX_BYTES", "7MiB")
            .with("TOLLGATE_GATEWAY_THREADS", "2")
    });
    if tmpfs.is_none() {
        println!("skipped: a_disk_filled_by_others_is_survived (mounting a tmpfs is not permitted)");
        return;
    }
    // Another subscriber asks whether it is full, so that the books hold what the load did alone.
    let (subscriber, other) = (world.subscriber("acme"), world.subscriber("other"));
    let load = load(&world, &subscriber, seed);
    for _ in 0..fills {
        load.wait_successes(load.successes() + 200);
        let ledger = hold_ledger(&world);
        fill(&journal.join("ballast"));
        wait_until_full(&mut world, &load, &other.key);
        let before = load.successes();
        std::fs::remove_file(journal.join("ballast")).unwrap();
        drop(ledger);
        let freed = Instant::now();
        load.wait_successes(before + 200);
        println!(
            "full after {before} successes; 200 more {} ms after space came back",
            freed.elapsed().as_millis()
        );
    }
    let calls = load.stop();
    check_fates(&calls);
    let books = own_books(&world, &subscriber, calls);
    println!(
        "{} served, {} refused; {} ms",
        books.served.len(),
        refused(&books.calls),
        began.elapsed().as_millis()
    );
    assert!(refused(&books.calls) > 0);
    assert_balanced(&books);
    assert_eq!(world.metric("tollgate_usage_gaps_total"), 0);
    world.platform.kill();
    drop(tmpfs);
}

fn bytes_of(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_of(&entry.path()),
        Ok(meta) => meta.len(),
        // It was freed while the folder was listed.
        Err(_) => 0,
    };
    entries.map(size).sum()
}

#[test]
fn a_journal_at_its_bound_refuses_and_recovers() {
    let seed = seed();
    let mut world = World::start_with(&limits(), |settings: Settings| {
        settings
            .with("TOLLGATE_JOURNAL_MAX_BYTES", "1MiB")
            .with("TOLLGATE_GATEWAY_THREADS", "2")
    });
    let (subscriber, other) = (world.subscriber("acme"), world.subscriber("other"));
    let load = load(&world, &subscriber, seed);
    load.wait_successes(200);
    let ledger = hold_ledger(&world);
    wait_until_full(&mut world, &load, &other.key);
    let used = bytes_of(&world.platform.settings.data_dir.join("journal"));
    assert!(
        used <= (1 << 20) + (16 << 10),
        "{used} bytes of 1 MiB, small files aside"
    );
    let before = load.successes();
    drop(ledger);
    load.wait_successes(before + 200);
    let calls = load.stop();
    check_fates(&calls);
    let books = own_books(&world, &subscriber, calls);
    println!(
        "{used} bytes used; {} served, {} refused",
        books.served.len(),
        refused(&books.calls)
    );
    assert_balanced(&books);
}

/// The control: a gateway that serves on when its journal is full loses records, and the check says so.
#[test]
fn serving_on_without_room_is_noticed() {
    let world = World::start_with(&limits(), |settings: Settings| {
        let settings = settings
            .with("TOLLGATE_JOURNAL_MAX_BYTES", "1MiB")
            .with("TOLLGATE_GATEWAY_THREADS", "2");
        settings.with("TOLLGATE_JOURNAL_WHEN_FULL", "serve-unmetered")
    });
    let subscriber = world.subscriber("acme");
    let load = load(&world, &subscriber, seed());
    load.wait_successes(200);
    let ledger = hold_ledger(&world);
    let deadline = Instant::now() + Duration::from_secs(40);
    while world.metric("tollgate_unmetered_requests_total") == 0 {
        assert!(Instant::now() < deadline, "the journal never fills");
        std::thread::sleep(Duration::from_millis(50));
    }
    let calls = load.stop();
    drop(ledger);
    let books = own_books(&world, &subscriber, calls);
    let lost = differences(&books)
        .iter()
        .filter(|one| matches!(one, Difference::NotCounted(_)))
        .count() as u64;
    println!("{lost} requests without a record, all of them announced");
    assert_eq!(lost, world.metric("tollgate_unmetered_requests_total"));
    assert!(lost > 0);
}
