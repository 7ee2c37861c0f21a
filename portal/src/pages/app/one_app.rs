//! `/app/apps/{id}`: one app at a glance, and its name.

use askama::Template;
use axum::extract::State;
use domain::ids::ConsumerId;
use domain::subscription::{ConsumerStatus, Origin};
use store::{Consumer, Page as StorePage};

use super::held::{self, Held};
use super::{Tabs, consumer, shell, uses};
use crate::api;
use crate::api::answer::Id;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::BUILDERS;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Form, Html, Member, Posted, Shell, chart};

#[derive(Template)]
#[template(path = "app/app.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    /// Why it is suspended.
    suspended: Option<String>,
    subscriptions: Vec<Held>,
    keys: usize,
    calls: String,
    spark: Html,
    created: Moment,
    may_build: bool,
    may_rename: bool,
    next: Option<Next>,
    form: Form,
}

/// What is still missing before the first call.
struct Next {
    text: &'static str,
    href: String,
    label: &'static str,
}

/// `GET /app/apps/{id}`
pub(crate) async fn show(State(app): State<App>, member: Member, Id(id): Id<ConsumerId>) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    let form = Form::with([("name", consumer.name.clone())]);
    web::page(&gather(&app, &member, consumer, form).await?)
}

async fn gather(app: &App, member: &Member, consumer: Consumer, form: Form) -> Result<Page, Problem> {
    fresh(app).await?;
    let week = uses::week(app, member).await?;
    let week = week.get(&consumer.id.to_string()).copied().unwrap_or_default();
    let calls: u64 = week.iter().sum();
    let mut subscriptions = Vec::new();
    for one in held::subscriptions(app, member, Some(consumer.id)).await? {
        if one.status.is_live() {
            subscriptions.push(held::held(app, member, one).await?);
        }
    }
    let page = StorePage::first(StorePage::MAX);
    let keys = app.store.credentials(member.caller.scope(), consumer.id, &page).await?;
    let keys = keys
        .iter()
        .filter(|key| super::keys::works(key, member.visitor.now()))
        .count();
    Ok(Page {
        shell: shell(app, member).await?,
        next: next(&consumer, subscriptions.len(), keys),
        tabs: Tabs::new(&consumer, "overview"),
        suspended: (consumer.status == ConsumerStatus::Suspended)
            .then(|| consumer.suspended_reason.clone().unwrap_or_default()),
        subscriptions,
        keys,
        spark: chart::spark(&week, &format!("{} in seven days", show::count(calls, "call", "calls"))),
        calls: show::number(calls),
        created: show::day(consumer.created_at, member.visitor.zone()),
        may_build: member.is_one_of(BUILDERS),
        may_rename: member.is_one_of(BUILDERS) && consumer.origin != Origin::File,
        form,
    })
}

fn next(consumer: &Consumer, subscriptions: usize, keys: usize) -> Option<Next> {
    let path = format!("/app/apps/{}", consumer.id);
    if subscriptions == 0 {
        return Some(Next {
            text: "It opens nothing yet: subscribe it to a product.",
            href: format!("{path}/subscriptions/new"),
            label: "Choose a plan",
        });
    }
    (keys == 0).then(|| Next {
        text: "It has no key yet.",
        href: format!("{path}/keys#new"),
        label: "Create a key",
    })
}

/// `POST /app/apps/{id}`: another name.
pub(crate) async fn rename(
    State(app): State<App>,
    member: Member,
    Id(id): Id<ConsumerId>,
    posted: Posted,
) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    let mut form = Form::typed(&posted);
    form.preset("name", "");
    match api::consumers::rename(&app, &member.caller, id, posted.get("name")).await {
        Ok(_) => web::see_other(&format!("/app/apps/{id}")),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            form.take(&problem, &[]);
            web::unprocessable(&gather(&app, &member, consumer, form).await?)
        }
    }
}
