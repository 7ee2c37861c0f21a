//! `/app/apps`: the organisation's apps, and a new one.

use askama::Template;
use axum::extract::State;
use domain::config::Plan;
use domain::key::Mode;
use domain::subscription::{ConsumerStatus, Origin, SubscriptionStatus};
use store::Consumer;

use super::{choose, consumers, held, keys, shell, uses};
use crate::api::credentials::{self, NewKey};
use crate::api::subscriptions::{self, CreateSubscription};
use crate::api::usage::fresh;
use crate::api::{self, products};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::{compare, offers, price};
use crate::pages::web::access::BUILDERS;
use crate::pages::web::once::{self, Turn};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Form, Html, Member, Posted, Shell, chart};
use crate::people::require_verified;

#[derive(Template)]
#[template(path = "app/apps.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
    may_build: bool,
    form: Form,
    plans: Vec<(String, String)>,
    once: Html,
}

#[derive(Template)]
#[template(path = "app/apps_new.html")]
struct NewPage {
    shell: Shell,
    form: Form,
    plans: Vec<(String, String)>,
    once: Html,
}

/// How many plans the form for a new app offers; the pages of products have all.
const MAX_PLANS: usize = 40;

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
    require_verified(member.user()?)?;
    web::page(&NewPage {
        shell: shell(&app, &member).await?,
        form: Form::new(),
        plans: beginnings(&app, &member).await?,
        once: once::field(),
    })
}

/// The plans that a new app may begin on: `product/plan`, and its words.
pub(crate) async fn beginnings(app: &App, member: &Member) -> Result<Vec<(String, String)>, Problem> {
    let currency = choose::currency(app, member).await?;
    let catalogue = offers::catalogue(app).await?;
    let mut choices = vec![(String::new(), "Choose later".to_owned())];
    for offer in products::offers(app, &member.caller, None).await? {
        let name = &offer.product.name;
        let title = offer.product.title.as_ref().unwrap_or(name);
        let words = |plan: &Plan| {
            let headline = price::headline(plan, currency, &catalogue);
            format!("{title}, {}: {headline}", compare::title(plan))
        };
        choices.extend(
            offer
                .plans
                .iter()
                .map(|plan| (format!("{name}/{}", plan.name), words(plan))),
        );
    }
    choices.truncate(MAX_PLANS + 1);
    Ok(choices)
}

async fn gather(app: &App, member: &Member, form: Form) -> Result<Page, Problem> {
    let apps = consumers(app, member).await?;
    if !apps.is_empty() {
        fresh(app).await?;
    }
    let plans = if apps.is_empty() {
        beginnings(app, member).await?
    } else {
        Vec::new()
    };
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
        plans,
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
    let keys = super::keys::lasting(app, member, consumer.id).await?;
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
    require_verified(member.user()?)?;
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
        Ok(consumer) => begin(&app, &member, &consumer, &posted).await,
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            form.take(&problem, &[]);
            refused(&app, &member, form).await
        }
    }
}

/// What else was wished for the new app: a plan, and a first key, which this answer alone shows.
async fn begin(app: &App, member: &Member, consumer: &Consumer, posted: &Posted) -> web::Page {
    if let Some((product, plan)) = posted.get("plan").split_once('/') {
        let wanted = CreateSubscription {
            consumer_id: consumer.id,
            product: product.to_owned(),
            plan: plan.to_owned(),
            anchor: None,
        };
        match subscriptions::make(app, &member.caller, wanted, Origin::Portal).await {
            Ok(_) => {}
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            // The app is there; its own page leads to the plans that can be had.
            Err(_) => return web::see_other(&format!("/app/apps/{}/subscriptions/new", consumer.id)),
        }
    }
    if posted.get("key").is_empty() {
        return web::see_other(&format!("/app/apps/{}", consumer.id));
    }
    let wanted = NewKey {
        name: Some("First key".to_owned()),
        mode: Mode::Live,
        expires_at: None,
        scopes: Vec::new(),
        products: Vec::new(),
        origin: Origin::Portal,
    };
    let (credential, key) = credentials::make(app, &member.caller, consumer.id, wanted).await?;
    keys::reveal(app, member, consumer, (&credential, &key), Html::default()).await
}

async fn refused(app: &App, member: &Member, form: Form) -> web::Page {
    web::unprocessable(&NewPage {
        shell: shell(app, member).await?,
        plans: beginnings(app, member).await?,
        form,
        once: once::field(),
    })
}
