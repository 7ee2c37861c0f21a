//! Invoices as they are shown.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::ids::{AccountId, CreditNoteId, InvoiceId};
use domain::invoice::{CreditView, InvoiceStatus, InvoiceView, LineView, PaymentView};
use domain::money::Currency;
use serde::Serialize;

use super::finalize::{STANDING, Standing};
use super::write::Body;
use crate::{Error, FromRow, Page, Result, Row, Scope, Store, Tx, args};

/// Which invoices to list; empty fields do not filter.
#[derive(Debug, Clone, Copy, Default)]
pub struct InvoiceFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// In this status.
    pub status: Option<InvoiceStatus>,
}

/// An invoice in a list. Amounts are minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InvoiceSummary {
    /// Its id.
    pub id: InvoiceId,
    /// Its account.
    pub account_id: AccountId,
    /// Its number; `None` for a draft.
    pub number: Option<String>,
    /// Its status.
    pub status: InvoiceStatus,
    /// Its currency.
    pub currency: Currency,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was issued; `None` for a draft.
    pub issued_at: Option<Timestamp>,
    /// The boundary or change that made it due.
    pub due_instant: Timestamp,
    /// Until when it is to be paid.
    pub due_at: Option<Timestamp>,
    /// What was charged.
    pub total: i64,
    /// What was paid.
    pub paid: i64,
    /// What went back by credit notes.
    pub credited: i64,
    /// What is still to be paid.
    pub amount_due: i64,
}

impl InvoiceSummary {
    /// Whether it is open past its due date.
    pub fn overdue(&self, now: Timestamp) -> bool {
        self.status == InvoiceStatus::Open && self.due_at.is_some_and(|due| due < now)
    }
}

impl FromRow for InvoiceSummary {
    fn from_row(row: &Row) -> Result<Self> {
        let standing = Standing::from_row(row)?;
        Ok(Self {
            id: standing.id,
            account_id: standing.account,
            number: row.get("number")?,
            status: standing.status,
            currency: standing.currency,
            created_at: row.get("created_at")?,
            issued_at: row.get("finalized_at")?,
            due_instant: standing.due,
            due_at: row.get("due_at")?,
            total: standing.total,
            paid: standing.paid,
            credited: standing.credited,
            amount_due: standing.amount_due(),
        })
    }
}

const LIST: &str = "SELECT * FROM (SELECT i.*,
        (SELECT e.status FROM invoice_event e WHERE e.invoice = i.id ORDER BY e.n DESC LIMIT 1) AS status,
        CAST(COALESCE((SELECT SUM(p.amount) FROM payment p WHERE p.invoice = i.id), 0) AS BIGINT) AS paid,
        CAST(0 AS BIGINT) AS from_balance,
        CAST(COALESCE((SELECT SUM(c.total) FROM credit_note c WHERE c.invoice = i.id), 0) AS BIGINT) AS credited
    FROM invoice i) x
    WHERE ($1 IS NULL OR account = $1) AND ($2 IS NULL OR account = $2) AND ($3 IS NULL OR status = $3) AND ($4 IS NULL OR id < $4)
    ORDER BY id DESC LIMIT $5";
const LINES: &str = "SELECT l.*, c.subscription, c.meter FROM invoice_line l JOIN charge_line c ON c.id = l.charge_line
    WHERE l.invoice = $1 ORDER BY l.n";

impl Store {
    /// Invoices, newest first. A page continues after an id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn invoices(&self, scope: Scope, filter: InvoiceFilter, page: &Page) -> Result<Vec<InvoiceSummary>> {
        let status = filter.status.map(InvoiceStatus::as_str);
        self.ledger
            .all(
                LIST,
                args![scope.account(), filter.account, status, page.after(), page.limit()],
            )
            .await
    }

    /// The invoice as it reads at `now`, when the scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn invoice(&self, scope: Scope, id: InvoiceId, now: Timestamp) -> Result<Option<InvoiceView>> {
        let mut tx = self.ledger.read().await?;
        let Some(row) = tx.row(STANDING, args![id, scope.account()]).await? else {
            return Ok(None);
        };
        let view = view(&mut tx, &row, now).await?;
        tx.rollback().await?;
        Ok(Some(view))
    }

    /// The status changes of an invoice with their reasons, oldest first: (status, when, kind and id of the actor, reason).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn invoice_events(
        &self,
        id: InvoiceId,
    ) -> Result<Vec<(InvoiceStatus, Timestamp, String, Option<String>)>> {
        let sql = "SELECT * FROM invoice_event WHERE invoice = $1 ORDER BY n";
        let rows = self.ledger.rows(sql, args![id]).await?;
        rows.iter()
            .map(|row| {
                let actor = format!(
                    "{}:{}",
                    row.get::<String>("actor_kind")?,
                    row.get::<String>("actor_id")?
                );
                Ok((
                    row.word("status", InvoiceStatus::from_word)?,
                    row.get("at")?,
                    actor,
                    row.get("reason")?,
                ))
            })
            .collect()
    }
}

