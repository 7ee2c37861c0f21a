//! What the usage of a period costs.

use std::collections::BTreeMap;

use super::{Basis, Charge, ChargeError, ChargeKey, Contract, LineText, Proration, Stretch, UsageTerm};
use crate::billable::{Policy, billable};
use crate::ids::PlanVersionId;
use crate::money::{Currency, Exact};
use crate::period::Period;
use crate::price::Pricing;
use crate::quantity::Quantity;
use crate::rating::{Rated, Segment, rate_segments};
use crate::usage::Outcome;

/// A part of a period's usage, as the ledger adds it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// Ordinal of the segment as stamped at admission, from 0.
    pub stamped: u32,
    /// The plan version in force at admission.
    pub plan_version: PlanVersionId,
    /// The meter.
    pub meter: String,
    /// Operation key.
    pub operation: String,
    /// [`Outcome::class_key`].
    pub outcome: String,
    /// How much.
    pub quantity: Quantity,
}

/// One price on one stretch, with what was used there.
struct Part<'a> {
    stretch: &'a Stretch,
    term: &'a UsageTerm,
    quantity: Quantity,
    share: Exact,
}

impl Contract {
    /// What each usage price of each stretch of the period costs so far. Prices without usage and without a minimum are
    /// left out.
    ///
    /// # Errors
    /// [`ChargeError`].
    pub fn usage_charges(
        &self,
        period: &Period,
        used: &[Use],
        policy: Policy,
        proration: &Proration,
    ) -> Result<Vec<Charge>, ChargeError> {
        let mut prices: BTreeMap<(String, &'static str), Vec<Part<'_>>> = BTreeMap::new();
        for stretch in self.within(period) {
            for term in &stretch.terms.usage {
                let key = (term.key.clone(), stretch.terms.currency.code());
                let part = Part {
                    stretch,
                    term,
                    quantity: self.quantity(period, used, policy, (stretch, term)),
                    share: self.planned_share(period, stretch, proration),
                };
                prices.entry(key).or_default().push(part);
            }
        }
        let mut charges = Vec::new();
        for parts in prices.values() {
            charges.extend(self.rate_parts(period, parts)?);
        }
        Ok(charges)
    }

    /// A stretch's part of the period, to its planned end: the end of the subscription shortens none.
    fn planned_share(&self, period: &Period, stretch: &Stretch, proration: &Proration) -> Exact {
        let ends_all = stretch.to.is_some() && stretch.to == self.ended_at;
        let to = stretch.to.filter(|_| !ends_all).unwrap_or(period.end);
        proration.share(period, stretch.from, to)
    }

    fn quantity(
        &self,
        period: &Period,
        used: &[Use],
        policy: Policy,
        (stretch, term): (&Stretch, &UsageTerm),
    ) -> Quantity {
        let counted = used.iter().filter(|part| {
            part.meter == term.meter
                && (term.operations.is_empty() || term.operations.contains(&part.operation))
                && self
                    .stretch_of(period, part.stamped, part.plan_version)
                    .is_some_and(|own| own.n == stretch.n)
        });
        counted.map(|part| billed_part(policy, part)).sum()
    }

    fn rate_parts(&self, period: &Period, parts: &[Part<'_>]) -> Result<Vec<Charge>, ChargeError> {
        let segments: Vec<Segment<'_>> = parts
            .iter()
            .map(|part| Segment {
                price: &part.term.price,
                quantity: part.quantity,
                share: part.share.clone(),
            })
            .collect();
        let mut charges = Vec::new();
        for (part, rated) in parts.iter().zip(rate_segments(&segments)) {
            if part.quantity.is_zero() && rated.exact.is_zero() {
                continue;
            }
            charges.push(self.usage_charge(period, part, rated)?);
        }
        Ok(charges)
    }

    fn usage_charge(&self, period: &Period, part: &Part<'_>, rated: Rated) -> Result<Charge, ChargeError> {
        let (stretch, term) = (part.stretch, part.term);
        let currency: Currency = stretch.terms.currency;
        let closes = self.closes_at(period);
        let suffix = if term.overage { " above the quota" } else { "" };
        Ok(Charge {
            key: ChargeKey {
                subscription: self.subscription,
                period_start: period.start,
                price: term.key.clone(),
                segment: stretch.n,
            },
            basis: Basis::Usage,
            plan_version: stretch.plan_version,
            meter: Some(term.meter.clone()),
            quantity: part.quantity,
            exact: rated.exact.clone(),
            minor: rated.round(currency)?.total,
            currency,
            due: closes,
            service: (
                stretch.from.max(period.start),
                stretch.to.map_or(closes, |to| to.min(closes)),
            ),
            text: LineText {
                description: format!("{}: {}{suffix}", stretch.title, term.meter),
                unit_label: self.unit_label(&term.meter),
                unit_price: match &term.price.pricing {
                    Pricing::Unit(unit) => Some(unit.to_string()),
                    Pricing::Graduated(_) | Pricing::Volume(_) | Pricing::Package { .. } | Pricing::Stairstep(_) => {
                        None
                    }
                },
            },
            rated: Some(rated),
        })
    }
}

/// An outcome that cannot be read is billed by nobody.
fn billed_part(policy: Policy, part: &Use) -> Quantity {
    Outcome::from_class_key(&part.outcome)
        .map_or(Quantity::ZERO, |outcome| billable(policy, &outcome).of(part.quantity))
}
