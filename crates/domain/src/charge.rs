//! What a subscription owes: its plan versions in time, its periods and its usage become charges.
//!
//! A charge says what a (period, price, segment) has cost so far, in all ([`Charge::minor`]). What a document takes from
//! it is the difference to what was billed before (see [`crate::invoice`]), so final, interim, correction and reissue
//! runs are one algorithm. Everything here is a pure function of its arguments.
//!
//! Deliberately absent: taxes, coupons and credits; commitments of a whole plan (refused by [`crate::price::validate`]).

mod contract;
mod recurring;
mod terms;
#[cfg(test)]
mod tests;
mod usage;

pub use contract::{Contract, Stretch};
pub use recurring::CREDIT_PRORATED;
pub use terms::{Terms, TermsError, UsageTerm};
pub use usage::Use;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::ProrationUnit;
use crate::ids::{PlanVersionId, SubscriptionId};
use crate::money::{Currency, Exact, OutOfRange};
use crate::period::{Period, PeriodError, Zone};
use crate::quantity::Quantity;
use crate::rating::{Rated, days_share, time_share};

/// What is charged, within one subscription. Each is billed on its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChargeKey {
    /// Who pays.
    pub subscription: SubscriptionId,
    /// Start of the usage period, or of the recurring period.
    pub period_start: Timestamp,
    /// The price: `usage/<meter>`, `overage/<limit>`, `recurring` or `recurring-credit`.
    pub price: String,
    /// The segment of the subscription's timeline, from 1.
    pub segment: u32,
}

/// Kind of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Usage of a meter, after the period.
    Usage,
    /// A recurring amount, due before its period.
    Advance,
    /// What returns of an amount that was paid in advance.
    Return,
    /// A recurring amount, due after its period.
    Arrears,
}

impl Basis {
    /// Whether the closing of the usage period is waited for.
    pub const fn waits(self) -> bool {
        matches!(self, Self::Usage | Self::Arrears)
    }
}

/// What one key has cost so far, in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What is charged.
    pub key: ChargeKey,
    /// What kind of price it is.
    pub basis: Basis,
    /// The plan version whose price it is.
    pub plan_version: PlanVersionId,
    /// The meter, for usage.
    pub meter: Option<String>,
    /// The billable quantity so far; one for recurring amounts.
    pub quantity: Quantity,
    /// The exact amount in major units.
    pub exact: Exact,
    /// The amount in minor units, rounded once.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
    /// When it is due; the documents of one due instant are one.
    pub due: Timestamp,
    /// The time that is paid for.
    pub service: (Timestamp, Timestamp),
    /// How it came about, for usage.
    pub rated: Option<Rated>,
    /// What people read.
    pub text: LineText,
}

/// What people read on a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineText {
    /// What is paid for.
    pub description: String,
    /// The word for one unit.
    pub unit_label: String,
    /// Major units for each, where there is one such number.
    pub unit_price: Option<String>,
}

/// Why charges cannot be computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    /// The calendar ends.
    #[error(transparent)]
    Period(#[from] PeriodError),
    /// An amount is too large.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
}

/// How parts of a period are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proration {
    /// The unit.
    pub unit: ProrationUnit,
    /// The zone whose days count.
    pub zone: Zone,
}

impl Proration {
    /// The part of a period that lies from `from` to `to`, from 0 to 1.
    pub fn share(&self, period: &Period, from: Timestamp, to: Timestamp) -> Exact {
        match self.unit {
            ProrationUnit::Second => time_share(period, from, to),
            ProrationUnit::Day => days_share(period, from, to, &self.zone),
        }
    }
}
