//! `/invoices`: what accounts owe, as JSON, PDF and CSV.

use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use domain::clock::Timestamp;
use domain::ids::{AccountId, InvoiceId, SubscriptionId};
use domain::invoice::{CreditView, InvoiceStatus, InvoiceView, LineView, Party, PaymentView};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::billing::{InvoiceFilter, InvoiceSummary};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};

pub(super) const TAG: &str = "invoices";

/// Which invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of this account alone.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    #[serde(default)]
    status: Option<String>,
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(default, deserialize_with = "from_text")]
    limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    #[serde(default)]
    cursor: Option<String>,
}

/// An invoice in a list. Amounts are minor units.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvoiceItem {
    id: String,
    account_id: String,
    /// Null for a draft.
    number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    status: &'static str,
    /// Open past its due date.
    overdue: bool,
    currency: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    total: i64,
    amount_due: i64,
}

impl InvoiceItem {
    fn new(invoice: &InvoiceSummary, now: Timestamp) -> Self {
        Self {
            id: invoice.id.to_string(),
            account_id: invoice.account_id.to_string(),
            number: invoice.number.clone(),
            status: invoice.status.as_str(),
            overdue: invoice.overdue(now),
            currency: invoice.currency.code(),
            created_at: invoice.created_at,
            due_at: invoice.due_at,
            total: invoice.total,
            amount_due: invoice.amount_due,
        }
    }
}

/// The time that a line pays for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServicePeriod {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// The first instant after it.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
}

/// A line of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine)]
pub(crate) struct LineBody {
    /// Its number, from 1.
    line: u32,
    id: String,
    description: String,
    /// A decimal.
    quantity: String,
    unit_label: String,
    /// Major units for each, as a decimal; null where tiers decide.
    unit_price: Option<String>,
    /// How the amount came about.
    #[schema(value_type = Vec<Object>)]
    tiers: Json,
    /// Minor units.
    amount: i64,
    period: ServicePeriod,
    #[schema(value_type = Option<String>)]
    subscription_id: Option<SubscriptionId>,
    meter: Option<String>,
}

impl From<LineView> for LineBody {
    fn from(line: LineView) -> Self {
        Self {
            line: line.n,
            id: line.id.to_string(),
            description: line.description,
            quantity: line.quantity,
            unit_label: line.unit_label,
            unit_price: line.unit_price,
            tiers: line.tiers,
            amount: line.amount,
            period: ServicePeriod {
                start: line.period_start,
                end: line.period_end,
            },
            subscription_id: line.subscription_id,
            meter: line.meter,
        }
    }
}

/// The seller or the buyer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceParty)]
pub(crate) struct PartyBody {
    name: String,
    email: Option<String>,
    address: Option<String>,
    country: Option<String>,
    tax_ids: Vec<String>,
}

impl From<Party> for PartyBody {
    fn from(party: Party) -> Self {
        Self {
            name: party.name,
            email: party.email,
            address: party.address,
            country: party.country,
            tax_ids: party.tax_ids,
        }
    }
}

/// A payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(crate) struct PaymentBody {
    id: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// When the money came in.
    #[schema(value_type = String, format = DateTime)]
    received_at: Timestamp,
    /// Minor units.
    amount: i64,
    /// `balance` for what the account had to its credit.
    method: String,
    reference: Option<String>,
}

impl From<PaymentView> for PaymentBody {
    fn from(payment: PaymentView) -> Self {
        Self {
            id: payment.id.to_string(),
            at: payment.at,
            received_at: payment.received_at,
            amount: payment.amount,
            method: payment.method,
            reference: payment.reference,
        }
    }
}

/// What went back of a line.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreditLine {
    /// Number of the invoice's line.
    pub(crate) line: u32,
    /// Minor units without tax.
    pub(crate) amount: i64,
}

/// A credit note.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreditNote)]
pub(crate) struct CreditBody {
    id: String,
    number: String,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    reason: String,
    net: i64,
    tax: i64,
    total: i64,
    lines: Vec<CreditLine>,
}

impl From<CreditView> for CreditBody {
    fn from(note: CreditView) -> Self {
        Self {
            id: note.id.to_string(),
            number: note.number,
            at: note.at,
            reason: note.reason,
            net: note.net,
            tax: note.tax,
            total: note.total,
            lines: note
                .lines
                .into_iter()
                .map(|(line, amount)| CreditLine { line, amount })
                .collect(),
        }
    }
}

/// An invoice. Amounts are minor units of its currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub(crate) struct InvoiceBody {
    id: String,
    account_id: String,
    /// Null for a draft.
    number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    status: &'static str,
    /// Where a draft is: `rated` waits to be finalized. Null once issued.
    phase: Option<String>,
    overdue: bool,
    currency: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    issued_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Timestamp>,
    seller: PartyBody,
    customer: PartyBody,
    lines: Vec<LineBody>,
    subtotal: i64,
    tax: i64,
    total: i64,
    paid: i64,
    credited: i64,
    amount_due: i64,
    payments: Vec<PaymentBody>,
    credit_notes: Vec<CreditBody>,
    /// What a reader must know, such as usage that was missing.
    notes: Vec<String>,
}

