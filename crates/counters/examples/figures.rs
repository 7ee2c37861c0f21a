//! Prints nanoseconds of an admission and its settlement. Run with `cargo run --release --example figures`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use counters::{Admission, Billable, Counters, Times};
use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule, QuotaOf};
use domain::ids::SubscriptionId;
use domain::key::Mode;

const ROUNDS: u64 = 2_000_000;

fn limits() -> Vec<EnforcedLimit> {
    let second = 1_000_000_000;
    let rules = [
        ("requests/second", EnforcedRule::Bucket { requests: u64::MAX >> 24, window_ns: second, burst: u64::MAX >> 24 }),
        ("requests/minute", EnforcedRule::Fixed { requests: u64::MAX, window_ns: 60 * second }),
        (
            "requests/period",
            EnforcedRule::Quota { meter: "requests".into(), of: QuotaOf::Requests, max: u64::MAX, ceiling: Some(u64::MAX) },
        ),
        ("concurrency", EnforcedRule::Concurrency { max: 1_000 }),
    ];
    rules.into_iter().map(|(key, rule)| EnforcedLimit { key: key.into(), rule }).collect()
}

fn run(counters: &Counters, threads: u64, shared: bool) -> u128 {
    let limits: Arc<[EnforcedLimit]> = limits().into();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let limits = Arc::clone(&limits);
            scope.spawn(move || {
                let cycle = UsageCycle::utc_months();
                let admission = Admission { limits: &limits, applies: &[0, 1, 2, 3], cycle: &cycle, revision: 1, weight: 1 };
                let id = SubscriptionId::from_bits(if shared { 1 } else { u128::from(thread) << 7 | 1 });
                for round in 0..ROUNDS {
                    let now = Times { mono_ns: round * 1_000, wall: Timestamp::from_millis(1_793_000_000_000) };
                    let cell = counters.subscription(id, Mode::Live);
                    if let Ok(reservation) = black_box(cell.admit(black_box(&admission), now)) {
                        reservation.settle(Billable::Yes, &[]);
                    }
                }
            });
        }
    });
    started.elapsed().as_nanos() / u128::from(ROUNDS)
}

fn main() {
    let counters = Counters::default();
    println!("find, admit (4 limits), settle: {} ns, one thread", run(&counters, 1, false));
    println!("the same, two threads, a subscription each: {} ns a round", run(&counters, 2, false));
    println!("the same, two threads, one subscription: {} ns a round", run(&counters, 2, true));
}
