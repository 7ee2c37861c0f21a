//! Credit notes: the only way in which money of an issued invoice goes back.

use std::collections::BTreeMap;

use domain::ids::{CreditNoteId, InvoiceId};
use domain::invoice::{InvoiceStatus, tax_part};
use domain::random;

use super::BillOrder;
use super::entries::{Book, post};
use super::finalize::{Standing, Step, event, next_number, standing};
use crate::{Error, Result, Scope, Store, Tx, args, retrying};

/// A credit note as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCreditNote {
    /// Why.
    pub reason: String,
    /// Number of the invoice's line, and minor units without tax.
    pub lines: Vec<(u32, i64)>,
}

/// A credit note to be written.
pub(super) struct Note {
    pub(super) invoice: InvoiceId,
    pub(super) reason: String,
    pub(super) lines: Vec<(u32, i64)>,
}

const REMAINING: &str = "SELECT l.n, l.amount - CAST(COALESCE((SELECT SUM(k.amount) FROM credit_note_line k
        WHERE k.invoice = l.invoice AND k.line = l.n), 0) AS BIGINT) AS remaining
    FROM invoice_line l WHERE l.invoice = $1";

impl Store {
    /// Gives money of an issued invoice back: first off what is due, the rest to the account's credit.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such invoice; [`Error::State`] when it was not issued or is void, or when
    /// a line would go below zero.
    pub async fn create_credit_note(
        &self,
        scope: Scope,
        id: InvoiceId,
        new: &NewCreditNote,
        order: &BillOrder,
    ) -> Result<CreditNoteId> {
        retrying(|| self.try_credit_note(scope, id, (new, order))).await
    }

    async fn try_credit_note(
        &self,
        scope: Scope,
        id: InvoiceId,
        (new, order): (&NewCreditNote, &BillOrder),
    ) -> Result<CreditNoteId> {
        let (mut tx, _) = self.hold_invoice(scope, id).await?;
        let note = Note {
            invoice: id,
            reason: new.reason.clone(),
            lines: new.lines.clone(),
        };
        let made = issue(&mut tx, &note, order).await?;
        tx.commit().await?;
        Ok(made)
    }
}

/// Writes a credit note and posts it. The account's money is held.
pub(super) async fn issue(tx: &mut Tx, note: &Note, order: &BillOrder) -> Result<CreditNoteId> {
    let invoice = standing(tx, Scope::All, note.invoice).await?;
    if matches!(invoice.status, InvoiceStatus::Draft | InvoiceStatus::Void) {
        return Err(Error::State(format!(
            "the invoice is {}, nothing can go back",
            invoice.status.as_str()
        )));
    }
    let net = check(tx, note).await?;
    let taken = taken(tx, note.invoice).await?;
    let tax = tax_part(invoice.tax, invoice.subtotal, net, taken);
    let total = net.saturating_add(tax);
    let id = CreditNoteId::new(order.now, random::bytes());
    let number = format!("CN-{:06}", next_number(tx, "credit_note").await?);
    tx.execute(
        "INSERT INTO credit_note (id, invoice, account, currency, number, reason, net, tax, total, created_at, actor_kind, actor_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            id,
            note.invoice,
            invoice.account,
            invoice.currency.code(),
            number,
            &note.reason,
            net,
            tax,
            total,
            order.now,
            &order.actor.kind,
            &order.actor.id
        ],
    )
    .await?;
    for (line, amount) in &note.lines {
        tx.execute(
            "INSERT INTO credit_note_line (credit_note, invoice, line, amount) VALUES ($1, $2, $3, $4)",
            args![id, note.invoice, *line, *amount],
        )
        .await?;
    }
    give_back(tx, &invoice, (&id.to_string(), net, tax), order).await?;
    Ok(id)
}

/// The sum of the lines, each within what remains of its invoice's line.
async fn check(tx: &mut Tx, note: &Note) -> Result<i64> {
    let mut remaining: BTreeMap<u32, i64> = BTreeMap::new();
    for row in tx.rows(REMAINING, args![note.invoice]).await? {
        remaining.insert(row.get("n")?, row.get("remaining")?);
    }
    let mut net = 0_i64;
    for (line, amount) in &note.lines {
        let left = remaining
            .remove(line)
            .ok_or_else(|| Error::State(format!("line {line} is not there, or is named twice")))?;
        if *amount <= 0 || *amount > left {
            return Err(Error::State(format!(
                "line {line} has {} minor units left to give back",
                left.max(0)
            )));
        }
        net = net
            .checked_add(*amount)
            .ok_or_else(|| Error::State("a credit note would not fit into 64 bits".to_owned()))?;
    }
    if net == 0 {
        return Err(Error::State("a credit note needs at least one line".to_owned()));
    }
    Ok(net)
}

/// Net and tax that went back before.
async fn taken(tx: &mut Tx, invoice: InvoiceId) -> Result<(i64, i64)> {
    let sql = "SELECT CAST(COALESCE(SUM(net), 0) AS BIGINT) AS net, CAST(COALESCE(SUM(tax), 0) AS BIGINT) AS tax
        FROM credit_note WHERE invoice = $1";
    match tx.row(sql, args![invoice]).await? {
        Some(row) => Ok((row.get("net")?, row.get("tax")?)),
        None => Ok((0, 0)),
    }
}

async fn give_back(
    tx: &mut Tx,
    invoice: &Standing,
    (document, net, tax): (&str, i64, i64),
    order: &BillOrder,
) -> Result<()> {
    let total = net.saturating_add(tax);
    let due = invoice.amount_due();
    let off = total.min(due);
    let entries = [
        (Book::Revenue, net),
        (Book::Tax, tax),
        (Book::Receivable, -off),
        (Book::Balance, off - total),
    ];
    post(tx, &invoice.movement(document, order.now), &entries).await?;
    if invoice.status == InvoiceStatus::Open && due > 0 && off == due {
        event(tx, invoice.id, Step::new("paid", order)).await?;
    }
    Ok(())
}
