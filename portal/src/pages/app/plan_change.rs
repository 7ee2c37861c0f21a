//! `/app/apps/{id}/subscriptions/{cid}/change`: another plan of the same product, with what it comes to before it is done.

use askama::Template;
use axum::extract::State;
use domain::config::Plan;
use domain::ids::{ConsumerId, SubscriptionId};
use domain::limit::LimitEntry;
use domain::money::Currency;
use serde_json::Value as Json;
use store::{Consumer, Subscription};

use super::held::{self, Held};
use super::{Tabs, choose, shell};
use crate::api::answer::Ids;
use crate::api::products;
use crate::api::transitions::{self, ChangePlan, ChangePreview, When};
use crate::api::usage::fresh;
use crate::app::App;
use crate::estimate;
use crate::http::problem::Problem;
use crate::pages::catalogue::offers::{self, Catalogue};
use crate::pages::catalogue::{compare, price};
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Form, Member, Posted, Shell};
use crate::people::require_verified;

#[derive(Template)]
#[template(path = "app/plan_change.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    held: Held,
    cards: Vec<Card>,
    at_end: bool,
    end: Option<Moment>,
    preview: Option<Preview>,
    form: Form,
}

struct Card {
    name: String,
    title: String,
    headline: String,
    rows: Vec<(String, String)>,
    is_chosen: bool,
    is_current: bool,
}

/// What the change comes to.
struct Preview {
    plan: String,
    plan_name: String,
    at_name: &'static str,
    at: Moment,
    is_now: bool,
    money: Option<Money>,
    limits: Vec<(String, String, String)>,
}

struct Money {
    credit: String,
    charge: String,
    net: String,
    is_back: bool,
    usage_before: String,
    usage_after: String,
}

/// `GET …/change`, and with `?plan=&at=` what it comes to.
pub(crate) async fn ask(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
    asked: Asked,
) -> web::Page {
    let (consumer, one) = super::subscriptions::found(&app, &member, (id, cid)).await?;
    let values = [
        ("plan", asked.get("plan").unwrap_or_default()),
        ("at", asked.get("at").unwrap_or_default()),
    ];
    let form = Form::with(values);
    answer(&app, &member, (&consumer, one), form).await
}

async fn answer(app: &App, member: &Member, (consumer, one): (&Consumer, Subscription), form: Form) -> web::Page {
    let mut form = form;
    let mut preview = None;
    if form.is_fine()
        && let Some(wanted) = wanted(form.value("plan"), form.value("at"))
    {
        match transitions::seen_before(app, &member.caller, one.id, &wanted).await {
            Ok(found) => preview = Some((found, wanted)),
            Err(problem) if problem.status().is_server_error() => return Err(problem),
            Err(problem) => form.take(&problem, &[]),
        }
    }
    let is_fine = form.is_fine();
    let page = gather(app, member, (consumer, one), (preview, form)).await?;
    if is_fine {
        web::page(&page)
    } else {
        web::unprocessable(&page)
    }
}

fn wanted(plan: &str, at: &str) -> Option<ChangePlan> {
    let at = if at == "period_end" { When::PeriodEnd } else { When::Now };
    (!plan.is_empty()).then(|| ChangePlan {
        plan: plan.to_owned(),
        at,
    })
}

async fn gather(
    app: &App,
    member: &Member,
    (consumer, one): (&Consumer, Subscription),
    (preview, form): (Option<(ChangePreview, ChangePlan)>, Form),
) -> Result<Page, Problem> {
    fresh(app).await?;
    let currency = choose::currency(app, member).await?;
    let held = held::held(app, member, one).await?;
    let catalogue = offers::catalogue(app).await?;
    let offers = products::offers(app, &member.caller, Some(&held.product_name)).await?;
    let offer = offers.into_iter().find(|offer| offer.product.name == held.product_name);
    let others = offer.map(|offer| offer.plans).unwrap_or_default();
    let end = crate::subscribing::period_at(&held.subscription, member.visitor.now());
    let chosen = form.value("plan").to_owned();
    let card = |plan: &Plan| Card {
        title: compare::title(plan),
        headline: price::headline(plan, currency, &catalogue),
        rows: price::rows(plan, currency, &catalogue),
        is_chosen: plan.name == chosen,
        is_current: plan.name == held.plan_name,
        name: plan.name.clone(),
    };
    let before = held::plan_in_force(app, &held.subscription).await?;
    let words = Words {
        currency,
        catalogue: &catalogue,
    };
    let preview = preview.map(|(found, wanted)| told(member, (before.as_ref(), &others), (found, wanted), &words));
    Ok(Page {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "subscriptions"),
        cards: others.iter().map(card).collect(),
        at_end: form.value("at") == "period_end",
        end: end.map(|period| show::moment(period.end, member.visitor.zone())),
        preview,
        held,
        form,
    })
}

