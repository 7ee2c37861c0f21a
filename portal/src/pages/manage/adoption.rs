//! `GET /manage/adoption`: who came, who calls, what they look for and do not find, what fails them.

use std::collections::{BTreeMap, BTreeSet};

use analytics::{Dimension, Interval, UsageQuery, UsageRow};
use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::key::Mode;
use domain::limit::REQUESTS;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use store::{Arrival, DayCount, SearchTerm};

use super::shell;
use crate::api::usage::{billed, fresh};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::operations::{Called as Operation, Operations};
use crate::pages::web::chart::{Chart, Point, Series, Unit};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Html, Shell, Staff};

pub(super) const DAY_MS: i64 = 86_400_000;
const MOST_DAYS: i64 = 366;
const USUAL_DAYS: i64 = 30;
const TOP: usize = 20;

#[derive(Template)]
#[template(path = "manage/adoption.html")]
struct Page {
    shell: Shell,
    form: Form,
    people: String,
    organisations: String,
    apps: String,
    active_week: String,
    active_month: String,
    called: String,
    median: String,
    chart: Option<Html>,
    days: Vec<DayRow>,
    firsts: Vec<(&'static str, String, String)>,
    fruitless: Vec<TermRow>,
    searched: Vec<TermRow>,
    operations: Vec<OperationRow>,
    failing: Vec<OperationRow>,
}

struct DayRow {
    day: String,
    people: String,
    organisations: String,
    apps: String,
}

struct TermRow {
    term: String,
    times: String,
    found: String,
    last: Moment,
}

struct OperationRow {
    api: String,
    operation: Operation,
    requests: String,
    refused: String,
    share: String,
    /// The statuses behind it, most frequent first.
    statuses: String,
}

/// From the first of two UTC days to the end of the second.
struct Range {
    from: Timestamp,
    to: Timestamp,
    first: Date,
    last: Date,
}

impl Range {
    /// What is asked for, held within a year; the last thirty days unless given.
    fn of(asked: &Asked, now: Timestamp) -> Self {
        let today = now.to_jiff().to_zoned(TimeZone::UTC).date();
        let last = asked.parsed("to").unwrap_or(today).min(today);
        let back = |days: i64| last.checked_sub(jiff::Span::new().days(days)).unwrap_or(last);
        let first: Date = asked.parsed("from").unwrap_or_else(|| back(USUAL_DAYS - 1));
        let first = first.min(last).max(back(MOST_DAYS - 1));
        Self {
            from: midnight(first),
            to: midnight(last).plus_millis(DAY_MS),
            first,
            last,
        }
    }

