//! The pricing models, as the cost of moving from one position to a later one.
//!
//! Positions count units after `included`. A rate is what it costs to move from 0; two moves cost what the one over
//! both costs. Volume is priced by the position that the whole period reaches.

use super::TierDetail;
use crate::money::Exact;
use crate::price::{Bracket, Pricing, Step, Table};

/// A move from one position to a later one, in a period that reaches `total`.
pub(super) struct Move<'a> {
    pub(super) from: &'a Exact,
    pub(super) to: &'a Exact,
    pub(super) total: &'a Exact,
}

/// What a move costs, tier by tier.
pub(super) fn cost(pricing: &Pricing, step: &Move<'_>) -> Vec<TierDetail> {
    if step.to <= step.from {
        return Vec::new();
    }
    match pricing {
        Pricing::Unit(unit) => vec![line((0, None), step.to - step.from, unit, &Exact::zero())],
        Pricing::Graduated(table) => graduated(table, step),
        Pricing::Volume(table) => vec![volume(table, step)],
        Pricing::Package { size, amount } => package(*size, amount, step),
        Pricing::Stairstep(table) => vec![stairstep(table, step)],
    }
}

fn line((from, to): (u64, Option<u64>), quantity: Exact, unit: &Exact, flat: &Exact) -> TierDetail {
    let amount = &(&quantity * unit) + flat;
    TierDetail {
        from,
        to,
        quantity,
        unit: unit.clone(),
        flat: flat.clone(),
        amount,
    }
}

fn graduated(table: &Table<Bracket>, step: &Move<'_>) -> Vec<TierDetail> {
    let mut lines = Vec::new();
    for (lower, upper, tier) in table.rows() {
        let floor = Exact::from(lower);
        let end = upper.map_or_else(|| step.to.clone(), |upper| Exact::from(upper).min(step.to.clone()));
        let quantity = end.less(step.from.max(&floor));
        if quantity.is_zero() {
            continue;
        }
        let entered_now = *step.from <= floor;
        let flat = if entered_now { tier.flat.clone() } else { Exact::zero() };
        lines.push(line((lower, upper), quantity, &tier.unit, &flat));
    }
    lines
}

fn volume(table: &Table<Bracket>, step: &Move<'_>) -> TierDetail {
    let (lower, upper, tier) = table.at(step.total);
    let quantity = step.to - step.from;
    // The fee of the tier belongs to all units of the period: a segment carries it in proportion to its units.
    let part = quantity.checked_div(step.total).unwrap_or_else(Exact::one);
    line((lower, upper), quantity, &tier.unit, &(&tier.flat * &part))
}

fn package(size: u64, amount: &Exact, step: &Move<'_>) -> Vec<TierDetail> {
    let size = Exact::from(size);
    let started = |position: &Exact| {
        position
            .checked_div(&size)
            .map_or_else(Exact::zero, |packages| packages.ceil())
    };
    let packages = started(step.to).less(&started(step.from));
    if packages.is_zero() {
        return Vec::new();
    }
    vec![line((0, None), packages, amount, &Exact::zero())]
}

fn stairstep(table: &Table<Step>, step: &Move<'_>) -> TierDetail {
    let (lower, upper, reached) = table.at(step.to);
    let before = if step.from.is_zero() {
        Exact::zero()
    } else {
        table.at(step.from).2.amount.clone()
    };
    TierDetail {
        from: lower,
        to: upper,
        quantity: step.to - step.from,
        unit: Exact::zero(),
        flat: reached.amount.clone(),
        amount: &reached.amount - &before,
    }
}
