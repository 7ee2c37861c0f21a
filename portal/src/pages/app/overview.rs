//! `/app`: the next step for newcomers, and how things stand for everyone else.

use std::collections::HashMap;

use analytics::RecentFilter;
use askama::Template;
use axum::extract::State;
use domain::ids::ConsumerId;
use domain::invoice::InvoiceStatus;
use domain::key::Mode;
use store::billing::{InvoiceFilter, InvoiceSummary};
use store::{Consumer, Page as StorePage};

use super::held::{self, Held};
use super::usage_figures::{self as figures, Figures, Scope};
use super::usage_splits::{self as splits, By};
use super::uses::{self, Calls};
use super::{apps, consumers, logs, shell};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::requests::Row;
use crate::pages::web::access::BUILDERS;
use crate::pages::web::range::{Interval, Range};
use crate::pages::web::{self, Form, Html, Member, Shell, once, show};
use crate::people::is_verified;

const LAST_ERRORS: usize = 5;
/// Days of the chart, today included.
const DAYS: i64 = 14;

#[derive(Template)]
#[template(path = "app/overview.html")]
struct Page {
    shell: Shell,
    first_name: String,
    steps: Vec<Step>,
    /// Nothing is there yet but the steps.
    is_new: bool,
    may_build: bool,
    day: Counted,
    week: Counted,
    days: Days,
    zone: String,
    held: Vec<Named>,
    errors: Vec<Row>,
    invoices: Vec<OpenInvoice>,
    /// For the first app, which is made here.
    form: Form,
    plans: Vec<(String, String)>,
    once: Html,
}

/// A step to the first call.
struct Step {
    title: &'static str,
    text: &'static str,
    href: String,
    label: &'static str,
    is_done: bool,
    is_next: bool,
}

struct Counted {
    requests: String,
    errors: String,
    error_share: String,
    refused: String,
}

impl From<Calls> for Counted {
    fn from(calls: Calls) -> Self {
        Self {
            requests: show::number(calls.requests),
            errors: show::number(calls.errors),
            error_share: show::percent(calls.errors, calls.requests),
            refused: show::number(calls.rejected),
        }
    }
}

/// Requests on each of the last days of the reader's calendar.
#[derive(Default)]
struct Days {
    /// Nothing without traffic.
    chart: Option<Html>,
    rows: Vec<DayRow>,
}

struct DayRow {
    title: String,
    requests: String,
    errors: String,
    refused: String,
}

struct Named {
    app: String,
    held: Held,
}

struct OpenInvoice {
    id: String,
    number: String,
    due: Html,
    is_overdue: bool,
    amount: String,
}

/// `GET /app`
pub(crate) async fn show(State(app): State<App>, member: Member) -> web::Page {
    fresh(&app).await?;
    let now = member.visitor.now();
    let apps = consumers(&app, &member).await?;
    let is_new = apps.is_empty();
    let mut held = Vec::new();
    for one in held::subscriptions(&app, &member, None).await? {
        if one.status.is_live() {
            held.push(held::held(&app, &member, one).await?);
        }
    }
    let ever = uses::since(&app, &member, now.plus_millis(-365 * uses::DAY_MS)).await?;
    let has_called = ever.requests + ever.rejected > 0;
    let keys = keys(&app, &member, &apps).await?;
    let steps = steps(&member, (&apps, &held, keys), has_called)?;
    let named = held.into_iter().filter(|held| !held.bars.is_empty()).map(|held| Named {
        app: apps
            .iter()
            .find(|one| one.id == held.consumer)
            .map_or_else(String::new, |one| one.name.clone()),
        held,
    });
    web::page(&Page {
        shell: shell(&app, &member).await?,
        first_name: member
            .user()?
            .name
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned(),
        is_new,
        may_build: member.is_one_of(BUILDERS),
        steps,
        day: uses::since(&app, &member, now.plus_millis(-uses::DAY_MS)).await?.into(),
        week: uses::since(&app, &member, now.plus_millis(-7 * uses::DAY_MS))
            .await?
            .into(),
        days: days(&app, &member).await?,
        zone: show::zone_name(member.visitor.zone()),
        held: named.collect(),
        errors: errors(&app, &member, &apps).await?,
        invoices: open_invoices(&app, &member).await?,
        form: Form::new(),
        plans: if is_new {
            apps::beginnings(&app, &member).await?
        } else {
            Vec::new()
        },
        once: once::field(),
    })
}

