//! What the provider does with an invoice: `…/finalize`, `/void`, `/reissue`, `/payments`, `/credit-notes`,
//! `/uncollectible`. Each is a function that the pages call too.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::InvoiceId;
use domain::invoice::InvoiceView;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use store::billing::{BillMode, BillOrder, NewCreditNote, NewPayment};
use store::{AuditEvent, Kind};
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

/// What is written into the audit log about a step.
struct Note<'a> {
    verb: &'static str,
    before: Json,
    reason: Option<&'a str>,
}

/// Audits what was done and gives the invoice as it is then.
async fn done(app: &App, caller: &Caller, id: InvoiceId, note: Note<'_>) -> Result<InvoiceView, Problem> {
    let view = seen(app, caller, id).await?;
    let mut after = standing(&view);
    if let (Some(reason), Some(fields)) = (note.reason, after.as_object_mut()) {
        fields.insert("reason".to_owned(), Json::from(reason));
    }
    let mut tx = caller.change(app).await?;
    tx.audit(AuditEvent {
        action: format!("{}.{}", Kind::Invoice, note.verb),
        kind: Kind::Invoice,
        target: id.to_string(),
        account: Some(view.account_id),
        before: Some(note.before),
        after: Some(after),
    });
    app.commit(tx).await?;
    Ok(view)
}

fn standing(view: &InvoiceView) -> Json {
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

fn shown(status: StatusCode, view: InvoiceView) -> axum::response::Response {
    answer::json(status, &InvoiceBody::from(view))
}

/// Issues a draft: it gets its number. A remark goes to the audit log.
pub(crate) async fn issue(
    app: &App,
    caller: &Caller,
    id: InvoiceId,
    remark: Option<&str>,
) -> Result<InvoiceView, Problem> {
    let before = before(app, caller, id).await?;
    app.store
        .finalize_invoice(caller.scope(), id, &order(app, caller))
        .await?;
    let note = Note {
        verb: "finalize",
        before,
        reason: remark,
    };
    done(app, caller, id, note).await
}

/// `POST /invoices/{id}/finalize`
pub(crate) async fn finalize(State(app): State<App>, caller: Caller, Id(id): Id<InvoiceId>) -> Answer {
    Ok(shown(StatusCode::OK, issue(&app, &caller, id, None).await?))
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

/// Makes an invoice void.
pub(crate) async fn make_void(app: &App, caller: &Caller, id: InvoiceId, reason: &str) -> Result<InvoiceView, Problem> {
    let before = before(app, caller, id).await?;
    text("/reason", reason)?;
    app.store
        .void_invoice(caller.scope(), id, reason, &order(app, caller))
        .await?;
    let note = Note {
        verb: "void",
        before,
        reason: Some(reason),
    };
    done(app, caller, id, note).await
}

/// `POST /invoices/{id}/void`
pub(crate) async fn void(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<VoidInvoice>,
) -> Answer {
    Ok(shown(
        StatusCode::OK,
        make_void(&app, &caller, id, &wanted.reason).await?,
    ))
}

/// Documentation of [`void`].
pub(crate) fn void_doc() -> Doc {
    Doc::new(TAG, "voidInvoice", "Make an invoice void")
        .text("Only before any payment or credit note. What it charged is billed again by `reissue` alone.")
        .body::<VoidInvoice>()
        .answer::<InvoiceBody>(200, "It does not count any more")
}

/// Bills again what a void invoice had charged; gives the new invoice.
pub(crate) async fn bill_again(app: &App, caller: &Caller, id: InvoiceId) -> Result<InvoiceView, Problem> {
    let view = seen(app, caller, id).await?;
    let bill = app
        .store
        .account_bill(view.account_id)
        .await?
        .ok_or_else(|| Problem::missing("account"))?;
    let again = BillOrder {
        mode: BillMode::Reissue(id),
        ..order(app, caller)
    };
    let made = app.store.bill_account(&bill, &again).await?;
    let new = made
        .invoices
        .first()
        .copied()
        .ok_or_else(|| Problem::conflict("nothing of this invoice is left to bill"))?;
    let note = Note {
        verb: "reissue",
        before: json!({ "void": id }),
        reason: None,
    };
    done(app, caller, new, note).await
}

/// `POST /invoices/{id}/reissue`
pub(crate) async fn reissue(State(app): State<App>, caller: Caller, Id(id): Id<InvoiceId>) -> Answer {
    Ok(shown(StatusCode::CREATED, bill_again(&app, &caller, id).await?))
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
    pub(crate) amount: i64,
    /// How it came, such as `bank_transfer`.
    #[serde(default = "bank_transfer")]
    pub(crate) method: String,
    /// The payer's reference.
    #[serde(default)]
    pub(crate) reference: Option<String>,
    /// When the money came in (RFC 3339); now unless given.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) received_at: Option<Timestamp>,
}

fn bank_transfer() -> String {
    "bank_transfer".to_owned()
}

/// Records a payment.
pub(crate) async fn record_payment(
    app: &App,
    caller: &Caller,
    id: InvoiceId,
    wanted: NewPaymentBody,
) -> Result<InvoiceView, Problem> {
    let before = before(app, caller, id).await?;
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
        received_at: wanted.received_at,
    };
    app.store
        .record_payment(caller.scope(), id, &payment, &order(app, caller))
        .await?;
    let note = Note {
        verb: "pay",
        before,
        reason: None,
    };
    done(app, caller, id, note).await
}

/// `POST /invoices/{id}/payments`
pub(crate) async fn pay(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<NewPaymentBody>,
) -> Answer {
    Ok(shown(
        StatusCode::CREATED,
        record_payment(&app, &caller, id, wanted).await?,
    ))
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
    pub(crate) reason: String,
    /// What goes back, at most what remains of each line.
    pub(crate) lines: Vec<CreditLine>,
}

/// Issues a credit note.
pub(crate) async fn give_back(
    app: &App,
    caller: &Caller,
    id: InvoiceId,
    wanted: NewCreditNoteBody,
) -> Result<InvoiceView, Problem> {
    let before = before(app, caller, id).await?;
    text("/reason", &wanted.reason)?;
    let note = NewCreditNote {
        reason: wanted.reason.clone(),
        lines: wanted.lines.iter().map(|line| (line.line, line.amount)).collect(),
    };
    app.store
        .create_credit_note(caller.scope(), id, &note, &order(app, caller))
        .await?;
    let note = Note {
        verb: "credit",
        before,
        reason: Some(&wanted.reason),
    };
    done(app, caller, id, note).await
}

/// `POST /invoices/{id}/credit-notes`
pub(crate) async fn credit(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<NewCreditNoteBody>,
) -> Answer {
    Ok(shown(StatusCode::CREATED, give_back(&app, &caller, id, wanted).await?))
}

/// Documentation of [`credit`].
pub(crate) fn credit_doc() -> Doc {
    Doc::new(TAG, "createCreditNote", "Give money of an invoice back")
        .text("First off what is due; the rest is credit of the account, which the next invoice takes.")
        .body::<NewCreditNoteBody>()
        .answer::<InvoiceBody>(201, "The invoice with its credit notes")
}

/// Why nobody expects a payment any more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GiveUpInvoice {
    /// For people.
    reason: String,
}

