//! `/finance/invoices/{id}/lines/{n}`: the single requests behind a line, each counted once.

use analytics::{Cursor, StoredFact};
use askama::Template;
use axum::body::Body;
use axum::extract::{Path, State};
use bytes::Bytes;
use documents::Sheet;
use domain::ids::InvoiceId;
use domain::invoice::{InvoiceView, LineView};
use domain::limit::REQUESTS;
use domain::quantity::Quantity;
use futures_util::stream;

use super::invoice::path;
use super::names::Names;
use super::shell;
use crate::api::caller::Caller;
use crate::api::invoices::seen;
use crate::api::invoices_evidence::{Which, behind};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::requests::Row;
use crate::pages::web::{Asked, Page, Shell, Staff, download, page, show};

const SIZE: u32 = 100;
/// So many requests are counted one by one on the page; the file has them all, however many there are.
const COUNTED: u64 = 20_000;
const AT_ONCE: u32 = 1_000;

#[derive(Template)]
#[template(path = "finance/lines.html")]
struct Shown {
    shell: Shell,
    base: String,
    here: String,
    invoice: String,
    description: String,
    days: String,
    quantity: String,
    amount: String,
    meter: Option<String>,
    checked: Checked,
    rows: Vec<Row>,
    first: u64,
    next: Option<String>,
    is_first: bool,
    zone: String,
}

/// Whether the requests add up to the quantity of the line.
enum Checked {
    /// They do: so many.
    Equal(String),
    /// They do not: what they add up to.
    Differs(String),
    /// They were not counted here.
    Skipped,
}

fn line_of(view: &InvoiceView, n: u32) -> Result<&LineView, Problem> {
    let line = view.lines.iter().find(|line| line.n == n);
    line.ok_or_else(|| Problem::missing("line of the invoice"))
}

fn ids(id: &str, n: &str) -> Result<(InvoiceId, u32), Problem> {
    let id = id.parse().map_err(|_| Problem::missing("invoice"))?;
    let n = n.parse().map_err(|_| Problem::missing("line of the invoice"))?;
    Ok((id, n))
}

/// A page of the requests of a line.
fn place(cursor: Option<Cursor>, limit: u32) -> Which {
    Which {
        limit: Some(limit),
        cursor: cursor.map(|cursor| cursor.to_string()),
    }
}

/// What a request adds to the quantity of a line.
fn taken(meter: &str, stored: &StoredFact) -> Quantity {
    if meter == REQUESTS {
        return Quantity::from_units(1);
    }
    let own = stored.fact.quantities.iter().filter(|value| value.meter == meter);
    own.map(|value| value.quantity).sum()
}

/// `GET /finance/invoices/{id}/lines/{n}`
pub(super) async fn show(
    State(app): State<App>,
    staff: Staff,
    Path((id, n)): Path<(String, String)>,
    asked: Asked,
) -> Page {
    let (id, n) = ids(&id, &n)?;
    let view = seen(&app, &staff.caller, id).await?;
    let line = line_of(&view, n)?;
    let cursor: Option<Cursor> = asked.parsed("after");
    let first = asked.parsed::<u64>("from").unwrap_or(1).max(1);
    let found = behind(&app, &staff.caller, (id, n), place(cursor, SIZE)).await?;
    let (base, here) = (path(id), format!("{}/lines/{n}", path(id)));
    let meter = line.meter.clone();
    let next = found.next.map(|cursor| {
        let from = first.saturating_add(found.items.len() as u64);
        format!("{here}?after={cursor}&from={from}")
    });
    let checked = match (&meter, cursor) {
        (Some(meter), None) => check(&app, &staff.caller, (id, n), (meter, line)).await?,
        _ => Checked::Skipped,
    };
    page(&Shown {
        shell: shell(&app, &staff).await?,
        invoice: documents::words::title(&view),
        description: line.description.clone(),
        days: documents::words::days(&view, line.period_start, line.period_end),
        quantity: documents::words::counted(&line.quantity, &line.unit_label),
        amount: show::minor(line.amount, view.currency),
        checked,
        rows: rows(&app, &staff, meter.as_deref().unwrap_or(REQUESTS), &found.items).await?,
        first,
        next,
        is_first: cursor.is_none(),
        zone: show::zone_name(staff.visitor.zone()),
        meter,
        base,
        here,
    })
}

