//! `/app/apps/{id}/delete`: what goes with an app, and doing it.

use askama::Template;
use axum::extract::State;
use domain::ids::ConsumerId;
use store::{Consumer, Page as StorePage};

use super::{Tabs, consumer, held, shell, uses};
use crate::api;
use crate::api::answer::Id;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{self, Form, Member, Posted, Shell, show};

#[derive(Template)]
#[template(path = "app/app_delete.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    keys: Vec<String>,
    subscriptions: Vec<String>,
    calls: u64,
    calls_text: String,
    form: Form,
    label: String,
}

/// `GET /app/apps/{id}/delete`
pub(crate) async fn ask(State(app): State<App>, member: Member, Id(id): Id<ConsumerId>) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    web::page(&gather(&app, &member, &consumer, Form::new()).await?)
}

async fn gather(app: &App, member: &Member, consumer: &Consumer, form: Form) -> Result<Page, Problem> {
    fresh(app).await?;
    let now = member.visitor.now();
    let page = StorePage::first(StorePage::MAX);
    let keys = app.store.credentials(member.caller.scope(), consumer.id, &page).await?;
    let uses = uses::of_keys(app, member, consumer.id).await?;
    let calls: u64 = uses.values().map(|one| one.day).sum();
    let mut subscriptions = Vec::new();
    for one in held::subscriptions(app, member, Some(consumer.id)).await? {
        if one.status.is_live() {
            let held = held::held(app, member, one).await?;
            subscriptions.push(format!("{}, {}", held.product, held.plan));
        }
    }
    Ok(Page {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "overview"),
        keys: keys
            .iter()
            .filter(|key| super::keys::works(key, now))
            .map(super::keys::name)
            .collect(),
        subscriptions,
        calls,
        calls_text: show::number(calls),
        form,
        label: format!("Type {} to confirm", consumer.name),
    })
}

/// `POST /app/apps/{id}/delete`
pub(crate) async fn carry_out(
    State(app): State<App>,
    member: Member,
    Id(id): Id<ConsumerId>,
    posted: Posted,
) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    let mut form = Form::typed(&posted);
    form.preset("confirm", "");
    if posted.get("confirm") != consumer.name.trim() {
        form.fault(
            "confirm",
            format!("Type the name of the app as it is: {}", consumer.name),
        );
        return web::unprocessable(&gather(&app, &member, &consumer, form).await?);
    }
    match api::consumers::remove(&app, &member.caller, id, api::consumers::Live::End).await {
        Ok(()) => web::see_other("/app/apps"),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            form.take(&problem, &[]);
            web::unprocessable(&gather(&app, &member, &consumer, form).await?)
        }
    }
}
