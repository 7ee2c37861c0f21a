//! `/app/logs`: the last requests, newest first.

use analytics::{RecentFilter, StoredSample};
use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::key::Mode;
use domain::usage::Fact;
use jiff::tz::TimeZone;
use store::Consumer;

use super::{consumers, shell, uses};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::requests::Row;
use crate::pages::web::field::Choices;
use crate::pages::web::show;
use crate::pages::web::{self, Asked, Form, Member, Shell};

const PER_PAGE: usize = 50;
const REFUSED: usize = 20;
const LOOK_BACK_DAYS: i64 = 30;

#[derive(Template)]
#[template(path = "app/logs.html")]
struct Page {
    shell: Shell,
    form: Form,
    apps: Choices,
    statuses: Choices,
    modes: Choices,
    zone: String,
    rows: Vec<Row>,
    refused: Vec<Row>,
    older: Option<String>,
    is_filtered: bool,
    has_apps: bool,
    days: i64,
}

/// Where the stories of requests are.
const STORIES: &str = "/app/logs";

fn app_name(apps: &[Consumer], id: Option<ConsumerId>) -> String {
    apps.iter()
        .find(|one| Some(one.id) == id)
        .map_or_else(|| show::NOTHING.to_owned(), |one| one.name.clone())
}

/// A request of one of these apps.
pub(crate) fn row(fact: &Fact, apps: &[Consumer], zone: &TimeZone) -> Row {
    Row::new(fact, STORIES, app_name(apps, fact.consumer), zone)
}

/// `2xx`, `404`: the least and the most.
fn statuses(text: &str) -> Option<(u16, u16)> {
    match text {
        "2xx" => Some((200, 299)),
        "3xx" => Some((300, 399)),
        "4xx" => Some((400, 499)),
        "5xx" => Some((500, 599)),
        exact => exact
            .parse()
            .ok()
            .filter(|status| (100..=599).contains(status))
            .map(|status| (status, status)),
    }
}

/// The start of a day in the reader's zone.
pub(crate) fn day_start(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.parse().ok()?;
    let start = day.to_zoned(zone.clone()).ok()?;
    Some(Timestamp::from_jiff(start.timestamp()))
}

/// `GET /app/logs?app=&status=&path=&from=&mode=&before=`
pub(crate) async fn list(State(app): State<App>, member: Member, asked: Asked) -> web::Page {
    fresh(&app).await?;
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let apps = consumers(&app, &member).await?;
    let chosen: Vec<ConsumerId> = match asked.get("app") {
        None => apps.iter().map(|one| one.id).collect(),
        Some(text) => {
            let own = apps.iter().find(|one| one.id.to_string() == text);
            vec![own.ok_or_else(|| Problem::missing("app"))?.id]
        }
    };
    let oldest = now.plus_millis(-LOOK_BACK_DAYS * uses::DAY_MS);
    let filter = RecentFilter {
        consumers: chosen.clone(),
        from: asked
            .get("from")
            .and_then(|text| day_start(text, zone))
            .unwrap_or(oldest),
        to: now.plus_millis(1),
        mode: if asked.get("mode") == Some("test") {
            Mode::Test
        } else {
            Mode::Live
        },
        status: asked.get("status").and_then(statuses),
        path: asked.get("path").map(str::to_owned),
    };
    let before = asked.parsed("before");
    let page = app.analytics.recent(&filter, before, PER_PAGE).await?;
    let refused = refused(&app, &member, (&chosen, &apps), &filter).await?;
    web::page(&Page {
        shell: shell(&app, &member).await?,
        form: form(&asked),
        apps: choices(&apps),
        statuses: words(&[
            ("", "Any"),
            ("2xx", "2xx, successful"),
            ("4xx", "4xx, client errors"),
            ("5xx", "5xx, server errors"),
            ("429", "429"),
            ("404", "404"),
        ]),
        modes: words(&[("", "Live"), ("test", "Test")]),
        zone: show::zone_name(zone),
        rows: page.items.iter().map(|stored| row(&stored.fact, &apps, zone)).collect(),
        refused,
        older: page.next.map(|cursor| asked.with("before", &cursor.to_string())),
        is_filtered: ["app", "status", "path", "from"]
            .iter()
            .any(|name| asked.get(name).is_some()),
        has_apps: !apps.is_empty(),
        days: LOOK_BACK_DAYS,
    })
}

/// Refused requests of which a sample was kept.
async fn refused(
    app: &App,
    member: &Member,
    (chosen, apps): (&[ConsumerId], &[Consumer]),
    filter: &RecentFilter,
) -> Result<Vec<Row>, Problem> {
    let mut found = Vec::new();
    for consumer in chosen {
        let range = (filter.from, filter.to);
        found.extend(app.analytics.recent_rejections(*consumer, range, REFUSED).await?);
    }
    found.retain(|one| {
        let status = one.sample.status;
        let fits = filter
            .status
            .is_none_or(|(least, most)| (least..=most).contains(&status));
        let on_path = filter.path.as_ref().is_none_or(|part| one.sample.path.contains(part));
        fits && on_path && one.sample.of.mode == filter.mode
    });
    found.sort_by_key(|one| std::cmp::Reverse(one.sample.at));
    found.truncate(REFUSED);
    let zone = member.visitor.zone();
    let row = |one: StoredSample| {
        let app = app_name(apps, one.sample.of.consumer);
        Row::refused(one, STORIES, app, zone)
    };
    Ok(found.into_iter().map(row).collect())
}

fn form(asked: &Asked) -> Form {
    let names = ["app", "status", "path", "from", "mode"];
    Form::with(names.map(|name| (name, asked.get(name).unwrap_or_default())))
}

/// Pairs of value and text.
pub(crate) fn words(pairs: &[(&str, &str)]) -> Choices {
    pairs
        .iter()
        .map(|(value, text)| ((*value).to_owned(), (*text).to_owned()))
        .collect()
}

/// A choice among the organisation's apps.
pub(crate) fn choices(apps: &[Consumer]) -> Choices {
    let all = words(&[("", "All apps")]);
    let own = apps.iter().map(|one| (one.id.to_string(), one.name.clone()));
    all.into_iter().chain(own).collect()
}
