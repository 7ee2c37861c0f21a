//! `/app/billing`: what is subscribed, what comes next, what is unbilled, and every invoice.

use askama::Template;
use axum::extract::State;
use domain::ids::InvoiceId;
use domain::invoice::InvoiceStatus;
use jiff::tz::TimeZone;
use store::billing::{InvoiceFilter, InvoiceSummary};

use super::held::{self, State as Status};
use super::{consumers, shell};
use crate::api::billing_change::{self, Running};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::Problem;
use crate::pages::money::state::State as Standing;
use crate::pages::web::{self, Asked, Html, Member, Shell, show};

const PER_PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "app/billing.html")]
struct Page {
    shell: Shell,
    plans: Vec<PlanRow>,
    balances: Vec<Balance>,
    unbilled: Vec<String>,
    invoices: Vec<InvoiceRow>,
    older: Option<String>,
    zone: String,
}

struct PlanRow {
    app: String,
    href: String,
    product: String,
    plan: String,
    state: Status,
    usage: String,
    next: String,
    /// When the usage is invoiced, or else the next charge.
    invoiced: Html,
    /// When the next charge is due, where that is another day.
    charged: Option<Html>,
}

struct Balance {
    receivable: String,
    credit: String,
}

/// An invoice in a list.
struct InvoiceRow {
    id: String,
    number: String,
    state: Standing,
    made: Html,
    /// The day by which an open one is to be paid.
    due: Option<Html>,
    total: String,
    open: String,
}

/// `GET /app/billing`
pub(crate) async fn show(State(app): State<App>, member: Member, asked: Asked) -> web::Page {
    fresh(&app).await?;
    let running = billing_change::running(&app, member.account).await?;
    let zone = member.visitor.zone();
    let page = Paging {
        limit: Some(PER_PAGE),
        cursor: asked.get("cursor").map(str::to_owned),
    }
    .page()?;
    let filter = InvoiceFilter {
        account: Some(member.account),
        status: None,
    };
    let found = app.store.invoices(member.caller.scope(), filter, &page).await?;
    let listed = Listed::of(found, &page, |one: &InvoiceSummary| InvoiceId::to_string(&one.id));
    let balances = app.store.balances(member.caller.scope(), member.account).await?;
    let invoices = listed.items.into_iter().map(|one| invoice_row(&member, one));
    web::page(&Page {
        shell: shell(&app, &member).await?,
        plans: plans(&app, &member, &running).await?,
        balances: balances
            .into_iter()
            .map(|one| Balance {
                receivable: show::minor(one.receivable, one.currency),
                credit: show::minor(one.credit, one.currency),
            })
            .collect(),
        unbilled: unbilled(&app, &member).await?,
        invoices: invoices.collect(),
        older: listed.next_cursor.map(|cursor| asked.with("cursor", &cursor)),
        zone: show::zone_name(zone),
    })
}

/// What an invoice made now would ask for, by currency: what interim invoices hold already is not in it.
async fn unbilled(app: &App, member: &Member) -> Result<Vec<String>, Problem> {
    let Some(bill) = app.store.account_bill(member.account).await? else {
        return Ok(Vec::new());
    };
    let found = match app.store.unbilled(&bill, member.visitor.now()).await {
        // What cannot be billed has no price; finance is told why.
        Err(store::Error::State(_)) => Vec::new(),
        other => other?,
    };
    Ok(found.iter().map(|one| show::minor(one.amount, one.currency)).collect())
}

fn invoice_row(member: &Member, one: InvoiceSummary) -> InvoiceRow {
    let (now, zone) = (member.visitor.now(), member.visitor.zone());
    let due = one.due_at.filter(|_| one.status == InvoiceStatus::Open);
    InvoiceRow {
        id: one.id.to_string(),
        state: Standing::of_summary(&one, now),
        made: show::day(one.created_at, zone),
        due: due.map(|at| show::day(at, zone)),
        total: show::minor(one.total, one.currency),
        open: show::minor(one.amount_due, one.currency),
        number: one.number.unwrap_or_else(|| "Draft".to_owned()),
    }
}

async fn plans(app: &App, member: &Member, running: &[Running]) -> Result<Vec<PlanRow>, Problem> {
    let apps = consumers(app, member).await?;
    let zone = member.visitor.zone();
    let mut rows = Vec::new();
    for one in held::subscriptions(app, member, None).await? {
        if !one.status.is_live() {
            continue;
        }
        let held = held::held(app, member, one).await?;
        let own = running.iter().find(|one| one.subscription == held.subscription.id);
        rows.push(plan_row(held, own, &apps, zone));
    }
    Ok(rows)
}

fn plan_row(held: held::Held, own: Option<&Running>, apps: &[store::Consumer], zone: &TimeZone) -> PlanRow {
    let app = apps.iter().find(|one| one.id == held.consumer);
    let next = own.and_then(|one| {
        let (at, minor) = one.next?;
        let is_over = held.subscription.cancel_at.is_some_and(|end| end <= at);
        (!is_over).then(|| (show::minor(minor, one.currency), show::day(at, zone)))
    });
    let invoiced = own.map(|one| show::day(one.period_end, zone));
    let charged = next.as_ref().map(|(_, at)| at.clone());
    PlanRow {
        app: app.map_or_else(String::new, |one| one.name.clone()),
        href: format!("/app/apps/{}/subscriptions", held.consumer),
        product: held.product,
        plan: held.plan,
        state: held.state,
        usage: own.map_or_else(|| show::NOTHING.to_owned(), |one| show::minor(one.usage, one.currency)),
        next: next
            .as_ref()
            .map_or_else(|| show::NOTHING.to_owned(), |(amount, _)| amount.clone()),
        charged: invoiced.as_ref().and(charged.clone()).filter(|_| invoiced != charged),
        invoiced: invoiced.or(charged).unwrap_or_else(|| Html(show::NOTHING.to_owned())),
    }
}
