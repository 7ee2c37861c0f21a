//! What the provider does with an invoice: `…/finalize`, `/void`, `/reissue`, `/payments`, `/credit-notes`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::ids::InvoiceId;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use store::billing::{BillMode, BillOrder, NewCreditNote, NewPayment};
use store::{AuditEvent, Kind, Scope};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use super::invoices::{CreditLine, InvoiceBody, TAG, seen};
use crate::app::App;
use crate::http::body::Body;
use crate::http::problem::{Fault, Problem};

const MAX_TEXT: usize = 2_000;

fn order(app: &App, caller: &Caller) -> BillOrder {
    BillOrder {
        mode: BillMode::Due,
        finalize: true,
        now: app.clock.now(),
        actor: caller.actor(),
    }
}

/// Audits what was done and answers with the invoice as it is then.
async fn done(app: &App, caller: &Caller, id: InvoiceId, (verb, before, status): (&str, Json, StatusCode)) -> Answer {
    let view = seen(app, caller, id).await?;
    let mut tx = caller.change(app).await?;
    tx.audit(AuditEvent {
        action: format!("{}.{verb}", Kind::Invoice),
        kind: Kind::Invoice,
        target: id.to_string(),
        account: Some(view.account_id),
        before: Some(before),
        after: Some(standing(&view)),
    });
    app.commit(tx).await?;
    Ok(answer::json(status, &InvoiceBody::from(view)))
}

fn standing(view: &domain::invoice::InvoiceView) -> Json {
    json!({ "number": view.number, "status": view.status, "paid": view.paid, "credited": view.credited, "amount_due": view.amount_due })
}

async fn before(app: &App, caller: &Caller, id: InvoiceId) -> Result<Json, Problem> {
    Ok(standing(&seen(app, caller, id).await?))
}

fn text(pointer: &str, text: &str) -> Result<(), Problem> {
    if text.trim().is_empty() || text.len() > MAX_TEXT {
        return Err(Problem::invalid(vec![Fault::at(pointer, "write 1 to 2000 characters")]));
    }
    Ok(())
}

/// `POST /invoices/{id}/finalize`
pub(crate) async fn finalize(State(app): State<App>, caller: Caller, Id(id): Id<InvoiceId>) -> Answer {
    let was = before(&app, &caller, id).await?;
    app.store
        .finalize_invoice(caller.scope(), id, &order(&app, &caller))
        .await?;
    done(&app, &caller, id, ("finalize", was, StatusCode::OK)).await
}

/// Documentation of [`finalize`].
pub(crate) fn finalize_doc() -> Doc {
    Doc::new(TAG, "finalizeInvoice", "Issue a draft")
        .text("Billing runs issue their invoices themselves unless they were asked for drafts.")
        .answer::<InvoiceBody>(200, "It has a number and is open, or paid when nothing is due")
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VoidInvoice {
    /// For people; stands on the document.
    reason: String,
}

/// `POST /invoices/{id}/void`
pub(crate) async fn void(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<VoidInvoice>,
) -> Answer {
    let was = before(&app, &caller, id).await?;
    text("/reason", &wanted.reason)?;
    app.store
        .void_invoice(caller.scope(), id, &wanted.reason, &order(&app, &caller))
        .await?;
    done(&app, &caller, id, ("void", was, StatusCode::OK)).await
}

/// Documentation of [`void`].
pub(crate) fn void_doc() -> Doc {
    Doc::new(TAG, "voidInvoice", "Make an invoice void")
        .text("Only before any payment or credit note. What it charged is billed again by `reissue` alone.")
        .body::<VoidInvoice>()
        .answer::<InvoiceBody>(200, "It does not count any more")
}

/// `POST /invoices/{id}/reissue`
pub(crate) async fn reissue(State(app): State<App>, caller: Caller, Id(id): Id<InvoiceId>) -> Answer {
    let view = seen(&app, &caller, id).await?;
    let bill = app
        .store
        .account_bill(view.account_id)
        .await?
        .ok_or_else(|| Problem::missing("account"))?;
    let again = BillOrder {
        mode: BillMode::Reissue(id),
        ..order(&app, &caller)
    };
    let made = app.store.bill_account(&bill, &again).await?;
    let new = made
        .invoices
        .first()
        .copied()
        .ok_or_else(|| Problem::conflict("nothing of this invoice is left to bill"))?;
    done(
        &app,
        &caller,
        new,
        ("reissue", json!({ "void": id }), StatusCode::CREATED),
    )
    .await
}

/// Documentation of [`reissue`].
pub(crate) fn reissue_doc() -> Doc {
    Doc::new(TAG, "reissueInvoice", "Bill again what a void invoice had charged")
        .answer::<InvoiceBody>(201, "The new invoice")
}

/// A payment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPaymentBody {
    /// Minor units; at most what is due.
    amount: i64,
    /// How it came, such as `bank_transfer`.
    #[serde(default = "bank_transfer")]
    method: String,
    /// The payer's reference.
    #[serde(default)]
    reference: Option<String>,
}

fn bank_transfer() -> String {
    "bank_transfer".to_owned()
}

/// `POST /invoices/{id}/payments`
pub(crate) async fn pay(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<NewPaymentBody>,
) -> Answer {
    let was = before(&app, &caller, id).await?;
    text("/method", &wanted.method)?;
    if wanted
        .reference
        .as_ref()
        .is_some_and(|reference| reference.len() > MAX_TEXT)
    {
        return Err(Problem::invalid(vec![Fault::at(
            "/reference",
            "write at most 2000 characters",
        )]));
    }
    let payment = NewPayment {
        amount: wanted.amount,
        method: wanted.method,
        reference: wanted.reference,
    };
    app.store
        .record_payment(caller.scope(), id, &payment, &order(&app, &caller))
        .await?;
    done(&app, &caller, id, ("pay", was, StatusCode::CREATED)).await
}

/// Documentation of [`pay`].
pub(crate) fn pay_doc() -> Doc {
    Doc::new(TAG, "createPayment", "Record a payment")
        .text("More than what is due is refused. The invoice is paid once nothing is due.")
        .body::<NewPaymentBody>()
        .answer::<InvoiceBody>(201, "The invoice with its payments")
}

/// A credit note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCreditNoteBody {
    /// Why; stands on the document.
    reason: String,
    /// What goes back, at most what remains of each line.
    lines: Vec<CreditLine>,
}

/// `POST /invoices/{id}/credit-notes`
pub(crate) async fn credit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<NewCreditNoteBody>,
) -> Answer {
    let was = before(&app, &caller, id).await?;
    text("/reason", &wanted.reason)?;
    let lines = wanted.lines.iter().map(|line| (line.line, line.amount)).collect();
    let note = NewCreditNote {
        reason: wanted.reason,
        lines,
    };
    app.store
        .create_credit_note(Scope::All, id, &note, &order(&app, &caller))
        .await?;
    done(&app, &caller, id, ("credit", was, StatusCode::CREATED)).await
}

/// Documentation of [`credit`].
pub(crate) fn credit_doc() -> Doc {
    Doc::new(TAG, "createCreditNote", "Give money of an invoice back")
        .text("First off what is due; the rest is credit of the account, which the next invoice takes.")
        .body::<NewCreditNoteBody>()
        .answer::<InvoiceBody>(201, "The invoice with its credit notes")
}
