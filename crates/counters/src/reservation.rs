//! What an admission counted, until it is settled or returned.

use std::sync::Arc;

use domain::enforce::EnforcedLimit;
use domain::quantity::Quantity;
use domain::usage::{LimitTouch, MeterValue};
use smallvec::SmallVec;

use crate::cell::Cell;
use crate::slot::{Origin, Slot, ceiling_of};
use crate::view::Tightest;
use crate::windowed::NANOS;

/// Whether the billable policy bills the outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Billable {
    /// The reservation becomes a count.
    Yes,
    /// The reservation is returned to the windows that it came from.
    No,
}

/// One limit's part of a reservation.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) slot: usize,
    pub(crate) index: u16,
    pub(crate) units: u64,
    /// Used and reserved before, in billionths.
    pub(crate) before: i128,
    pub(crate) origin: Origin,
}

/// What an admission counted. End it with [`Reservation::settle`] or [`Reservation::give_back`].
///
/// Dropped without either it gives everything back, concurrency included: no fact tells of such a request, so nothing
/// may stay counted for it.
#[derive(Debug)]
#[must_use = "a dropped reservation is given back"]
pub struct Reservation {
    cell: Arc<Cell>,
    held: SmallVec<[Held; 4]>,
    tightest: Option<Tightest>,
}

impl Reservation {
    pub(crate) fn new(cell: Arc<Cell>, held: SmallVec<[Held; 4]>, tightest: Option<Tightest>) -> Self {
        Self { cell, held, tightest }
    }

    /// The tightest limit after this request, for headers; `None` when no limit with an end applies.
    pub const fn tightest(&self) -> Option<&Tightest> {
        self.tightest.as_ref()
    }

    /// Ends the reservation by what came back. Billed: requests stay counted and each quota of another meter takes its
    /// quantity, in the window of admission. Not billed: everything returns to the windows that it came from (tokens up
    /// to the size of their bucket). Concurrency is freed either way. Windows that are over and forgotten are left alone.
    pub fn settle(mut self, billable: Billable, quantities: &[MeterValue]) {
        let held = std::mem::take(&mut self.held);
        self.cell.settle(&held, |slot, one| match billable {
            Billable::No => 0,
            Billable::Yes => kept(slot, one, quantities),
        });
    }

    /// Ends the reservation as if the request had never come.
    pub fn give_back(self) {
        drop(self);
    }

    /// The counters as the request found and left them; `limits` are those of its admission.
    pub fn touches(&self, limits: &[EnforcedLimit], quantities: &[MeterValue]) -> Vec<LimitTouch> {
        let touch = |one: &Held| {
            let limit = limits.get(usize::from(one.index))?;
            let added = match (one.origin, &limit.rule) {
                (Origin::Metered(_), domain::enforce::EnforcedRule::Quota { meter, .. }) => {
                    quantity_of(meter, quantities)
                }
                _ => i128::from(one.units) * NANOS,
            };
            Some(LimitTouch {
                limit: limit.key.to_string(),
                before: Quantity::from_nanos(one.before),
                after: Quantity::from_nanos(one.before.saturating_add(added)),
                max: ceiling_of(&limit.rule).map(Quantity::from_units),
            })
        };
        self.held.iter().filter_map(touch).collect()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.held.is_empty() {
            self.cell.settle(&self.held, |_, _| 0);
        }
    }
}

/// Billionths that stay counted of a billed request.
fn kept(slot: &Slot, held: &Held, quantities: &[MeterValue]) -> i128 {
    match (held.origin, slot.meter()) {
        (Origin::Metered(_), Some(meter)) => quantity_of(meter, quantities),
        (Origin::Metered(_), None) => 0,
        _ => i128::from(held.units) * NANOS,
    }
}

pub(crate) fn quantity_of(meter: &str, quantities: &[MeterValue]) -> i128 {
    quantities
        .iter()
        .filter(|value| value.meter == meter)
        .map(|value| value.quantity)
        .sum::<Quantity>()
        .nanos()
        .max(0)
}