async fn view(tx: &mut Tx, row: &Row, now: Timestamp) -> Result<InvoiceView> {
    let standing = Standing::from_row(row)?;
    let body: Body = row.json("body_json")?;
    let (id, status) = (standing.id, standing.status);
    let due_at: Option<Timestamp> = row.get("due_at")?;
    let mut notes = body.notes;
    if status == InvoiceStatus::Void {
        notes.extend(void_reason(tx, id).await?.map(|reason| format!("Void: {reason}")));
    }
    Ok(InvoiceView {
        id,
        account_id: standing.account,
        number: row.get("number")?,
        status,
        phase: (status == InvoiceStatus::Draft).then(|| "rated".to_owned()),
        overdue: status == InvoiceStatus::Open && due_at.is_some_and(|due| due < now),
        currency: standing.currency,
        created_at: row.get("created_at")?,
        issued_at: row.get("finalized_at")?,
        due_at,
        due_instant: standing.due,
        seller: body.seller,
        customer: body.customer,
        zone: body.zone,
        lines: tx.all(LINES, args![id]).await?,
        subtotal: standing.subtotal,
        tax: standing.tax,
        total: standing.total,
        paid: standing.paid,
        credited: standing.credited,
        amount_due: standing.amount_due(),
        payments: tx
            .all("SELECT * FROM payment WHERE invoice = $1 ORDER BY id", args![id])
            .await?,
        credit_notes: credit_notes(tx, id).await?,
        notes,
    })
}

async fn void_reason(tx: &mut Tx, id: InvoiceId) -> Result<Option<String>> {
    let sql = "SELECT reason FROM invoice_event WHERE invoice = $1 AND status = 'void' AND reason IS NOT NULL";
    tx.scalar(sql, args![id]).await
}

async fn credit_notes(tx: &mut Tx, invoice: InvoiceId) -> Result<Vec<CreditView>> {
    let sql = "SELECT * FROM credit_note WHERE invoice = $1 ORDER BY id";
    let mut notes: Vec<CreditView> = tx.all(sql, args![invoice]).await?;
    let sql = "SELECT credit_note, line, amount FROM credit_note_line WHERE invoice = $1 ORDER BY credit_note, line";
    let mut lines: BTreeMap<CreditNoteId, Vec<(u32, i64)>> = BTreeMap::new();
    for row in tx.rows(sql, args![invoice]).await? {
        lines
            .entry(row.get("credit_note")?)
            .or_default()
            .push((row.get("line")?, row.get("amount")?));
    }
    for note in &mut notes {
        note.lines = lines.remove(&note.id).unwrap_or_default();
    }
    Ok(notes)
}

impl FromRow for LineView {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            n: row.get("n")?,
            id: row.get("id")?,
            description: row.get("description")?,
            quantity: row.get("quantity")?,
            unit_label: row.get("unit_label")?,
            unit_price: row.get("unit_price")?,
            tiers: row.get("tiers_json")?,
            amount: row.get("amount")?,
            period_start: row.get("period_start")?,
            period_end: row.get("period_end")?,
            subscription_id: row.get("subscription")?,
            meter: row.get("meter")?,
        })
    }
}

impl FromRow for PaymentView {
    fn from_row(row: &Row) -> Result<Self> {
        let (at, received): (Timestamp, Option<Timestamp>) = (row.get("created_at")?, row.get("received_at")?);
        Ok(Self {
            id: row.get("id")?,
            at,
            received_at: received.unwrap_or(at),
            amount: row.get("amount")?,
            method: row.get("method")?,
            reference: row.get("reference")?,
        })
    }
}

impl FromRow for CreditView {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            number: row.get("number")?,
            at: row.get("created_at")?,
            reason: row.get("reason")?,
            net: row.get("net")?,
            tax: row.get("tax")?,
            total: row.get("total")?,
            lines: Vec::new(),
        })
    }
}

/// What a caller is told who asks for a line that is not there.
pub(super) fn no_line() -> Error {
    Error::Missing("line of the invoice")
}