impl From<InvoiceView> for InvoiceBody {
    fn from(view: InvoiceView) -> Self {
        Self {
            id: view.id.to_string(),
            account_id: view.account_id.to_string(),
            number: view.number,
            status: view.status.as_str(),
            phase: view.phase,
            overdue: view.overdue,
            currency: view.currency.code(),
            created_at: view.created_at,
            issued_at: view.issued_at,
            due_at: view.due_at,
            seller: view.seller.into(),
            customer: view.customer.into(),
            lines: view.lines.into_iter().map(LineBody::from).collect(),
            subtotal: view.subtotal,
            tax: view.tax,
            total: view.total,
            paid: view.paid,
            credited: view.credited,
            amount_due: view.amount_due,
            payments: view.payments.into_iter().map(PaymentBody::from).collect(),
            credit_notes: view.credit_notes.into_iter().map(CreditBody::from).collect(),
            notes: view.notes,
        }
    }
}

/// The invoice that the caller sees.
pub(crate) async fn seen(app: &App, caller: &Caller, id: InvoiceId) -> Result<InvoiceView, Problem> {
    let view = app.store.invoice(caller.scope(), id, app.clock.now()).await?;
    view.ok_or_else(|| Problem::missing("invoice"))
}

/// The invoice as a PDF.
pub(crate) async fn as_pdf(view: InvoiceView) -> Result<Vec<u8>, Problem> {
    let id = view.id;
    // Fonts and compression take their time: not on the loop that serves everyone.
    match tokio::task::spawn_blocking(move || documents::pdf(&view)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            tracing::error!(error = &error as &dyn std::error::Error, invoice = %id, "an invoice has no PDF");
            Err(Problem::internal())
        }
        Err(error) => {
            tracing::error!(%error, invoice = %id, "an invoice has no PDF");
            Err(Problem::internal())
        }
    }
}

/// `GET /invoices`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let status = which.status.as_deref().map(|word| {
        let detail = "write draft, open, paid, uncollectible or void";
        InvoiceStatus::from_word(word).ok_or_else(|| Problem::invalid(vec![Fault::parameter("status", detail)]))
    });
    let filter = InvoiceFilter {
        account: which.account,
        status: status.transpose()?,
    };
    let page = Paging {
        limit: which.limit,
        cursor: which.cursor,
    }
    .page()?;
    let found = app.store.invoices(caller.scope(), filter, &page).await?;
    let now = app.clock.now();
    let items = found.iter().map(|invoice| InvoiceItem::new(invoice, now)).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |item: &InvoiceItem| item.id.clone()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listInvoices", "List invoices")
        .text("Newest first.")
        .query::<Which>()
        .answer::<Listed<InvoiceItem>>(200, "Invoices")
}

/// `GET /invoices/{id}`, `{id}.pdf` and `{id}.csv`
pub(crate) async fn show(State(app): State<App>, caller: Caller, path: RawPathParams) -> Answer {
    let text = path
        .iter()
        .find(|(name, _)| *name == "id")
        .map(|(_, value)| value)
        .unwrap_or_default();
    file_or(&app, &caller, text, |view| {
        answer::json(StatusCode::OK, &InvoiceBody::from(view))
    })
    .await
}

/// An invoice by its id: as a file where `.pdf` or `.csv` stands behind it, else as `shown` writes it.
pub(crate) async fn file_or(
    app: &App,
    caller: &Caller,
    text: &str,
    shown: impl FnOnce(InvoiceView) -> axum::response::Response,
) -> Answer {
    let (id, form) = text.split_once('.').map_or((text, ""), |(id, form)| (id, form));
    let id = id.parse().map_err(|_| Problem::missing("invoice"))?;
    let view = seen(app, caller, id).await?;
    let name = view.number.clone().unwrap_or_else(|| view.id.to_string());
    match form {
        "" => Ok(shown(view)),
        "csv" => Ok(file(
            "text/csv; charset=utf-8",
            &format!("{name}.csv"),
            documents::csv(&view).into_bytes(),
        )),
        "pdf" => Ok(file("application/pdf", &format!("{name}.pdf"), as_pdf(view).await?)),
        _ => Err(Problem::missing("form of an invoice: write .pdf or .csv")),
    }
}

fn file(media: &'static str, name: &str, bytes: Vec<u8>) -> axum::response::Response {
    let plain: String = name
        .chars()
        .map(|character| {
            if character.is_ascii_alphanumeric() || "-_.".contains(character) {
                character
            } else {
                '-'
            }
        })
        .collect();
    let disposition = format!("inline; filename=\"{plain}\"");
    (
        StatusCode::OK,
        [(CONTENT_TYPE, media.to_owned()), (CONTENT_DISPOSITION, disposition)],
        bytes,
    )
        .into_response()
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getInvoice", "Show an invoice")
        .text("With `.pdf` or `.csv` behind the id the answer is that file.")
        .answer::<InvoiceBody>(200, "The invoice")
}
