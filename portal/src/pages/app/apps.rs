//! `/app/apps`: the organisation's apps, and a new one.

use askama::Template;
use axum::extract::State;
use domain::subscription::{ConsumerStatus, Origin, SubscriptionStatus};
use store::{Consumer, Page as StorePage};

use super::{consumers, held, shell, uses};
use crate::api;
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::BUILDERS;
use crate::pages::web::once::{self, Turn};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Form, Html, Member, Posted, Shell, chart};

#[derive(Template)]
#[template(path = "app/apps.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
    may_build: bool,
    form: Form,
    once: Html,
}

#[derive(Template)]
#[template(path = "app/apps_new.html")]
struct NewPage {
    shell: Shell,
    form: Form,
    once: Html,
}

struct Row {
    id: String,
    name: String,
    class: &'static str,
    state: &'static str,
    plans: Vec<String>,
    keys: usize,
    calls: String,
    spark: Html,
    created: Moment,
}

/// `GET /app/apps`
pub(crate) async fn list(State(app): State<App>, member: Member) -> web::Page {
    web::page(&gather(&app, &member, Form::new()).await?)
}

/// `GET /app/apps/new`
pub(crate) async fn new(State(app): State<App>, member: Member) -> web::Page {
    web::page(&NewPage {
        shell: shell(&app, &member).await?,
        form: Form::new(),
        once: once::field(),
    })
}

async fn gather(app: &App, member: &Member, form: Form) -> Result<Page, Problem> {
    let apps = consumers(app, member).await?;
    if !apps.is_empty() {
        fresh(app).await?;
    }
    let weeks = uses::week(app, member).await?;
    let mut rows = Vec::with_capacity(apps.len());
    for consumer in apps {
        let week = weeks.get(&consumer.id.to_string()).copied().unwrap_or_default();
        rows.push(row(app, member, consumer, week).await?);
    }
    Ok(Page {
        shell: shell(app, member).await?,
        rows,
        may_build: member.is_one_of(BUILDERS),
        form,
        once: once::field(),
    })
}

async fn row(app: &App, member: &Member, consumer: Consumer, week: [u64; 7]) -> Result<Row, Problem> {
    let now = member.visitor.now();
    let mut plans = Vec::new();
    for one in held::subscriptions(app, member, Some(consumer.id)).await? {
        if one.status.is_live() {
            let waits = one.status == SubscriptionStatus::PendingApproval;
            let held = held::held(app, member, one).await?;
            let waits = if waits { ", waits for approval" } else { "" };
            plans.push(format!("{}: {}{waits}", held.product, held.plan));
        }
    }
    let page = StorePage::first(StorePage::MAX);
    let keys = app.store.credentials(member.caller.scope(), consumer.id, &page).await?;
    let calls: u64 = week.iter().sum();
    let is_active = consumer.status == ConsumerStatus::Active;
    Ok(Row {
        id: consumer.id.to_string(),
        class: if is_active { "good" } else { "bad" },
        state: if is_active { "Active" } else { "Suspended" },
        plans,
        keys: keys.iter().filter(|key| super::keys::works(key, now)).count(),
        calls: show::number(calls),
        spark: chart::spark(&week, &format!("{} in seven days", show::count(calls, "call", "calls"))),
        created: show::day(consumer.created_at, member.visitor.zone()),
        name: consumer.name,
    })
}

/// `POST /app/apps`
pub(crate) async fn create(State(app): State<App>, member: Member, posted: Posted) -> web::Page {
    let mut form = Form::typed(&posted);
    form.preset("name", "");
    if posted.get("name").is_empty() {
        form.fault("name", "Write a name, such as the program or service that will call");
        return refused(&app, &member, form).await;
    }
    let ticket = match once::turn(&app, &member.caller, &posted).await? {
        Turn::First(ticket) => ticket,
        Turn::Again(id) => return web::see_other(&format!("/app/apps/{id}")),
        Turn::Running => return web::see_other("/app/apps"),
    };
    let name = posted.get("name").to_owned();
    let made = api::consumers::make(&app, &member.caller, member.account, (name, Origin::Portal)).await;
    match ticket.done(&app, made, |consumer| consumer.id.to_string()).await {
        Ok(consumer) => web::see_other(&format!("/app/apps/{}", consumer.id)),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            form.take(&problem, &[]);
            refused(&app, &member, form).await
        }
    }
}

async fn refused(app: &App, member: &Member, form: Form) -> web::Page {
    web::unprocessable(&NewPage {
        shell: shell(app, member).await?,
        form,
        once: once::field(),
    })
}
