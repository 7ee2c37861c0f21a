//! Limits of a plan, and how they stand beside its price.

use std::collections::BTreeSet;

use super::findings::{Findings, shown};
use super::known::{Known, Named, choice};
use crate::config::{Plan, Product};
use crate::limit::{Limit, LimitEntry, OveragePrice, Quota, Rule};
use crate::price::Price;

pub(super) fn check_limits(
    plan_at: &str,
    (product, plan): (&Product, &Plan),
    known: &Known<'_>,
    findings: &mut Findings,
) {
    let mut keys = BTreeSet::new();
    for (index, entry) in plan.limits.iter().enumerate() {
        let at = format!("{plan_at}/limits/{index}");
        let limit = match entry.understand() {
            Ok(limit) => limit,
            Err(fault) => {
                let pointer = if fault.field.is_empty() {
                    at
                } else {
                    format!("{at}/{}", fault.field)
                };
                findings.error(pointer, fault.reason, fault.remedy);
                continue;
            }
        };
        check_operations(&at, &limit, (product, known), findings);
        if let Rule::Quota(quota) = &limit.rule {
            check_quota(&at, (entry, quota), (plan_at, plan), findings);
            let meter = if entry.meter.is_some() { "meter" } else { "requests" };
            known.refer(&format!("{at}/{meter}"), Named::Meter, &quota.meter, findings);
        }
        if !keys.insert(limit.key) {
            findings.error(at, "another limit of the plan counts the same", "keep one of them");
        }
    }
}

fn check_operations(at: &str, limit: &Limit, (product, known): (&Product, &Known<'_>), findings: &mut Findings) {
    if limit.operations.is_empty() {
        return;
    }
    let Some(keys) = known.operations(product.apis.iter().map(String::as_str)) else {
        return;
    };
    for (index, key) in limit
        .operations
        .iter()
        .enumerate()
        .filter(|(_, key)| !keys.contains(key.as_str()))
    {
        let known: Vec<&str> = keys.iter().copied().collect();
        let reason = format!("no API of the product has an operation {}", shown(key));
        findings.error(format!("{at}/operations/{index}"), reason, choice(key, &known));
    }
}

fn check_quota(
    at: &str,
    (entry, quota): (&LimitEntry, &Quota),
    (plan_at, plan): (&str, &Plan),
    findings: &mut Findings,
) {
    let included = plan.price.as_ref().and_then(|price| included(price, &quota.meter));
    let Some(max) = quota.max.or(included) else {
        let remedy = format!("write max: N, or `included` in the price of {}", shown(&quota.meter));
        findings.error(
            format!("{at}/max"),
            "the quota has no maximum and the price includes none",
            remedy,
        );
        return;
    };
    if quota.overage.is_none() {
        check_included(&quota.meter, max, (plan_at, plan), findings);
    }
    if let Some(price) = &quota.overage_price {
        check_overage_price(at, (quota, price), plan, findings);
    }
    if max == 0 && quota.overage.is_none() {
        let field = if entry.max.is_some() { "max" } else { "requests" };
        findings.warning(
            format!("{at}/{field}"),
            "a quota of 0 refuses every request",
            "write at least 1",
        );
    }
}

fn included(price: &Price, meter: &str) -> Option<u64> {
    price.usage.iter().find(|entry| entry.meter == meter)?.included
}

/// Units that are paid for can be used.
fn check_included(meter: &str, max: u64, (plan_at, plan): (&str, &Plan), findings: &mut Findings) {
    let first = plan.price.iter().map(|price| ("price".to_owned(), price));
    let further = plan
        .prices
        .iter()
        .enumerate()
        .map(|(at, price)| (format!("prices/{at}"), price));
    for (at, price) in first.chain(further) {
        let entries = price.usage.iter().enumerate().filter(|(_, entry)| entry.meter == meter);
        for (index, included) in entries.filter_map(|(index, entry)| Some((index, entry.included?))) {
            if included > max {
                findings.error(
                    format!("{plan_at}/{at}/usage/{index}/included"),
                    format!("the price includes {included} units and the quota stops at {max}"),
                    "raise `max` of the limit, lower `included`, or allow overage",
                );
            }
        }
    }
}

fn check_overage_price(at: &str, (quota, price): (&Quota, &OveragePrice), plan: &Plan, findings: &mut Findings) {
    let pointer = format!("{at}/overage/price");
    let Some(plan_price) = &plan.price else {
        findings.error(
            pointer,
            "the plan has no price and so no currency",
            "write price: { currency: USD }",
        );
        return;
    };
    if plan_price
        .usage
        .iter()
        .chain(plan.prices.iter().flat_map(|price| &price.usage))
        .any(|entry| entry.meter == quota.meter)
    {
        let reason = format!(
            "the meter {} has a usage price, which charges the overage already",
            shown(&quota.meter)
        );
        findings.error(pointer, reason, "remove one of the two");
        return;
    }
    match price {
        OveragePrice::Prorated(_) if plan_price.recurring.is_none() => {
            let remedy = "write price.recurring, or an amount a unit such as \"0.002\"";
            findings.error(
                pointer,
                "the plan has no recurring price that could be prorated",
                remedy,
            );
        }
        OveragePrice::Prorated(_) if quota.max == Some(0) => {
            findings.error(
                pointer,
                "a share of a maximum of 0 means nothing",
                "write an amount a unit such as \"0.002\"",
            );
        }
        OveragePrice::Unit(amount) if amount.is_negative() => {
            findings.error(
                pointer,
                format!("{amount} is below zero"),
                "write an amount of at least 0",
            );
        }
        OveragePrice::Prorated(_) | OveragePrice::Unit(_) => {}
    }
}
