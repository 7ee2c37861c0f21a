//! Parts of a period, and what a recurring amount costs for them.
//!
//! Time is measured to the millisecond, or in days of a zone. Both lines of a change are rounded; what is kept of an
//! amount paid in advance is the amount without the credit and is never rounded itself.

use crate::clock::Timestamp;
use crate::money::{Currency, Exact, OutOfRange, round_half_away_from_zero};
use crate::period::{Period, Zone};

/// The two lines of a change of plan inside a period that was paid in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What returns of the old plan, in minor units; never above zero.
    pub credit: i64,
    /// What the new plan costs for the rest, in minor units; never below zero.
    pub charge: i64,
}

impl Change {
    /// Both lines together: what is due, or a credit where it is negative.
    ///
    /// # Errors
    /// [`OutOfRange`] when the sum does not fit into 64 bits.
    pub fn net(self) -> Result<i64, OutOfRange> {
        self.credit.checked_add(self.charge).ok_or(OutOfRange)
    }
}

/// The part of a period's time that lies from `from` to `to`, from 0 to 1.
pub fn time_share(period: &Period, from: Timestamp, to: Timestamp) -> Exact {
    let (from, to) = (from.clamp(period.start, period.end), to.clamp(period.start, period.end));
    ratio(to.millis_since(from), period.length_ms())
}

/// The part of a period's days that lies from `from` to `to`, from 0 to 1: a day belongs to the plan that it ends with.
pub fn days_share(period: &Period, from: Timestamp, to: Timestamp, zone: &Zone) -> Exact {
    let (from, to) = (from.clamp(period.start, period.end), to.clamp(period.start, period.end));
    let days = |from: Timestamp, to: Timestamp| {
        let length = zone.date_at(to).duration_since(zone.date_at(from));
        length.as_secs() / 86_400
    };
    match days(period.start, period.end) {
        // Shorter than a day: there is nothing to divide but the time itself.
        0 => time_share(period, from, to),
        whole => ratio(days(from, to), whole),
    }
}

fn ratio(part: i64, whole: i64) -> Exact {
    let part = part.max(0);
    Exact::ratio(i128::from(part), i128::from(whole)).unwrap_or_else(Exact::zero)
}

/// What a part of a period costs, in minor units rounded half away from zero.
///
/// # Errors
/// [`OutOfRange`] when the amount does not fit into 64 bits.
pub fn prorate(amount: &Exact, share: &Exact, currency: Currency) -> Result<i64, OutOfRange> {
    round_half_away_from_zero(&(amount * share), currency)
}

/// A change from one amount in advance to another, with `share` of the period to go.
///
/// # Errors
/// [`OutOfRange`] when an amount does not fit into 64 bits.
pub fn change(old: &Exact, new: &Exact, share: &Exact, currency: Currency) -> Result<Change, OutOfRange> {
    Ok(Change {
        credit: prorate(&-old, share, currency)?,
        charge: prorate(new, share, currency)?,
    })
}

/// Units of a period in which plans change: the sum of each plan's units in proportion to its time, rounded up for
/// each plan. Held at the largest 64-bit number.
pub fn prorated_units(parts: &[(u64, Exact)]) -> u64 {
    let each = |(units, share): &(u64, Exact)| (&Exact::from(*units) * share).ceil();
    let total: Exact = parts.iter().map(each).collect::<Vec<_>>().iter().sum();
    total.to_u64()
}
