//! The price of a plan as written in files: what recurs, and what usage costs.
//!
//! The types are strict about keys. [`UsageEntry::understand`] turns an entry into a [`UsagePrice`] that can be rated,
//! [`validate`] tells everything that is wrong with a price, each with the way out. What is read but not built yet
//! (percentages, commitments, a minimum of the whole plan) is an error of [`validate`] and never silently ignored.

mod understand;
mod validate;

pub use understand::{Bracket, Pricing, Step, Table, UsagePrice};
pub use validate::{Fault, Severity, validate};

use serde::{Deserialize, Serialize};

use crate::money::{Currency, Decimal};
use crate::period::Every;

/// The price of a plan in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The currency.
    pub currency: Currency,
    /// How tax relates to the amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax: Option<Tax>,
    /// The least that a period costs. Not built yet: refused unless zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// An amount agreed in advance. Not built yet: refused when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commitment: Option<Commitment>,
    /// The period of quotas and usage lines.
    #[serde(default)]
    pub usage_period: Every,
    /// What is due each time, whatever the usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurring: Option<Recurring>,
    /// What usage costs, at most one entry a meter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageEntry>,
}

/// How tax relates to the amounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tax {
    /// Whether amounts contain the tax.
    pub behavior: TaxBehavior,
    /// The product's tax code at a tax service; empty where there is none.
    pub code: String,
}

/// Whether amounts contain the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaxBehavior {
    /// Tax is added.
    #[default]
    Exclusive,
    /// Tax is contained.
    Inclusive,
}

/// An amount agreed in advance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Major units a period.
    pub amount: Decimal,
    /// What list prices are multiplied by above the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overage_factor: Option<Decimal>,
}

/// What is due each time, whatever the usage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recurring {
    /// Major units each time.
    pub amount: Decimal,
    /// How often; a multiple of the usage period.
    #[serde(default)]
    pub every: Every,
    /// Whether it is due at the start or at the end.
    #[serde(rename = "in", default)]
    pub term: Term,
}

/// When a recurring amount is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Term {
    /// At the start of its period.
    #[default]
    Advance,
    /// At the end of its period.
    Arrears,
}

/// How a quantity becomes an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// Each unit costs `unit`.
    Unit,
    /// Each unit costs what its tier says.
    Graduated,
    /// All units cost what the tier of the total says.
    Volume,
    /// Each started package of `size` units costs `amount`.
    Package,
    /// The total costs what its tier says.
    Stairstep,
    /// A percentage of the quantity. Not built yet: refused.
    Percent,
}

impl Model {
    /// The word in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Graduated => "graduated",
            Self::Volume => "volume",
            Self::Package => "package",
            Self::Stairstep => "stairstep",
            Self::Percent => "percent",
        }
    }
}

/// What the usage of one meter costs, as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageEntry {
    /// The meter's name. Needed in a plan, not needed to rate a number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub meter: String,
    /// How the quantity becomes an amount.
    pub model: Model,
    /// Of `unit`: major units for each unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Decimal>,
    /// Of `graduated`, `volume` and `stairstep`: the tiers, counted after `included`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tiers: Option<Vec<Tier>>,
    /// Of `package`: units in a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Of `package`: major units for each started package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
    /// Of `percent`: hundredths of the quantity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Decimal>,
    /// Of `percent`: major units for each event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<Decimal>,
    /// Of `percent`: bounds for each event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_event: Option<PerEvent>,
    /// Units a usage period that cost nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<u64>,
    /// The least that a period's usage costs, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Decimal>,
    /// The most that a period's usage costs, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Decimal>,
    /// What the quantity is multiplied by, before `included` and tiers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiplier: Option<Decimal>,
    /// What happens to included units and tiers when the plan changes inside a period.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_change: OnChange,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_default(on_change: &OnChange) -> bool {
    *on_change == OnChange::default()
}

/// What happens to included units and tiers when the plan changes inside a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChange {
    /// They run over the whole period.
    #[default]
    WholePeriod,
    /// They start again with each plan, included units in proportion to its time.
    PerSegment,
}

/// One tier of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// The last unit of the tier; the last tier has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
    /// Of `graduated` and `volume`: major units for each unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Decimal>,
    /// Of `graduated` and `volume`: major units once the tier is entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flat: Option<Decimal>,
    /// Of `stairstep`: major units for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Decimal>,
}

/// Bounds of a percentage for each event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerEvent {
    /// At least, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Decimal>,
    /// At most, in major units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Decimal>,
}

#[cfg(test)]
mod tests;
