//! `/admin/analytics`: requests, errors, latency and bytes by any dimension and range, beside the range before.

use std::fmt::Write as _;

use analytics::{Dimension, Interval, UsageRow};
use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::figures::{self, Range, Stat, Totals};
use super::names::Names;
use crate::api::usage;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::chart::{Chart, Point, Series, Unit};
use crate::pages::web::field::Choices;
use crate::pages::web::range::{Interval as Span, Range as Days};
use crate::pages::web::show;
use crate::pages::web::{Asked, Form, Html, Page, Shell, Staff, download, page};

const DAY_MS: i64 = 86_400_000;
const MAX_DAYS: i64 = 400;
const MAX_ROWS: usize = 100;

/// What a page or a file is about.
struct Wish {
    range: Range,
    by: Dimension,
}

struct Row {
    name: String,
    /// What else is said of it; empty for nothing.
    note: String,
    link: Option<String>,
    requests: String,
    change: String,
    errors: String,
    rejected: String,
    p50: String,
    p95: String,
    p99: String,
    sent: String,
}

#[derive(Template)]
#[template(path = "admin/analytics.html")]
struct Analytics {
    shell: Shell,
    form: Form,
    dimensions: Choices,
    chips: Vec<(String, String, String)>,
    /// Filters that the form keeps.
    kept: Vec<(&'static str, String)>,
    stats: Vec<Stat>,
    chart: Option<Html>,
    latency: Option<Html>,
    by: String,
    rows: Vec<Row>,
    more: usize,
    span: String,
    before: String,
    zone: String,
    csv: String,
    wrong: Option<String>,
}

const BY: [(Dimension, &str); 8] = [
    (Dimension::Consumer, "Consumer"),
    (Dimension::Account, "Organisation"),
    (Dimension::Api, "API"),
    (Dimension::Operation, "Operation"),
    (Dimension::Plan, "Plan"),
    (Dimension::Status, "Status"),
    (Dimension::Method, "Method"),
    (Dimension::Credential, "Key"),
];

fn midnight(date: Date, zone: &TimeZone) -> Option<Timestamp> {
    let zoned = date.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_jiff(zoned.timestamp()))
}

/// Reads the range: whole days of the reader's zone, the last seven unless told; what cannot be read falls back.
fn wish(asked: &Asked, now: Timestamp, zone: &TimeZone) -> (Wish, (Date, Date), Option<String>) {
    let today = now.to_jiff().to_zoned(zone.clone()).date();
    let mut wrong = None;
    let mut read = |name: &str, default: Date| match asked.get(name) {
        None => default,
        Some(text) => text.parse().unwrap_or_else(|_| {
            wrong = Some(format!("“{text}” is no date: write one such as {today}"));
            default
        }),
    };
    let week_ago = today.checked_sub(jiff::Span::new().days(6)).unwrap_or(today);
    let (mut first, mut last) = (read("from", week_ago), read("to", today));
    if first > last {
        wrong = Some("The first day lies after the last: they were exchanged".to_owned());
        std::mem::swap(&mut first, &mut last);
    }
    let end = last.checked_add(jiff::Span::new().days(1)).unwrap_or(last);
    let to = midnight(end, zone).unwrap_or(now);
    let mut from = midnight(first, zone).unwrap_or(now);
    if to.millis_since(from) > MAX_DAYS * DAY_MS {
        wrong = Some(format!("{MAX_DAYS} days are shown at most"));
        from = to.plus_millis(-MAX_DAYS * DAY_MS);
        first = from.to_jiff().to_zoned(zone.clone()).date();
    }
    let mut range = Range {
        from,
        to,
        filter: std::collections::BTreeMap::new(),
    };
    for dimension in Dimension::ALL {
        if let Some(value) = asked.get(dimension.as_str()) {
            range = range.only(*dimension, &value);
        }
    }
    let by = asked
        .get("by")
        .and_then(Dimension::from_name)
        .filter(|by| BY.iter().any(|(known, _)| known == by))
        .unwrap_or(Dimension::Consumer);
    (Wish { range, by }, (first, last), wrong)
}

