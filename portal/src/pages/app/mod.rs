//! The developer's section, `/app`: apps, keys, subscriptions, usage, single requests, invoices of the current
//! organisation.
//!
//! Invariants: everything is read and changed by the functions of the Admin API with a caller who sees this organisation
//! alone, so what is foreign is 404; a key is in the answer to the form that made it and nowhere else. Team and settings
//! are pages of their own section.

mod apps;
mod bars;
mod billing;
mod choose;
mod delete;
mod held;
mod invoice;
mod keys;
mod logs;
mod one_app;
mod overview;
mod plan_change;
mod rotate;
mod story;
mod subscriptions;
mod usage;
mod usage_figures;
mod usage_splits;
mod uses;

use domain::ids::ConsumerId;
use store::{Consumer, Page as StorePage};

use super::web::access::{BUILDERS, READERS};
use super::web::route::{get, post};
use super::web::{Access, Member, PageRoute, Shell, sides};
use crate::app::App;
use crate::http::problem::Problem;

const READ: Access = Access::Member(READERS);
const BUILD: Access = Access::Member(BUILDERS);

/// The pages of this folder.
pub(crate) fn table() -> Vec<PageRoute> {
    let mut pages = vec![
        get("/app", READ, overview::show),
        get("/app/usage", READ, usage::show),
        get("/app/usage.csv", READ, usage::csv),
        get("/app/logs", READ, logs::list),
        get("/app/logs/{request_id}", READ, story::show),
        get("/app/billing", READ, billing::show),
        get("/app/billing/invoices/{id}", READ, invoice::show),
        get("/app/billing/invoices/{id}/lines/{n}", READ, invoice::show_line),
    ];
    pages.extend(of_apps());
    pages.extend(of_subscriptions());
    pages
}

fn of_apps() -> Vec<PageRoute> {
    vec![
        get("/app/apps", READ, apps::list),
        post("/app/apps", BUILD, apps::create),
        get("/app/apps/new", BUILD, apps::new),
        get("/app/apps/{id}", READ, one_app::show),
        post("/app/apps/{id}", BUILD, one_app::rename),
        get("/app/apps/{id}/delete", BUILD, delete::ask),
        post("/app/apps/{id}/delete", BUILD, delete::carry_out),
        get("/app/apps/{id}/keys", READ, keys::list),
        post("/app/apps/{id}/keys", BUILD, keys::create),
        get("/app/apps/{id}/keys/{cid}/rotate", BUILD, rotate::ask),
        post("/app/apps/{id}/keys/{cid}/rotate", BUILD, rotate::carry_out),
        get("/app/apps/{id}/keys/{cid}/revoke", BUILD, rotate::ask_to_revoke),
        post("/app/apps/{id}/keys/{cid}/revoke", BUILD, rotate::revoke),
    ]
}

fn of_subscriptions() -> Vec<PageRoute> {
    vec![
        get("/app/apps/{id}/subscriptions", READ, subscriptions::list),
        post("/app/apps/{id}/subscriptions", BUILD, choose::subscribe),
        get("/app/apps/{id}/subscriptions/new", BUILD, choose::show),
        get("/app/apps/{id}/subscriptions/{cid}/change", BUILD, plan_change::ask),
        post(
            "/app/apps/{id}/subscriptions/{cid}/change",
            BUILD,
            plan_change::carry_out,
        ),
        get(
            "/app/apps/{id}/subscriptions/{cid}/cancel",
            BUILD,
            subscriptions::ask_to_cancel,
        ),
        post(
            "/app/apps/{id}/subscriptions/{cid}/cancel",
            BUILD,
            subscriptions::cancel,
        ),
        post(
            "/app/apps/{id}/subscriptions/{cid}/uncancel",
            BUILD,
            subscriptions::go_on,
        ),
        post(
            "/app/apps/{id}/subscriptions/{cid}/withdraw",
            BUILD,
            subscriptions::withdraw,
        ),
    ]
}

/// The layout of this section's pages.
pub(crate) async fn shell(app: &App, member: &Member) -> Result<Shell, Problem> {
    Ok(member.visitor.shell(app).await?.side(sides::app(member)))
}

/// An app's own navigation: where it stands on each of its pages.
pub(crate) struct Tabs {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) current: &'static str,
}

impl Tabs {
    fn new(consumer: &Consumer, current: &'static str) -> Self {
        Self {
            id: consumer.id.to_string(),
            name: consumer.name.clone(),
            current,
        }
    }

    /// ` aria-current="page"` for the tab that is open.
    pub(crate) fn mark(&self, tab: &str) -> super::web::Html {
        let mark = if tab == self.current {
            " aria-current=\"page\""
        } else {
            ""
        };
        super::web::Html(mark.to_owned())
    }
}

/// The organisation's apps in force, by name.
async fn consumers(app: &App, member: &Member) -> Result<Vec<Consumer>, Problem> {
    let page = StorePage::first(StorePage::MAX);
    let mut consumers = app
        .store
        .consumers(member.caller.scope(), Some(member.account), &page)
        .await?;
    consumers.sort_by_key(|consumer| (consumer.name.to_lowercase(), consumer.id));
    Ok(consumers)
}

/// One of them.
async fn consumer(app: &App, member: &Member, id: ConsumerId) -> Result<Consumer, Problem> {
    crate::api::consumers::visible(app, &member.caller, id).await
}
