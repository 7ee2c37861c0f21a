//! What recurs, in advance or in arrears, and what returns of it when a plan changes.

use super::{Basis, Charge, ChargeError, ChargeKey, Contract, LineText, Proration, Stretch};
use crate::clock::Timestamp;
use crate::money::Exact;
use crate::period::Period;
use crate::price::{Recurring, Term};
use crate::quantity::Quantity;
use crate::rating::prorate;

/// How the reason of a cancellation ends that gives back what was paid for the time after it.
pub const CREDIT_PRORATED: &str = "credit: prorated";

/// A recurring amount in one of its periods.
struct Turn<'a> {
    stretch: &'a Stretch,
    recurring: &'a Recurring,
    period: Period,
}

/// When a charge's service runs, and when it is due.
#[derive(Debug, Clone, Copy)]
struct Served {
    from: Timestamp,
    to: Timestamp,
    due: Timestamp,
}

impl Contract {
    /// Everything recurring that is due by `now`, from the recurring periods in which `since` lies on.
    ///
    /// # Errors
    /// [`ChargeError`].
    pub fn recurring_charges(
        &self,
        proration: &Proration,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Charge>, ChargeError> {
        let mut charges = Vec::new();
        for stretch in &self.stretches {
            let Some(recurring) = &stretch.terms.recurring else {
                continue;
            };
            let first = since.max(stretch.from);
            let last = stretch.to.map_or(now, |to| to.min(now));
            if last < first || stretch.to == Some(stretch.from) {
                continue;
            }
            let mut j = self.schedule.longer_at(recurring.every, first)?.k;
            while let Some(period) = self.turn(recurring, &mut j)? {
                if period.start > last || stretch.to.is_some_and(|to| to <= period.start) {
                    break;
                }
                let turn = Turn {
                    stretch,
                    recurring,
                    period,
                };
                charges.extend(
                    self.turn_charges(&turn, proration)?
                        .into_iter()
                        .filter(|charge| charge.due <= now),
                );
            }
        }
        Ok(charges)
    }

    /// The start of the earliest recurring period that is still running at `now`.
    ///
    /// # Errors
    /// [`ChargeError`].
    pub fn recurring_since(&self, now: Timestamp) -> Result<Timestamp, ChargeError> {
        let mut since = now;
        for stretch in &self.stretches {
            let Some(recurring) = &stretch.terms.recurring else {
                continue;
            };
            since = since.min(self.schedule.longer_at(recurring.every, now)?.start);
        }
        Ok(since)
    }

    /// The next recurring period from number `j` on; numbers that fall together are passed over.
    fn turn(&self, recurring: &Recurring, j: &mut i64) -> Result<Option<Period>, ChargeError> {
        for _ in 0..4 {
            let period = self.schedule.longer(recurring.every, *j)?;
            *j = j.saturating_add(1);
            if period.is_some() {
                return Ok(period);
            }
        }
        Ok(None)
    }

    fn turn_charges(&self, turn: &Turn<'_>, proration: &Proration) -> Result<Vec<Charge>, ChargeError> {
        let (stretch, period) = (turn.stretch, &turn.period);
        let from = stretch.from.max(period.start);
        let to = stretch.to.unwrap_or(period.end).min(period.end);
        match turn.recurring.term {
            Term::Arrears => {
                let due = self.closes_at(period);
                Ok(vec![self.turn_charge(
                    turn,
                    Basis::Arrears,
                    Served { from, to, due },
                    proration,
                )?])
            }
            Term::Advance => {
                let mut charges = vec![self.turn_charge(
                    turn,
                    Basis::Advance,
                    Served {
                        from,
                        to: period.end,
                        due: from,
                    },
                    proration,
                )?];
                let by_end = self.ended_at.is_some() && stretch.to == self.ended_at;
                if to < period.end && (!by_end || self.credit_at_end) {
                    charges.push(self.turn_charge(
                        turn,
                        Basis::Return,
                        Served {
                            from: to,
                            to: period.end,
                            due: to,
                        },
                        proration,
                    )?);
                }
                Ok(charges)
            }
        }
    }

    fn turn_charge(
        &self,
        turn: &Turn<'_>,
        basis: Basis,
        served: Served,
        proration: &Proration,
    ) -> Result<Charge, ChargeError> {
        let (stretch, period) = (turn.stretch, &turn.period);
        let price = Exact::from(turn.recurring.amount);
        let share = proration.share(period, served.from, served.to);
        let signed = if basis == Basis::Return { -&price } else { price.clone() };
        let currency = stretch.terms.currency;
        let description = match basis {
            Basis::Return => format!("{}: unused time", stretch.title),
            _ if share == Exact::one() => stretch.title.clone(),
            _ => format!("{} (part of the {})", stretch.title, turn.recurring.every),
        };
        Ok(Charge {
            key: ChargeKey {
                subscription: self.subscription,
                period_start: period.start,
                price: if basis == Basis::Return {
                    "recurring-credit"
                } else {
                    "recurring"
                }
                .to_owned(),
                segment: stretch.n,
            },
            basis,
            plan_version: stretch.plan_version,
            meter: None,
            quantity: Quantity::from_units(1),
            exact: &signed * &share,
            minor: prorate(&signed, &share, currency)?,
            currency,
            due: served.due,
            service: (served.from, served.to),
            rated: None,
            text: LineText {
                description,
                unit_label: turn.recurring.every.to_string(),
                unit_price: Some(price.to_string()),
            },
        })
    }
}