/// `GET /admin/analytics`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    usage::fresh(&app).await?;
    let zone = staff.visitor.zone();
    let (wish, (first, last), wrong) = wish(&asked, app.clock.now(), zone);
    let mut names = Names::default();
    let mut chips = Vec::new();
    for (dimension, value) in &wish.range.filter {
        let name = names.of(&app, *dimension, value).await?;
        chips.push((label(*dimension), name, asked.with(dimension.as_str(), "")));
    }
    let before = wish.range.before();
    let (now_sums, old_sums) = (wish.range.totals(&app).await?, before.totals(&app).await?);
    let (rows, more) = rows(&app, &wish, &mut names, &asked).await?;
    let days = (first.to_string(), last.to_string());
    let days = Days::new(Some(&days.0), Some(&days.1), app.clock.now(), zone)?;
    let series = series(&app, &wish, days.intervals).await?;
    let mut form = Form::with([("from", first.to_string()), ("to", last.to_string())]);
    form.preset("by", wish.by.as_str());
    page(&Analytics {
        shell: super::shell(&app, &staff).await?,
        form,
        dimensions: BY
            .iter()
            .map(|(by, name)| (by.as_str().to_owned(), (*name).to_owned()))
            .collect(),
        chips,
        kept: wish
            .range
            .filter
            .iter()
            .map(|(dimension, value)| (dimension.as_str(), value.clone()))
            .collect(),
        stats: figures::stats(&now_sums, &old_sums),
        chart: requests(&series).bars(),
        latency: latency(&series).lines(),
        by: label(wish.by),
        rows,
        more,
        span: format!("{} to {}", show::date(first), show::date(last)),
        before: format!(
            "{} to {}",
            show::day_text(before.from, zone),
            show::day_text(before.to.plus_millis(-1), zone)
        ),
        zone: show::zone_name(zone),
        csv: format!("/admin/analytics.csv{}", asked.with("page", "")),
        wrong,
    })
}

fn label(dimension: Dimension) -> String {
    BY.iter()
        .find(|(known, _)| *known == dimension)
        .map_or_else(|| dimension.as_str().to_owned(), |(_, name)| (*name).to_owned())
}

/// Sorted by requests and what was refused, with the same group of the range before.
async fn sorted(app: &App, wish: &Wish) -> Result<Vec<(UsageRow, u64)>, Problem> {
    // The key of an operation means something within its API alone.
    let group: &[Dimension] = match wish.by {
        Dimension::Operation => &[Dimension::Operation, Dimension::Api],
        _ => &[wish.by],
    };
    let mut rows = wish.range.rows(app, Interval::Whole, group).await?;
    rows.retain(|row| row.requests > 0 || row.rejected > 0);
    rows.sort_by_key(|row| std::cmp::Reverse((row.requests, row.rejected)));
    let old = wish.range.before().rows(app, Interval::Whole, group).await?;
    let with_old = |row: UsageRow| {
        let before = old
            .iter()
            .find(|one| one.group == row.group)
            .map_or(0, |one| one.requests);
        (row, before)
    };
    Ok(rows.into_iter().map(with_old).collect())
}

async fn rows(app: &App, wish: &Wish, names: &mut Names, asked: &Asked) -> Result<(Vec<Row>, usize), Problem> {
    let sorted = sorted(app, wish).await?;
    let more = sorted.len().saturating_sub(MAX_ROWS);
    let mut rows = Vec::new();
    for (row, before) in sorted.iter().take(MAX_ROWS) {
        let value = row.group.first().cloned().flatten();
        let (name, note) = name(app, names, (wish.by, row)).await?;
        let sums = Totals::of(row);
        rows.push(Row {
            name,
            note,
            link: value.map(|value| match wish.by {
                Dimension::Consumer => format!("/admin/consumers/{value}"),
                Dimension::Account => format!("/admin/organisations/{value}"),
                _ => asked.with(wish.by.as_str(), &value),
            }),
            requests: show::number(row.requests),
            change: show::change(row.requests, *before),
            errors: show::percent(row.errors, row.requests),
            rejected: show::number(row.rejected),
            p50: show::figure_or_nothing(sums.p50),
            p95: show::figure_or_nothing(sums.p95),
            p99: show::figure_or_nothing(sums.p99),
            sent: show::bytes(row.bytes_out),
        });
    }
    Ok((rows, more))
}

