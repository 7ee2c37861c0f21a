use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::billable::Policy;
use crate::config::Plan;
use crate::period::{Anchor, Every, Schedule};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn terms(price: &serde_json::Value, limits: &serde_json::Value, currency: &str) -> Result<Terms, TermsError> {
    let plan = json!({ "name": "pro", "price": price, "limits": limits,
        "prices": [{ "currency": "EUR", "recurring": { "amount": "5" } }] });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    Terms::of(&plan, currency.parse().unwrap())
}

fn contract(price: &serde_json::Value, stretches: &[(&str, Option<&str>)]) -> Contract {
    let terms = Arc::new(terms(price, &json!([]), "USD").unwrap());
    let start = at(stretches[0].0);
    let stretches = (1..).zip(stretches).map(|(n, (from, to))| Stretch {
        n,
        plan_version: PlanVersionId::from_bits(u128::from(n % 2)),
        title: "Pro".to_owned(),
        from: at(from),
        to: to.map(at),
        terms: Arc::clone(&terms),
    });
    Contract {
        subscription: SubscriptionId::from_bits(1),
        schedule: Schedule::new(Anchor::at(start, Zone::UTC), Every::MONTH),
        activated_at: start,
        ended_at: None,
        credit_at_end: false,
        stretches: stretches.collect(),
        unit_labels: std::collections::BTreeMap::new(),
    }
}

fn seconds() -> Proration {
    Proration {
        unit: ProrationUnit::Second,
        zone: Zone::UTC,
    }
}

#[test]
fn a_plan_is_charged_in_the_wanted_currency_or_else_in_its_own() {
    let price = json!({ "currency": "USD", "recurring": { "amount": "9" } });
    assert_eq!(terms(&price, &json!([]), "EUR").unwrap().currency.code(), "EUR");
    assert_eq!(terms(&price, &json!([]), "JPY").unwrap().currency.code(), "USD");
    let free = terms(
        &json!({ "currency": "USD", "recurring": { "amount": "0" } }),
        &json!([]),
        "USD",
    )
    .unwrap();
    assert!(free.recurring.is_none() && free.usage.is_empty());
    let broken = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit" }] });
    assert!(matches!(
        terms(&broken, &json!([]), "USD"),
        Err(TermsError::Price { .. })
    ));
}

#[test]
fn overage_in_proportion_to_a_year_is_spread_over_its_months() {
    let price = json!({ "currency": "USD", "recurring": { "amount": "1200", "every": "year" } });
    let limits =
        json!([{ "requests": 1000, "per": "period", "overage": { "allow": "unlimited", "price": "prorated" } }]);
    let terms = terms(&price, &limits, "USD").unwrap();
    let term = &terms.usage[0];
    assert_eq!((term.key.as_str(), term.overage), ("overage/requests/period", true));
    let rated = crate::rating::rate(&term.price, Quantity::from_units(1_500));
    assert_eq!(rated.exact, Exact::from_integer(50));
}

#[test]
fn usage_belongs_to_the_stretch_of_its_stamp_then_of_its_version_then_to_the_first() {
    let price = json!({ "currency": "USD" });
    let stretches = [
        ("2026-03-01T00:00:00Z", Some("2026-03-10T00:00:00Z")),
        ("2026-03-10T00:00:00Z", Some("2026-03-20T00:00:00Z")),
        ("2026-03-20T00:00:00Z", Some("2026-04-01T00:00:00Z")),
        ("2026-04-01T00:00:00Z", None),
    ];
    let contract = contract(&price, &stretches);
    let march = contract.schedule.period_at(at("2026-03-05T00:00:00Z")).unwrap();
    let april = contract.schedule.period_at(at("2026-04-05T00:00:00Z")).unwrap();
    let n = |period, stamped, version| {
        contract
            .stretch_of(period, stamped, PlanVersionId::from_bits(version))
            .map(|one| one.n)
    };
    assert_eq!(n(&march, 0, 1), Some(1));
    assert_eq!(n(&march, 2, 1), Some(3));
    assert_eq!(n(&march, 9, 0), Some(2), "by version");
    assert_eq!(
        n(&april, 2, 1),
        Some(4),
        "a gateway that had not heard of the change at the boundary"
    );
    assert_eq!(n(&march, 0, 7), Some(1));
}

#[test]
fn usage_of_an_unreadable_outcome_or_another_meter_is_billed_by_nobody() {
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
    let contract = contract(&price, &[("2026-03-01T00:00:00Z", None)]);
    let march = contract.schedule.period_at(at("2026-03-05T00:00:00Z")).unwrap();
    let part = |meter: &str, outcome: &str| Use {
        stamped: 0,
        plan_version: PlanVersionId::from_bits(1),
        meter: meter.to_owned(),
        operation: String::new(),
        outcome: outcome.to_owned(),
        quantity: Quantity::from_units(2),
    };
    let used = [
        part("requests", "upstream/2xx"),
        part("requests", "what"),
        part("tokens", "upstream/2xx"),
        part("requests", "gateway/4xx"),
    ];
    let charges = contract.usage_charges(&march, &used, Policy::V1, &seconds()).unwrap();
    assert_eq!(charges.iter().map(|charge| charge.minor).collect::<Vec<_>>(), [200]);
}

#[test]
fn amounts_in_advance_are_due_at_each_start_and_those_in_arrears_at_each_end() {
    let price =
        |term: &str| json!({ "currency": "USD", "recurring": { "amount": "31", "every": "month", "in": term } });
    let start = at("2026-03-01T00:00:00Z");
    let dues = |term: &str| {
        let contract = contract(&price(term), &[("2026-03-01T00:00:00Z", None)]);
        let charges = contract
            .recurring_charges(&seconds(), start, at("2026-05-01T00:00:00Z"))
            .unwrap();
        charges
            .iter()
            .map(|charge| (charge.due.to_string()[..10].to_owned(), charge.minor))
            .collect::<Vec<_>>()
    };
    let due = |dates: &[&str]| dates.iter().map(|date| ((*date).to_owned(), 3_100)).collect::<Vec<_>>();
    assert_eq!(dues("advance"), due(&["2026-03-01", "2026-04-01", "2026-05-01"]));
    assert_eq!(dues("arrears"), due(&["2026-04-01", "2026-05-01"]));
}
