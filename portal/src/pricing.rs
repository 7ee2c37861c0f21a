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
            price: "recurring".to_owned(),
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

/// What so many units of a meter cost in a period, with the recurring amount and without any other use.
///
/// # Errors
/// An amount that no invoice could hold.
pub(crate) fn cost(terms: &Terms, meter: &str, units: u64) -> Result<i64, OutOfRange> {
    let used = |term: &UsageTerm| {
        if term.meter == meter {
            Quantity::from_units(units)
        } else {
            Quantity::ZERO
        }
    };
    total(&lines(terms, used)?)
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