/// What the group of a row is called, and what else is said of it.
async fn name(app: &App, names: &mut Names, (by, row): (Dimension, &UsageRow)) -> Result<(String, String), Problem> {
    let mut group = row.group.iter().map(Option::as_deref);
    let Some(value) = group.next().flatten() else {
        return Ok(("None".to_owned(), String::new()));
    };
    if by == Dimension::Operation {
        let called = names.operation(app, group.next().flatten(), value).await?;
        return Ok((called.place, called.summary));
    }
    Ok((names.of(app, by, value).await?, String::new()))
}

/// What each hour, day or month of the reader had. Each is asked for on its own, because roll-ups know days of UTC alone.
async fn series(app: &App, wish: &Wish, spans: Vec<Span>) -> Result<Vec<(Span, Totals)>, Problem> {
    let mut series = Vec::with_capacity(spans.len());
    for span in spans {
        let range = Range {
            from: span.from,
            to: span.to,
            filter: wish.range.filter.clone(),
        };
        series.push((span, range.totals(app).await?));
    }
    Ok(series)
}

fn requests(series: &[(Span, Totals)]) -> Chart<'static> {
    let point = |(span, sums): &(Span, Totals)| Point {
        label: span.label.clone(),
        title: span.title.clone(),
        values: vec![sums.requests.saturating_sub(sums.errors), sums.errors, sums.rejected],
    };
    let named = |name, colour| Series { name, colour };
    Chart {
        summary: "Stacked bars of requests over time: successful, failed, refused. The table below has the sums."
            .to_owned(),
        unit: Unit::Count,
        series: vec![
            named("successful", "1"),
            named("failed", "bad"),
            named("refused", "rest"),
        ],
        points: series.iter().map(point).collect(),
        limit: None,
        height: 208,
    }
}

fn latency(series: &[(Span, Totals)]) -> Chart<'static> {
    let point = |(span, sums): &(Span, Totals)| Point {
        label: span.label.clone(),
        title: span.title.clone(),
        values: [sums.p50, sums.p95, sums.p99].map(Option::unwrap_or_default).to_vec(),
    };
    let named = |name, colour| Series { name, colour };
    Chart {
        summary: "Lines of the latency at the gateway over time: p50, p95 and p99 in milliseconds.".to_owned(),
        unit: Unit::Latency,
        series: vec![named("p50", "1"), named("p95", "2"), named("p99", "3")],
        points: series.iter().map(point).collect(),
        limit: None,
        height: 168,
    }
}

/// `GET /admin/analytics.csv`
pub(super) async fn csv(State(app): State<App>, staff: Staff, asked: Asked) -> Page {
    usage::fresh(&app).await?;
    let (wish, ..) = wish(&asked, app.clock.now(), staff.visitor.zone());
    let mut names = Names::default();
    let mut text = format!(
        "{},id,requests,requests_before,errors,rejected,p50_ms,p95_ms,p99_ms,bytes_out\r\n",
        wish.by.as_str()
    );
    for (row, before) in sorted(&app, &wish).await? {
        let id = row.group.first().cloned().flatten().unwrap_or_default();
        let (name, _) = name(&app, &mut names, (wish.by, &row)).await?;
        let sums = Totals::of(&row);
        let figure = |micros: Option<u64>| micros.map(show::latency_exact).unwrap_or_default();
        let _ = write!(
            text,
            "{},{},{},{before},{},{},{},{},{},{}\r\n",
            documents::csv_cell(&name),
            documents::csv_cell(&id),
            row.requests,
            row.errors,
            row.rejected,
            figure(sums.p50),
            figure(sums.p95),
            figure(sums.p99),
            row.bytes_out
        );
    }
    download("analytics.csv", "text/csv; charset=utf-8", text)
}
