//! `/admin/consumers/{id}`: the whole story of one consumer on one page; suspend and resume.

use std::collections::HashMap;

use analytics::{Dimension, Interval};
use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use jiff::tz::TimeZone;
use store::{AuditFilter, Consumer, Page as Rows, Scope, SubscriptionFilter};

use super::audit::{self, Event};
use super::figures::{self, Range, Stat, Totals};
use super::names::Names;
use super::things::Things;
use crate::api::answer::Id;
use crate::api::consumers;
use crate::api::credentials;
use crate::api::subscriptions;
use crate::api::usage;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::operations::Called;
use crate::pages::web::access::Section;
use crate::pages::web::chart;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Asked, Form, Html, Page, Posted, Shell, Staff, page, see_other, unprocessable};

const DAY_MS: i64 = 86_400_000;
const WEEK: i64 = 7;
const LOOK_BACK_DAYS: i64 = 90;
const OPERATIONS: usize = 12;
const EVENTS: u32 = 10;

struct Operation {
    name: Called,
    requests: String,
    share: String,
    days: Html,
    errors: String,
    p50: String,
    p95: String,
    p99: String,
}

/// A quota with what is used of it.
pub(super) struct Quota {
    pub(super) name: String,
    pub(super) used: String,
    pub(super) meter: Html,
}

/// A subscription with its quotas.
pub(super) struct Plan {
    pub(super) name: String,
    pub(super) app: String,
    pub(super) state: String,
    pub(super) class: &'static str,
    pub(super) period: String,
    pub(super) quotas: Vec<Quota>,
}

struct Key {
    name: String,
    key: String,
    mode: &'static str,
    created: Moment,
    used: Moment,
    state: &'static str,
    class: &'static str,
}

#[derive(Template)]
#[template(path = "admin/consumer.html")]
struct Story {
    shell: Shell,
    id: String,
    name: String,
    organisation: String,
    account: String,
    since: Moment,
    suspended: Option<String>,
    may_change: bool,
    done: Option<&'static str>,
    stats: Vec<Stat>,
    operations: Vec<Operation>,
    plans: Vec<Plan>,
    keys: Vec<Key>,
    events: Vec<Event>,
    zone: String,
}

#[derive(Template)]
#[template(path = "admin/suspend.html")]
struct Suspend {
    shell: Shell,
    form: Form,
    id: String,
    name: String,
    calls: String,
}

/// `GET /admin/consumers/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<ConsumerId>, asked: Asked) -> Page {
    let consumer = consumers::visible(&app, &staff.caller, id).await?;
    usage::fresh(&app).await?;
    let (zone, now) = (staff.visitor.zone(), app.clock.now());
    let range = Range::last(now, WEEK * DAY_MS).only(Dimension::Consumer, &id);
    let (totals, before) = (range.totals(&app).await?, range.before().totals(&app).await?);
    let account = app.store.account(Scope::All, consumer.account_id).await?;
    let subscriptions = SubscriptionFilter {
        consumer: Some(id),
        ..SubscriptionFilter::default()
    };
    page(&Story {
        shell: super::shell(&app, &staff).await?,
        id: id.to_string(),
        name: consumer.name.clone(),
        organisation: account.map(|account| account.fields.name).unwrap_or_default(),
        account: consumer.account_id.to_string(),
        since: show::day(consumer.created_at, zone),
        suspended: consumer.suspended_reason.clone(),
        may_change: staff.may_change(Section::Admin),
        done: match asked.get("done") {
            Some("suspended") => Some("Suspended: every gateway refuses this consumer's keys now."),
            Some("resumed") => Some("Resumed: this consumer's keys work again."),
            _ => None,
        },
        stats: figures::stats(&totals, &before),
        operations: operations(&app, &range, &totals).await?,
        plans: plans(&app, &subscriptions, zone).await?,
        keys: keys(&app, id, now, zone).await?,
        events: events(&app, id, zone).await?,
        zone: show::zone_name(zone),
    })
}