/// How limits are put into words.
struct Words<'a> {
    currency: Currency,
    catalogue: &'a Catalogue,
}

fn told(
    member: &Member,
    (before, others): (Option<&Plan>, &[Plan]),
    (found, wanted): (ChangePreview, ChangePlan),
    words: &Words<'_>,
) -> Preview {
    let after = others.iter().find(|plan| plan.name == wanted.plan);
    let title = after.map_or_else(|| wanted.plan.clone(), compare::title);
    let is_now = wanted.at == When::Now;
    Preview {
        plan: title,
        plan_name: wanted.plan,
        at_name: if is_now { "now" } else { "period_end" },
        at: show::moment(found.at, member.visitor.zone()),
        is_now,
        limits: limits((before, &found.limits_before), (after, &found.limits_after), words),
        money: found.money.map(|money| {
            let currency: Currency = money.currency.parse().unwrap_or_default();
            let amount = |minor: i64| show::minor(minor, currency);
            Money {
                credit: amount(money.credit),
                charge: amount(money.charge),
                net: amount(money.net),
                is_back: money.net < 0,
                usage_before: amount(money.usage_before),
                usage_after: amount(money.usage_after),
            }
        }),
    }
}

/// Each limit before and after, by its head.
fn limits(
    before: (Option<&Plan>, &Json),
    after: (Option<&Plan>, &Json),
    words: &Words<'_>,
) -> Vec<(String, String, String)> {
    let read = |(plan, list): (Option<&Plan>, &Json)| -> Vec<(String, String)> {
        let entries: Vec<LimitEntry> = serde_json::from_value(list.clone()).unwrap_or_default();
        let price = plan.and_then(|plan| estimate::price_in(plan, words.currency).or(plan.price.as_ref()));
        price::limits(&entries, price, words.currency, words.catalogue)
    };
    let (before, after) = (read(before), read(after));
    let text = |rows: &[(String, String)], head: &str| {
        let found = rows.iter().find(|(known, _)| known == head);
        found.map_or_else(|| "none".to_owned(), |(_, text)| text.clone())
    };
    let mut heads: Vec<&String> = before.iter().chain(&after).map(|(head, _)| head).collect();
    heads.sort();
    heads.dedup();
    heads
        .into_iter()
        .map(|head| (head.clone(), text(&before, head), text(&after, head)))
        .collect()
}

/// `POST …/change`
pub(crate) async fn carry_out(
    State(app): State<App>,
    member: Member,
    Ids(id, cid): Ids<ConsumerId, SubscriptionId>,
    posted: Posted,
) -> web::Page {
    let (consumer, one) = super::subscriptions::found(&app, &member, (id, cid)).await?;
    require_verified(member.user()?)?;
    let mut form = Form::typed(&posted);
    form.preset("plan", "");
    form.preset("at", "");
    let Some(wanted) = wanted(posted.get("plan"), posted.get("at")) else {
        form.fault("plan", "Choose a plan");
        return answer(&app, &member, (&consumer, one), form).await;
    };
    match transitions::move_to(&app, &member.caller, cid, &wanted).await {
        Ok(_) => web::see_other(&format!("/app/apps/{id}/subscriptions")),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            form.take(&problem, &[]);
            answer(&app, &member, (&consumer, one), form).await
        }
    }
}
