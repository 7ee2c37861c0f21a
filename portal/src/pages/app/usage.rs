//! `/app/usage`: what was used, over time, against the limits of the plans, and what it costs.

use std::collections::{BTreeSet, HashMap};

use analytics::Dimension;
use askama::Template;
use axum::extract::State;
use domain::config::{Api, Plan};
use store::{Consumer, Object, ObjectKind, Page as StorePage};

use super::bars::Bar;
use super::held::{self, Held};
use super::logs::{choices, words};
use super::usage_figures::{self as figures, Figures, Scope};
use super::usage_splits::{self as splits, By};
use super::{consumers, keys, shell};
use crate::api::billing_change;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::operations::Operations;
use crate::pages::web::field::Choices;
use crate::pages::web::range::{Interval, Range, Width};
use crate::pages::web::{self, Asked, Form, Html, Member, Shell, escape, show};
use crate::subscribing;

#[derive(Template)]
#[template(path = "app/usage.html")]
struct Page {
    shell: Shell,
    form: Form,
    apps: Choices,
    products: Choices,
    bys: Choices,
    zone: String,
    counted_until: Html,
    csv: String,
    by_word: &'static str,
    stats: Option<Stats>,
    bars: Option<Html>,
    latency: Option<Html>,
    quotas: Vec<(String, Vec<Bar>)>,
    rows: Vec<Row>,
    total: Row,
    empty: Empty,
}

struct Stats {
    requests: String,
    requests_change: String,
    billable: String,
    error_share: String,
    errors: String,
    refused: String,
    median: String,
    tail: String,
    cost: String,
    cost_note: Html,
}

/// A row of the table.
struct Row {
    title: String,
    /// The same day alone.
    href: Option<String>,
    requests: String,
    successful: String,
    client_errors: String,
    server_errors: String,
    refused: String,
    p50: String,
    p95: String,
    p99: String,
}

/// What stands there without traffic.
struct Empty {
    title: String,
    curl: Option<String>,
    href: String,
    label: &'static str,
}

/// Everything that the filters chose.
struct Looked {
    apps: Vec<Consumer>,
    chosen: Option<Consumer>,
    held: Vec<Held>,
    /// Every product that the organisation has or had: name and title.
    products: Choices,
    scope: Scope,
    range: Range,
    by: By,
    figures: Vec<Figures>,
}

async fn look(app: &App, member: &Member, asked: &Asked) -> Result<Looked, Problem> {
    fresh(app).await?;
    let apps = consumers(app, member).await?;
    let chosen = match asked.get("app") {
        None => None,
        Some(text) => {
            let own = apps.iter().find(|one| one.id.to_string() == text);
            Some(own.ok_or_else(|| Problem::missing("app"))?.clone())
        }
    };
    let mut held = Vec::new();
    let mut products = words(&[("", "All products")]);
    for one in held::subscriptions(app, member, None).await? {
        let one = held::held(app, member, one).await?;
        if !products.iter().any(|(name, _)| *name == one.product_name) {
            products.push((one.product_name.clone(), one.product.clone()));
        }
        held.push(one);
    }
    if let Some(chosen) = &chosen {
        held.retain(|one| one.consumer == chosen.id);
    }
    let product = asked.get("product");
    if let Some(product) = product {
        held.retain(|one| one.product_name == product);
    }
    let by = By::read(asked.get("by"));
    let scope = Scope {
        consumer: chosen.as_ref().map(|one| one.id.to_string()),
        subscriptions: product.map(|_| held.iter().map(|one| one.id.clone()).collect()),
        split: match by {
            By::Operation => Some(Dimension::Operation),
            By::Key => Some(Dimension::Credential),
            By::Result | By::Status => None,
        },
    };
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let range = Range::new(asked.get("from"), asked.get("to"), now, zone)?;
    Ok(Looked {
        figures: figures::of_each(app, member, &scope, &range).await?,
        apps,
        chosen,
        held,
        products,
        scope,
        range,
        by,
    })
}

