//! What a plan would cost for so many units, by the function that invoices use.
//!
//! Invariants: amounts are rounded as invoice lines are, each price once; what a quota refuses has no price. A recurring
//! amount that covers several usage periods counts with its share of one.

use std::collections::BTreeMap;

use domain::charge::{Terms, TermsError, UsageTerm};
use domain::config::Plan;
use domain::limit::{Allow, Rule};
use domain::money::{Currency, Exact, OutOfRange, round_half_away_from_zero};
use domain::price::Price;
use domain::quantity::Quantity;
use domain::rating::{Rated, rate};

/// Units of a usage period by meter.
pub(crate) type Units = BTreeMap<String, u64>;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The plan cannot be charged.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// An amount is too large.
    #[error("the amount is too large")]
    OutOfRange(#[from] OutOfRange),
}

/// What one price contributes.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) meter: String,
    /// Whether it prices what exceeds a quota.
    pub(crate) overage: bool,
    /// Minor units.
    pub(crate) amount: i64,
    /// How it came about.
    pub(crate) rated: Rated,
}

/// A quota that the units exceed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stop {
    pub(crate) meter: String,
    /// Units that are served.
    pub(crate) at: u64,
}

/// What a plan would cost in one usage period. Amounts are minor units.
#[derive(Debug, Clone)]
pub(crate) struct Estimate {
    pub(crate) currency: Currency,
    /// The recurring amount, or its share of one period.
    pub(crate) base: i64,
    pub(crate) usage: i64,
    pub(crate) total: i64,
    pub(crate) parts: Vec<Part>,
    /// The first quota that refuses some of the units: then the amounts are of no use.
    pub(crate) stop: Option<Stop>,
}

/// What a plan would cost, in the wanted currency or else in its own.
///
/// # Errors
/// [`Error`] for a plan that should not have been published, and for amounts beyond 64 bits.
pub(crate) fn estimate(plan: &Plan, wanted: Currency, units: &Units) -> Result<Estimate, Error> {
    let terms = Terms::of(plan, wanted)?;
    let price = price_in(plan, terms.currency);
    let base = round_half_away_from_zero(&base(&terms, price), terms.currency)?;
    let mut parts = Vec::new();
    let mut usage = 0_i64;
    for term in &terms.usage {
        let part = part(term, units, terms.currency)?;
        usage = usage.checked_add(part.amount).ok_or(OutOfRange)?;
        parts.push(part);
    }
    Ok(Estimate {
        currency: terms.currency,
        base,
        usage,
        total: base.checked_add(usage).ok_or(OutOfRange)?,
        parts,
        stop: stop(plan, price, units),
    })
}

/// The meters that a plan prices or bounds, requests first.
pub(crate) fn meters(plan: &Plan) -> Vec<String> {
    let priced = plan.price.iter().chain(&plan.prices).flat_map(|price| &price.usage);
    let priced = priced.map(|entry| entry.meter.clone());
    let bounded = plan
        .limits
        .iter()
        .filter_map(|entry| match entry.understand().ok()?.rule {
            Rule::Quota(quota) => Some(quota.meter),
            Rule::Rate { .. } | Rule::Concurrency { .. } => None,
        });
    let mut meters = vec![domain::limit::REQUESTS.to_owned()];
    for meter in priced.chain(bounded) {
        if !meters.contains(&meter) {
            meters.push(meter);
        }
    }
    meters
}

/// The price of a plan in a currency.
pub(crate) fn price_in(plan: &Plan, currency: Currency) -> Option<&Price> {
    let mut offered = plan.price.iter().chain(&plan.prices);
    offered.find(|price| price.currency == currency)
}

/// The recurring amount of one usage period: its share where it covers several.
pub(crate) fn base(terms: &Terms, price: Option<&Price>) -> Exact {
    let Some(recurring) = &terms.recurring else {
        return Exact::zero();
    };
    let whole = Exact::from(recurring.amount);
    let periods = price
        .and_then(|price| recurring.every.times(price.usage_period))
        .unwrap_or(1);
    whole.checked_div(&Exact::from(u64::from(periods))).unwrap_or(whole)
}

