//! `/app/billing/invoices/{id}`: one invoice, as page, PDF and CSV, and the requests behind each of its lines.

use askama::Template;
use axum::extract::{Path, State};
use domain::ids::InvoiceId;
use domain::invoice::InvoiceView;
use jiff::tz::TimeZone;

use super::logs;
use super::{consumers, shell};
use crate::api::{invoices, invoices_evidence};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::paper::{Line, Paper};
use crate::pages::money::requests::Row;
use crate::pages::money::state::State as Standing;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Html, Member, Shell};

const PER_PAGE: u32 = 100;

#[derive(Template)]
#[template(path = "app/invoice.html")]
struct Page {
    shell: Shell,
    base: String,
    title: String,
    state: Standing,
    paper: Html,
    history: Vec<Event>,
}

struct Event {
    at: Moment,
    text: String,
}

#[derive(Template)]
#[template(path = "app/invoice_line.html")]
struct LinePage {
    shell: Shell,
    base: String,
    title: String,
    line: Line,
    zone: String,
    rows: Vec<Row>,
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
    let base = path(id);
    web::page(&Page {
        shell: shell(&app, &member).await?,
        title: documents::words::title(&view),
        state: Standing::of_view(&view, member.visitor.now()),
        paper: Paper::new(&view, &base).html(),
        history: history(&view, member.visitor.zone()),
        base,
    })
}

/// The page of an invoice.
fn path(id: InvoiceId) -> String {
    format!("/app/billing/invoices/{id}")
}

/// What happened, newest first.
fn history(view: &InvoiceView, zone: &TimeZone) -> Vec<Event> {
    let amount = |minor: i64| show::minor(minor, view.currency);
    let mut events: Vec<(domain::clock::Timestamp, String)> = Vec::new();
    events.extend(view.issued_at.map(|at| (at, "Issued".to_owned())));
    for payment in &view.payments {
        let how = documents::words::method(&payment.method);
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
        title: documents::words::title(&view),
        line: Line::new(&view, one, &path(id)),
        base: path(id),
        zone: show::zone_name(zone),
        rows: page
            .items
            .iter()
            .map(|stored| logs::row(&stored.fact, &apps, zone))
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