/// `GET /app/usage?app=&product=&from=&to=&by=`
pub(crate) async fn show(State(app): State<App>, member: Member, asked: Asked) -> web::Page {
    let looked = look(&app, &member, &asked).await?;
    let total = total(&looked.figures);
    let mut plans: Vec<Plan> = Vec::new();
    for one in looked.held.iter().filter(|one| one.is_live) {
        plans.extend(held::plan_in_force(&app, &one.subscription).await?);
    }
    let names = names(&app, &member, &looked).await?;
    let limit = splits::day_limit(&looked.range, &plans);
    let has_traffic = total.requests + total.refused > 0;
    let stats = if has_traffic {
        Some(stats(&app, &member, &looked, &total).await?)
    } else {
        None
    };
    let zone = member.visitor.zone();
    web::page(&Page {
        shell: shell(&app, &member).await?,
        form: form(&asked, &looked),
        apps: choices(&looked.apps),
        products: looked.products.clone(),
        bys: By::ALL
            .iter()
            .map(|(_, value, text)| ((*value).to_owned(), (*text).to_owned()))
            .collect(),
        zone: show::zone_name(zone),
        counted_until: show::moment(member.visitor.now(), zone),
        csv: format!("/app/usage.csv{}", asked.with("", "")),
        by_word: match looked.range.width {
            Width::Hour => "hour",
            Width::Day => "day",
            Width::Month => "month",
        },
        stats,
        bars: splits::bars(&looked.range, &looked.figures, (looked.by, &names), limit),
        latency: splits::latency(&looked.range, &looked.figures),
        rows: rows(&asked, &looked),
        total: row(None, range_title(&looked.range), &total),
        empty: empty(&app, &looked).await?,
        quotas: quotas(looked),
    })
}

fn total(each: &[Figures]) -> Figures {
    let mut total = Figures::default();
    for one in each {
        total.merge(one);
    }
    total
}

fn form(asked: &Asked, looked: &Looked) -> Form {
    Form::with([
        ("app", asked.get("app").unwrap_or_default().to_owned()),
        ("product", asked.get("product").unwrap_or_default().to_owned()),
        ("from", looked.range.first.to_string()),
        ("to", looked.range.last.to_string()),
        ("by", asked.get("by").unwrap_or_default().to_owned()),
    ])
}

/// What people call the values that bars are split by.
async fn names(app: &App, member: &Member, looked: &Looked) -> Result<HashMap<String, String>, Problem> {
    let mut names = HashMap::new();
    if looked.by == By::Operation {
        let keys: BTreeSet<&String> = looked.figures.iter().flat_map(|one| one.split.keys()).collect();
        let mut operations = Operations::default();
        for key in keys.into_iter().filter(|key| !key.is_empty()) {
            names.insert(key.clone(), operations.called(app, None, key).await?.place);
        }
    }
    if looked.by != By::Key {
        return Ok(names);
    }
    let page = StorePage::first(StorePage::MAX);
    for consumer in &looked.apps {
        for key in app.store.credentials(member.caller.scope(), consumer.id, &page).await? {
            names.insert(key.id.to_string(), keys::name(&key));
        }
    }
    Ok(names)
}

async fn stats(app: &App, member: &Member, looked: &Looked, total: &Figures) -> Result<Stats, Problem> {
    let before = match looked.range.bounds() {
        None => Figures::default(),
        Some((from, to)) => {
            let earlier = from.plus_millis(-to.millis_since(from));
            figures::of(app, member, &looked.scope, (earlier, from)).await?
        }
    };
    let (cost, cost_note) = cost(app, member, looked).await?;
    let latency = |per_mille| show::latency_or_nothing(total.latency(per_mille));
    Ok(Stats {
        requests: show::number(total.requests),
        requests_change: match show::change(total.requests, before.requests).as_str() {
            show::NOTHING => "none in the time before".to_owned(),
            change => format!("{change} against the same time before"),
        },
        billable: super::bars::quantity(total.billable),
        error_share: show::percent(total.errors(), total.requests),
        errors: show::count(total.errors(), "answer with 4xx or 5xx", "answers with 4xx or 5xx"),
        refused: show::number(total.refused),
        median: latency(500),
        tail: format!("p95 {}, p99 {}", latency(950), latency(990)),
        cost,
        cost_note,
    })
}