async fn operations(app: &App, range: &Range, totals: &Totals) -> Result<Vec<Operation>, Problem> {
    let group = [Dimension::Operation, Dimension::Api];
    let mut rows = range.rows(app, Interval::Whole, &group).await?;
    rows.retain(|row| row.requests > 0);
    rows.sort_by_key(|row| std::cmp::Reverse(row.requests));
    let daily = range.rows(app, Interval::Day, &group).await?;
    let last = daily.iter().map(|row| row.time).max();
    let days: Vec<Timestamp> = last
        .iter()
        .flat_map(|last| (0..7).rev().map(|back| last.plus_millis(-back * DAY_MS)))
        .collect();
    let mut names = Names::default();
    let mut found = Vec::new();
    for row in rows.iter().take(OPERATIONS) {
        let sums = Totals::of(row);
        let by_day: Vec<u64> = days
            .iter()
            .map(|day| {
                let found = daily.iter().find(|one| one.time == *day && one.group == row.group);
                found.map_or(0, |one| one.requests)
            })
            .collect();
        let [Some(key), api] = row.group.as_slice() else {
            continue;
        };
        found.push(Operation {
            name: names.operation(app, api.as_deref(), key).await?,
            requests: show::number(row.requests),
            share: show::percent(row.requests, totals.requests),
            days: chart::spark(&by_day, "Requests by day"),
            errors: show::percent(row.errors, row.requests),
            p50: show::figure_or_nothing(sums.p50),
            p95: show::figure_or_nothing(sums.p95),
            p99: show::figure_or_nothing(sums.p99),
        });
    }
    Ok(found)
}

/// Subscriptions with what is used of their quotas. Ask for fresh usage before.
pub(super) async fn plans(app: &App, filter: &SubscriptionFilter, zone: &TimeZone) -> Result<Vec<Plan>, Problem> {
    let page = Rows::first(Rows::MAX);
    let list = app.store.subscriptions(Scope::All, filter, &page).await?;
    let mut names = Names::default();
    let mut plans = Vec::new();
    for subscription in list {
        let product = app.store.object(&subscription.product_id.to_string()).await?;
        let plan = app.store.object(&subscription.plan_id.to_string()).await?;
        let name = |object: Option<store::Object>| object.map(|object| titled(&object)).unwrap_or_default();
        let mut quotas = Vec::new();
        let mut period = String::new();
        for used in subscriptions::used(app, &subscription).await? {
            period = format!(
                "{} to {}",
                show::day_text(used.period.start, zone),
                show::day_text(used.period.end.plus_millis(-1), zone)
            );
            quotas.push(quota(&used));
        }
        let (state, class) = state(&subscription);
        let consumer = subscription.consumer_id.to_string();
        plans.push(Plan {
            name: format!("{}, {}", name(product), name(plan)),
            app: names.of(app, Dimension::Consumer, &consumer).await?,
            state,
            class,
            period,
            quotas,
        });
    }
    Ok(plans)
}

/// What people call a thing that is configured.
fn titled(object: &store::Object) -> String {
    let title = object.fields.body.get("title").and_then(|title| title.as_str());
    title.unwrap_or(&object.fields.name).to_owned()
}

fn quota(used: &subscriptions::Used) -> Quota {
    let count = used.used.ceil_units();
    let max = used.quota.max;
    Quota {
        name: show::meter_name(&used.quota.meter),
        used: max.map_or_else(
            || format!("{}, without a limit", show::number(count)),
            |max| format!("{} of {}", show::number(count), show::number(max)),
        ),
        meter: max.map_or_else(Html::default, |max| {
            let label = format!("{} of {} used", show::number(count), show::number(max));
            chart::meter(count, max, None, &label)
        }),
    }
}

fn state(subscription: &store::Subscription) -> (String, &'static str) {
    use domain::subscription::SubscriptionStatus as Status;
    let word = |text: &str| text.to_owned();
    match subscription.status {
        Status::Active if subscription.cancel_at.is_some() => (word("Active, ends"), "warn"),
        Status::Active => (word("Active"), "good"),
        Status::Trialing => (word("Trial"), "good"),
        Status::PendingApproval => (word("Waits for approval"), "busy"),
        Status::PendingPayment => (word("Waits for payment"), "busy"),
        Status::PastDue => (word("Past due"), "bad"),
        Status::Paused => (word("Paused"), "warn"),
        Status::Cancelled => (word("Cancelled"), ""),
        Status::Rejected => (word("Rejected"), ""),
    }
}

