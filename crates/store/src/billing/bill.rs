//! The transaction that bills one account.

use domain::clock::Timestamp;
use domain::ids::{CreditNoteId, InvoiceId, SubscriptionId};
use domain::usage::ProducerId;

use super::draw::draw;
use super::{AccountBill, usage, write};
use crate::{Actor, Result, Store, retrying};

/// What to bill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillMode {
    /// Everything that is due.
    Due,
    /// Everything that is due, and the usage of running periods so far.
    Interim,
    /// What a void invoice had charged.
    Reissue(InvoiceId),
}

/// How to bill.
#[derive(Debug, Clone)]
pub struct BillOrder {
    /// What.
    pub mode: BillMode,
    /// Whether invoices are issued at once, or stay drafts for somebody to look at.
    pub finalize: bool,
    /// The instant.
    pub now: Timestamp,
    /// Who asks.
    pub actor: Actor,
}

/// A period that is over and still waits for usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// When the period ended.
    pub period_end: Timestamp,
    /// The producers that have not passed its end.
    pub producers: Vec<ProducerId>,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BillOutcome {
    /// Invoices.
    pub invoices: Vec<InvoiceId>,
    /// Credit notes.
    pub credit_notes: Vec<CreditNoteId>,
    /// Periods that are over and still wait.
    pub waiting: Vec<Waiting>,
}

impl Store {
    /// Bills an account: all that the order asks for, or nothing. Doing it again makes nothing more.
    ///
    /// # Errors
    /// [`Error::State`](crate::Error::State) when the account cannot be billed, or when there is nothing to reissue;
    /// [`Error::Missing`](crate::Error::Missing) for a reissue of an invoice of another account.
    pub async fn bill_account(&self, bill: &AccountBill, order: &BillOrder) -> Result<BillOutcome> {
        let mut view = self.ledger.read().await?;
        let drawn = draw(&mut view, bill, order).await?;
        view.rollback().await?;
        if drawn.is_empty() && !matches!(order.mode, BillMode::Reissue(_)) {
            return Ok(BillOutcome {
                waiting: drawn.waiting,
                ..BillOutcome::default()
            });
        }
        retrying(|| self.try_bill(bill, order)).await
    }

    async fn try_bill(&self, bill: &AccountBill, order: &BillOrder) -> Result<BillOutcome> {
        let mut tx = self.ledger.write().await?;
        tx.lock(&lock_name(bill.account.id)).await?;
        usage::hold_usage(&mut tx).await?;
        let drawn = draw(&mut tx, bill, order).await?;
        let outcome = write::write(&mut tx, bill, order, drawn).await?;
        tx.commit().await?;
        Ok(outcome)
    }
}

/// The lock that every change of an account's money holds.
pub(super) fn lock_name(account: domain::ids::AccountId) -> String {
    format!("billing/{account}")
}