async fn check(
    app: &App,
    caller: &Caller,
    line_id: (InvoiceId, u32),
    (meter, line): (&str, &LineView),
) -> Result<Checked, Problem> {
    let (mut cursor, mut count, mut sum) = (None, 0_u64, Quantity::ZERO);
    loop {
        let found = behind(app, caller, line_id, place(cursor, AT_ONCE)).await?;
        count += found.items.len() as u64;
        let parts = found.items.iter().map(|stored| taken(meter, stored));
        sum = parts.fold(sum, Quantity::saturating_add);
        cursor = found.next;
        if cursor.is_none() {
            break;
        }
        if count >= COUNTED {
            return Ok(Checked::Skipped);
        }
    }
    let requests = show::count(count, "request", "requests");
    Ok(if line.quantity.parse() == Ok(sum) {
        Checked::Equal(requests)
    } else {
        Checked::Differs(format!(
            "{requests} with {}",
            documents::words::counted(&sum.to_string(), &line.unit_label)
        ))
    })
}

async fn rows(app: &App, staff: &Staff, meter: &str, items: &[StoredFact]) -> Result<Vec<Row>, Problem> {
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(items.len());
    for stored in items {
        let fact = &stored.fact;
        let name = match fact.consumer {
            Some(id) => names.consumer(app, id).await?,
            None => show::NOTHING.to_owned(),
        };
        rows.push(Row {
            last: show::decimal(&taken(meter, stored).to_string()),
            ..Row::new(fact, "/finance/requests", name, staff.visitor.zone())
        });
    }
    Ok(rows)
}

const COLUMNS: [&str; 10] = [
    "request_id",
    "event_time",
    "consumer_id",
    "operation",
    "method",
    "path",
    "status",
    "quantity",
    "producer",
    "seq",
];

/// Where a file goes on.
struct Feed {
    app: App,
    caller: Caller,
    line: (InvoiceId, u32),
    meter: String,
    cursor: Option<Cursor>,
    is_done: bool,
    is_begun: bool,
}

/// `GET /finance/invoices/{id}/lines/{n}/csv`
pub(super) async fn csv(State(app): State<App>, staff: Staff, Path((id, n)): Path<(String, String)>) -> Page {
    let (id, n) = ids(&id, &n)?;
    let view = seen(&app, &staff.caller, id).await?;
    let line = line_of(&view, n)?;
    let feed = Feed {
        app,
        caller: staff.caller,
        line: (id, n),
        meter: line.meter.clone().unwrap_or_else(|| REQUESTS.to_owned()),
        cursor: None,
        is_done: false,
        is_begun: false,
    };
    let name = view.number.clone().unwrap_or_else(|| view.id.to_string());
    let body = Body::from_stream(stream::try_unfold(feed, part));
    download(&format!("{name}-line-{n}.csv"), "text/csv; charset=utf-8", body)
}

/// The next part of a file: memory holds one part at a time.
async fn part(mut feed: Feed) -> Result<Option<(Bytes, Feed)>, std::io::Error> {
    if feed.is_done {
        return Ok(None);
    }
    let found = behind(&feed.app, &feed.caller, feed.line, place(feed.cursor, AT_ONCE)).await;
    let found = found.map_err(|_| std::io::Error::other("the requests of a line cannot be read"))?;
    let mut sheet = if feed.is_begun {
        Sheet::part()
    } else {
        Sheet::new(&COLUMNS)
    };
    for stored in &found.items {
        let fact = &stored.fact;
        sheet
            .text(&fact.request_id)
            .plain(fact.admitted_at)
            .maybe(fact.consumer)
            .text(&fact.operation)
            .text(&fact.method)
            .text(&fact.path)
            .plain(fact.outcome.status)
            .plain(taken(&feed.meter, stored))
            .plain(stored.producer)
            .plain(stored.seq)
            .end();
    }
    feed.is_begun = true;
    feed.is_done = found.next.is_none();
    feed.cursor = found.next;
    Ok(Some((Bytes::from(sheet.finish()), feed)))
}
