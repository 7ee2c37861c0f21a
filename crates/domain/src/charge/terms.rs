//! What a plan version charges in one currency.

use crate::config::Plan;
use crate::limit::{LimitEntry, OveragePrice, Quota, Rule};
use crate::money::{Currency, Exact};
use crate::price::{Price, Recurring, UsagePrice};

/// What a plan version charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What is due each time.
    pub recurring: Option<Recurring>,
    /// What usage costs.
    pub usage: Vec<UsageTerm>,
}

/// What the usage of one meter costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageTerm {
    /// Stable name of the price within the plan: `usage/<meter>` or `overage/<limit>`.
    pub key: String,
    /// The meter.
    pub meter: String,
    /// Only these operations count; empty means all.
    pub operations: Vec<String>,
    /// The price.
    pub price: UsagePrice,
    /// Whether it prices what exceeds a quota.
    pub overage: bool,
}

/// Why a plan version cannot be charged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// A usage entry makes no sense.
    #[error("the price of {meter} cannot be rated: {reason}")]
    Price {
        /// The meter.
        meter: String,
        /// What is wrong.
        reason: String,
    },
    /// A limit makes no sense.
    #[error("a limit cannot be priced: {0}")]
    Limit(String),
}

impl Terms {
    /// The terms of a plan in the wanted currency, or in the plan's own where it has no price in that.
    ///
    /// # Errors
    /// [`TermsError`] for a plan that should never have been published.
    pub fn of(plan: &Plan, wanted: Currency) -> Result<Self, TermsError> {
        let offered = plan.price.iter().chain(&plan.prices);
        let price = offered.clone().find(|price| price.currency == wanted);
        let Some(price) = price.or(plan.price.as_ref()) else {
            return Ok(Self {
                currency: wanted,
                recurring: None,
                usage: Vec::new(),
            });
        };
        let mut usage = Vec::with_capacity(price.usage.len());
        for entry in &price.usage {
            let understood = entry.understand().map_err(|faults| TermsError::Price {
                meter: entry.meter.clone(),
                reason: faults.first().map(|fault| fault.reason.clone()).unwrap_or_default(),
            })?;
            usage.push(UsageTerm {
                key: format!("usage/{}", entry.meter),
                meter: entry.meter.clone(),
                operations: Vec::new(),
                price: understood,
                overage: false,
            });
        }
        for limit in &plan.limits {
            usage.extend(overage(limit, price)?);
        }
        Ok(Self {
            currency: price.currency,
            recurring: price.recurring.clone().filter(|recurring| !recurring.amount.is_zero()),
            usage,
        })
    }
}

/// The price of what exceeds a quota, where the quota has one.
fn overage(entry: &LimitEntry, price: &Price) -> Result<Option<UsageTerm>, TermsError> {
    let limit = entry
        .understand()
        .map_err(|fault| TermsError::Limit(fault.to_string()))?;
    let Rule::Quota(quota) = &limit.rule else {
        return Ok(None);
    };
    let priced = quota
        .overage_price
        .as_ref()
        .and_then(|over| overage_price(over, quota, price));
    Ok(priced.map(|priced| UsageTerm {
        key: format!("overage/{}", limit.key),
        meter: quota.meter.clone(),
        operations: limit.operations.clone(),
        price: priced,
        overage: true,
    }))
}

fn overage_price(over: &OveragePrice, quota: &Quota, price: &Price) -> Option<UsagePrice> {
    let included = || price.usage.iter().find(|entry| entry.meter == quota.meter)?.included;
    let max = quota.max.or_else(included)?;
    match over {
        OveragePrice::Unit(unit) => Some(UsagePrice::overage(*unit, max)),
        OveragePrice::Prorated(_) => {
            let recurring = price.recurring.as_ref()?;
            // A year paid in advance covers twelve quotas of a month.
            let periods = recurring.every.times(price.usage_period).unwrap_or(1);
            let units = &Exact::from(max) * &Exact::from(u64::from(periods));
            let unit = Exact::from(recurring.amount).checked_div(&units)?;
            Some(UsagePrice::per_unit(unit, max))
        }
    }
}
