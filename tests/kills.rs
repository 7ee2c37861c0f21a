//! `kill -9` under load: every whole success that a client saw is counted exactly once, nothing else is, and all totals
//! agree.
//!
//! The long run: `TOLLGATE_TEST_KILLS=1000 cargo test --release --test kills -- --nocapture`. A run is repeated with the
//! printed `TOLLGATE_TEST_SEED`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Subscriber;
use support::books::{Books, Difference, assert_balanced, differences, quota};
use support::chance::{Random, seed, setting};
use support::invoices;
use support::load::{Call, Load, Plan};
use support::surgery::{self, Database};
use support::world::World;

const QUOTA: u64 = 1_000_000_000;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits() -> Value {
    json!([{ "requests": QUOTA, "per": "period" }])
}

fn plan(world: &World, subscriber: &Subscriber, prefix: &str) -> Plan {
    Plan::new(world.platform.gateway(), &subscriber.key, prefix)
}

fn books(world: &World, subscriber: &Subscriber, calls: Vec<Call>) -> Books {
    Books::read(&world.api(), subscriber, calls, world.upstream.served())
}

/// Kills at a random moment and starts again; gives the time that the start took.
fn kill_and_restart(world: &mut World, load: &Load, random: &mut Random) -> Duration {
    std::thread::sleep(Duration::from_millis(20 + random.below(400)));
    world.platform.kill();
    load.killed();
    let began = Instant::now();
    world.platform.restart();
    began.elapsed()
}

#[test]
fn every_success_is_counted_exactly_once_across_kills() {
    let (seed, kills) = (seed(), setting("TOLLGATE_TEST_KILLS", 20));
    let mut random = Random(seed);
    let mut world = World::start_with(&limits(), support::platform::Settings::with_test_clock);
    let subscriber = world.subscriber("acme");
    let began = Instant::now();
    // Some answers take long enough that kills find requests in every state.
    let load = plan(&world, &subscriber, "k")
        .seed(seed)
        .pause(Duration::from_millis(3))
        .target(|random| match random.below(8) {
            0 => "/echo/things?delay=30".to_owned(),
            1 => "/echo/things?bytes=40000".to_owned(),
            2 => "/echo/things?chunks=3&gap=5".to_owned(),
            3 => "/echo/things?status=503".to_owned(),
            4 => "/echo/things?status=404".to_owned(),
            _ => "/echo/things".to_owned(),
        });
    let load = load.start();
    let mut slowest = Duration::ZERO;
    for kill in 1..=kills {
        slowest = slowest.max(kill_and_restart(&mut world, &load, &mut random));
        if kill % 50 == 0 {
            let (used, remaining) = quota(&world.api(), &subscriber.subscription);
            assert_eq!(used + remaining, QUOTA);
            println!(
                "{kill} kills, {} successes, {} s",
                load.successes(),
                began.elapsed().as_secs()
            );
        }
    }
    load.wait_successes(load.successes() + 50);
    let calls = load.stop();
    let mut books = books(&world, &subscriber, calls);
    books.invoiced = Some(invoices::billed_requests(&world.api(), &subscriber));
    assert_balanced(&books);
    let broken = books
        .calls
        .iter()
        .filter(|call| call.fate == support::load::Fate::Broken)
        .count();
    assert!(broken as u64 >= kills / 2, "the kills hit no requests: {broken}");
    println!(
        "{kills} kills survived: {} requests, {} facts, {} billed, {broken} answers broken, {} served in vain; \
         slowest start {} ms; {} s",
        books.calls.len(),
        books.events.len(),
        books.billed(),
        books.served_in_vain(),
        slowest.as_millis(),
        began.elapsed().as_secs()
    );
}

/// A load of its own, then `kill -9` in its middle.
fn load_and_kill(world: &mut World, subscriber: &Subscriber, prefix: &str) -> Vec<Call> {
    let load = plan(world, subscriber, prefix).pause(Duration::from_millis(1)).start();
    load.wait_successes(300);
    world.platform.kill();
    load.killed();
    load.stop()
}