/// The minute, or further back the day, of the last call with each key.
async fn last_uses(app: &App, id: ConsumerId, now: Timestamp) -> Result<HashMap<String, Timestamp>, Problem> {
    let mut found: HashMap<String, Timestamp> = HashMap::new();
    for (days, interval) in [(LOOK_BACK_DAYS, Interval::Day), (1, Interval::Minute)] {
        let range = Range::last(now, days * DAY_MS).only(Dimension::Consumer, &id);
        let rows = range.rows(app, interval, &[Dimension::Credential]).await?;
        for row in rows.iter().filter(|row| row.requests > 0) {
            if let Some(key) = row.group.first().cloned().flatten() {
                let last = found.entry(key).or_insert(row.time);
                *last = (*last).max(row.time);
            }
        }
    }
    Ok(found)
}

async fn keys(app: &App, id: ConsumerId, now: Timestamp, zone: &TimeZone) -> Result<Vec<Key>, Problem> {
    let uses = last_uses(app, id, now).await?;
    let page = Rows::first(Rows::MAX);
    let over = (credentials::BRIEF_MS, now);
    let list = app.store.lasting_credentials(Scope::All, id, over, &page).await?;
    let key = |one: store::Credential| {
        let (state, class) = if one.revoked_at.is_some_and(|at| at <= now) {
            ("Revoked", "")
        } else if one.expires_at.is_some_and(|at| at <= now) {
            ("Expired", "")
        } else if one.revoked_at.is_some() {
            ("Replaced, ends soon", "warn")
        } else {
            ("Active", "good")
        };
        Key {
            name: one.name.unwrap_or_else(|| "Without a name".to_owned()),
            key: show::key(&one.prefix, &one.last4),
            mode: if one.mode == domain::key::Mode::Live {
                "live"
            } else {
                "test"
            },
            created: show::day(one.created_at, zone),
            used: uses
                .get(&one.id.to_string())
                .copied()
                .or(one.last_used_at)
                .map_or_else(|| Html(show::NOTHING.to_owned()), |at| show::ago(at, now)),
            state,
            class,
        }
    };
    Ok(list.into_iter().rev().map(key).collect())
}

async fn events(app: &App, id: ConsumerId, zone: &TimeZone) -> Result<Vec<Event>, Problem> {
    let filter = AuditFilter {
        target: Some(id.to_string()),
        ..AuditFilter::default()
    };
    let records = app.store.audit_events(&filter, &Rows::first(EVENTS)).await?;
    let mut things = Things::default();
    let mut events = Vec::new();
    for record in records {
        events.push(audit::event(app, &mut things, record, zone).await?);
    }
    Ok(events)
}

async fn suspending(app: &App, staff: &Staff, consumer: &Consumer, form: Form) -> Result<Suspend, Problem> {
    usage::fresh(app).await?;
    let range = Range::last(app.clock.now(), DAY_MS).only(Dimension::Consumer, &consumer.id);
    let calls = range.totals(app).await?.requests;
    Ok(Suspend {
        shell: super::shell(app, staff).await?,
        form,
        id: consumer.id.to_string(),
        name: consumer.name.clone(),
        calls: show::count(calls, "call", "calls"),
    })
}

/// `GET /admin/consumers/{id}/suspend`
pub(super) async fn ask_suspend(State(app): State<App>, staff: Staff, Id(id): Id<ConsumerId>) -> Page {
    let consumer = consumers::visible(&app, &staff.caller, id).await?;
    page(&suspending(&app, &staff, &consumer, Form::new()).await?)
}

/// `POST /admin/consumers/{id}/suspend`
pub(super) async fn suspend(State(app): State<App>, staff: Staff, Id(id): Id<ConsumerId>, posted: Posted) -> Page {
    let consumer = consumers::visible(&app, &staff.caller, id).await?;
    match consumers::bar(&app, &staff.caller, id, posted.get("reason")).await {
        Ok(_) => see_other(&format!("/admin/consumers/{id}?done=suspended")),
        Err(problem) if problem.status().as_u16() == 400 => {
            let mut form = Form::typed(&posted);
            form.preset("reason", "");
            form.take(&problem, &[]);
            unprocessable(&suspending(&app, &staff, &consumer, form).await?)
        }
        Err(problem) => Err(problem),
    }
}

/// `POST /admin/consumers/{id}/resume`
pub(super) async fn resume(State(app): State<App>, staff: Staff, Id(id): Id<ConsumerId>, _: Posted) -> Page {
    consumers::release(&app, &staff.caller, id).await?;
    see_other(&format!("/admin/consumers/{id}?done=resumed"))
}