async fn days(app: &App, member: &Member) -> Result<Days, Problem> {
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let today = now.to_jiff().to_zoned(zone.clone()).date();
    let first = today.checked_sub(jiff::Span::new().days(DAYS - 1)).unwrap_or(today);
    let range = Range::new(Some(&first.to_string()), None, now, zone)?;
    let figures = figures::of_each(app, member, &Scope::default(), &range).await?;
    let row = |(interval, one): (&Interval, &Figures)| DayRow {
        title: interval.title.clone(),
        requests: show::number(one.requests),
        errors: show::number(one.errors()),
        refused: show::number(one.refused),
    };
    Ok(Days {
        chart: splits::bars(&range, &figures, (By::Result, &HashMap::new()), None),
        rows: range.intervals.iter().zip(&figures).rev().map(row).collect(),
    })
}

/// Keys that work.
async fn keys(app: &App, member: &Member, apps: &[Consumer]) -> Result<usize, Problem> {
    let mut count = 0;
    for consumer in apps {
        let keys = super::keys::lasting(app, member, consumer.id).await?;
        count += keys
            .iter()
            .filter(|key| super::keys::works(key, member.visitor.now()))
            .count();
    }
    Ok(count)
}

/// The way to the first call; empty once it is gone.
fn steps(
    member: &Member,
    (apps, held, keys): (&[Consumer], &[Held], usize),
    has_called: bool,
) -> Result<Vec<Step>, Problem> {
    let is_verified = is_verified(member.user()?);
    let first = apps.first().map(|one| format!("/app/apps/{}", one.id));
    let below = |rest: &str| {
        first
            .as_ref()
            .map_or_else(|| "/app/apps/new".to_owned(), |path| format!("{path}{rest}"))
    };
    let product = held
        .first()
        .map_or(String::new(), |held| format!("&product={}", held.product_name));
    let step = |title, text, (href, label): (String, &'static str), is_done| Step {
        title,
        text,
        href,
        label,
        is_done,
        is_next: false,
    };
    let mut steps = vec![
        step(
            "Confirm your e-mail address",
            "We have sent you a link.",
            ("/verify".to_owned(), "Send it again"),
            is_verified,
        ),
        step(
            "Create an app",
            "An app is the program that calls. It holds keys and subscriptions.",
            ("/app/apps/new".to_owned(), "Create an app"),
            !apps.is_empty(),
        ),
        step(
            "Subscribe it to a product",
            "A plan says how much it may call, and what that costs.",
            (below("/subscriptions/new"), "Choose a plan"),
            !held.is_empty(),
        ),
        step(
            "Get a key",
            "It is shown once: have your secret store ready.",
            (below("/keys#new"), "Create a key"),
            keys > 0,
        ),
        step(
            "See the first call",
            "It shows in the usage within five seconds.",
            (
                format!(
                    "/app/usage?app={}{product}",
                    apps.first().map_or_else(String::new, |one| one.id.to_string())
                ),
                "Make a call",
            ),
            has_called,
        ),
    ];
    if steps.iter().all(|step| step.is_done) {
        return Ok(Vec::new());
    }
    if let Some(next) = steps.iter_mut().find(|step| !step.is_done) {
        next.is_next = true;
    }
    Ok(steps)
}

async fn errors(app: &App, member: &Member, apps: &[Consumer]) -> Result<Vec<Row>, Problem> {
    let now = member.visitor.now();
    let filter = RecentFilter {
        consumers: apps.iter().map(|one| one.id).collect::<Vec<ConsumerId>>(),
        from: now.plus_millis(-uses::DAY_MS),
        to: now.plus_millis(1),
        mode: Mode::Live,
        status: Some((400, 599)),
        path: None,
    };
    let page = app.analytics.recent(&filter, None, LAST_ERRORS).await?;
    Ok(page
        .items
        .into_iter()
        .map(|stored| logs::row(&stored.fact, apps, member.visitor.zone()))
        .collect())
}

async fn open_invoices(app: &App, member: &Member) -> Result<Vec<OpenInvoice>, Problem> {
    let filter = InvoiceFilter {
        account: Some(member.account),
        status: Some(InvoiceStatus::Open),
    };
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let found = app
        .store
        .invoices(member.caller.scope(), filter, &StorePage::first(20))
        .await?;
    let one = |invoice: InvoiceSummary| OpenInvoice {
        id: invoice.id.to_string(),
        is_overdue: invoice.overdue(now),
        due: invoice
            .due_at
            .map_or_else(|| Html(show::NOTHING.to_owned()), |at| show::day(at, zone)),
        amount: show::minor(invoice.amount_due, invoice.currency),
        number: invoice.number.unwrap_or_else(|| "Invoice".to_owned()),
    };
    Ok(found.into_iter().map(one).collect())
}
