//! `/admin/organisations/{id}`: the whole story of one organisation on one page: its people, apps, plans, money, changes.

use std::collections::HashMap;

use analytics::{Dimension, Interval};
use askama::Template;
use axum::extract::State;
use domain::ids::AccountId;
use store::billing::InvoiceSearch;
use store::{Account, AuditFilter, Page as Rows, Scope, SubscriptionFilter};

use super::audit::{self, Event};
use super::consumer::{self, Plan};
use super::figures::{self, Range, Stat};
use super::things::Things;
use crate::api::answer::Id;
use crate::api::usage;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::money::state::State as Standing;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{Html, Page, Shell, Staff, page};

const WEEK_MS: i64 = 7 * 86_400_000;
const INVOICES: u32 = 10;
const EVENTS: u32 = 15;

struct AppRow {
    id: String,
    name: String,
    is_suspended: bool,
    requests: String,
    errors: String,
    created: Moment,
}

struct Person {
    id: String,
    name: String,
    email: String,
    role: &'static str,
    since: Moment,
}

struct InvoiceRow {
    href: String,
    number: String,
    state: Standing,
    made: Moment,
    total: String,
    open: String,
}

#[derive(Template)]
#[template(path = "admin/organisation.html")]
struct Story {
    shell: Shell,
    id: String,
    name: String,
    is_gone: bool,
    facts: Vec<(&'static str, Html)>,
    stats: Vec<Stat>,
    owed: Vec<(String, String)>,
    apps: Vec<AppRow>,
    plans: Vec<Plan>,
    people: Vec<Person>,
    invoices: Vec<InvoiceRow>,
    events: Vec<Event>,
    zone: String,
}

/// `GET /admin/organisations/{id}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Id(id): Id<AccountId>) -> Page {
    let account = app.store.account(staff.caller.scope(), id).await?;
    let account = account.ok_or_else(|| Problem::missing("organisation"))?;
    usage::fresh(&app).await?;
    let zone = staff.visitor.zone();
    let range = Range::last(app.clock.now(), WEEK_MS).only(Dimension::Account, &id);
    let (totals, before) = (range.totals(&app).await?, range.before().totals(&app).await?);
    let subscriptions = SubscriptionFilter {
        account: Some(id),
        ..SubscriptionFilter::default()
    };
    let balances = app.store.balances(Scope::All, id).await?;
    page(&Story {
        shell: super::shell(&app, &staff).await?,
        id: id.to_string(),
        name: account.fields.name.clone(),
        is_gone: account.deleted_at.is_some(),
        facts: facts(&account, &staff),
        stats: figures::stats(&totals, &before),
        owed: balances
            .iter()
            .map(|one| {
                (
                    show::minor(one.receivable, one.currency),
                    show::minor(one.credit, one.currency),
                )
            })
            .collect(),
        apps: apps(&app, &staff, (id, &range)).await?,
        plans: consumer::plans(&app, &subscriptions, zone).await?,
        people: people(&app, &staff, id).await?,
        invoices: invoices(&app, &staff, id).await?,
        events: events(&app, &staff, id).await?,
        zone: show::zone_name(zone),
    })
}

fn facts(account: &Account, staff: &Staff) -> Vec<(&'static str, Html)> {
    let fields = &account.fields;
    let text = |text: Option<&str>| Html(crate::pages::web::escape(text.unwrap_or(show::NOTHING)));
    let address = fields
        .address
        .as_deref()
        .map(|lines| lines.lines().collect::<Vec<_>>().join(", "));
    vec![
        ("Mail", text(fields.email.as_deref())),
        ("Address", text(address.as_deref())),
        ("Country", text(fields.country.as_deref())),
        ("Currency", text(Some(&fields.currency))),
        ("Time zone", text(Some(&fields.timezone))),
        ("Since", show::day(account.created_at, staff.visitor.zone())),
        ("Id", text(Some(&account.id.to_string()))),
    ]
}

async fn apps(app: &App, staff: &Staff, (id, range): (AccountId, &Range)) -> Result<Vec<AppRow>, Problem> {
    let mut calls = HashMap::new();
    for row in range.rows(app, Interval::Whole, &[Dimension::Consumer]).await? {
        if let Some(consumer) = row.group.first().cloned().flatten() {
            calls.insert(consumer, (row.requests, row.errors));
        }
    }
    let found = app
        .store
        .consumers(Scope::All, Some(id), &Rows::first(Rows::MAX))
        .await?;
    let row = |consumer: store::Consumer| {
        let (requests, errors) = calls.get(&consumer.id.to_string()).copied().unwrap_or_default();
        AppRow {
            id: consumer.id.to_string(),
            is_suspended: consumer.suspended_reason.is_some(),
            requests: show::number(requests),
            errors: show::percent(errors, requests),
            created: show::day(consumer.created_at, staff.visitor.zone()),
            name: consumer.name,
        }
    };
    Ok(found.into_iter().map(row).collect())
}

async fn people(app: &App, staff: &Staff, id: AccountId) -> Result<Vec<Person>, Problem> {
    let members = app.store.members(Scope::All, id, &Rows::first(Rows::MAX)).await?;
    let person = |member: store::Member| Person {
        id: member.user_id.to_string(),
        name: if member.name.is_empty() {
            member.email.clone()
        } else {
            member.name
        },
        email: member.email,
        role: member.role.as_str(),
        since: show::day(member.created_at, staff.visitor.zone()),
    };
    Ok(members.into_iter().map(person).collect())
}

async fn invoices(app: &App, staff: &Staff, id: AccountId) -> Result<Vec<InvoiceRow>, Problem> {
    let search = InvoiceSearch {
        account: Some(id),
        ..InvoiceSearch::default()
    };
    let now = staff.visitor.now();
    let found = app.store.find_invoices(Scope::All, &search, (0, INVOICES), now).await?;
    let row = |one: store::billing::InvoiceSummary| InvoiceRow {
        href: format!("/finance/invoices/{}", one.id),
        state: Standing::of_summary(&one, now),
        made: show::day(one.created_at, staff.visitor.zone()),
        total: show::minor(one.total, one.currency),
        open: show::minor(one.amount_due, one.currency),
        number: one.number.unwrap_or_else(|| "Draft".to_owned()),
    };
    Ok(found.into_iter().map(row).collect())
}

async fn events(app: &App, staff: &Staff, id: AccountId) -> Result<Vec<Event>, Problem> {
    let filter = AuditFilter {
        account: Some(id),
        ..AuditFilter::default()
    };
    let mut things = Things::default();
    let mut events = Vec::new();
    for record in app.store.audit_events(&filter, &Rows::first(EVENTS)).await? {
        events.push(audit::event(app, &mut things, record, staff.visitor.zone()).await?);
    }
    Ok(events)
}