/// What the usage of the running periods of the chosen subscriptions costs so far.
async fn cost(app: &App, member: &Member, looked: &Looked) -> Result<(String, Html), Problem> {
    let running = billing_change::running(app, member.account).await?;
    let own = running
        .iter()
        .filter(|one| looked.held.iter().any(|held| held.id == one.subscription.to_string()));
    let mut sums = std::collections::BTreeMap::new();
    let mut end = None;
    for one in own {
        let sum: &mut i64 = sums.entry(one.currency.code()).or_default();
        *sum = sum.saturating_add(one.usage);
        end = Some(end.map_or(one.period_end, |known: domain::clock::Timestamp| {
            known.min(one.period_end)
        }));
    }
    let words: Vec<String> = sums
        .into_iter()
        .map(|(code, minor)| show::minor(minor, code.parse().unwrap_or_default()))
        .collect();
    let note = end.map_or_else(Html::default, |end| {
        let day = show::day(end, member.visitor.zone());
        Html(format!("usage of the running period, until {day}"))
    });
    let words = if words.is_empty() {
        show::NOTHING.to_owned()
    } else {
        words.join(", ")
    };
    Ok((words, note))
}

fn range_title(range: &Range) -> String {
    if range.first == range.last {
        show::date(range.first)
    } else {
        format!("{} to {}", show::date(range.first), show::date(range.last))
    }
}

fn row(href: Option<String>, title: String, one: &Figures) -> Row {
    let latency = |per_mille| show::figure_or_nothing(one.latency(per_mille));
    Row {
        title,
        href,
        requests: show::number(one.requests),
        successful: show::number(one.successful),
        client_errors: show::number(one.client_errors),
        server_errors: show::number(one.server_errors),
        refused: show::number(one.refused),
        p50: latency(500),
        p95: latency(950),
        p99: latency(990),
    }
}

/// Newest first; hours and months without anything are left out.
fn rows(asked: &Asked, looked: &Looked) -> Vec<Row> {
    let range = &looked.range;
    let shown = |(_, one): &(&Interval, &Figures)| range.width == Width::Day || one.requests + one.refused > 0;
    let days = range.intervals.iter().zip(&looked.figures).filter(shown).rev();
    days.map(|(interval, one)| {
        let at = range
            .intervals
            .iter()
            .position(|known| known.from == interval.from)
            .unwrap_or(0);
        let day = range
            .first
            .checked_add(jiff::Span::new().days(i64::try_from(at).unwrap_or(0)))
            .ok()
            .filter(|_| range.width == Width::Day);
        let href = day.map(|day| {
            let alone = asked.with("to", &day.to_string());
            let rest: Vec<&str> = alone
                .trim_start_matches('?')
                .split('&')
                .filter(|pair| !pair.starts_with("from="))
                .collect();
            format!("/app/usage?from={day}&{}", rest.join("&"))
        });
        row(href, interval.title.clone(), one)
    })
    .collect()
}

fn quotas(looked: Looked) -> Vec<(String, Vec<Bar>)> {
    let many = looked.apps.len() > 1 && looked.chosen.is_none();
    let apps = looked.apps;
    looked
        .held
        .into_iter()
        .filter(|one| one.is_live && !one.bars.is_empty())
        .map(|one| {
            let app = apps.iter().find(|app| app.id == one.consumer).filter(|_| many);
            let of = app.map_or_else(String::new, |app| format!("{}: ", app.name));
            (format!("{of}{}, {}", one.product, one.plan), one.bars)
        })
        .collect()
}

