//! A data directory that was copied: both run, neither loses nor doubles a request, and no producer writes in both.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::api::Subscriber;
use support::books::{Books, Difference, assert_balanced, differences};
use support::chance::seed;
use support::load::{Call, Fate, Load, Plan};
use support::platform::{Platform, Settings};
use support::surgery;
use support::world::World;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits() -> Value {
    json!([{ "requests": 1_000_000_000, "per": "period" }])
}

fn load(platform: &Platform, subscriber: &Subscriber, prefix: &str, seed: u64) -> Load {
    let plan = Plan::new(platform.gateway(), &subscriber.key, prefix);
    plan.seed(seed).pause(Duration::from_millis(2)).start()
}

fn some(platform: &Platform, subscriber: &Subscriber, prefix: &str, seed: u64) -> Vec<Call> {
    let load = load(platform, subscriber, prefix, seed);
    load.wait_successes(300);
    load.stop()
}

/// The books of one of the two: the upstream's log is of both.
fn books(platform: &Platform, subscriber: &Subscriber, calls: &[Call], served: &[String]) -> Books {
    let own: HashSet<&str> = calls.iter().map(|call| call.id.as_str()).collect();
    let served = served.iter().filter(|id| own.contains(id.as_str())).cloned().collect();
    Books::read(&platform.api(), subscriber, calls.to_vec(), served)
}

/// Loads both at the same time and checks that each has what it had, and its own.
fn run_both(world: &World, copy: &Platform, subscriber: &Subscriber, had: (&[Call], &[Call]), seed: u64) {
    let loads = (
        load(&world.platform, subscriber, "original", seed),
        load(copy, subscriber, "copy", seed ^ 1),
    );
    loads.0.wait_successes(300);
    loads.1.wait_successes(300);
    let producers = (journal(&world.platform), journal(copy));
    assert!(
        producers.0.is_disjoint(&producers.1),
        "a producer writes in both: {producers:?}"
    );
    let calls = ([had.0, &loads.0.stop()].concat(), [had.1, &loads.1.stop()].concat());
    let served = world.upstream.served();
    let books = (
        books(&world.platform, subscriber, &calls.0, &served),
        books(copy, subscriber, &calls.1, &served),
    );
    assert_balanced(&books.0);
    assert_balanced(&books.1);
    let of = |books: &Books, prefix: &str| -> HashSet<String> {
        let own = books.events.iter().filter(|event| event.request_id.starts_with(prefix));
        own.map(|event| event.producer.clone()).collect()
    };
    let (original, copied) = (of(&books.0, "original"), of(&books.1, "copy"));
    println!(
        "{} facts by {original:?}, {} by {copied:?}",
        books.0.events.len(),
        books.1.events.len()
    );
    assert!(!original.is_empty() && !copied.is_empty() && original.is_disjoint(&copied));
}

/// The producers that a running platform writes.
fn journal(platform: &Platform) -> HashSet<String> {
    // Those of earlier runs go as soon as they are counted.
    platform.api().get("/usage");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found: HashSet<String> = surgery::producers(&platform.settings.data_dir.join("journal"))
            .into_iter()
            .collect();
        if found.len() <= std::thread::available_parallelism().unwrap().get() {
            return found;
        }
        assert!(Instant::now() < deadline, "producers of earlier runs stay: {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_copy_of_a_stopped_platform_runs_beside_the_original() {
    let seed = seed();
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let before = some(&world.platform, &subscriber, "before", seed);
    assert!(world.platform.stop().success());
    let copied = world.dir.path().join("copied");
    surgery::copy(&world.platform.settings.data_dir, &copied);
    world.platform.restart();
    let copy = Settings::new(&copied).start();
    assert_eq!(
        copy.metric("tollgate_usage_gaps_total"),
        0,
        "it was closed in order: nothing can be missing"
    );
    run_both(&world, &copy, &subscriber, (&before, &before), seed);
}

/// The copy is taken while the process stands still in the middle of its work, as file system snapshots are.
#[test]
fn a_copy_of_a_running_platform_closes_its_producers_with_a_gap() {
    let seed = seed();
    let world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    let load = load(&world.platform, &subscriber, "before", seed);
    load.wait_successes(300);
    world.platform.signal("STOP");
    let stopped = Instant::now();
    let copied = world.dir.path().join("copied");
    surgery::copy(&world.platform.settings.data_dir, &copied);
    world.platform.signal("CONT");
    load.wait_successes(load.successes() + 100);
    let original = load.stop();
    let copy = Settings::new(&copied).start();
    assert!(
        copy.metric("tollgate_usage_gaps_total") > 0,
        "the original went on: what is missing here must be announced"
    );
    let had = seen_by_the_copy(&copy, &subscriber, &original, stopped);
    run_both(&world, &copy, &subscriber, (&original, &had), seed);
}

/// The calls as far as the copy can know of them: those answered before the stop, and those under way that it has.
fn seen_by_the_copy(copy: &Platform, subscriber: &Subscriber, calls: &[Call], stopped: Instant) -> Vec<Call> {
    let events = support::books::events(&copy.api(), &subscriber.subscription);
    let counted: HashSet<&str> = events.iter().map(|event| event.request_id.as_str()).collect();
    let later: Vec<&Call> = calls.iter().filter(|call| call.at > stopped).collect();
    let known: Vec<&&Call> = later.iter().filter(|call| counted.contains(call.id.as_str())).collect();
    println!(
        "{} calls ended after the stop, the copy knows {} of them",
        later.len(),
        known.len()
    );
    // At most those that were under way had their record before their answer.
    assert!(known.len() <= 16, "the copy knows what happened after it was taken");
    let known: HashSet<&str> = known.iter().map(|call| call.id.as_str()).collect();
    calls
        .iter()
        .filter(|call| call.at <= stopped || known.contains(call.id.as_str()))
        .cloned()
        .collect()
}

/// The control: the books of one do not fit the other, and the check says so.
#[test]
fn requests_of_the_other_are_noticed() {
    let mut world = World::start(&limits());
    let subscriber = world.subscriber("acme");
    assert!(world.platform.stop().success());
    let copied = world.dir.path().join("copied");
    surgery::copy(&world.platform.settings.data_dir, &copied);
    world.platform.restart();
    let copy = Settings::new(&copied).start();
    let calls = some(&world.platform, &subscriber, "original", 1);
    assert!(calls.iter().all(|call| call.fate != Fate::Broken));
    let found = differences(&books(&copy, &subscriber, &calls, &world.upstream.served()));
    assert!(
        found.iter().any(|one| matches!(one, Difference::NotCounted(_))),
        "{found:?}"
    );
}