    fn days(&self) -> impl Iterator<Item = Timestamp> {
        let (from, to) = (self.from.as_millis(), self.to.as_millis());
        (0..(to - from) / DAY_MS).map(move |day| Timestamp::from_millis(from + day * DAY_MS))
    }
}

fn midnight(day: Date) -> Timestamp {
    let zoned = day.to_zoned(TimeZone::UTC);
    zoned.map_or(Timestamp::from_millis(0), |zoned| {
        Timestamp::from_millis(zoned.timestamp().as_millisecond())
    })
}

/// `GET /manage/adoption`
pub(super) async fn show(State(app): State<App>, staff: Staff, asked: Asked) -> web::Page {
    let now = app.clock.now();
    let range = Range::of(&asked, now);
    fresh(&app).await?;
    let mut counts = Vec::new();
    for who in [Arrival::Person, Arrival::Account, Arrival::Consumer] {
        counts.push(app.store.arrivals(who, range.from, range.to).await?);
    }
    let sum = |at: usize| counts.get(at).map_or(0, |days| days.iter().map(|day| day.count).sum());
    let days = by_day(&range, &counts);
    let firsts = Firsts::of(&app, &range, sum(1)).await?;
    let (operations, failing) = operations(&app, &range).await?;
    let page = Page {
        shell: shell(&app, &staff).await?,
        form: Form::with([("from", range.first.to_string()), ("to", range.last.to_string())]),
        people: show::number(sum(0)),
        organisations: show::number(sum(1)),
        apps: show::number(sum(2)),
        active_week: show::number(active_apps(&app, now.plus_millis(-7 * DAY_MS), now).await?),
        active_month: show::number(active_apps(&app, now.plus_millis(-30 * DAY_MS), now).await?),
        called: show::number(firsts.waits.len() as u64),
        median: firsts.median(),
        chart: chart(&days),
        days: days
            .into_iter()
            .rev()
            .filter(|day| day.total() > 0)
            .map(DayRow::from)
            .collect(),
        firsts: firsts.rows(),
        fruitless: terms(app.store.fruitless_searches(range.from, 50).await?, now),
        searched: terms(app.store.top_searches(range.from, 20).await?, now),
        operations,
        failing,
    };
    web::page(&page)
}

/// Apps that called in a range.
pub(super) async fn active_apps(app: &App, from: Timestamp, to: Timestamp) -> Result<u64, Problem> {
    let rows = usage(app, (from, to), vec![Dimension::Consumer]).await?;
    let active = rows
        .iter()
        .filter(|row| row.requests > 0 && row.group.first().is_some_and(Option::is_some));
    Ok(active.count() as u64)
}

async fn usage(app: &App, (from, to): (Timestamp, Timestamp), by: Vec<Dimension>) -> Result<Vec<UsageRow>, Problem> {
    let query = UsageQuery {
        from,
        to,
        interval: Interval::Whole,
        group_by: by,
        filter: BTreeMap::new(),
        mode: Mode::Live,
        meter: REQUESTS.to_owned(),
    };
    Ok(app.analytics.usage(&query, &billed).await?)
}

struct Day {
    day: Timestamp,
    counts: [u64; 3],
}

impl Day {
    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

impl From<Day> for DayRow {
    fn from(day: Day) -> Self {
        let [people, organisations, apps] = day.counts.map(show::number);
        Self {
            day: show::day_text(day.day, &TimeZone::UTC),
            people,
            organisations,
            apps,
        }
    }
}

fn by_day(range: &Range, counts: &[Vec<DayCount>]) -> Vec<Day> {
    let of = |at: usize, day: Timestamp| {
        let days = counts.get(at).into_iter().flatten();
        days.filter(|one| one.day == day).map(|one| one.count).sum()
    };
    range
        .days()
        .map(|day| Day {
            day,
            counts: [of(0, day), of(1, day), of(2, day)],
        })
        .collect()
}

fn chart(days: &[Day]) -> Option<Html> {
    let points = days.iter().map(|day| {
        let title = show::day_text(day.day, &TimeZone::UTC);
        let label = title.rsplit_once(' ').map_or(title.clone(), |(day, _)| day.to_owned());
        Point {
            label,
            title,
            values: day.counts.get(..1).map(<[u64]>::to_vec).unwrap_or_default(),
        }
    });
    let total: u64 = days.iter().filter_map(|day| day.counts.first()).sum();
    let chart = Chart {
        summary: format!(
            "{} sign-ups by UTC day; the table below has the numbers.",
            show::number(total)
        ),
        unit: Unit::Count,
        series: vec![Series {
            name: "sign-ups",
            colour: "1",
        }],
        points: points.collect(),
        limit: None,
        height: 208,
    };
    chart.bars()
}

/// How long organisations of the range took from sign-up to their first call.
struct Firsts {
    signed_up: u64,
    /// Milliseconds, ascending.
    waits: Vec<u64>,
}

impl Firsts {
    async fn of(app: &App, range: &Range, signed_up: u64) -> Result<Self, Problem> {
        let uses: BTreeMap<_, _> = app.store.first_uses(range.from).await?.into_iter().collect();
        let mut first: BTreeMap<String, u64> = BTreeMap::new();
        for one in app.store.newcomers(range.from, range.to).await? {
            let Some(at) = uses.get(&one.subscription) else {
                continue;
            };
            // The quarter of an hour of the call may begin before the sign-up.
            let wait = u64::try_from(at.millis_since(one.account_created_at)).unwrap_or(0);
            let known = first.entry(one.account.to_string()).or_insert(wait);
            *known = wait.min(*known);
        }
        let mut waits: Vec<u64> = first.into_values().collect();
        waits.sort_unstable();
        Ok(Self { signed_up, waits })
    }