async fn empty(app: &App, looked: &Looked) -> Result<Empty, Problem> {
    let who = looked.chosen.as_ref().or(looked.apps.first());
    let Some(consumer) = who else {
        return Ok(Empty {
            title: "Nothing has called yet".to_owned(),
            curl: None,
            href: "/app/apps/new".to_owned(),
            label: "Create an app",
        });
    };
    let name = looked.chosen.as_ref().map_or("Nothing", |one| one.name.as_str());
    let live = looked
        .held
        .iter()
        .find(|one| one.consumer == consumer.id && one.is_live);
    let Some(live) = live else {
        return Ok(Empty {
            title: format!("{name} has not called in this time"),
            curl: None,
            href: format!("/app/apps/{}/subscriptions/new", consumer.id),
            label: "Choose a plan",
        });
    };
    Ok(Empty {
        title: format!("{name} has not called in this time"),
        curl: first_call(app, live).await?,
        href: format!("/app/apps/{}/keys", consumer.id),
        label: "Get a key",
    })
}

/// A line that works with a key of the app: the first simple operation of what it is subscribed to.
async fn first_call(app: &App, held: &Held) -> Result<Option<String>, Problem> {
    let (Some(gateway), Some(product)) = (
        app.links.gateway(),
        app.store.object(&held.subscription.product_id.to_string()).await?,
    ) else {
        return Ok(None);
    };
    let product: domain::config::Product = subscribing::body(&product)?;
    let Some(name) = product.apis.first() else {
        return Ok(None);
    };
    let Some(object) = app.store.object_named(ObjectKind::Api, "", name).await? else {
        return Ok(None);
    };
    let api: Api = subscribing::body(&object)?;
    let base = api.base_path.as_deref().unwrap_or_default().trim_end_matches('/');
    let path = simple_path(app, &object).await?.unwrap_or_else(|| "/".to_owned());
    let url = escape(&format!("{gateway}{base}{path}"));
    Ok(Some(format!(
        "<span class=\"k\">curl</span> {url} \\\n  -H <span class=\"s\">&quot;Authorization: Bearer $KEY&quot;</span>"
    )))
}

/// The first path that is read without parameters.
async fn simple_path(app: &App, api: &Object) -> Result<Option<String>, Problem> {
    let Some(hash) = api.fields.document else {
        return Ok(None);
    };
    let Some(bytes) = app.store.document(&hash).await? else {
        return Ok(None);
    };
    let found = tokio::task::spawn_blocking(move || {
        let document: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
        let paths = document.get("paths")?.as_object()?;
        let simple =
            |(path, item): &(&String, &serde_json::Value)| !path.contains(['{', '?', '#']) && item.get("get").is_some();
        paths.iter().find(simple).map(|(path, _)| path.clone())
    });
    Ok(found.await.ok().flatten())
}

/// `GET /app/usage.csv`: the table, with the same filters.
pub(crate) async fn csv(State(app): State<App>, member: Member, asked: Asked) -> web::Page {
    let looked = look(&app, &member, &asked).await?;
    let mut out = String::from(
        "from,to,requests,successful,client_errors,server_errors,refused,billable,p50_ms,p95_ms,p99_ms\r\n",
    );
    for (interval, one) in looked.range.intervals.iter().zip(&looked.figures) {
        let latency = |per_mille| one.latency(per_mille).map_or_else(String::new, show::latency_exact);
        out.push_str(&format!(
            "{},{},{},{},{},{},{},{},{},{},{}\r\n",
            interval.from,
            interval.to,
            one.requests,
            one.successful,
            one.client_errors,
            one.server_errors,
            one.refused,
            one.billable,
            latency(500),
            latency(950),
            latency(990)
        ));
    }
    let name = format!("usage-{}-{}.csv", looked.range.first, looked.range.last);
    web::download(&name, "text/csv; charset=utf-8", out)
}
