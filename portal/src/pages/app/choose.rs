//! `/app/apps/{id}/subscriptions/new`: a product, then one of its plans.

use askama::Template;
use axum::extract::State;
use domain::config::Plan;
use domain::ids::{ConsumerId, SubscriptionId};
use domain::money::Currency;
use domain::subscription::Origin;
use store::Consumer;

use super::{Tabs, consumer, held, shell};
use crate::api::answer::Id;
use crate::api::products::{self, Offer};
use crate::api::subscriptions::{self, CreateSubscription};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::offers::{self, Catalogue};
use crate::pages::catalogue::{compare, price};
use crate::pages::web::{self, Asked, Form, Member, Posted, Shell};
use crate::people::require_verified;
use crate::subscribing::{self, Overlap};

#[derive(Template)]
#[template(path = "app/subscription_new.html")]
struct Page {
    shell: Shell,
    tabs: Tabs,
    products: Vec<ProductRow>,
    chosen: Option<Chosen>,
    form: Form,
}

struct ProductRow {
    name: String,
    title: String,
    plans: String,
    /// The plan that the app has.
    has: Option<String>,
}

struct Chosen {
    name: String,
    title: String,
    plans: Vec<PlanCard>,
    overlap: String,
}

struct PlanCard {
    name: String,
    title: String,
    headline: String,
    rows: Vec<(String, String)>,
    is_chosen: bool,
}

/// The title of a product, or its name.
fn title(offer: &Offer) -> String {
    offer
        .product
        .title
        .clone()
        .unwrap_or_else(|| offer.product.name.clone())
}

/// The currency that the organisation pays in.
pub(crate) async fn currency(app: &App, member: &Member) -> Result<Currency, Problem> {
    let account = app.store.account(member.caller.scope(), member.account).await?;
    Ok(account
        .and_then(|account| account.fields.currency.parse().ok())
        .unwrap_or_default())
}

/// Which of several subscriptions to the same APIs counts a call.
pub(crate) fn overlap_words(overlaps: &[Overlap]) -> String {
    let one = |overlap: &Overlap| {
        format!(
            "{} covers {} too: calls to it count for {} alone, as its product comes first.",
            overlap.product,
            overlap.apis.join(", "),
            overlap.wins
        )
    };
    overlaps.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// `GET /app/apps/{id}/subscriptions/new?product=&plan=`
pub(crate) async fn show(State(app): State<App>, member: Member, Id(id): Id<ConsumerId>, asked: Asked) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    require_verified(member.user()?)?;
    let values = [
        ("product", asked.get("product").unwrap_or_default()),
        ("plan", asked.get("plan").unwrap_or_default()),
    ];
    web::page(&gather(&app, &member, &consumer, Form::with(values)).await?)
}

async fn gather(app: &App, member: &Member, consumer: &Consumer, form: Form) -> Result<Page, Problem> {
    let currency = currency(app, member).await?;
    let wanted = Some(form.value("product")).filter(|name| !name.is_empty());
    let offers = products::offers(app, &member.caller, wanted).await?;
    let catalogue = offers::catalogue(app).await?;
    let held = held::subscriptions(app, member, Some(consumer.id)).await?;
    let mut products = Vec::new();
    let mut chosen = None;
    for offer in offers.iter().filter(|offer| !offer.plans.is_empty()) {
        let own = held
            .iter()
            .find(|one| one.status.is_live() && one.product_id.to_string() == offer.id);
        let has = match own {
            Some(one) => Some(held::held(app, member, one.clone()).await?.plan),
            None => None,
        };
        if has.is_none() && wanted == Some(offer.product.name.as_str()) {
            chosen = Some(choice(app, member, (consumer.id, offer), (&form, currency, &catalogue)).await?);
        }
        products.push(ProductRow {
            name: offer.product.name.clone(),
            title: title(offer),
            plans: offer
                .plans
                .iter()
                .map(|plan| {
                    let headline = price::headline(plan, currency, &catalogue);
                    format!("{}: {headline}", compare::title(plan))
                })
                .collect::<Vec<_>>()
                .join(", "),
            has,
        });
    }
    Ok(Page {
        shell: shell(app, member).await?,
        tabs: Tabs::new(consumer, "subscriptions"),
        products,
        chosen,
        form,
    })
}

async fn choice(
    app: &App,
    member: &Member,
    (consumer, offer): (ConsumerId, &Offer),
    (form, currency, catalogue): (&Form, Currency, &Catalogue),
) -> Result<Chosen, Problem> {
    let mut tx = member.caller.change(app).await?;
    // A new subscription is younger than every other.
    let newest = SubscriptionId::from_bits(u128::MAX);
    let overlaps = subscribing::overlapping(&mut tx, consumer, (&offer.product, newest)).await?;
    tx.rollback().await?;
    let wanted = form.value("plan");
    let first = offer.plans.first().map_or("", |plan| plan.name.as_str());
    let known = offer.plans.iter().any(|plan| plan.name == wanted);
    let wanted = if known { wanted } else { first };
    let card = |plan: &Plan| PlanCard {
        title: compare::title(plan),
        headline: price::headline(plan, currency, catalogue),
        rows: price::rows(plan, currency, catalogue),
        is_chosen: plan.name == wanted,
        name: plan.name.clone(),
    };
    Ok(Chosen {
        name: offer.product.name.clone(),
        title: title(offer),
        plans: offer.plans.iter().map(card).collect(),
        overlap: overlap_words(&overlaps),
    })
}

/// `POST /app/apps/{id}/subscriptions`
pub(crate) async fn subscribe(
    State(app): State<App>,
    member: Member,
    Id(id): Id<ConsumerId>,
    posted: Posted,
) -> web::Page {
    let consumer = consumer(&app, &member, id).await?;
    require_verified(member.user()?)?;
    let wanted = CreateSubscription {
        consumer_id: id,
        product: posted.get("product").to_owned(),
        plan: posted.get("plan").to_owned(),
        anchor: None,
    };
    match subscriptions::make(&app, &member.caller, wanted, Origin::Portal).await {
        Ok((subscription, _)) => web::see_other(&format!("/app/apps/{id}/subscriptions?new={}", subscription.id)),
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(problem) => {
            let mut form = Form::typed(&posted);
            form.preset("product", "");
            form.preset("plan", "");
            form.take(&problem, &[]);
            web::unprocessable(&gather(&app, &member, &consumer, form).await?)
        }
    }
}
