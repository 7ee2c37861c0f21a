//! Payments that somebody saw come in.

use domain::clock::Timestamp;
use domain::ids::{InvoiceId, PaymentId};
use domain::invoice::InvoiceStatus;

use super::BillOrder;
use super::finalize::{Paid, Step, event, pay};
use crate::{Error, Result, Scope, Store, retrying};

/// A payment as somebody reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPayment {
    /// Minor units, above zero.
    pub amount: i64,
    /// How it came: `bank_transfer`, `cash`, …
    pub method: String,
    /// The payer's reference.
    pub reference: Option<String>,
    /// When the money came in; now unless given.
    pub received_at: Option<Timestamp>,
}

impl Store {
    /// Records a payment of an open invoice; the invoice is paid once nothing is due any more.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such invoice; [`Error::State`] when it is neither open nor
    /// uncollectible, or when more is paid than is due.
    pub async fn record_payment(
        &self,
        scope: Scope,
        id: InvoiceId,
        new: &NewPayment,
        order: &BillOrder,
    ) -> Result<PaymentId> {
        retrying(|| self.try_payment(scope, id, (new, order))).await
    }

    async fn try_payment(
        &self,
        scope: Scope,
        id: InvoiceId,
        (new, order): (&NewPayment, &BillOrder),
    ) -> Result<PaymentId> {
        let (mut tx, invoice) = self.hold_invoice(scope, id).await?;
        if !matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) {
            return Err(Error::State(format!(
                "the invoice is {}, nothing can be paid",
                invoice.status.as_str()
            )));
        }
        let due = invoice.amount_due();
        if new.amount <= 0 || new.amount > due {
            return Err(Error::State(format!(
                "a payment must lie between 1 and the {due} minor units that are due"
            )));
        }
        if new.method == "balance" {
            return Err(Error::State(
                "the account's own credit is taken when an invoice is issued".to_owned(),
            ));
        }
        if new.received_at.is_some_and(|at| at > order.now) {
            return Err(Error::State("a payment cannot have come in after now".to_owned()));
        }
        let paid = Paid {
            method: &new.method,
            reference: new.reference.as_deref(),
            amount: new.amount,
            received_at: new.received_at,
        };
        let payment = pay(&mut tx, &invoice, paid, order).await?;
        if new.amount == due {
            event(&mut tx, id, Step::new("paid", order)).await?;
        }
        tx.commit().await?;
        Ok(payment)
    }
}
