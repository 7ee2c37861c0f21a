//! Making a document void, or giving it up.

use std::collections::HashSet;

use domain::charge::ChargeKey;
use domain::clock::Timestamp;
use domain::ids::{AccountId, InvoiceId};
use domain::invoice::InvoiceStatus;

use super::BillOrder;
use super::entries::{Book, post};
use super::finalize::{Standing, Step, event, standing};
use crate::{Error, Result, Scope, Store, Tx, args, retrying};

impl Store {
    /// Makes a draft or an invoice that nobody has paid void: it counts no more, and what it charged can be reissued.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such invoice; [`Error::State`] when it is void already, or has payments
    /// or credit notes.
    pub async fn void_invoice(&self, scope: Scope, id: InvoiceId, reason: &str, order: &BillOrder) -> Result<()> {
        retrying(|| self.try_void(scope, id, (reason, order))).await
    }

    async fn try_void(&self, scope: Scope, id: InvoiceId, (reason, order): (&str, &BillOrder)) -> Result<()> {
        let (mut tx, invoice) = self.hold_invoice(scope, id).await?;
        if invoice.status == InvoiceStatus::Void {
            return Err(Error::State("the invoice is void already".to_owned()));
        }
        if invoice.paid > invoice.from_balance {
            return Err(Error::State(
                "the invoice has payments: give the money back by a credit note".to_owned(),
            ));
        }
        if invoice.credited > 0 {
            return Err(Error::State(
                "the invoice has credit notes: give the rest back by another one".to_owned(),
            ));
        }
        if invoice.status != InvoiceStatus::Draft {
            reverse(&mut tx, &invoice, order.now).await?;
        }
        event(&mut tx, id, Step::new("void", order).because(reason)).await?;
        tx.commit().await
    }

    /// Gives up an open invoice.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such invoice, [`Error::State`] when it is not open.
    pub async fn mark_uncollectible(&self, scope: Scope, id: InvoiceId, reason: &str, order: &BillOrder) -> Result<()> {
        let (mut tx, invoice) = self.hold_invoice(scope, id).await?;
        if invoice.status != InvoiceStatus::Open {
            return Err(Error::State(format!(
                "the invoice is {}, not open",
                invoice.status.as_str()
            )));
        }
        event(&mut tx, id, Step::new("uncollectible", order).because(reason)).await?;
        tx.commit().await
    }
}

async fn reverse(tx: &mut Tx, invoice: &Standing, at: Timestamp) -> Result<()> {
    let document = invoice.id.to_string();
    let entries = [
        (Book::Receivable, invoice.from_balance - invoice.total),
        (Book::Revenue, invoice.subtotal),
        (Book::Tax, invoice.tax),
        (Book::Balance, -invoice.from_balance),
    ];
    post(tx, &invoice.movement(&document, at), &entries).await
}

/// What a void invoice had charged.
pub(super) struct Voided {
    pub(super) due: Timestamp,
    pub(super) keys: HashSet<ChargeKey>,
}

pub(super) async fn voided(tx: &mut Tx, account: AccountId, id: InvoiceId) -> Result<Voided> {
    let invoice = standing(tx, Scope::Account(account), id).await?;
    if invoice.status != InvoiceStatus::Void {
        return Err(Error::State(format!(
            "the invoice is {}: only a void one can be reissued",
            invoice.status.as_str()
        )));
    }
    let sql = "SELECT subscription, period_start, price, segment FROM charge_line WHERE document = $1";
    let mut keys = HashSet::new();
    for row in tx.rows(sql, args![id]).await? {
        keys.insert(ChargeKey {
            subscription: row.get("subscription")?,
            period_start: row.get("period_start")?,
            price: row.get("price")?,
            segment: row.get("segment")?,
        });
    }
    Ok(Voided { due: invoice.due, keys })
}