/// Gives up an open invoice; a payment that comes in later can still be recorded.
pub(crate) async fn mark_uncollectible(
    app: &App,
    caller: &Caller,
    id: InvoiceId,
    reason: &str,
) -> Result<InvoiceView, Problem> {
    let before = before(app, caller, id).await?;
    text("/reason", reason)?;
    app.store
        .mark_uncollectible(caller.scope(), id, reason, &order(app, caller))
        .await?;
    let note = Note {
        verb: "give_up",
        before,
        reason: Some(reason),
    };
    done(app, caller, id, note).await
}

/// `POST /invoices/{id}/uncollectible`
pub(crate) async fn give_up(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<InvoiceId>,
    Body(wanted): Body<GiveUpInvoice>,
) -> Answer {
    let view = mark_uncollectible(&app, &caller, id, &wanted.reason).await?;
    Ok(shown(StatusCode::OK, view))
}

/// Documentation of [`give_up`].
pub(crate) fn give_up_doc() -> Doc {
    Doc::new(TAG, "markInvoiceUncollectible", "Give up an open invoice")
        .text(
            "Nobody expects its payment any more. It stays owed: a payment that comes in later can still be recorded.",
        )
        .body::<GiveUpInvoice>()
        .answer::<InvoiceBody>(200, "It is uncollectible")
}
