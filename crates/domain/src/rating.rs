//! From quantities to amounts: a pure function of the cumulative quantity.
//!
//! Everything is exact until [`Rated::round`], which is called once for each price and segment. What an invoice line
//! charges is the difference between that and what was billed before ([`line_delta`]), so that late events, interim
//! invoices and corrections all add up to the rounded rate of the total.
//!
//! Taxes, coupons, credits and commitments are not here, and no quantity is filtered here: see [`crate::billable`].

mod models;
#[cfg(test)]
mod properties;
mod proration;
mod segments;
#[cfg(test)]
mod tests;

pub use proration::{Change, change, days_share, prorate, prorated_units, time_share};
pub use segments::{Segment, rate_segments};

use serde::{Deserialize, Serialize};

use crate::money::{Currency, Exact, OutOfRange, round_half_away_from_zero};
use crate::price::UsagePrice;
use crate::quantity::Quantity;

/// What a quantity costs, before rounding. `exact` is `list + discount + true_up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rated {
    /// The quantity after the multiplier.
    pub quantity: Exact,
    /// How much of it is included.
    pub included: Exact,
    /// How much of it has a price: the quantity without what is included.
    pub charged: Exact,
    /// What the tiers add up to.
    pub list: Exact,
    /// What a maximum takes off; zero or below where larger totals cost no less.
    pub discount: Exact,
    /// What a minimum adds; never below zero.
    pub true_up: Exact,
    /// The amount in major units.
    pub exact: Exact,
    /// How `list` came about, tier by tier; tiers without quantity are left out.
    pub detail: Vec<TierDetail>,
}

/// What one tier contributes. Positions count after `included`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierDetail {
    /// The tier begins after this position.
    pub from: u64,
    /// The last position of the tier; `None` for the last tier.
    pub to: Option<u64>,
    /// Units in this tier; started packages where the price is by package.
    pub quantity: Exact,
    /// Major units for each of them.
    pub unit: Exact,
    /// Major units for having entered the tier.
    pub flat: Exact,
    /// What the tier contributes, in major units. `quantity * unit + flat`, but for a step that was entered before:
    /// there only the difference to the step before it.
    pub amount: Exact,
}

/// A rated amount in whole minor units. `total` is `list + discount + true_up` and is the one that was rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounded {
    /// What the tiers add up to.
    pub list: i64,
    /// What a maximum takes off; zero or below where larger totals cost no less.
    pub discount: i64,
    /// What a minimum adds; never below zero.
    pub true_up: i64,
    /// The amount.
    pub total: i64,
}

impl Rated {
    /// The amount in minor units, rounded half away from zero.
    ///
    /// # Errors
    /// [`OutOfRange`] when an amount does not fit into 64 bits.
    pub fn round(&self, currency: Currency) -> Result<Rounded, OutOfRange> {
        let list = round_half_away_from_zero(&self.list, currency)?;
        let capped = round_half_away_from_zero(&(&self.list + &self.discount), currency)?;
        let total = round_half_away_from_zero(&self.exact, currency)?;
        Ok(Rounded {
            list,
            discount: capped.checked_sub(list).ok_or(OutOfRange)?,
            true_up: total.checked_sub(capped).ok_or(OutOfRange)?,
            total,
        })
    }
}

/// What a quantity costs in a period with one plan: included units first, then the tiers, then maximum and minimum.
pub fn rate(price: &UsagePrice, quantity: Quantity) -> Rated {
    let whole = segments::whole(price, quantity);
    segments::rate_alone(&whole)
}

/// What a line charges: the rounded amount of everything so far without what was billed before, which is a credit
/// where it is negative.
///
/// # Errors
/// [`OutOfRange`] when the difference does not fit into 64 bits.
pub fn line_delta(cumulative_minor: i64, billed_before_minor: i64) -> Result<i64, OutOfRange> {
    cumulative_minor.checked_sub(billed_before_minor).ok_or(OutOfRange)
}