    fn median(&self) -> String {
        let middle = self.waits.get(self.waits.len() / 2);
        middle.map_or_else(
            || show::NOTHING.to_owned(),
            |wait| {
                if *wait < 900_000 {
                    "15\u{a0}min at most".to_owned()
                } else {
                    show::span_text(*wait)
                }
            },
        )
    }

    fn rows(&self) -> Vec<(&'static str, String, String)> {
        let within = |most: u64| self.waits.iter().filter(|wait| **wait <= most).count() as u64;
        let steps = [
            ("Within an hour", within(3_600_000)),
            ("Within a day", within(86_400_000)),
            ("Within a week", within(7 * 86_400_000)),
            ("At all, so far", self.waits.len() as u64),
        ];
        let row =
            |(label, count): (&'static str, u64)| (label, show::number(count), show::percent(count, self.signed_up));
        let mut rows = vec![(
            "Organisations that signed up",
            show::number(self.signed_up),
            show::percent(self.signed_up, self.signed_up),
        )];
        rows.extend(steps.map(row));
        rows
    }
}

fn terms(terms: Vec<SearchTerm>, now: Timestamp) -> Vec<TermRow> {
    let rows = terms.into_iter().map(|term| TermRow {
        term: term.term,
        times: show::number(term.times),
        found: show::number(term.found),
        last: show::ago(term.last_at, now),
    });
    rows.collect()
}

#[derive(Default)]
struct Called {
    requests: u64,
    refused: u64,
    statuses: BTreeMap<String, u64>,
}

/// The operations that are called most, and those whose calls are most often the caller's fault (4xx).
async fn operations(app: &App, range: &Range) -> Result<(Vec<OperationRow>, Vec<OperationRow>), Problem> {
    let by = vec![Dimension::Api, Dimension::Operation, Dimension::Status];
    let rows = usage(app, (range.from, range.to), by).await?;
    let mut called: BTreeMap<(String, String), Called> = BTreeMap::new();
    for row in rows {
        let [Some(api), Some(operation), Some(status)] = row.group.as_slice() else {
            continue;
        };
        let one = called.entry((api.clone(), operation.clone())).or_default();
        one.requests = one.requests.saturating_add(row.requests);
        if status.starts_with('4') {
            one.refused = one.refused.saturating_add(row.requests);
            *one.statuses.entry(status.clone()).or_default() += row.requests;
        }
    }
    let mut all: Vec<_> = called.into_iter().filter(|(_, one)| one.requests > 0).collect();
    all.sort_by(|a, b| b.1.requests.cmp(&a.1.requests).then_with(|| a.0.cmp(&b.0)));
    let mut names = Operations::default();
    let top = operation_rows(app, &mut names, &all).await?;
    all.retain(|(_, one)| one.refused > 0);
    all.sort_by(|a, b| b.1.refused.cmp(&a.1.refused).then_with(|| a.0.cmp(&b.0)));
    Ok((top, operation_rows(app, &mut names, &all).await?))
}

/// The first of them, as they are shown.
async fn operation_rows(
    app: &App,
    names: &mut Operations,
    all: &[((String, String), Called)],
) -> Result<Vec<OperationRow>, Problem> {
    let mut rows = Vec::new();
    for ((api, key), one) in all.iter().take(TOP) {
        let operation = names.called(app, Some(api), key).await?;
        rows.push(operation_row(api, operation, one));
    }
    Ok(rows)
}

fn operation_row(api: &str, operation: Operation, one: &Called) -> OperationRow {
    let mut statuses: Vec<_> = one.statuses.iter().collect();
    statuses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let statuses: BTreeSet<String> = statuses.into_iter().take(4).map(|(status, _)| status.clone()).collect();
    OperationRow {
        api: api.to_owned(),
        operation,
        requests: show::number(one.requests),
        refused: show::number(one.refused),
        share: show::percent(one.refused, one.requests),
        statuses: statuses.into_iter().collect::<Vec<_>>().join(", "),
    }
}
