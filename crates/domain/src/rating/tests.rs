use super::*;
use crate::clock::Timestamp;
use crate::money::Currency;
use crate::period::{Anchor, Every, Period, Zone, period_at};
use crate::price::UsageEntry;

fn price(json: &str) -> UsagePrice {
    serde_json::from_str::<UsageEntry>(json).unwrap().understand().unwrap()
}

fn unit(unit: &str, included: u64) -> UsagePrice {
    price(&format!(
        r#"{{"model": "unit", "unit": "{unit}", "included": {included}}}"#
    ))
}

fn units(text: &str) -> Quantity {
    text.parse().unwrap()
}

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

fn total(rated: &Rated, currency: Currency) -> i64 {
    let rounded = rated.round(currency).unwrap();
    assert_eq!(rounded.list + rounded.discount + rounded.true_up, rounded.total);
    rounded.total
}

fn cents(price: &UsagePrice, quantity: &str) -> i64 {
    total(&rate(price, units(quantity)), Currency::USD)
}

fn check(price: &UsagePrice, rows: &[(&str, i64)]) {
    for (quantity, expected) in rows {
        assert_eq!(cents(price, quantity), *expected, "{quantity}");
    }
}

fn minor(text: &str, currency: Currency) -> i64 {
    round_half_away_from_zero(&exact(text), currency).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The calendar month of a zone in which an instant lies.
fn month(instant: &str, zone: &str) -> Period {
    let anchor = Anchor {
        local: "2026-01-01T00:00:00".parse().unwrap(),
        zone: zone.parse().unwrap(),
    };
    period_at(&anchor, Every::MONTH, at(instant)).unwrap()
}

const GRADUATED: &str = r#"{"model": "graduated",
    "tiers": [{"up_to": 1000, "unit": "0.10"}, {"up_to": 10000, "unit": "0.05"}, {"unit": "0.01"}]}"#;
const SMALL_TIERS: &str = r#"{"model": "graduated", "tiers": [{"up_to": 1000, "unit": "0.10"}, {"unit": "0.05"}]}"#;

#[test]
fn row_1_a_flat_amount_for_a_full_period() {
    assert_eq!(prorate(&exact("49.00"), &Exact::one(), Currency::USD), Ok(4_900));
}

#[test]
fn row_2_a_price_per_call() {
    let per_call = unit("0.0005", 0);
    assert_eq!(rate(&per_call, units("123457")).exact.to_string(), "61.7285");
    check(&per_call, &[("123457", 6_173)]);
}

#[test]
fn row_3_halves_go_away_from_zero() {
    check(&unit("0.005", 0), &[("1", 1), ("3", 2), ("5", 3)]);
    assert_eq!(minor("-0.005", Currency::USD), -1);
}

#[test]
fn row_4_free_calls_then_overage() {
    check(
        &unit("0.001", 10_000),
        &[("10000", 0), ("10001", 0), ("10005", 1), ("25500", 1_550)],
    );
}

#[test]
fn row_5_graduated_tiers() {
    let rows = [
        ("0", 0),
        ("1000", 10_000),
        ("1001", 10_005),
        ("10000", 55_000),
        ("10001", 55_001),
        ("15000", 60_000),
    ];
    check(&price(GRADUATED), &rows);
}

#[test]
fn row_6_graduated_tiers_with_a_fee_for_entering() {
    let fees = price(
        r#"{"model": "graduated", "tiers": [{"up_to": 100, "flat": "5", "unit": "0"},
            {"up_to": 1000, "flat": "10", "unit": "0.02"}, {"unit": "0.01"}]}"#,
    );
    check(
        &fees,
        &[
            ("0", 0),
            ("1", 500),
            ("100", 500),
            ("101", 1_502),
            ("250", 1_800),
            ("1500", 3_800),
        ],
    );
}

