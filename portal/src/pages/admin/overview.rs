//! `/admin`: how things are.

use analytics::{Dimension, Interval};
use askama::Template;
use axum::extract::State;

use super::figures::{self, Range, Stat, Totals};
use super::names::Names;
use crate::api::usage;
use crate::app::App;
use crate::pages::web::chart::{Chart, Point, Series, Unit};
use crate::pages::web::show;
use crate::pages::web::{Html, Page, Shell, Staff, page};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const TOP: usize = 8;

struct Top {
    id: Option<String>,
    name: String,
    requests: String,
    share: String,
    errors: String,
    p95: String,
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    shell: Shell,
    zone: String,
    stats: Vec<Stat>,
    chart: Option<Html>,
    top: Vec<Top>,
    gateways: usize,
    behind: usize,
    revision: i64,
    mails: String,
}

/// `GET /admin`
pub(super) async fn show(State(app): State<App>, staff: Staff) -> Page {
    usage::fresh(&app).await?;
    let (visitor, now) = (&staff.visitor, app.clock.now());
    let range = Range::last(now, DAY_MS);
    let (totals, before) = (range.totals(&app).await?, range.before().totals(&app).await?);
    let nodes = super::gateways::nodes(&app).await?;
    let revision = app.store.revision().await?;
    let counts = app.mailer.counts();
    page(&Overview {
        shell: super::shell(&app, &staff).await?,
        zone: show::zone_name(visitor.zone()),
        stats: figures::stats(&totals, &before),
        chart: hours(&app, &range, &staff).await?,
        top: top(&app, &range, &totals).await?,
        gateways: nodes.len(),
        behind: nodes.iter().filter(|node| node.revision < revision).count(),
        revision,
        mails: format!(
            "{} sent, {} waiting, {} given up",
            show::number(counts.sent),
            show::number(counts.waiting),
            show::number(counts.dropped)
        ),
    })
}

async fn hours(app: &App, range: &Range, staff: &Staff) -> Result<Option<Html>, crate::http::problem::Problem> {
    let rows = range.rows(app, Interval::Hour, &[]).await?;
    let zone = staff.visitor.zone();
    let first = range.from.as_millis().div_euclid(HOUR_MS) + 1;
    let points = (first..first + 24)
        .map(|hour| {
            let at = domain::clock::Timestamp::from_millis(hour * HOUR_MS);
            let row = rows.iter().find(|row| row.time == at);
            let (requests, errors, rejected) = row.map_or((0, 0, 0), |row| (row.requests, row.errors, row.rejected));
            let (label, title) = show::hour_label(at, zone);
            Point {
                label,
                title,
                values: vec![requests.saturating_sub(errors), errors, rejected],
            }
        })
        .collect();
    let chart = Chart {
        summary: "Stacked bars of requests an hour in the last 24 hours: successful, failed, refused.".to_owned(),
        unit: Unit::Count,
        series: vec![
            Series {
                name: "successful",
                colour: "1",
            },
            Series {
                name: "failed",
                colour: "bad",
            },
            Series {
                name: "refused",
                colour: "rest",
            },
        ],
        points,
        limit: None,
        height: 208,
    };
    Ok(chart.bars())
}

async fn top(app: &App, range: &Range, totals: &Totals) -> Result<Vec<Top>, crate::http::problem::Problem> {
    let mut rows = range.rows(app, Interval::Whole, &[Dimension::Consumer]).await?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.requests));
    let mut names = Names::default();
    let mut top = Vec::new();
    for row in rows.iter().filter(|row| row.requests > 0).take(TOP) {
        let id = row.group.first().cloned().flatten();
        let name = match &id {
            Some(id) => names.of(app, Dimension::Consumer, id).await?,
            None => "Callers without a key".to_owned(),
        };
        let sums = Totals::of(row);
        top.push(Top {
            id,
            name,
            requests: show::number(row.requests),
            share: show::percent(row.requests, totals.requests),
            errors: show::percent(row.errors, row.requests),
            p95: show::figure_or_nothing(sums.p95),
        });
    }
    Ok(top)
}
