use std::sync::Arc;

use counters::{Baseline, Billable, Cell, Counters, LimitKind, Times};
use domain::enforce::Window;
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::period::Every;
use domain::quantity::Quantity;

use crate::support::{Plan, SECOND, at, bucket, concurrency, cycle, day, limit, minute, quota, times, tokens, used};

fn cell() -> Arc<Cell> {
    Arc::default()
}

fn used_of(cell: &Cell, plan: &Plan, now: Times) -> Vec<String> {
    cell.view(&plan.admission(), now)
        .iter()
        .map(|view| view.used.to_string())
        .collect()
}

#[test]
fn a_refused_request_is_counted_nowhere() {
    let plan = Plan::new(vec![bucket(1, 1), minute(100), day(100), quota(100), concurrency(100)]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    cell.admit(&plan.admission(), now).unwrap().settle(Billable::Yes, &[]);
    for _ in 0..50 {
        let refused = cell.admit(&plan.admission(), now).unwrap_err();
        assert_eq!(
            (refused.kind, refused.retry_after_s, &*refused.key),
            (LimitKind::Rate, 1, "requests/second")
        );
    }
    assert_eq!(used_of(&cell, &plan, now), ["1", "1", "1", "1", "0"]);
}

#[test]
fn of_several_refusals_the_longest_is_told() {
    let plan = Plan::new(vec![bucket(1, 1), quota(1)]);
    let (cell, now) = (cell(), times(0, "2026-02-27T23:59:00Z"));
    cell.admit(&plan.admission(), now).unwrap().settle(Billable::Yes, &[]);
    let refused = cell.admit(&plan.admission(), now).unwrap_err();
    assert_eq!(
        (refused.kind, refused.retry_after_s, refused.pending),
        (LimitKind::Quota, 60, false)
    );
}

#[test]
fn a_quota_that_only_reservations_fill_says_so() {
    let plan = Plan::new(vec![quota(1)]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    let open = cell.admit(&plan.admission(), now).unwrap();
    assert!(cell.admit(&plan.admission(), now).unwrap_err().pending);
    open.settle(Billable::No, &[]);
    cell.admit(&plan.admission(), now).unwrap().settle(Billable::Yes, &[]);
    assert!(!cell.admit(&plan.admission(), now).unwrap_err().pending);
}

#[test]
fn an_outcome_that_is_not_billed_returns_everything() {
    let plan = Plan::new(vec![
        bucket(1, 5),
        minute(5),
        day(5),
        quota(5),
        tokens(5, Some(5)),
        concurrency(5),
    ]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    for _ in 0..20 {
        cell.admit(&plan.admission(), now)
            .unwrap()
            .settle(Billable::No, &used("3"));
    }
    assert_eq!(used_of(&cell, &plan, now), ["0"; 6]);
}

#[test]
fn a_dropped_reservation_is_given_back_even_by_a_panic() {
    let plan = Plan::new(vec![quota(5), concurrency(1)]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    let held = cell.admit(&plan.admission(), now).unwrap();
    assert_eq!(
        cell.admit(&plan.admission(), now).unwrap_err().kind,
        LimitKind::Concurrency
    );
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = held;
        panic!("a request died");
    }));
    assert!(panicked.is_err());
    assert_eq!(used_of(&cell, &plan, now), ["0", "0"]);
}

#[test]
fn what_ends_after_the_period_turned_leaves_the_new_one_untouched() {
    let plan = Plan::new(vec![quota(10), day(10)]);
    let before = times(0, "2026-02-27T23:59:59.999Z");
    let after = times(SECOND, "2026-02-28T00:00:00Z");
    for outcome in [Billable::No, Billable::Yes] {
        let cell = cell();
        let open = cell.admit(&plan.admission(), before).unwrap();
        cell.admit(&plan.admission(), after).unwrap().settle(Billable::Yes, &[]);
        open.settle(outcome, &[]);
        assert_eq!(used_of(&cell, &plan, after), ["1", "1"], "{outcome:?}");
    }
}

#[test]
fn a_request_counts_in_the_window_of_its_stamp_though_another_turned_it_first() {
    let plan = Plan::new(vec![quota(1), day(1)]);
    let (before, after) = (times(1, "2026-02-27T23:59:59.999Z"), times(2, "2026-02-28T00:00:00Z"));
    let cell = cell();
    let new = cell.admit(&plan.admission(), after).unwrap();
    let late = cell.admit(&plan.admission(), before).unwrap();
    assert!(cell.admit(&plan.admission(), before).is_err());
    late.settle(Billable::Yes, &[]);
    new.settle(Billable::No, &[]);
    assert_eq!(used_of(&cell, &plan, after), ["0", "0"]);
    assert_eq!(used_of(&cell, &plan, before), ["1", "1"]);
}

#[test]
fn a_fixed_window_takes_nothing_back_from_the_one_before() {
    let plan = Plan::new(vec![minute(2)]);
    let cell = cell();
    let open = cell.admit(&plan.admission(), times(0, "2026-02-01T00:00:00Z")).unwrap();
    let later = times(60 * SECOND, "2026-02-01T00:01:00Z");
    cell.admit(&plan.admission(), later).unwrap().settle(Billable::Yes, &[]);
    open.settle(Billable::No, &[]);
    assert_eq!(used_of(&cell, &plan, later), ["1"]);
}

#[test]
fn the_period_follows_the_zone_over_a_change_of_its_clocks() {
    let new_york = cycle("2026-01-31T05:00:00Z", "America/New_York", Every::MONTH);
    let plan = Plan::with_cycle(vec![quota(1)], new_york);
    let cell = cell();
    for (wall, passes) in [
        ("2026-02-28T04:59:59.999Z", true),
        ("2026-02-28T05:00:00Z", true),
        ("2026-03-31T03:59:59.999Z", false),
        ("2026-03-31T04:00:00Z", true),
    ] {
        let admitted = cell.admit(&plan.admission(), times(0, wall));
        assert_eq!(admitted.is_ok(), passes, "{wall}");
        if let Ok(reservation) = admitted {
            reservation.settle(Billable::Yes, &[]);
        }
    }
}

#[test]
fn a_quota_of_quantities_is_served_below_its_ceiling_and_settled_by_the_answer() {
    let plan = Plan::new(vec![tokens(100, Some(115))]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    cell.admit(&plan.admission(), now)
        .unwrap()
        .settle(Billable::Yes, &used("114.999999999"));
    cell.admit(&plan.admission(), now)
        .unwrap()
        .settle(Billable::Yes, &used("7.5"));
    assert_eq!(cell.admit(&plan.admission(), now).unwrap_err().kind, LimitKind::Quota);
    let view = cell.view(&plan.admission(), now);
    assert_eq!(
        (view[0].max, view[0].ceiling, view[0].used.to_string().as_str()),
        (100, Some(115), "122.499999999")
    );
    assert_eq!(view[0].remaining, Quantity::ZERO);
    assert_eq!(view[0].resets_at, Some(at("2026-02-28T00:00:00Z")));
}

#[test]
fn unlimited_overage_never_refuses_and_is_no_tightest_limit() {
    let plan = Plan::new(vec![tokens(1, None), bucket(10, 20)]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    for _ in 0..15 {
        let reservation = cell.admit(&plan.admission(), now).unwrap();
        assert_eq!(
            reservation.tightest().map(|tightest| (tightest.index, tightest.limit)),
            Some((1, 20))
        );
        reservation.settle(Billable::Yes, &used("1000"));
    }
}

#[test]
fn a_checkpoint_counts_in_the_window_of_its_own_stamp() {
    let plan = Plan::new(vec![tokens(100, Some(100)), quota(10)]);
    let cell = cell();
    let open = cell.admit(&plan.admission(), times(0, "2026-02-27T23:59:00Z")).unwrap();
    let later = times(SECOND, "2026-02-28T00:00:30Z");
    cell.charge(&plan.admission(), later, &used("40"));
    open.settle(Billable::Yes, &used("2"));
    assert_eq!(used_of(&cell, &plan, later), ["40", "0"]);
    assert_eq!(used_of(&cell, &plan, times(0, "2026-02-27T23:59:00Z")), ["2", "1"]);
}

#[test]
fn changed_numbers_and_orders_of_limits_reset_nothing() {
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    let first = Plan::new(vec![quota(10), minute(10)]);
    for _ in 0..4 {
        cell.admit(&first.admission(), now).unwrap().settle(Billable::Yes, &[]);
    }
    let second = Plan::new(vec![minute(5), concurrency(9), quota(5)]);
    cell.admit(&second.admission(), now).unwrap().settle(Billable::Yes, &[]);
    assert!(cell.admit(&second.admission(), now).is_err());
    assert_eq!(used_of(&cell, &second, now), ["5", "0", "5"]);
}

#[test]
fn a_moved_anchor_starts_a_new_window_and_an_older_snapshot_does_not_move_it_back() {
    let (cell, now) = (cell(), times(0, "2026-02-10T12:00:00Z"));
    let mut old = Plan::new(vec![quota(10)]);
    let mut new = Plan::with_cycle(vec![quota(10)], cycle("2026-02-10T00:00:00Z", "UTC", Every::MONTH));
    (old.revision, new.revision) = (1, 2);
    let open = cell.admit(&old.admission(), now).unwrap();
    cell.admit(&new.admission(), now).unwrap().settle(Billable::Yes, &[]);
    cell.admit(&old.admission(), now).unwrap().settle(Billable::Yes, &[]);
    open.settle(Billable::Yes, &[]);
    assert_eq!(used_of(&cell, &new, now), ["2"]);
}

#[test]
fn a_longer_period_with_an_earlier_start_keeps_what_was_used() {
    let (cell, now) = (cell(), times(0, "2026-03-10T12:00:00Z"));
    let month = Plan::new(vec![quota(10)]);
    for wall in ["2026-02-10T12:00:00Z", "2026-03-10T12:00:00Z"] {
        cell.admit(&month.admission(), times(0, wall))
            .unwrap()
            .settle(Billable::Yes, &[]);
    }
    let year = Plan::with_cycle(vec![quota(10)], cycle("2026-01-31T00:00:00Z", "UTC", Every::YEAR));
    assert_eq!(used_of(&cell, &year, now), ["2"]);
}

#[test]
fn a_baseline_is_what_was_used_before_and_adds_up() {
    let counters = Counters::default();
    let id = SubscriptionId::from_bits(7);
    let february = Window {
        start: at("2026-01-31T00:00:00Z"),
        end: at("2026-02-28T00:00:00Z"),
    };
    let march = Window {
        start: at("2026-02-28T00:00:00Z"),
        end: at("2026-03-31T00:00:00Z"),
    };
    let baseline = |window, units| Baseline {
        subscription: id,
        mode: Mode::Live,
        key: "requests/period".into(),
        window,
        used: Quantity::from_units(units),
    };
    counters.load_baseline([baseline(february, 3), baseline(march, 7), baseline(march, 2)]);
    let plan = Plan::new(vec![minute(100), quota(10)]);
    let (cell, now) = (counters.subscription(id, Mode::Live), times(0, "2026-03-01T00:00:00Z"));
    assert_eq!(used_of(&cell, &plan, now), ["0", "9"]);
    assert_eq!(used_of(&cell, &plan, times(0, "2026-02-01T00:00:00Z"))[1], "3");
    cell.admit(&plan.admission(), now).unwrap().settle(Billable::Yes, &[]);
    assert!(cell.admit(&plan.admission(), now).is_err());
    let test = counters.subscription(id, Mode::Test);
    assert_eq!(used_of(&test, &plan, now), ["0", "0"]);
}

#[test]
fn touches_tell_before_and_after() {
    let plan = Plan::new(vec![quota(10), tokens(100, Some(100)), bucket(1, 5)]);
    let (cell, now) = (cell(), times(0, "2026-02-01T00:00:00Z"));
    cell.admit(&plan.admission(), now)
        .unwrap()
        .settle(Billable::Yes, &used("5"));
    let reservation = cell.admit(&plan.admission(), now).unwrap();
    let touches: Vec<_> = reservation
        .touches(&plan.limits, &used("2.5"))
        .iter()
        .map(|touch| format!("{} {}>{}", touch.limit, touch.before, touch.after))
        .collect();
    assert_eq!(
        touches,
        ["requests/period 1>2", "tokens/period 5>7.5", "requests/second 1>2"]
    );
}

#[test]
fn a_bucket_refills_by_the_nanosecond() {
    let three = domain::enforce::EnforcedRule::Bucket {
        requests: 3,
        window_ns: SECOND,
        burst: 1,
    };
    let plan = Plan::new(vec![limit("requests/second", three)]);
    let cell = cell();
    let wall = "2026-02-01T00:00:00Z";
    cell.admit(&plan.admission(), times(0, wall))
        .unwrap()
        .settle(Billable::Yes, &[]);
    assert!(cell.admit(&plan.admission(), times(333_333_333, wall)).is_err());
    assert!(cell.admit(&plan.admission(), times(333_333_334, wall)).is_ok());
}

#[test]
fn the_tightest_limit_is_the_one_with_the_fewest_units_left() {
    let plan = Plan::new(vec![bucket(10, 20), quota(3), concurrency(1)]);
    let (cell, now) = (cell(), times(0, "2026-02-27T00:00:00Z"));
    let reservation = cell.admit(&plan.admission(), now).unwrap();
    let tightest = *reservation.tightest().unwrap();
    assert_eq!(
        (tightest.index, tightest.limit, tightest.remaining, tightest.reset_s),
        (1, 3, 2, 86_400)
    );
}
