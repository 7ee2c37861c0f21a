//! A period in which the plan changes: each segment is charged by its own price for its own part of the positions.
//!
//! Included units and tiers run over the whole period: I is the sum of each segment's included units in proportion to
//! its time, rounded up; the chargeable position after p units is c(p) = max(0, p - I); a segment costs
//! rate(c(its end)) - rate(c(its start)) with its own tiers. Prices that restart with each plan are charged alone.

use super::models::{Move, cost};
use super::{Rated, TierDetail};
use crate::money::Exact;
use crate::price::{OnChange, Pricing, UsagePrice};
use crate::quantity::Quantity;

/// A part of a period under one price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The price in force.
    pub price: &'a UsagePrice,
    /// What was used in this segment.
    pub quantity: Quantity,
    /// Its part of the period's time, to its planned end where it is still running: from 0 to 1.
    pub share: Exact,
}

/// The one segment of a period without a change.
pub(super) fn whole(price: &UsagePrice, quantity: Quantity) -> Segment<'_> {
    Segment {
        price,
        quantity,
        share: Exact::one(),
    }
}

impl Segment<'_> {
    /// The quantity after the multiplier.
    fn units(&self) -> Exact {
        &Exact::from(self.quantity) * &self.price.multiplier
    }

    /// Included units in proportion to the time, rounded up.
    fn included(&self) -> Exact {
        (&Exact::from(self.price.included) * &self.share).ceil()
    }
}

/// Where a segment lies among the positions of its period.
struct Place<'a> {
    units: &'a Exact,
    step: Move<'a>,
}

/// What each segment of a period costs, in the order given, which is the order of time. Segments of plans that have no
/// price for the meter are left out by the caller.
pub fn rate_segments(segments: &[Segment<'_>]) -> Vec<Rated> {
    let runs_on = |segment: &&Segment<'_>| segment.price.on_change == OnChange::WholePeriod;
    let mut shared = rate_together(&segments.iter().filter(runs_on).collect::<Vec<_>>()).into_iter();
    let rated = |segment: &Segment<'_>| match segment.price.on_change {
        OnChange::PerSegment => rate_alone(segment),
        OnChange::WholePeriod => shared.next().unwrap_or_else(|| rate_alone(segment)),
    };
    segments.iter().map(rated).collect()
}

/// A segment whose included units and tiers are its own.
pub(super) fn rate_alone(segment: &Segment<'_>) -> Rated {
    let units = segment.units();
    let total = units.less(&segment.included());
    let step = Move {
        from: &Exact::zero(),
        to: &total,
        total: &total,
    };
    rate_place(segment, &Place { units: &units, step })
}

/// Segments that share included units and positions.
fn rate_together(segments: &[&Segment<'_>]) -> Vec<Rated> {
    let included: Exact = segments
        .iter()
        .map(|segment| segment.included())
        .collect::<Vec<_>>()
        .iter()
        .sum();
    let units: Vec<Exact> = segments.iter().map(|segment| segment.units()).collect();
    let total = units.iter().sum::<Exact>().less(&included);
    let mut reached = Exact::zero();
    let mut rated = Vec::with_capacity(segments.len());
    for (segment, units) in segments.iter().zip(&units) {
        let from = reached.less(&included);
        reached = &reached + units;
        let to = reached.less(&included);
        let step = Move {
            from: &from,
            to: &to,
            total: &total,
        };
        rated.push(rate_place(segment, &Place { units, step }));
    }
    rated
}

fn rate_place(segment: &Segment<'_>, place: &Place<'_>) -> Rated {
    let price = segment.price;
    let detail = cost(&price.pricing, &place.step);
    let list = sum(&detail);
    let capped = price
        .maximum
        .as_ref()
        .map_or_else(|| list.clone(), |most| capped(&price.pricing, &place.step, most));
    let least = price.minimum.as_ref().map(|least| least * &segment.share);
    let exact = least.map_or_else(|| capped.clone(), |least| least.max(capped.clone()));
    let charged = place.step.to - place.step.from;
    Rated {
        quantity: place.units.clone(),
        included: place.units - &charged,
        charged,
        discount: &capped - &list,
        true_up: &exact - &capped,
        list,
        exact,
        detail,
    }
}

fn sum(detail: &[TierDetail]) -> Exact {
    detail.iter().map(|line| &line.amount).sum()
}

/// What a move costs when the period costs at most `most`: positions beyond the one where it is reached cost nothing.
fn capped(pricing: &Pricing, step: &Move<'_>, most: &Exact) -> Exact {
    let up_to = |position: &Exact| {
        let from_zero = Move {
            from: &Exact::zero(),
            to: position,
            total: position,
        };
        sum(&cost(pricing, &from_zero)).min(most.clone())
    };
    if matches!(pricing, Pricing::Volume(_)) {
        let part = (step.to - step.from)
            .checked_div(step.total)
            .unwrap_or_else(Exact::zero);
        return &up_to(step.total) * &part;
    }
    &up_to(step.to) - &up_to(step.from)
}
