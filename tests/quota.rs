//! A quota is exact: at the end neither one request more nor one less, whatever runs at the same time.
//!
//! A larger run: `TOLLGATE_TEST_QUOTA=100000 TOLLGATE_TEST_KILLS=50 cargo test --release --test quota -- --nocapture`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::books::{Books, assert_balanced, quota};
use support::chance::{Random, seed, setting};
use support::load::{Call, Fate, Plan};
use support::world::World;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn limits(max: u64, rate: u64) -> Value {
    json!([
        { "requests": max, "per": "period" },
        { "requests": rate, "per": "second", "algorithm": "token_bucket", "burst": 20 },
    ])
}

fn count(calls: &[Call], problem: &str) -> usize {
    calls.iter().filter(|call| call.problem() == problem).count()
}

/// What the upstream had served and what was under way when the quota was first refused.
#[derive(Default)]
struct FirstRefusal {
    reached: AtomicU64,
}

#[test]
fn exactly_the_quota_reaches_the_upstream_and_none_is_refused_before() {
    let seed = seed();
    let max = setting("TOLLGATE_TEST_QUOTA", 10_000);
    let world = World::start(&limits(max, 3_000));
    let subscriber = world.subscriber("acme");
    let plan = Plan::new(world.platform.gateway(), &subscriber.key, "q")
        .seed(seed)
        .connections(64);
    let plan = plan.pause(Duration::ZERO).calls(i64::try_from(2 * max).unwrap());
    let first = Arc::new(FirstRefusal::default());
    let (log, seen) = (world.upstream.log_path(), Arc::clone(&first));
    let began = Instant::now();
    let load = plan.start_watched(move |call, shared| {
        if call.problem() == "quota-exceeded" && seen.reached.load(Ordering::SeqCst) == 0 {
            // Whatever was admitted before is at the upstream or under way: read in this order nothing escapes.
            let under_way = shared.in_flight.load(Ordering::SeqCst);
            let served = std::fs::read_to_string(&log).unwrap().lines().count() as u64;
            seen.reached.store(served + under_way, Ordering::SeqCst);
        }
    });
    let calls = load.join();
    let books = Books::read(&world.api(), &subscriber, calls, world.upstream.served());
    let refused = (
        count(&books.calls, "rate-limited"),
        count(&books.calls, "quota-exceeded"),
    );
    let reached = first.reached.load(Ordering::SeqCst);
    println!(
        "{} calls in {} ms: {} served, {} refused by the rate, {} by the quota; {reached} served or under way at the first",
        books.calls.len(),
        began.elapsed().as_millis(),
        books.served.len(),
        refused.0,
        refused.1
    );
    assert_eq!(books.served.len() as u64, max, "at the upstream");
    assert!(reached >= max, "quota-exceeded when {reached} had been admitted");
    // A connection may find no call left while another one gives its own back.
    assert!(refused.1 as u64 + 64 >= max, "{} refused of the other half", refused.1);
    assert!(
        refused.0 > 0,
        "the rate refused nothing: the stacked limit was not tried"
    );
    assert_eq!(quota(&world.api(), &subscriber.subscription), (max, 0));
    assert_balanced(&books);
}

/// Requests a second that leave units of the quota for the time after the last kill, on slow and fast machines alike.
const RATE: u64 = 400;

/// Applies another version of the plan: other numbers of the rate, another title, the same quota.
fn apply(world: &World, max: u64, step: u64) {
    let mut configuration = world.configuration(&limits(max, RATE + step % 7 * 20));
    configuration["products"][0]["title"] = json!(format!("Echo {step}"));
    configuration["products"][0]["plans"][0]["title"] = json!(format!("Standard {step}"));
    world.api().put("/config", configuration);
}

#[test]
fn applies_and_kills_move_no_quota() {
    let seed = seed();
    let (max, kills) = (
        setting("TOLLGATE_TEST_QUOTA", 10_000),
        setting("TOLLGATE_TEST_KILLS", 5),
    );
    let mut random = Random(seed);
    let mut world = World::start(&limits(max, RATE));
    let subscriber = world.subscriber("acme");
    let began = Instant::now();
    let plan = Plan::new(world.platform.gateway(), &subscriber.key, "q")
        .seed(seed)
        .connections(32);
    let load = plan.pause(Duration::from_millis(1)).start();
    for kill in 0..kills {
        (0..10).for_each(|step| apply(&world, max, kill * 10 + step));
        std::thread::sleep(Duration::from_millis(random.below(100)));
        world.platform.kill();
        load.killed();
        world.platform.restart();
        let (used, remaining) = quota(&world.api(), &subscriber.subscription);
        assert_eq!(used + remaining, max);
    }
    let before_the_end = load.successes();
    let deadline = Instant::now() + Duration::from_secs(60 + max / 100);
    while quota(&world.api(), &subscriber.subscription).1 > 0 {
        assert!(Instant::now() < deadline, "the quota is never used up");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(300));
    let books = Books::read(&world.api(), &subscriber, load.stop(), world.upstream.served());
    let broken = books.calls.iter().filter(|call| call.fate == Fate::Broken).count();
    println!(
        "{} applies, {kills} kills, {before_the_end} successes under them: {} served, {} billed, {broken} broken, {} in vain, \
         {} refused by the quota; {} ms",
        kills * 10,
        books.served.len(),
        books.billed(),
        books.served_in_vain(),
        count(&books.calls, "quota-exceeded"),
        began.elapsed().as_millis()
    );
    assert!(count(&books.calls, "quota-exceeded") > 0);
    assert!(before_the_end < max, "the quota was used up before the last kill");
    assert_eq!(books.billed(), max, "never above, and all of it");
    assert_balanced(&books);
}
