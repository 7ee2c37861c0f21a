//! `/finance/invoices/{id}`: the invoice as its customer sees it, what may be done with it, and what has happened to it.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceStatus, InvoiceView};

use super::names::{Names, actor};
use super::{may_change, shell};
use crate::api::answer::Id;
use crate::api::invoices::{as_pdf, seen};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::paper::Paper;
use crate::pages::money::state::State as Standing;
use crate::pages::web::{Asked, Html, Page, Shell, Staff, download, page, show};

#[derive(Template)]
#[template(path = "finance/invoice.html")]
struct Shown {
    shell: Shell,
    title: String,
    base: String,
    customer: String,
    customer_href: String,
    state: Standing,
    done: Option<&'static str>,
    steps: Vec<Step>,
    paper: Html,
    history: Vec<Event>,
    zone: String,
}

/// A button: what may be done now.
struct Step {
    name: &'static str,
    path: &'static str,
    class: &'static str,
}

struct Event {
    at: Timestamp,
    time: Html,
    text: String,
    more: String,
    class: &'static str,
}

/// `GET /finance/invoices/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>, asked: Asked) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    let base = path(id);
    page(&Shown {
        title: documents::words::title(&view),
        customer: Names::default().account(&app, view.account_id).await?,
        customer_href: format!("/finance/customers/{}", view.account_id),
        state: Standing::of_view(&view, staff.visitor.now()),
        done: asked.get("done").and_then(done),
        steps: if may_change(&staff) { steps(&view) } else { Vec::new() },
        paper: Paper::new(&view, &base).html(),
        history: history(&app, &staff, &view).await?,
        zone: show::zone_name(staff.visitor.zone()),
        shell: shell(&app, &staff).await?,
        base,
    })
}

/// The page of an invoice.
pub(super) fn path(id: InvoiceId) -> String {
    format!("/finance/invoices/{id}")
}

/// What a step that led here has done.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "finalized" => "The invoice is issued.",
        "paid" => "The payment is recorded.",
        "void" => "The invoice is void. What it charged is billed again only when you reissue it.",
        "reissued" => "This invoice bills again what the void one had charged.",
        "credited" => "The credit note is issued.",
        "given-up" => "The invoice is marked uncollectible. A payment that comes in later can still be recorded.",
        _ => return None,
    })
}

/// What may be done with an invoice as it stands.
fn steps(view: &InvoiceView) -> Vec<Step> {
    let step = |name, path, class| Step { name, path, class };
    let untouched = view.credit_notes.is_empty() && view.payments.iter().all(|payment| payment.method == "balance");
    let remains = view.credited < view.total;
    let mut steps = Vec::new();
    if matches!(view.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) {
        steps.push(step("Record payment", "payment", "primary"));
    }
    if view.status == InvoiceStatus::Draft {
        steps.push(step("Finalize", "finalize", "primary"));
    }
    if view.status == InvoiceStatus::Void {
        steps.push(step("Reissue", "reissue", "primary"));
    }
    if !matches!(view.status, InvoiceStatus::Draft | InvoiceStatus::Void) && remains {
        steps.push(step("Credit note", "credit", ""));
    }
    if view.status != InvoiceStatus::Void && untouched {
        steps.push(step("Void", "void", ""));
    }
    if view.status == InvoiceStatus::Open {
        steps.push(step("Mark uncollectible", "uncollectible", ""));
    }
    steps
}

async fn history(app: &App, staff: &Staff, view: &InvoiceView) -> Result<Vec<Event>, Problem> {
    let zone = staff.visitor.zone();
    let mut events = Vec::new();
    for (status, at, who, reason) in app.store.invoice_events(view.id).await? {
        let (text, class) = words(view, status);
        let mut more = format!("by {}", actor(app, &who).await?);
        if let Some(reason) = reason {
            more = format!("{reason} ({more})");
        }
        events.push(Event {
            at,
            time: show::moment(at, zone),
            text,
            more,
            class,
        });
    }
    for payment in &view.payments {
        let reference = payment
            .reference
            .as_ref()
            .map_or_else(String::new, |reference| format!(", reference {reference}"));
        events.push(Event {
            at: payment.at,
            time: show::moment(payment.at, zone),
            text: format!(
                "{} by {}",
                show::minor(payment.amount, view.currency),
                documents::words::method(&payment.method)
            ),
            more: format!("received {}{reference}", show::day_text(payment.received_at, zone)),
            class: "",
        });
    }
    for note in &view.credit_notes {
        events.push(Event {
            at: note.at,
            time: show::moment(note.at, zone),
            text: format!(
                "Credit note {} of {}",
                note.number,
                show::minor(note.total, view.currency)
            ),
            more: note.reason.clone(),
            class: "",
        });
    }
    // Newest first; of one instant, what was written last.
    events.reverse();
    events.sort_by_key(|event| std::cmp::Reverse(event.at));
    Ok(events)
}

fn words(view: &InvoiceView, status: InvoiceStatus) -> (String, &'static str) {
    match status {
        InvoiceStatus::Draft => ("Made as a draft".to_owned(), ""),
        InvoiceStatus::Open => (format!("Issued as {}", view.number.as_deref().unwrap_or_default()), ""),
        InvoiceStatus::Paid => ("Nothing is due any more".to_owned(), ""),
        InvoiceStatus::Uncollectible => ("Marked uncollectible".to_owned(), "warn"),
        InvoiceStatus::Void => ("Made void".to_owned(), "bad"),
    }
}

/// The name of a file of the invoice.
fn file(view: &InvoiceView, ending: &str) -> String {
    let name = view.number.clone().unwrap_or_else(|| view.id.to_string());
    format!("{name}.{ending}")
}

/// `GET /finance/invoices/{id}/pdf`
pub(super) async fn pdf(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    let name = file(&view, "pdf");
    download(&name, "application/pdf", as_pdf(view).await?)
}

/// `GET /finance/invoices/{id}/csv`
pub(super) async fn csv(State(app): State<App>, staff: Staff, Id(id): Id<InvoiceId>) -> Page {
    let view = seen(&app, &staff.caller, id).await?;
    download(&file(&view, "csv"), "text/csv; charset=utf-8", documents::csv(&view))
}
