use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use counters::{Billable, Cell, LimitKind, Refused, Times};

use crate::support::{Plan, at, concurrency, limit, quota};

const THREADS: u64 = 8;
const MAX: u64 = 10_000;

fn now(mono_ns: u64) -> Times {
    Times {
        mono_ns,
        wall: at("2026-02-01T00:00:00Z"),
    }
}

static CLOCK_NS: AtomicU64 = AtomicU64::new(0);

/// What all threads of a run see.
#[derive(Default)]
struct Tally {
    billed: AtomicU64,
    in_flight: AtomicU64,
}

impl Tally {
    fn call(&self, cell: &Arc<Cell>, plan: &Plan, outcome: Billable) {
        let reservation = match cell.admit(&plan.admission(), now(CLOCK_NS.fetch_add(1_000, Ordering::SeqCst))) {
            Ok(reservation) => reservation,
            Err(refused) => return assert_refusal(&refused),
        };
        assert!(
            self.in_flight.fetch_add(1, Ordering::SeqCst) < 5,
            "above the concurrency"
        );
        if outcome == Billable::No {
            std::thread::yield_now();
        } else {
            self.billed.fetch_add(1, Ordering::SeqCst);
        }
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
        reservation.settle(outcome, &[]);
    }
}

fn assert_refusal(refused: &Refused) {
    if refused.kind == LimitKind::Quota && !refused.pending {
        assert_eq!(refused.used.whole_units(), Some(MAX), "refused with units left");
    }
}

/// Admits `calls` times on each of 8 threads; every third outcome is not billed where `flaky`. Returns what was billed.
fn hammer(cell: &Arc<Cell>, plan: &Plan, calls: u64, flaky: bool) -> u64 {
    let tally = Tally::default();
    let outcomes = [Billable::Yes, if flaky { Billable::No } else { Billable::Yes }];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let tally = &tally;
            scope.spawn(move || {
                for call in 0..calls {
                    tally.call(cell, plan, outcomes[usize::from((call + thread) % 3 == 0)]);
                }
            });
        }
    });
    tally.billed.into_inner()
}

fn plan() -> Plan {
    let rate = domain::enforce::EnforcedRule::Bucket {
        requests: 500_000,
        window_ns: 1_000_000_000,
        burst: 400,
    };
    Plan::new(vec![limit("requests/second", rate), quota(MAX), concurrency(5)])
}

#[test]
fn many_threads_use_a_quota_to_the_last_unit_and_no_further() {
    let (cell, plan) = (Arc::default(), plan());
    let mut billed = hammer(&cell, &plan, 20_000, true);
    while billed < MAX {
        billed += hammer(&cell, &plan, 5_000, false);
    }
    assert_eq!(billed, MAX);
    assert_eq!(hammer(&cell, &plan, 1_000, true), 0);
    let view = cell.view(&plan.admission(), now(0));
    assert_eq!(view[1].used.whole_units(), Some(MAX));
    assert_eq!(view[2].used.whole_units(), Some(0));
}
