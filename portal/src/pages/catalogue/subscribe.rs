//! `GET /products/{product}/subscribe`: which app, which plan. The choice is sent to the page of the app.

use askama::Template;
use axum::extract::{Path, State};
use store::{Page as Rows, SubscriptionFilter};

use super::offers::{self, Offer, Reader};
use super::{address, compare, price};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::access::BUILDERS;
use crate::pages::web::{self, Asked, Shell, Visitor};

#[derive(Template)]
#[template(path = "catalogue/subscribe.html")]
struct Page<'a> {
    shell: Shell,
    offer: &'a Offer,
    path: String,
    plans: Vec<Choice>,
    door: Door,
    /// The first app without a subscription.
    first_free: Option<String>,
    /// How many have none.
    free: usize,
}

struct Choice {
    name: String,
    title: String,
    price: String,
    limits: String,
    waits: bool,
    chosen: bool,
}

/// How far the reader is on the way to a subscription.
enum Door {
    /// Not signed in; where to come back to.
    LogIn(String),
    /// Signed in without an organisation.
    NoOrganisation,
    /// May not do it: the organisation and the role.
    Refused(String, String),
    /// Has no app yet.
    NoApp,
    /// May choose.
    Apps(Vec<AppChoice>),
}

struct AppChoice {
    id: String,
    name: String,
    /// It is subscribed already, to this plan.
    subscribed: Option<String>,
}

/// `GET /products/{product}/subscribe`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    asked: Asked,
) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let offer = catalogue
        .open(&name, &Reader::of(&visitor))
        .ok_or_else(|| Problem::missing("product"))?;
    let currency = compare::currency(&app, &visitor, &asked).await?;
    let wanted = asked.get("plan");
    let any = offer.plans.iter().any(|plan| Some(plan.name.as_str()) == wanted);
    let choice = |(at, plan): (usize, &domain::config::Plan)| Choice {
        title: compare::title(plan),
        price: price::headline(plan, currency, &catalogue),
        limits: price::rates(plan, "").unwrap_or_else(|| "no limits".to_owned()),
        waits: plan.approval == domain::subscription::Approval::Manual,
        chosen: if any {
            Some(plan.name.as_str()) == wanted
        } else {
            at == 0
        },
        name: plan.name.clone(),
    };
    let door = door(&app, &visitor, offer).await?;
    let free: Vec<&AppChoice> = match &door {
        Door::Apps(apps) => apps.iter().filter(|app| app.subscribed.is_none()).collect(),
        Door::LogIn(_) | Door::NoOrganisation | Door::Refused(..) | Door::NoApp => Vec::new(),
    };
    web::page(&Page {
        first_free: free.first().map(|app| app.id.clone()),
        free: free.len(),
        shell: visitor.shell(&app).await?,
        path: address::product(&offer.product.name),
        plans: offer.plans.iter().enumerate().map(choice).collect(),
        door,
        offer,
    })
}

async fn door(app: &App, visitor: &Visitor, offer: &Offer) -> Result<Door, Problem> {
    let Some(person) = visitor.person() else {
        return Ok(Door::LogIn(address::query("next", visitor.path_and_query())));
    };
    let Some(membership) = &person.membership else {
        return Ok(Door::NoOrganisation);
    };
    if !BUILDERS.contains(&membership.role) {
        return Ok(Door::Refused(
            membership.account_name.clone(),
            membership.role.as_str().to_owned(),
        ));
    }
    let scope = store::Scope::Account(membership.account_id);
    let consumers = app
        .store
        .consumers(scope, Some(membership.account_id), &Rows::first(Rows::MAX))
        .await?;
    if consumers.is_empty() {
        return Ok(Door::NoApp);
    }
    let filter = SubscriptionFilter {
        product: offer.id.parse().ok(),
        ..SubscriptionFilter::default()
    };
    let held = app.store.subscriptions(scope, &filter, &Rows::first(Rows::MAX)).await?;
    let mut apps = Vec::new();
    for consumer in consumers {
        let live = held
            .iter()
            .find(|one| one.consumer_id == consumer.id && one.status.is_live());
        let subscribed = match live {
            Some(live) => Some(plan_title(app, live).await?),
            None => None,
        };
        apps.push(AppChoice {
            id: consumer.id.to_string(),
            name: consumer.name,
            subscribed,
        });
    }
    Ok(Door::Apps(apps))
}

async fn plan_title(app: &App, subscription: &store::Subscription) -> Result<String, Problem> {
    let object = app.store.object(&subscription.plan_id.to_string()).await?;
    let plan = object.map(|object| crate::subscribing::body::<domain::config::Plan>(&object));
    Ok(plan.transpose()?.map(|plan| compare::title(&plan)).unwrap_or_default())
}
