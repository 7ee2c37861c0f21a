//! `/app/billing/invoices/{id}`: one invoice, as page, PDF and CSV, and the requests behind each of its lines.

use askama::Template;
use axum::extract::{Path, State};
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceStatus, InvoiceView, LineView, Party};
use domain::money::Currency;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::billing::state;
use super::held::State as Status;
use super::logs;
use super::{consumers, shell};
use crate::api::{invoices, invoices_evidence};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Html, Member, Shell};

const PER_PAGE: u32 = 100;

#[derive(Template)]
#[template(path = "app/invoice.html")]
struct Page {
    shell: Shell,
    id: String,
    /// `Invoice FP-2026-10-00417`, or `Draft of an invoice`.
    title: String,
    number: String,
    state: Status,
    issued: Moment,
    due: Moment,
    seller: PartyText,
    customer: PartyText,
    amount_due: String,
    lines: Vec<Line>,
    subtotal: String,
    tax: String,
    total: String,
    paid: Option<String>,
    credited: Option<String>,
    notes: Vec<String>,
    history: Vec<Event>,
}

struct PartyText {
    name: String,
    lines: Vec<String>,
    tax_ids: Vec<String>,
}

struct Line {
    description: String,
    /// The page of the requests behind it.
    href: Option<String>,
    period: String,
    quantity: String,
    unit_price: String,
    amount: String,
    tiers: Vec<Tier>,
}

struct Tier {
    words: String,
    quantity: String,
    unit_price: String,
    amount: String,
}

struct Event {
    at: Moment,
    text: String,
}

#[derive(Template)]
#[template(path = "app/invoice_line.html")]
struct LinePage {
    shell: Shell,
    id: String,
    number: String,
    line: Line,
    zone: String,
    rows: Vec<logs::Row>,
    more: Option<String>,
}

/// `GET /app/billing/invoices/{id}`, `{id}.pdf` and `{id}.csv`
pub(crate) async fn show(State(app): State<App>, member: Member, Path(text): Path<String>) -> web::Page {
    if text.contains('.') {
        let nothing = |_| axum::response::IntoResponse::into_response(axum::http::StatusCode::NOT_FOUND);
        return invoices::file_or(&app, &member.caller, &text, nothing).await;
    }
    let id: InvoiceId = text.parse().map_err(|_| Problem::missing("invoice"))?;
    let view = invoices::seen(&app, &member.caller, id).await?;
    let page = page(&view, shell(&app, &member).await?, member.visitor.zone());
    web::page(&page)
}

/// Dates of an invoice stand in the zone that it was made for.
fn zone_of(view: &InvoiceView) -> TimeZone {
    TimeZone::get(&view.zone).unwrap_or(TimeZone::UTC)
}

fn page(view: &InvoiceView, shell: Shell, reader: &TimeZone) -> Page {
    let zone = zone_of(view);
    let amount = |minor: i64| show::minor(minor, view.currency);
    let day = |at: Option<domain::clock::Timestamp>| {
        at.map_or_else(|| Html(show::NOTHING.to_owned()), |at| show::day(at, &zone))
    };
    let due = view.due_at.map(|at| show::day_text(at, &zone));
    let has_lines = view.status != InvoiceStatus::Draft;
    Page {
        shell,
        id: view.id.to_string(),
        title: view.number.as_ref().map_or_else(
            || "Draft of an invoice".to_owned(),
            |number| format!("Invoice {number}"),
        ),
        number: view.number.clone().unwrap_or_else(|| show::NOTHING.to_owned()),
        state: state(view.status, view.overdue, due),
        issued: day(view.issued_at),
        due: day(view.due_at),
        seller: party(&view.seller),
        customer: party(&view.customer),
        amount_due: amount(view.amount_due),
        lines: view
            .lines
            .iter()
            .map(|one| line(one, view, &zone))
            .map(|line| if has_lines { line } else { Line { href: None, ..line } })
            .collect(),
        subtotal: amount(view.subtotal),
        tax: amount(view.tax),
        total: amount(view.total),
        paid: (view.paid != 0).then(|| amount(-view.paid)),
        credited: (view.credited != 0).then(|| amount(-view.credited)),
        notes: view.notes.clone(),
        history: history(view, reader),
    }
}

fn party(party: &Party) -> PartyText {
    let address = party.address.as_deref().unwrap_or_default();
    let country = party.country.clone().into_iter();
    PartyText {
        name: party.name.clone(),
        lines: address.lines().map(str::to_owned).chain(country).collect(),
        tax_ids: party.tax_ids.clone(),
    }
}

