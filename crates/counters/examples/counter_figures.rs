//! Prints nanoseconds of an admission and its settlement. Run with `cargo run --release --example counter_figures`.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use counters::{Admission, Billable, Cell, Counters, Times};
use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule, QuotaOf, Sharing};
use domain::ids::SubscriptionId;
use domain::key::Mode;

const ROUNDS: u64 = 2_000_000;

fn limits() -> Vec<EnforcedLimit> {
    let second = 1_000_000_000;
    let rules = [
        (
            "requests/second",
            EnforcedRule::Bucket {
                requests: 1_000_000_000,
                window_ns: second,
                burst: 1_000_000_000,
            },
        ),
        (
            "requests/minute",
            EnforcedRule::Fixed {
                requests: 1_000_000_000,
                window_ns: 60 * second,
            },
        ),
        (
            "requests/period",
            EnforcedRule::Quota {
                meter: "requests".into(),
                of: QuotaOf::Requests,
                max: 1_000_000_000,
                ceiling: Some(1_000_000_000),
                sharing: Sharing::default(),
            },
        ),
        ("concurrency", EnforcedRule::Concurrency { max: 1_000 }),
    ];
    rules
        .into_iter()
        .map(|(key, rule)| EnforcedLimit { key: key.into(), rule })
        .collect()
}

/// One thread's rounds: the cell is found each time, or held where `held`.
fn rounds(counters: &Counters, id: SubscriptionId, held: bool) {
    let (limits, cycle) = (limits(), UsageCycle::utc_months());
    let admission = Admission {
        limits: &limits,
        applies: &[0, 1, 2, 3],
        cycle: &cycle,
        revision: 1,
        weight: 1,
    };
    let mut cell: Arc<Cell> = counters.subscription(id, Mode::Live);
    for round in 0..ROUNDS {
        let now = Times {
            mono_ns: round * 1_000,
            wall: Timestamp::from_millis(1_793_000_000_000),
        };
        if !held {
            cell = black_box(counters.subscription(id, Mode::Live));
        }
        if let Ok(reservation) = black_box(cell.admit(black_box(&admission), now)) {
            reservation.settle(Billable::Yes, &[]);
        }
    }
}

fn run(threads: u64, shared: bool, held: bool) -> u128 {
    let counters = Counters::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let id = SubscriptionId::from_bits(if shared { 1 } else { u128::from(thread) << 7 | 1 });
            let counters = &counters;
            scope.spawn(move || rounds(counters, id, held));
        }
    });
    started.elapsed().as_nanos() / u128::from(ROUNDS)
}

fn main() {
    for _ in 0..3 {
        println!("admit (4 limits) and settle: {} ns", run(1, false, true));
        println!("find, admit, settle: {} ns", run(1, false, false));
        println!(
            "the same on two threads, a subscription each: {} ns a round",
            run(2, false, false)
        );
        println!(
            "the same on two threads, one subscription: {} ns a round",
            run(2, true, false)
        );
    }
}