fn part(term: &UsageTerm, units: &Units, currency: Currency) -> Result<Part, OutOfRange> {
    let quantity = Quantity::from_units(units.get(&term.meter).copied().unwrap_or(0));
    let rated = rate(&term.price, quantity);
    Ok(Part {
        meter: term.meter.clone(),
        overage: term.overage,
        amount: rated.round(currency)?.total,
        rated,
    })
}

fn stop(plan: &Plan, price: Option<&Price>, units: &Units) -> Option<Stop> {
    let quotas = plan
        .limits
        .iter()
        .filter_map(|entry| match entry.understand().ok()?.rule {
            Rule::Quota(quota) => Some(quota),
            Rule::Rate { .. } | Rule::Concurrency { .. } => None,
        });
    quotas
        .filter_map(|quota| {
            let included = || price?.usage.iter().find(|entry| entry.meter == quota.meter)?.included;
            let max = quota.max.or_else(included)?;
            let at = match quota.overage {
                Some(Allow::Unlimited) => return None,
                _ => quota.ceiling(max)?,
            };
            let wanted = units.get(&quota.meter).copied().unwrap_or(0);
            (wanted > at).then_some(Stop { meter: quota.meter, at })
        })
        .min_by_key(|stop| stop.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan(price: serde_json::Value, limits: serde_json::Value) -> Plan {
        serde_json::from_value(json!({"name": "growth", "price": price, "limits": limits})).unwrap()
    }

    fn eur() -> Currency {
        "EUR".parse().unwrap()
    }

    fn requests(count: u64) -> Units {
        Units::from([("requests".to_owned(), count)])
    }

    fn growth() -> Plan {
        plan(
            json!({"currency": "EUR", "recurring": {"amount": "49.00", "every": "month", "in": "advance"},
                "usage": [{"meter": "requests", "model": "graduated", "included": 50_000,
                    "tiers": [{"up_to": 450_000, "unit": "0.0008"}, {"unit": "0.0005"}]}]}),
            json!([{"requests": 1_000_000, "per": "period"}]),
        )
    }

    #[test]
    fn an_estimate_is_what_the_invoice_would_say() {
        let found = estimate(&growth(), eur(), &requests(250_000)).unwrap();
        assert_eq!((found.base, found.usage, found.total), (4_900, 16_000, 20_900));
        assert_eq!(found.stop, None);
        assert_eq!(meters(&growth()), ["requests"]);
    }

    #[test]
    fn what_a_quota_refuses_is_told() {
        let found = estimate(&growth(), eur(), &requests(1_000_001)).unwrap();
        let stop = Stop {
            meter: "requests".to_owned(),
            at: 1_000_000,
        };
        assert_eq!(found.stop, Some(stop));
    }

    #[test]
    fn a_year_in_advance_counts_with_a_twelfth() {
        let price = json!({"currency": "EUR", "recurring": {"amount": "100.00", "every": "year", "in": "advance"}});
        let found = estimate(&plan(price, json!([])), eur(), &requests(1)).unwrap();
        assert_eq!(found.total, 833);
    }

    #[test]
    fn overage_is_priced_and_its_allowance_is_the_end() {
        let limits = json!([{"requests": 100, "per": "period", "overage": {"allow": "50%", "price": "0.10"}}]);
        let price = json!({"currency": "EUR", "recurring": {"amount": "10.00", "every": "month", "in": "advance"}});
        let plan = plan(price, limits);
        assert_eq!(estimate(&plan, eur(), &requests(120)).unwrap().total, 1_200);
        assert_eq!(estimate(&plan, eur(), &requests(151)).unwrap().stop.unwrap().at, 150);
    }
}