fn line(one: &LineView, view: &InvoiceView, zone: &TimeZone) -> Line {
    let last = one.period_end.plus_millis(-1).max(one.period_start);
    Line {
        description: one.description.clone(),
        href: one
            .meter
            .as_ref()
            .map(|_| format!("/app/billing/invoices/{}/lines/{}", view.id, one.n)),
        period: format!(
            "{} to {}",
            show::day_text(one.period_start, zone),
            show::day_text(last, zone)
        ),
        quantity: format!("{} {}", show::decimal(&one.quantity), one.unit_label),
        unit_price: one
            .unit_price
            .as_ref()
            .map_or_else(String::new, |price| show::major(price, view.currency)),
        amount: show::minor(one.amount, view.currency),
        tiers: tiers(&one.tiers, view.currency),
    }
}

/// The rows below a line whose amount has several parts.
fn tiers(tiers: &Json, currency: Currency) -> Vec<Tier> {
    let list = tiers.as_array().cloned().unwrap_or_default();
    if list.len() < 2 {
        return Vec::new();
    }
    let text = |tier: &Json, name: &str| match tier.get(name) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(Json::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let one = |tier: &Json| {
        let from: u64 = text(tier, "from").and_then(|text| text.parse().ok()).unwrap_or(0);
        let to = text(tier, "to").map_or_else(|| "on".to_owned(), |to| format!("to {}", show::decimal(&to)));
        let price = |name: &str| text(tier, name).map_or_else(String::new, |text| show::major(&text, currency));
        Tier {
            words: format!("{} {to}", show::number(from.saturating_add(1))),
            quantity: text(tier, "quantity").map_or_else(String::new, |text| show::decimal(&text)),
            unit_price: price("unit"),
            amount: price("amount"),
        }
    };
    list.iter().map(one).collect()
}

/// What happened, newest first.
fn history(view: &InvoiceView, zone: &TimeZone) -> Vec<Event> {
    let amount = |minor: i64| show::minor(minor, view.currency);
    let mut events: Vec<(domain::clock::Timestamp, String)> = Vec::new();
    events.extend(view.issued_at.map(|at| (at, "Issued".to_owned())));
    for payment in &view.payments {
        let how = payment.method.replace('_', " ");
        let reference = payment
            .reference
            .as_ref()
            .map_or_else(String::new, |text| format!(", {text}"));
        events.push((
            payment.at,
            format!("{} paid by {how}{reference}", amount(payment.amount)),
        ));
    }
    for note in &view.credit_notes {
        let words = format!(
            "Credit note {} over {}: {}",
            note.number,
            amount(note.total),
            note.reason
        );
        events.push((note.at, words));
    }
    events.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    events
        .into_iter()
        .map(|(at, text)| Event {
            at: show::moment(at, zone),
            text,
        })
        .collect()
}

/// `GET /app/billing/invoices/{id}/lines/{n}`
async fn line_usage(app: &App, member: &Member, (id, n): (InvoiceId, u32), asked: &Asked) -> Result<LinePage, Problem> {
    let view = invoices::seen(app, &member.caller, id).await?;
    let one = view.lines.iter().find(|line| line.n == n);
    let one = one.ok_or_else(|| Problem::missing("line of the invoice"))?;
    let which = invoices_evidence::Which {
        limit: Some(PER_PAGE),
        cursor: asked.get("cursor").map(str::to_owned),
    };
    let page = invoices_evidence::behind(app, &member.caller, (id, n), which).await?;
    let apps = consumers(app, member).await?;
    let zone = member.visitor.zone();
    Ok(LinePage {
        shell: shell(app, member).await?,
        id: id.to_string(),
        number: view.number.clone().unwrap_or_else(|| "draft".to_owned()),
        line: line(one, &view, &zone_of(&view)),
        zone: show::zone_name(zone),
        rows: page
            .items
            .iter()
            .map(|stored| logs::Row::new(&stored.fact, &apps, zone))
            .collect(),
        more: page.next.map(|cursor| asked.with("cursor", &cursor.to_string())),
    })
}

/// `GET /app/billing/invoices/{id}/lines/{n}`
pub(crate) async fn show_line(
    State(app): State<App>,
    member: Member,
    Path((id, n)): Path<(String, String)>,
    asked: Asked,
) -> web::Page {
    let id = id.parse().map_err(|_| Problem::missing("invoice"))?;
    let n = n.parse().map_err(|_| Problem::missing("line of the invoice"))?;
    web::page(&line_usage(&app, &member, (id, n), &asked).await?)
}
