use std::net::IpAddr;

use counters::{Billable, Counters, Settings, Times};
use domain::ids::PlanId;

use crate::support::{Plan, SECOND, day, minute, times};

const PLAN: PlanId = PlanId::from_bits(1);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn nth(n: u32) -> IpAddr {
    IpAddr::from(n.to_be_bytes())
}

fn start() -> Times {
    times(SECOND, "2026-02-01T00:00:00Z")
}

#[test]
fn one_network_is_one_caller() {
    let counters = Counters::default();
    let same = |a: &str, b: &str| {
        std::sync::Arc::ptr_eq(
            &counters.address(PLAN, ip(a), start()),
            &counters.address(PLAN, ip(b), start()),
        )
    };
    assert!(same("2001:db8:1:2:aaaa::1", "2001:db8:1:2:ffff:1:2:3"));
    assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    assert!(!same("192.0.2.1", "192.0.2.2"));
    let other = counters.address(PlanId::from_bits(2), ip("192.0.2.1"), start());
    assert!(!std::sync::Arc::ptr_eq(
        &counters.address(PLAN, ip("192.0.2.1"), start()),
        &other
    ));
}

#[test]
fn memory_is_bounded_and_what_is_in_use_is_never_forgotten() {
    let counters = Counters::new(Settings { max_addresses: 1_024 });
    let (kept, plan) = (Plan::new(vec![day(5)]), Plan::new(vec![minute(5)]));
    for n in 0..64 {
        let cell = counters.address(PLAN, nth(n), start());
        cell.admit(&kept.admission(), start())
            .unwrap()
            .settle(Billable::Yes, &[]);
    }
    let held: Vec<_> = (64..96)
        .map(|n| {
            counters
                .address(PLAN, nth(n), start())
                .admit(&plan.admission(), start())
                .unwrap()
        })
        .collect();
    for n in 1_000..50_000 {
        let _ = counters
            .address(PLAN, nth(n), start())
            .admit(&plan.admission(), start())
            .map(|open| open.settle(Billable::Yes, &[]));
    }
    assert!(counters.len().1 <= 1_024, "{:?}", counters.len());
    for n in 0..64 {
        let view = counters.address(PLAN, nth(n), start()).view(&kept.admission(), start());
        assert_eq!(view[0].used.to_string(), "1", "{n}");
    }
    for n in 64..96 {
        let view = counters.address(PLAN, nth(n), start()).view(&plan.admission(), start());
        assert_eq!(view[0].used.to_string(), "1", "{n}");
    }
    drop(held);
}

#[test]
fn addresses_beyond_a_full_shard_share_one_cell() {
    let counters = Counters::new(Settings { max_addresses: 256 });
    let plan = Plan::new(vec![day(1_000)]);
    for n in 0..5_000 {
        counters
            .address(PLAN, nth(n), start())
            .admit(&plan.admission(), start())
            .unwrap()
            .settle(Billable::Yes, &[]);
    }
    assert!(counters.len().1 <= 256);
    let most = (0..5_000)
        .filter_map(|n| {
            counters.address(PLAN, nth(n), start()).view(&plan.admission(), start())[0]
                .used
                .whole_units()
        })
        .max();
    assert!(most > Some(1), "{most:?}");
}

#[test]
fn a_sweep_forgets_only_what_is_at_rest() {
    let counters = Counters::default();
    let plan = Plan::new(vec![minute(5), day(5)]);
    for n in 0..10 {
        counters
            .address(PLAN, nth(n), start())
            .admit(&plan.admission(), start())
            .unwrap()
            .settle(Billable::Yes, &[]);
    }
    assert_eq!(counters.sweep(times(3_600 * SECOND, "2026-02-01T23:59:59.999Z")), 0);
    assert_eq!(counters.sweep(times(2 * SECOND, "2026-02-02T00:00:00Z")), 0);
    assert_eq!(counters.sweep(times(3_600 * SECOND, "2026-02-02T00:00:00Z")), 10);
    assert!(counters.is_empty());
}
