//! Exactness and steadiness under many connections at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use snapshot::source::Change;

use crate::world::{Wish, World, eventually, key, plan, world};

/// Sends `calls` requests over `connections` connections; the answer counts them by status and, for refusals, name.
fn storm(world: &World, path: &str, connections: usize, calls: usize) -> Vec<(u16, String)> {
    let next = AtomicUsize::new(0);
    let one = || drive(world, path, &|| next.fetch_add(1, Ordering::Relaxed) < calls);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections).map(|_| scope.spawn(one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// Sends requests over one connection for as long as `goes_on`.
fn drive(world: &World, path: &str, goes_on: &dyn Fn() -> bool) -> Vec<(u16, String)> {
    let auth = key(1);
    let mut conn = world.connect();
    let mut answers = Vec::new();
    while goes_on() {
        let reply = conn.get(path, &[("X-API-Key", auth.reveal())]);
        let is_problem = reply.header("content-type") == Some("application/problem+json");
        answers.push((reply.status, if is_problem { reply.problem() } else { String::new() }));
    }
    answers
}

fn count(answers: &[(u16, String)], status: u16, name: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.0 == status && answer.1 == name)
        .count()
}

#[test]
fn a_quota_is_exact_over_all_workers_beside_a_rate_limit() {
    let quota = 1_200;
    let world = world(&Wish {
        limits: json!([
            { "requests": quota, "per": "period" },
            { "requests": 400, "per": "second", "algorithm": "token_bucket", "burst": 40 },
        ]),
        ..Wish::default()
    });
    let mut served = 0;
    let mut refused_early = 0;
    let mut limited = 0;
    while served < quota {
        let before = served;
        let answers = storm(&world, "/petstore/pets/1", 64, 1_000);
        served += count(&answers, 200, "");
        limited += count(&answers, 429, "rate-limited");
        refused_early += if served < quota {
            count(&answers, 429, "quota-exceeded")
        } else {
            0
        };
        assert!(served > before || limited > 0, "{answers:?}");
    }
    let after = storm(&world, "/petstore/pets/1", 64, 200);
    assert_eq!(count(&after, 200, ""), 0);
    assert_eq!((served, refused_early), (quota, 0));
    assert!(limited > 0, "the rate limit never refused");
    assert_eq!(world.upstream.count(), quota);
    assert_eq!(world.used("requests/period"), quota);
    let facts = world.facts();
    let ids: HashSet<_> = facts.iter().map(|fact| &fact.request_id).collect();
    assert_eq!((facts.len(), ids.len()), (quota, quota));
    eventually("the count at the socket", || {
        world.metrics.usage_events() == quota as u64
    });
}

#[test]
fn fifty_snapshots_under_load_fail_no_request_and_reset_no_count() {
    let limits = json!([{ "requests": 1_000_000, "per": "period" }, { "requests": 900_000, "per": "hour" }]);
    let world = world(&Wish {
        limits: limits.clone(),
        ..Wish::default()
    });
    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut all = Vec::new();
            while !done.load(Ordering::Relaxed) {
                all.extend(storm(&world, "/petstore/pets/1", 8, 200));
            }
            all
        });
        for number in 0..50 {
            let mut changed = limits.clone();
            changed[1]["requests"] = json!(900_000 + number);
            world.change([Change::UpsertPlanVersion(plan(&changed))]);
            std::thread::sleep(std::time::Duration::from_millis(15));
        }
        done.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    assert_eq!(count(&answers, 200, ""), answers.len());
    assert_eq!(world.used("requests/period"), answers.len());
    assert_eq!(world.used("requests/hour"), answers.len());
    let revisions: HashSet<_> = world.facts().iter().map(|fact| fact.revision).collect();
    assert!(revisions.len() > 5, "{revisions:?}");
    eventually("both workers on the last revision", || world.metrics.revision() == 51);
}

#[test]
fn half_the_answers_503_leave_the_quota_with_what_was_billed() {
    let world = world(&Wish {
        limits: json!([{ "requests": 300, "per": "period" }]),
        ..Wish::default()
    });
    let bad = std::thread::scope(|scope| {
        let bad = scope.spawn(|| storm(&world, "/petstore/status/503", 8, 400));
        let good = storm(&world, "/petstore/pets/1", 8, 150);
        assert_eq!(count(&good, 200, ""), 150);
        bad.join().unwrap()
    });
    assert_eq!(count(&bad, 503, ""), 400);
    assert_eq!(world.used("requests/period"), 150);
    let rest = storm(&world, "/petstore/pets/1", 16, 200);
    assert_eq!((count(&rest, 200, ""), count(&rest, 429, "quota-exceeded")), (150, 50));
}
