//! Issuing an invoice: its number, its entries, and what the account's credit pays of it.

use domain::clock::Timestamp;
use domain::config::BillingSettings;
use domain::ids::{AccountId, InvoiceId, PaymentId};
use domain::invoice::InvoiceStatus;
use domain::money::Currency;
use domain::random;

use super::BillOrder;
use super::bill::lock_name;
use super::entries::{self, Book, Movement, post};
use crate::{Actor, Error, FromRow, Result, Row, Scope, Store, Tx, args, retrying};

const MS_A_DAY: i64 = 86_400_000;

/// The state of an invoice's money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) id: InvoiceId,
    pub(super) account: AccountId,
    pub(super) currency: Currency,
    pub(super) subtotal: i64,
    pub(super) tax: i64,
    pub(super) total: i64,
    pub(super) due: Timestamp,
    pub(super) status: InvoiceStatus,
    pub(super) paid: i64,
    pub(super) from_balance: i64,
    pub(super) credited: i64,
}

impl Standing {
    /// What is still to be paid.
    pub(super) fn amount_due(&self) -> i64 {
        match self.status {
            InvoiceStatus::Void => 0,
            InvoiceStatus::Draft | InvoiceStatus::Open | InvoiceStatus::Paid | InvoiceStatus::Uncollectible => {
                (self.total - self.paid - self.credited).max(0)
            }
        }
    }

    pub(super) fn movement<'a>(&self, document: &'a str, at: Timestamp) -> Movement<'a> {
        Movement {
            account: self.account,
            currency: self.currency,
            document,
            at,
        }
    }
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account: row.get("account")?,
            currency: row.parse("currency")?,
            subtotal: row.get("subtotal")?,
            tax: row.get("tax")?,
            total: row.get("total")?,
            due: row.get("due")?,
            status: row.word("status", InvoiceStatus::from_word)?,
            paid: row.get("paid")?,
            from_balance: row.get("from_balance")?,
            credited: row.get("credited")?,
        })
    }
}

/// The columns of a [`Standing`], from `invoice i`.
pub(super) const STANDING: &str = "SELECT i.*,
        (SELECT e.status FROM invoice_event e WHERE e.invoice = i.id ORDER BY e.n DESC LIMIT 1) AS status,
        CAST(COALESCE((SELECT SUM(p.amount) FROM payment p WHERE p.invoice = i.id), 0) AS BIGINT) AS paid,
        CAST(COALESCE((SELECT SUM(p.amount) FROM payment p WHERE p.invoice = i.id AND p.method = 'balance'), 0) AS BIGINT) AS from_balance,
        CAST(COALESCE((SELECT SUM(c.total) FROM credit_note c WHERE c.invoice = i.id), 0) AS BIGINT) AS credited
    FROM invoice i WHERE i.id = $1 AND ($2 IS NULL OR i.account = $2)";

pub(super) async fn standing(tx: &mut Tx, scope: Scope, id: InvoiceId) -> Result<Standing> {
    tx.one(STANDING, args![id, scope.account()])
        .await?
        .ok_or(Error::Missing("invoice"))
}

/// A step of an invoice's life.
#[derive(Debug)]
pub(super) struct Step<'a> {
    status: &'static str,
    at: Timestamp,
    actor: &'a Actor,
    reason: Option<&'a str>,
}

impl<'a> Step<'a> {
    pub(super) fn new(status: &'static str, order: &'a BillOrder) -> Self {
        Self::by(status, &order.actor, order.now)
    }

    pub(super) const fn by(status: &'static str, actor: &'a Actor, at: Timestamp) -> Self {
        Self {
            status,
            at,
            actor,
            reason: None,
        }
    }

    pub(super) const fn because(mut self, reason: &'a str) -> Self {
        self.reason = Some(reason);
        self
    }
}

pub(super) async fn event(tx: &mut Tx, invoice: InvoiceId, step: Step<'_>) -> Result<()> {
    tx.execute(
        "INSERT INTO invoice_event (invoice, n, status, at, actor_kind, actor_id, reason)
         SELECT $1, COALESCE(MAX(n), 0) + 1, $2, $3, $4, $5, $6 FROM invoice_event WHERE invoice = $1",
        args![
            invoice,
            step.status,
            step.at,
            &step.actor.kind,
            &step.actor.id,
            step.reason
        ],
    )
    .await
    .map(drop)
}