#[test]
fn row_7_volume_tiers() {
    let volume = price(&GRADUATED.replace("graduated", "volume"));
    let rows = [
        ("0", 0),
        ("1000", 10_000),
        ("1001", 5_005),
        ("10000", 50_000),
        ("10001", 10_001),
        ("15000", 15_000),
    ];
    check(&volume, &rows);
}

#[test]
fn row_8_started_packages_after_free_units() {
    let package = price(r#"{"model": "package", "size": 1000, "amount": "5.00", "included": 1000}"#);
    check(
        &package,
        &[
            ("1000", 0),
            ("1000.5", 500),
            ("1001", 500),
            ("2000", 500),
            ("2001", 1_000),
        ],
    );
}

#[test]
fn row_9_steps_of_a_staircase() {
    let stairs = price(
        r#"{"model": "stairstep", "tiers": [{"up_to": 100, "amount": "75"}, {"up_to": 200, "amount": "100"}, {"amount": "130"}]}"#,
    );
    check(
        &stairs,
        &[("0", 0), ("1", 7_500), ("100", 7_500), ("101", 10_000), ("201", 13_000)],
    );
}

#[test]
fn row_15_billable_calls_per_transaction() {
    check(&unit("0.02", 0), &[("980", 1_960), ("940", 1_880)]);
}

#[test]
fn row_16_a_multiplier_weighs_the_quantity() {
    let weighted = |by: &str| price(&format!(r#"{{"model": "unit", "unit": "0.01", "multiplier": "{by}"}}"#));
    let parts = ["1", "2.5", "0.5"].map(|by| rate(&weighted(by), Quantity::from_units(1)).exact);
    assert_eq!(round_half_away_from_zero(&parts.iter().sum(), Currency::USD), Ok(4));
    let after = price(r#"{"model": "unit", "unit": "0.01", "multiplier": "2.5", "included": 20}"#);
    check(&after, &[("8", 0), ("10", 5)]);
}

#[test]
fn row_17_a_minimum_is_filled_up() {
    let least = price(r#"{"model": "unit", "unit": "0.01", "minimum": "100"}"#);
    let rounded = rate(&least, units("3742")).round(Currency::USD).unwrap();
    assert_eq!(
        rounded,
        Rounded {
            list: 3_742,
            discount: 0,
            true_up: 6_258,
            total: 10_000
        }
    );
    let rounded = rate(&least, units("15000")).round(Currency::USD).unwrap();
    assert_eq!(
        rounded,
        Rounded {
            list: 15_000,
            discount: 0,
            true_up: 0,
            total: 15_000
        }
    );
}

#[test]
fn row_18_a_minimum_for_a_part_of_the_period() {
    let least = price(r#"{"model": "unit", "unit": "0.01", "minimum": "100"}"#);
    let segment = Segment {
        price: &least,
        quantity: units("3742"),
        share: Exact::ratio(14, 31).unwrap(),
    };
    let rounded = rate_segments(&[segment])[0].round(Currency::USD).unwrap();
    assert_eq!(
        rounded,
        Rounded {
            list: 3_742,
            discount: 0,
            true_up: 774,
            total: 4_516
        }
    );
}

#[test]
fn row_19_a_maximum_is_a_discount() {
    let most = price(r#"{"model": "unit", "unit": "0.01", "maximum": "500"}"#);
    let rounded = rate(&most, units("61234")).round(Currency::USD).unwrap();
    assert_eq!(
        rounded,
        Rounded {
            list: 61_234,
            discount: -11_234,
            true_up: 0,
            total: 50_000
        }
    );
}

#[test]
fn row_21_an_upgrade_in_arrears_by_days() {
    let january = month("2026-01-15T00:00:00Z", "UTC");
    let day = at("2026-01-15T09:00:00Z");
    let before = days_share(&january, january.start, day, &Zone::UTC);
    let after = days_share(&january, day, january.end, &Zone::UTC);
    assert_eq!(prorate(&exact("100"), &before, Currency::EUR), Ok(4_516));
    assert_eq!(prorate(&exact("200"), &after, Currency::EUR), Ok(10_968));
}

fn change_in_april(old: &str, new: &str, instant: &str) -> (i64, i64) {
    let april = month("2026-04-15T00:00:00Z", "UTC");
    let share = time_share(&april, at(instant), april.end);
    let change = change(&exact(old), &exact(new), &share, Currency::USD).unwrap();
    (change.credit, change.charge)
}

#[test]
fn rows_22_to_26_changes_in_advance_by_time() {
    assert_eq!(change_in_april("30", "90", "2026-04-16T00:00:00Z"), (-1_500, 4_500));
    assert_eq!(change_in_april("30", "90", "2026-04-11T08:30:00Z"), (-1_965, 5_894));
    assert_eq!(change_in_april("90", "30", "2026-04-16T00:00:00Z"), (-4_500, 1_500));
    assert_eq!(change_in_april("90", "30", "2026-05-01T00:00:00Z"), (0, 0));
    assert_eq!(change_in_april("30", "60", "2026-04-11T00:00:00Z"), (-2_000, 4_000));
    assert_eq!(change_in_april("60", "90", "2026-04-21T00:00:00Z"), (-2_000, 3_000));
    let change = Change {
        credit: -4_500,
        charge: 1_500,
    };
    assert_eq!(change.net(), Ok(-3_000));
}

#[test]
fn rows_27_and_63_units_of_a_period_in_proportion_to_the_time() {
    let half = Exact::ratio(1, 2).unwrap();
    assert_eq!(prorated_units(&[(100_000, half.clone()), (500_000, half)]), 300_000);
    assert_eq!(prorated_units(&[(10_000, Exact::ratio(14, 31).unwrap())]), 4_517);
    assert_eq!(
        prorated_units(&[(u64::MAX, Exact::one()), (u64::MAX, Exact::one())]),
        u64::MAX
    );
    let free = unit("0.01", 10_000);
    let part = Segment {
        price: &free,
        quantity: units("4518"),
        share: Exact::ratio(14, 31).unwrap(),
    };
    let rated = &rate_segments(&[part])[0];
    assert_eq!(
        (rated.included.to_string(), total(rated, Currency::USD)),
        ("4517".to_owned(), 1)
    );
}

#[test]
fn row_29_the_first_month_of_a_calendar_anchor_in_part() {
    let january = month("2026-01-24T00:00:00Z", "UTC");
    let share = days_share(&january, at("2026-01-24T00:00:00Z"), january.end, &Zone::UTC);
    assert_eq!(share.to_string(), "8/31");
    assert_eq!(prorate(&exact("31.00"), &share, Currency::USD), Ok(800));
}

#[test]
fn row_32_a_short_period_is_cancelled_with_a_credit() {
    let anchor = Anchor {
        local: "2027-01-31T00:00:00".parse().unwrap(),
        zone: Zone::UTC,
    };
    let period = period_at(&anchor, Every::MONTH, at("2027-02-14T00:00:00Z")).unwrap();
    let rest = time_share(&period, at("2027-02-14T00:00:00Z"), period.end);
    assert_eq!(rest, Exact::ratio(14, 28).unwrap());
    assert_eq!(prorate(&exact("-30.00"), &rest, Currency::USD), Ok(-1_500));
}

#[test]
fn row_33_a_change_in_the_month_of_summer_time() {
    let march = month("2026-03-16T04:00:00Z", "America/New_York");
    let noon = at("2026-03-16T04:00:00Z");
    let by_time = time_share(&march, noon, march.end);
    let zone = "America/New_York".parse().unwrap();
    let by_day = days_share(&march, noon, march.end, &zone);
    let lines = |share| change(&exact("31"), &exact("62"), &share, Currency::USD).unwrap();
    assert_eq!(
        lines(by_time),
        Change {
            credit: -1_602,
            charge: 3_204
        }
    );
    assert_eq!(
        lines(by_day),
        Change {
            credit: -1_600,
            charge: 3_200
        }
    );
}

#[test]
fn row_38_overage_above_a_quota_at_a_price_of_its_own() {
    let over = UsagePrice::overage("0.002".parse().unwrap(), 100_000);
    check(&over, &[("100000", 0), ("112345", 2_469), ("115000", 3_000)]);
}

#[test]
fn row_39_overage_in_proportion_to_the_price_of_the_plan() {
    let over = UsagePrice::prorated_overage("99.00".parse().unwrap(), 100_000).unwrap();
    check(
        &over,
        &[("100000", 0), ("112345", 1_222), ("115000", 1_485), ("120000", 1_980)],
    );
    assert_eq!(UsagePrice::prorated_overage("99.00".parse().unwrap(), 0), None);
}

#[test]
fn row_45_currencies_with_no_and_with_three_decimals() {
    assert_eq!(total(&rate(&unit("0.5", 0), units("3")), Currency::JPY), 2);
    assert_eq!(total(&rate(&unit("0.0005", 0), units("1")), Currency::KWD), 1);
    let fils = total(&rate(&unit("1.2345", 0), units("3")), Currency::KWD);
    let charged = Currency::KWD.chargeable_part(fils);
    assert_eq!((fils, charged, fils - charged), (3_704, 3_700, 4));
}

/// What each line charges when these totals are billed one after the other.
fn deltas(price: &UsagePrice, totals: &[&str]) -> Vec<i64> {
    let mut billed = 0;
    let mut next = |quantity: &&str| {
        let delta = line_delta(cents(price, quantity), billed).unwrap();
        billed += delta;
        delta
    };
    totals.iter().map(&mut next).collect()
}

#[test]
fn row_46_interim_lines_add_up_to_the_rounded_total() {
    assert_eq!(deltas(&unit("0.001", 0), &["5", "10", "15"]), [1, 0, 1]);
}

#[test]
fn row_47_late_calls_are_charged_where_they_would_have_stood() {
    assert_eq!(deltas(&price(GRADUATED), &["999", "1001"]), [9_990, 15]);
}

#[test]
fn row_48_a_late_call_that_makes_the_volume_cheaper_is_a_credit() {
    let volume = price(r#"{"model": "volume", "tiers": [{"up_to": 15, "unit": "10"}, {"unit": "5"}]}"#);
    assert_eq!(deltas(&volume, &["15", "16"]), [15_000, -7_000]);
}

#[test]
fn row_49_a_late_call_within_what_is_included_changes_nothing() {
    assert_eq!(deltas(&unit("0.001", 10_000), &["9999", "10000"]), [0, 0]);
}

#[test]
fn rows_50_and_51_what_is_not_counted_again_charges_nothing() {
    assert_eq!(deltas(&unit("1", 0), &["1", "1", "1"]), [100, 0, 0]);
    assert_eq!(line_delta(i64::MIN, 1), Err(OutOfRange));
}

#[test]
fn rows_52_and_53_the_billable_quantity_is_what_is_rated() {
    check(
        &unit("0.01", 0),
        &[("1000", 1_000), ("600", 600), ("800", 800), ("870", 870), ("700", 700)],
    );
}

fn two_halves(price: &UsagePrice, first: &str, second: &str) -> Vec<i64> {
    let half = Exact::ratio(1, 2).unwrap();
    let segments = [first, second].map(|quantity| Segment {
        price,
        quantity: units(quantity),
        share: half.clone(),
    });
    rate_segments(&segments)
        .iter()
        .map(|rated| total(rated, Currency::USD))
        .collect()
}

#[test]
fn row_56_included_units_over_a_change_of_plan() {
    assert_eq!(two_halves(&unit("0.001", 10_000), "7000", "4000"), [0, 100]);
    let apart = price(r#"{"model": "unit", "unit": "0.001", "included": 10000, "on_change": "per_segment"}"#);
    assert_eq!(two_halves(&apart, "7000", "4000"), [200, 0]);
}

#[test]
fn row_60_a_year_in_advance_and_usage_by_the_month() {
    assert_eq!(prorate(&exact("1200.00"), &Exact::one(), Currency::USD), Ok(120_000));
    check(&unit("0.001", 0), &[("500", 50)]);
}

#[test]
fn row_61_tiers_count_after_what_is_included() {
    check(
        &price(&SMALL_TIERS.replace("\"tiers\"", "\"included\": 1000, \"tiers\"")),
        &[("1500", 5_000)],
    );
}

#[test]
fn row_64_the_position_in_the_tiers_runs_on_over_a_change_of_plan() {
    let tiers = price(SMALL_TIERS);
    let half = Exact::ratio(1, 2).unwrap();
    let segments = ["800", "400"].map(|quantity| Segment {
        price: &tiers,
        quantity: units(quantity),
        share: half.clone(),
    });
    let rated = rate_segments(&segments);
    let amounts = |rated: &Rated| {
        rated
            .detail
            .iter()
            .map(|line| line.amount.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (amounts(&rated[0]), amounts(&rated[1])),
        (vec!["80".to_owned()], vec!["20".to_owned(), "10".to_owned()])
    );
    assert_eq!(two_halves(&tiers, "800", "400"), [8_000, 3_000]);
}

#[test]
fn volume_over_a_change_takes_the_tier_of_the_total_at_each_plans_own_price() {
    let tiers = |low: &str, high: &str| {
        price(&format!(
            r#"{{"model": "volume", "tiers": [{{"up_to": 1000, "unit": "{low}"}}, {{"unit": "{high}", "flat": "12"}}]}}"#
        ))
    };
    let (old, new) = (tiers("0.10", "0.05"), tiers("0.08", "0.02"));
    let half = Exact::ratio(1, 2).unwrap();
    let segments = [(&old, "800"), (&new, "400")].map(|(price, quantity)| Segment {
        price,
        quantity: units(quantity),
        share: half.clone(),
    });
    let amounts: Vec<i64> = rate_segments(&segments)
        .iter()
        .map(|rated| total(rated, Currency::USD))
        .collect();
    assert_eq!(amounts, [4_000 + 800, 800 + 400]);
}

#[test]
fn an_upgrade_never_makes_a_call_that_was_answered_dearer() {
    let (cheap, dear) = (unit("0.01", 1_000), unit("0.10", 5_000));
    let rate_with = |second: &str| {
        let half = Exact::ratio(1, 2).unwrap();
        let first = Segment {
            price: &cheap,
            quantity: units("900"),
            share: half.clone(),
        };
        let next = Segment {
            price: &dear,
            quantity: units(second),
            share: half,
        };
        rate_segments(&[first, next])
            .iter()
            .map(|rated| total(rated, Currency::USD))
            .collect::<Vec<_>>()
    };
    assert_eq!(rate_with("0"), [0, 0]);
    assert_eq!(rate_with("2100"), [0, 0]);
    assert_eq!(rate_with("2101"), [0, 10]);
}

#[test]
fn the_days_of_a_change_are_days_of_the_zone() {
    let march = month("2026-03-16T04:00:00Z", "America/New_York");
    let zone: Zone = "America/New_York".parse().unwrap();
    let part = |from| days_share(&march, at(from), march.end, &zone).to_string();
    assert_eq!(part("2026-03-16T03:59:59.999Z"), "17/31");
    assert_eq!(part("2026-03-16T04:00:00Z"), "16/31");
    assert_eq!(part("2020-01-01T00:00:00Z"), "1");
    assert_eq!(part("2030-01-01T00:00:00Z"), "0");
}

#[test]
fn a_detail_is_plain_json_with_exact_text() {
    let json = serde_json::to_value(&rate(&price(GRADUATED), units("1001.5")).detail).unwrap();
    assert_eq!(
        json,
        serde_json::json!([
            {"from": 0, "to": 1000, "quantity": "1000", "unit": "0.1", "flat": "0", "amount": "100"},
            {"from": 1000, "to": 10000, "quantity": "1.5", "unit": "0.05", "flat": "0", "amount": "0.075"},
        ])
    );
}
