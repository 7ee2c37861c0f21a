//! `/app/apps/{id}/subscriptions`: what an app may use, and how it ends.

use askama::Template;
use axum::extract::State;
use domain::ids::{ConsumerId, SubscriptionId};
use store::{Consumer, Subscription};

use super::held::{self, Held};
use super::{Tabs, consumer, shell, uses};
use crate::api::answer::{Id, Ids};
use crate::api::transitions::{self, Cancel, Credit, When};
use crate::api::usage::fresh;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::BUILDERS;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Member, Posted, Shell};
use crate::subscribing;

#[derive(Template)]
#[template(path = "app/subscriptions.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    live: Vec<Held>,
    ended: Vec<Held>,
    notice: Option<Notice>,
    may_build: bool,
}

/// What has just happened.
struct Notice {
    class: &'static str,
    title: String,
    text: String,
    /// The next step: address and words.
    next: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "app/subscription_cancel.html")]
struct CancelPage {
    shell: Shell,
    tabs: Tabs,
    held: Held,
    calls: String,
    end: Option<Moment>,
    at_once: bool,
    form: Form,
}

/// `GET /app/apps/{id}/subscriptions`
pub(crate) async fn list(State(app): State<App>, member: Member, Id(id): Id<ConsumerId>, asked: Asked) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    fresh(&app).await?;
    let (mut live, mut ended) = (Vec::new(), Vec::new());
    for one in held::subscriptions(&app, &member, Some(id)).await? {
        let held = held::held(&app, &member, one).await?;
        if held.is_live {
            live.push(held);
        } else {
            ended.push(held);
        }
    }
    let notice = match live.iter().find(|held| Some(held.id.as_str()) == asked.get("new")) {
        Some(held) => Some(notice(&app, &member, held).await?),
        None => None,
    };
    web::page(&Page {
        shell: shell(&app, &member).await?,
        tabs: Tabs::new(&consumer, "subscriptions"),
        live,
        ended,
        notice,
        may_build: member.is_one_of(BUILDERS),
    })
}

async fn notice(app: &App, member: &Member, held: &Held) -> Result<Notice, Problem> {
    let mut tx = member.caller.change(app).await?;
    let overlaps = subscribing::overlaps(&mut tx, &held.subscription).await?;
    tx.rollback().await?;
    let wins = super::choose::overlap_words(&overlaps);
    if held.is_pending {
        return Ok(Notice {
            class: "",
            title: format!("{}, {} is asked for", held.product, held.plan),
            text: format!("The provider looks at it first. Nothing is charged before. {wins}"),
            next: None,
        });
    }
    Ok(Notice {
        class: "good",
        title: format!("{}, {} is active", held.product, held.plan),
        text: format!("The keys of this app open it within a second. {wins}"),
        next: Some((format!("/app/apps/{}/keys", held.consumer), "See its keys")),
    })
}

/// The app and its subscription, both the organisation's own.
pub(crate) async fn found(
    app: &App,
    member: &Member,
    (id, subscription): (ConsumerId, SubscriptionId),
) -> Result<(Consumer, Subscription), Problem> {
    let consumer = consumer(app, member, id).await?;
    let one = crate::api::subscriptions::visible(app, &member.caller, subscription).await?;
    if one.consumer_id == id {
        Ok((consumer, one))
    } else {
        Err(Problem::missing("subscription"))
    }
}

/// `GET /app/apps/{id}/subscriptions/{cid}/cancel`
pub(crate) async fn ask_to_cancel(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
) -> web::Page {
    let (consumer, one) = found(&app, &member, (id, cid)).await?;
    if !one.status.is_live() {
        return web::see_other(&format!("/app/apps/{id}/subscriptions"));
    }
    web::page(&cancelling(&app, &member, (&consumer, one), Form::new()).await?)
}

async fn cancelling(
    app: &App,
    member: &Member,
    (consumer, one): (&Consumer, Subscription),
    form: Form,
) -> Result<CancelPage, Problem> {
    fresh(app).await?;
    let now = member.visitor.now();
    let mut question = uses::question(member, now.plus_millis(-uses::DAY_MS), now.plus_millis(1));
    question
        .filter
        .insert(analytics::Dimension::Subscription, one.id.to_string());
    let calls: u64 = uses::rows(app, &question).await?.iter().map(|row| row.requests).sum();
    let end = subscribing::period_at(&one, now).map(|period| show::moment(period.end, member.visitor.zone()));
    Ok(CancelPage {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "subscriptions"),
        held: held::held(app, member, one).await?,
        calls: show::count(calls, "call", "calls"),
        at_once: form.value("at") == "now" || end.is_none(),
        end,
        form,
    })
}

/// `POST /app/apps/{id}/subscriptions/{cid}/cancel`
pub(crate) async fn cancel(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
    posted: Posted,
) -> web::Page {
    let (consumer, one) = found(&app, &member, (id, cid)).await?;
    let at = match posted.get("at") {
        "" | "period_end" => When::PeriodEnd,
        "now" => When::Now,
        _ => {
            let mut form = Form::typed(&posted);
            form.fault("at", "Choose when it ends");
            return web::unprocessable(&cancelling(&app, &member, (&consumer, one), form).await?);
        }
    };
    let wanted = Cancel {
        at,
        credit: Credit::None,
    };
    transitions::end(&app, &member.caller, cid, &wanted).await?;
    web::see_other(&format!("/app/apps/{id}/subscriptions"))
}

/// `POST /app/apps/{id}/subscriptions/{cid}/uncancel`
pub(crate) async fn go_on(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
    _posted: Posted,
) -> web::Page {
    found(&app, &member, (id, cid)).await?;
    transitions::go_on(&app, &member.caller, cid).await?;
    web::see_other(&format!("/app/apps/{id}/subscriptions"))
}

/// `POST /app/apps/{id}/subscriptions/{cid}/withdraw`: takes back what was not decided yet.
pub(crate) async fn withdraw(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
    _posted: Posted,
) -> web::Page {
    let (_, one) = found(&app, &member, (id, cid)).await?;
    if !held::is_pending(one.status) {
        return Err(Problem::conflict(
            "it has been decided meanwhile: load the page again to see how it stands",
        ));
    }
    let wanted = Cancel {
        at: When::Now,
        credit: Credit::None,
    };
    transitions::end(&app, &member.caller, cid, &wanted).await?;
    web::see_other(&format!("/app/apps/{id}/subscriptions"))
}
