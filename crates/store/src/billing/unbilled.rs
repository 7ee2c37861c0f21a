//! What the next invoice of an account would hold if it were made now. Writes nothing.

use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::invoice::Delta;
use domain::money::Currency;

use super::draw::draw;
use super::{AccountBill, BillMode, BillOrder};
use crate::{Actor, Result, Store};

/// A line that would stand on the next invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnbilledLine {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What is paid for.
    pub description: String,
    /// The meter, for usage.
    pub meter: Option<String>,
    /// How much, as a decimal.
    pub quantity: String,
    /// The word for one unit.
    pub unit_label: String,
    /// Minor units; below zero for what would go back.
    pub amount: i64,
    /// First instant of what is paid for.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// What is not billed yet, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unbilled {
    /// The currency.
    pub currency: Currency,
    /// The lines.
    pub lines: Vec<UnbilledLine>,
    /// Their sum in minor units.
    pub amount: i64,
}

impl UnbilledLine {
    fn of(delta: &Delta) -> Self {
        let charge = &delta.charge;
        Self {
            subscription: charge.key.subscription,
            description: charge.text.description.clone(),
            meter: charge.meter.clone(),
            quantity: delta.quantity.to_string(),
            unit_label: charge.text.unit_label.clone(),
            amount: delta.minor,
            from: charge.service.0,
            to: charge.service.1,
        }
    }
}

impl Store {
    /// What an account has used and owes that no invoice holds yet, by currency: what an invoice made at `now` would say.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the account cannot be billed.
    pub async fn unbilled(&self, bill: &AccountBill, now: Timestamp) -> Result<Vec<Unbilled>> {
        let order = BillOrder {
            mode: BillMode::Interim,
            finalize: false,
            now,
            actor: Actor::system("billing"),
        };
        let mut view = self.ledger.read().await?;
        let drawn = draw(&mut view, bill, &order).await?;
        view.rollback().await?;
        let mut found: Vec<Unbilled> = Vec::new();
        for group in &drawn.groups {
            let back = group.refunds.iter().flat_map(|(refund, _)| &refund.deltas);
            let lines = group.lines.iter().chain(back).map(UnbilledLine::of);
            let place = match found.iter().position(|one| one.currency == group.currency) {
                Some(place) => place,
                None => {
                    found.push(Unbilled {
                        currency: group.currency,
                        lines: Vec::new(),
                        amount: 0,
                    });
                    found.len() - 1
                }
            };
            if let Some(one) = found.get_mut(place) {
                one.lines.extend(lines);
                one.amount = one.lines.iter().fold(0, |sum, line| sum.saturating_add(line.amount));
            }
        }
        Ok(found)
    }
}

impl AccountBill {
    /// The next end of a usage period: when usage so far becomes an invoice. `None` without a subscription in force.
    pub fn next_boundary(&self, now: Timestamp) -> Option<Timestamp> {
        let live = self
            .contracts
            .iter()
            .filter(|contract| contract.ended_at.is_none_or(|ended| ended > now));
        live.filter_map(|contract| {
            let period = contract.schedule.period_at(now).ok()?;
            Some(contract.closes_at(&period))
        })
        .min()
    }
}