/// The control: without the journal of the killed run its last requests are missing, and the check says so.
#[test]
fn a_lost_journal_is_noticed() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let mut calls = Vec::new();
    let mut missing = 0;
    // What was written in the last moments before the kill is in the journal alone.
    for round in 0..3 {
        calls.extend(load_and_kill(&mut world, &subscriber, &format!("lost{round}")));
        std::fs::remove_dir_all(world.platform.settings.data_dir.join("journal")).unwrap();
        world.platform.restart();
        let books = books(&world, &subscriber, calls.clone());
        missing = differences(&books)
            .iter()
            .filter(|found| matches!(found, Difference::NotCounted(_)))
            .count();
        if missing > 0 {
            break;
        }
    }
    println!("{missing} requests missing without the journal");
    assert!(missing > 0, "the check is blind to lost records");
}

/// A journal that is taken away after the ledger counted its records and before analytics had them: the platform starts,
/// announces the gap, and the check says that totals have no facts behind them.
#[test]
fn facts_that_are_gone_before_analytics_had_them_are_announced() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let data = world.platform.settings.data_dir.clone();
    // Another program holds analytics, so that the ledger runs ahead.
    let mut analytics = Database::open(&data.join("analytics.db"));
    analytics.run("BEGIN IMMEDIATE");
    let load = plan(&world, &subscriber, "ahead").start();
    load.wait_successes(200);
    std::thread::sleep(Duration::from_millis(500));
    world.platform.kill();
    load.killed();
    let calls = load.stop();
    drop(analytics);
    std::fs::remove_dir_all(data.join("journal")).unwrap();
    world.platform.restart();
    assert!(world.metric("tollgate_usage_gaps_total") > 0);
    let found = differences(&books(&world, &subscriber, calls));
    assert!(
        found
            .iter()
            .any(|found| matches!(found, Difference::Totals { used, billed_events, .. } if used > billed_events))
    );
}

/// Segments that come again are recognised; the control takes away what the ledger knows of their producers.
#[test]
fn segments_that_come_again_are_not_counted_again() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let calls = load_and_kill(&mut world, &subscriber, "again");
    let data = world.platform.settings.data_dir.clone();
    let copy = world.dir.path().join("journal-copy");
    surgery::copy(&data.join("journal"), &copy);
    surgery::copy_database(&data, "analytics.db", &copy);
    world.platform.restart();
    assert_balanced(&books(&world, &subscriber, calls.clone()));
    assert!(world.platform.stop().success());
    surgery::put_producers_back(&copy, &data.join("journal"));
    world.platform.restart();
    assert_balanced(&books(&world, &subscriber, calls.clone()));
    assert!(world.platform.stop().success());
    surgery::put_producers_back(&copy, &data.join("journal"));
    forget_producers(&data, &surgery::producers(&copy));
    // Analytics as it was: it would refuse facts that it has.
    surgery::copy_database(&copy, "analytics.db", &data);
    world.platform.restart();
    let found = differences(&books(&world, &subscriber, calls));
    println!("without the ledger's memory of producers: {} differences", found.len());
    assert!(
        found
            .iter()
            .any(|found| matches!(found, Difference::Totals { used, billed_events, .. } if used > billed_events))
    );
}

fn forget_producers(data: &Path, producers: &[String]) {
    let mut ledger = Database::open(&data.join("ledger.db"));
    let forgotten: u64 = producers
        .iter()
        .map(|producer| ledger.run(&format!("DELETE FROM producer WHERE id = '{producer}'")))
        .sum();
    assert_eq!(forgotten, producers.len() as u64, "the ledger knew all of them");
}

/// The control: a ledger from an older copy has forgotten what was counted since, and the check says so.
#[test]
fn a_ledger_from_an_older_copy_is_noticed() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let data = world.platform.settings.data_dir.clone();
    let older = world.dir.path().join("older");
    let mut calls = Vec::new();
    for (prefix, then) in [("first", true), ("second", false)] {
        let load = plan(&world, &subscriber, prefix).start();
        load.wait_successes(100);
        calls.extend(load.stop());
        assert_balanced(&books(&world, &subscriber, calls.clone()));
        assert!(world.platform.stop().success());
        if then {
            surgery::copy_database(&data, "ledger.db", &older);
            world.platform.restart();
        }
    }
    surgery::copy_database(&older, "ledger.db", &data);
    world.platform.restart();
    let found = differences(&books(&world, &subscriber, calls));
    assert!(
        found
            .iter()
            .any(|found| matches!(found, Difference::Totals { used, billed_events, .. } if used < billed_events)),
        "{found:?}"
    );
}
