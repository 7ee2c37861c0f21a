//! What a use of some period costs under the terms of a plan: one calculation for previews, for the plan editor and for
//! estimates, by the same rating that makes invoices.

use domain::billable::{Policy, billable};
use domain::charge::{Terms, UsageTerm};
use domain::config::Plan;
use domain::limit::Rule;
use domain::money::{Exact, OutOfRange, round_half_away_from_zero};
use domain::quantity::Quantity;
use domain::usage::Outcome;
use store::billing::PastUse;

use crate::estimate;

/// The key of the recurring amount among the lines.
const RECURRING: &str = "recurring";

/// What one price charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// `recurring`, `usage/<meter>` or `overage/<limit>`.
    pub(crate) price: String,
    /// A decimal.
    pub(crate) quantity: String,
    /// Minor units.
    pub(crate) amount: i64,
}

/// The lines of a period: the recurring amount once, and each usage price for what `used` says of it.
///
/// # Errors
/// An amount that no invoice could hold.
pub(crate) fn lines(terms: &Terms, used: impl Fn(&UsageTerm) -> Quantity) -> Result<Vec<Line>, OutOfRange> {
    let mut lines = Vec::with_capacity(terms.usage.len() + 1);
    if let Some(recurring) = &terms.recurring {
        lines.push(Line {
            price: RECURRING.to_owned(),
            quantity: "1".to_owned(),
            amount: round_half_away_from_zero(&Exact::from(recurring.amount), terms.currency)?,
        });
    }
    for term in &terms.usage {
        let quantity = used(term);
        lines.push(Line {
            price: term.key.clone(),
            quantity: quantity.to_string(),
            amount: domain::rating::rate(&term.price, quantity).round(terms.currency)?.total,
        });
    }
    Ok(lines)
}

/// The sum of lines.
///
/// # Errors
/// A sum that no invoice could hold.
pub(crate) fn total(lines: &[Line]) -> Result<i64, OutOfRange> {
    lines
        .iter()
        .try_fold(0_i64, |sum, line| sum.checked_add(line.amount))
        .ok_or(OutOfRange)
}

/// The lines of one usage period of a plan: as [`lines`], with the share of a recurring amount that covers several periods.
///
/// # Errors
/// An amount that no invoice could hold.
pub(crate) fn lines_of_period(
    plan: &Plan,
    terms: &Terms,
    used: impl Fn(&UsageTerm) -> Quantity,
) -> Result<Vec<Line>, OutOfRange> {
    let share = estimate::base(terms, estimate::price_in(plan, terms.currency));
    let share = round_half_away_from_zero(&share, terms.currency)?;
    let mut lines = lines(terms, used)?;
    for line in lines.iter_mut().filter(|line| line.price == RECURRING) {
        line.amount = share;
    }
    Ok(lines)
}

/// How many usage periods the recurring amount of a plan covers: 12 for a year with usage by the month.
pub(crate) fn periods(plan: &Plan, terms: &Terms) -> u32 {
    let price = estimate::price_in(plan, terms.currency);
    let recurring = terms.recurring.as_ref();
    price
        .zip(recurring)
        .and_then(|(price, recurring)| recurring.every.times(price.usage_period))
        .unwrap_or(1)
}

/// What so many units of a meter cost in every period of those that the recurring amount covers, all together.
///
/// # Errors
/// An amount that no invoice could hold.
pub(crate) fn long_cost(plan: &Plan, terms: &Terms, meter: &str, units: u64) -> Result<i64, OutOfRange> {
    let lines = lines(terms, of_meter(meter, units))?;
    let periods = i64::from(periods(plan, terms));
    let amount = |line: &Line| match line.price.as_str() {
        RECURRING => Some(line.amount),
        _ => line.amount.checked_mul(periods),
    };
    let mut amounts = lines.iter().map(amount);
    amounts
        .try_fold(0_i64, |sum, amount| sum.checked_add(amount?))
        .ok_or(OutOfRange)
}

fn of_meter(meter: &str, units: u64) -> impl Fn(&UsageTerm) -> Quantity {
    move |term: &UsageTerm| {
        if term.meter == meter {
            Quantity::from_units(units)
        } else {
            Quantity::ZERO
        }
    }
}

/// What so many units of a meter cost in a usage period, with the share of the recurring amount and without any other use.
///
/// # Errors
/// An amount that no invoice could hold.
pub(crate) fn cost(plan: &Plan, terms: &Terms, meter: &str, units: u64) -> Result<i64, OutOfRange> {
    total(&lines_of_period(plan, terms, of_meter(meter, units))?)
}

/// How many units of a meter a plan serves in a period; `None` without end.
pub(crate) fn ceiling(plan: &Plan, meter: &str) -> Option<u64> {
    let included = || {
        let price = plan.price.as_ref()?;
        price.usage.iter().find(|entry| entry.meter == meter)?.included
    };
    let limits = plan.limits.iter().filter_map(|entry| entry.understand().ok());
    let ceilings = limits.filter_map(|limit| match limit.rule {
        Rule::Quota(quota) if quota.meter == meter => quota.ceiling(quota.max.or_else(included)?),
        Rule::Quota(_) | Rule::Rate { .. } | Rule::Concurrency { .. } => None,
    });
    ceilings.min()
}

/// What of past traffic a usage price counts.
pub(crate) fn billed_of(term: &UsageTerm, parts: &[PastUse]) -> Quantity {
    let counted = parts.iter().filter(|part| {
        part.meter == term.meter && (term.operations.is_empty() || term.operations.contains(&part.operation))
    });
    let billed = counted.map(|part| {
        let outcome = Outcome::from_class_key(&part.outcome);
        outcome.map_or(Quantity::ZERO, |outcome| {
            billable(Policy::V1, &outcome).of(part.quantity)
        })
    });
    billed.sum()
}
