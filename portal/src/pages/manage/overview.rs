//! `GET /manage`: what waits for a product manager, and how the portal is taken up.

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use store::Arrival;

use super::adoption::{DAY_MS, active_apps};
use super::offer::{Offer, subscribers};
use super::{may_change, shell, waiting};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Shell, Staff};

#[derive(Template)]
#[template(path = "manage/overview.html")]
struct Page {
    shell: Shell,
    may_change: bool,
    waiting: u64,
    drafts: Vec<DraftRow>,
    uploads: Vec<DraftRow>,
    products: usize,
    plans: usize,
    subscriptions: String,
    people: String,
    people_before: String,
    apps: String,
    active_week: String,
    active_month: String,
    fruitless: Vec<(String, String)>,
}

struct DraftRow {
    title: String,
    what: String,
    href: String,
    author: String,
    changed: Moment,
}

/// `GET /manage`
pub(super) async fn show(State(app): State<App>, staff: Staff) -> web::Page {
    let now = app.clock.now();
    let week = now.plus_millis(-7 * DAY_MS);
    let offers = Offer::all(&app).await?;
    let live: u64 = subscribers(&app, &staff).await?.values().sum();
    let (_, apps) = app.store.population().await?;
    let fruitless = app.store.fruitless_searches(now.plus_millis(-30 * DAY_MS), 5).await?;
    let page = Page {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        waiting: waiting(&app).await?,
        drafts: plan_drafts(&app, &offers).await?,
        uploads: uploads(&app).await?,
        products: offers.len(),
        plans: offers.iter().map(|offer| offer.plans.len()).sum(),
        subscriptions: show::number(live),
        people: show::number(came(&app, week, now).await?),
        people_before: show::number(came(&app, week.plus_millis(-7 * DAY_MS), week).await?),
        apps: show::number(apps),
        active_week: show::number(active_apps(&app, week, now).await?),
        active_month: show::number(active_apps(&app, now.plus_millis(-30 * DAY_MS), now).await?),
        fruitless: fruitless
            .into_iter()
            .map(|term| (term.term, show::number(term.times)))
            .collect(),
    };
    web::page(&page)
}

async fn came(app: &App, from: Timestamp, to: Timestamp) -> Result<u64, Problem> {
    let days = app.store.arrivals(Arrival::Person, from, to).await?;
    Ok(days.iter().map(|day| day.count).sum())
}

async fn plan_drafts(app: &App, offers: &[Offer]) -> Result<Vec<DraftRow>, Problem> {
    let now = app.clock.now();
    let drafts = app.store.drafts(super::plan_editor::KIND).await?;
    let rows = drafts.into_iter().filter_map(|draft| {
        let (product, plan) = super::plan_editor::of_id(&draft.id)?;
        let offer = offers.iter().find(|offer| offer.product.name == product)?;
        Some(DraftRow {
            title: format!("{plan} of {}", offer.title()),
            what: if offer.plan(plan).is_some() {
                "Next version"
            } else {
                "New plan"
            }
            .to_owned(),
            href: format!("/manage/products/{product}/plans/{plan}/edit"),
            author: draft.author,
            changed: show::ago(draft.updated_at, now),
        })
    });
    Ok(rows.collect())
}

async fn uploads(app: &App) -> Result<Vec<DraftRow>, Problem> {
    let now = app.clock.now();
    let drafts = app.store.drafts(super::report::KIND).await?;
    let rows = drafts.into_iter().map(|draft| {
        let upload = super::report::Upload::of(&draft.fields);
        DraftRow {
            title: upload.label(),
            what: upload.what().to_owned(),
            href: upload.href(&draft.id),
            author: draft.author,
            changed: show::ago(draft.updated_at, now),
        }
    });
    Ok(rows.collect())
}