/// The next number of a kind of document, without holes: the transaction that takes it also writes the document.
pub(super) async fn next_number(tx: &mut Tx, kind: &str) -> Result<i64> {
    tx.scalar(
        "INSERT INTO document_counter (kind, n) VALUES ($1, 1)
         ON CONFLICT (kind) DO UPDATE SET n = document_counter.n + 1 RETURNING n",
        args![kind],
    )
    .await?
    .ok_or(Error::Missing("document counter"))
}

/// Gives a draft its number and posts it.
pub(super) async fn issue(tx: &mut Tx, id: InvoiceId, settings: &BillingSettings, order: &BillOrder) -> Result<()> {
    let invoice = standing(tx, Scope::All, id).await?;
    if invoice.status != InvoiceStatus::Draft {
        return Err(Error::State(format!(
            "the invoice is {}, no draft",
            invoice.status.as_str()
        )));
    }
    let number = format!("{}{:06}", settings.number_prefix, next_number(tx, "invoice").await?);
    let due_at = order.now.plus_millis(i64::from(settings.payment_days) * MS_A_DAY);
    tx.execute(
        "UPDATE invoice SET number = $2, finalized_at = $3, due_at = $4 WHERE id = $1",
        args![id, number, order.now, due_at],
    )
    .await?;
    event(tx, id, Step::new("open", order)).await?;
    let document = id.to_string();
    let entries = [
        (Book::Receivable, invoice.total),
        (Book::Revenue, -invoice.subtotal),
        (Book::Tax, -invoice.tax),
    ];
    post(tx, &invoice.movement(&document, order.now), &entries).await?;
    let credit = entries::credit(tx, invoice.account, invoice.currency).await?;
    let from_balance = credit.min(invoice.total);
    if from_balance > 0 {
        let paid = Paid {
            method: "balance",
            reference: None,
            amount: from_balance,
            received_at: None,
        };
        pay(tx, &invoice, paid, order).await?;
    }
    if from_balance == invoice.total {
        event(tx, id, Step::new("paid", order)).await?;
    }
    Ok(())
}

/// A payment as it is written.
pub(super) struct Paid<'a> {
    pub(super) method: &'a str,
    pub(super) reference: Option<&'a str>,
    pub(super) amount: i64,
    pub(super) received_at: Option<Timestamp>,
}

/// Records a payment and posts it.
pub(super) async fn pay(tx: &mut Tx, invoice: &Standing, paid: Paid<'_>, order: &BillOrder) -> Result<PaymentId> {
    let id = PaymentId::new(order.now, random::bytes());
    tx.execute(
        "INSERT INTO payment (id, invoice, account, currency, method, reference, amount, created_at, actor_kind, actor_id, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            id,
            invoice.id,
            invoice.account,
            invoice.currency.code(),
            paid.method,
            paid.reference,
            paid.amount,
            order.now,
            &order.actor.kind,
            &order.actor.id,
            paid.received_at
        ],
    )
    .await?;
    let from = if paid.method == "balance" {
        Book::Balance
    } else {
        Book::Cash
    };
    let document = invoice.id.to_string();
    let entries = [(from, paid.amount), (Book::Receivable, -paid.amount)];
    post(tx, &invoice.movement(&document, order.now), &entries).await?;
    Ok(id)
}

impl Store {
    /// Issues a draft: gives it its number, posts it, and takes what the account has to its credit.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such invoice, [`Error::State`] when it is no draft.
    pub async fn finalize_invoice(&self, scope: Scope, id: InvoiceId, order: &BillOrder) -> Result<()> {
        let settings = self.typed_settings().await?.billing;
        retrying(|| self.try_finalize(scope, id, (&settings, order))).await
    }

    async fn try_finalize(
        &self,
        scope: Scope,
        id: InvoiceId,
        (settings, order): (&BillingSettings, &BillOrder),
    ) -> Result<()> {
        let (mut tx, _) = self.hold_invoice(scope, id).await?;
        issue(&mut tx, id, settings, order).await?;
        tx.commit().await
    }

    /// Begins a transaction that holds the money of the invoice's account, and reads how the invoice stands.
    pub(super) async fn hold_invoice(&self, scope: Scope, id: InvoiceId) -> Result<(Tx, Standing)> {
        let sql = "SELECT account FROM invoice WHERE id = $1 AND ($2 IS NULL OR account = $2)";
        let account: Option<AccountId> = self.ledger.scalar(sql, args![id, scope.account()]).await?;
        let account = account.ok_or(Error::Missing("invoice"))?;
        let mut tx = self.ledger.write().await?;
        tx.lock(&lock_name(account)).await?;
        let invoice = standing(&mut tx, scope, id).await?;
        Ok((tx, invoice))
    }
}
