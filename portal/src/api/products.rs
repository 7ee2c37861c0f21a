//! `/products` and `/apis`: what is on offer, to read. They are changed by the configuration.

use axum::extract::State;
use axum::http::StatusCode;
use domain::config;
use domain::subscription::{Origin, Visibility};
use serde::Serialize;
use serde_json::Value as Json;
use store::{Object, ObjectKind};
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::subscribing::body;

const TAG: &str = "catalogue";

/// A product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(crate) struct ProductBody {
    id: String,
    name: String,
    title: Option<String>,
    description: Option<String>,
    /// Names of its APIs.
    apis: Vec<String>,
    /// `public`, `unlisted` or `private`.
    #[schema(value_type = String)]
    visibility: Visibility,
    /// Which product pays where several cover an operation: the lowest.
    priority: i32,
    /// Its plans as configured, in their order.
    #[schema(value_type = Vec<Object>)]
    plans: Vec<Json>,
    #[schema(value_type = String)]
    origin: Origin,
}

/// `GET /products`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let objects = app.store.objects(None).await?;
    let mut items = Vec::new();
    for object in sorted(&objects, ObjectKind::Product) {
        let product: config::Product = body(object)?;
        if is_visible(&app, &caller, &product).await? {
            items.push(product_body(object, product, &objects));
        }
    }
    Ok(answer::json(
        StatusCode::OK,
        &sliced(items, &page, |product| &product.id),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listProducts", "List products")
        .text("A token that is bound to an account sees public products and the private ones of its audience.")
        .query::<Paging>()
        .answer::<Listed<ProductBody>>(200, "Products by age")
}

fn sorted(objects: &[Object], kind: ObjectKind) -> Vec<&Object> {
    let mut own: Vec<&Object> = objects.iter().filter(|object| object.fields.kind == kind).collect();
    own.sort_by(|a, b| a.id.cmp(&b.id));
    own
}

fn sliced<T>(items: Vec<T>, page: &store::Page, id: impl Fn(&T) -> &String) -> Listed<T> {
    let is_later = |item: &T| page.after().is_none_or(|after| id(item).as_str() > after);
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let items = items.into_iter().filter(is_later).take(limit).collect();
    Listed::of(items, page, |item| id(item).clone())
}

/// Whether the product is listed for the caller.
async fn is_visible(app: &App, caller: &Caller, product: &config::Product) -> Result<bool, Problem> {
    match product.visibility {
        Visibility::Unlisted => Ok(caller.account.is_none()),
        Visibility::Public | Visibility::Private => may_use(app, caller, product).await,
    }
}

/// Whether the caller may subscribe to the product.
pub(super) async fn is_open(app: &App, caller: &Caller, object: &Object) -> Result<bool, Problem> {
    may_use(app, caller, &body(object)?).await
}

async fn may_use(app: &App, caller: &Caller, product: &config::Product) -> Result<bool, Problem> {
    match (product.visibility, caller.account) {
        (Visibility::Public | Visibility::Unlisted, _) | (Visibility::Private, None) => Ok(true),
        (Visibility::Private, Some(account)) => {
            // Anyone may sign up under a name of the audience: only the account that the provider means is let in.
            for name in &product.audience {
                let meant = app.store.account_called(name).await?;
                if meant.is_some_and(|meant| meant.id == account) {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}

/// A product that a caller may subscribe to, with the newest versions of its plans.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) id: String,
    pub(crate) product: config::Product,
    /// In their order; a plan that was never published is none.
    pub(crate) plans: Vec<config::Plan>,
}

/// What is listed for the caller, by title, and the product that is asked for by name when the caller may subscribe to it.
pub(crate) async fn offers(app: &App, caller: &Caller, by_name: Option<&str>) -> Result<Vec<Offer>, Problem> {
    let objects = app.store.objects(None).await?;
    let mut offers = Vec::new();
    for object in sorted(&objects, ObjectKind::Product) {
        let product: config::Product = body(object)?;
        let is_asked = Some(product.name.as_str()) == by_name && may_use(app, caller, &product).await?;
        if object.archived_at.is_some() || !(is_asked || is_visible(app, caller, &product).await?) {
            continue;
        }
        let mut own: Vec<&Object> = objects
            .iter()
            .filter(|plan| plan.fields.kind == ObjectKind::Plan && plan.fields.parent == object.id)
            .filter(|plan| plan.archived_at.is_none())
            .collect();
        own.sort_by_key(|plan| plan.fields.position);
        let mut plans = Vec::new();
        for plan in own {
            let version = app.store.latest_plan_version(crate::subscribing::id(plan)?).await?;
            let sold: Option<config::Plan> = version.and_then(|version| serde_json::from_value(version.body).ok());
            let edited = body(plan)?;
            plans.extend(sold.map(|sold| presented(sold, edited)));
        }
        offers.push(Offer {
            id: object.id.clone(),
            product,
            plans,
        });
    }
    let title = |offer: &Offer| {
        offer
            .product
            .title
            .clone()
            .unwrap_or_else(|| offer.product.name.clone())
    };
    offers.sort_by_key(|offer| title(offer).to_lowercase());
    Ok(offers)
}

/// A plan with the limits and prices of a version, and the words that it has now: a version holds none.
pub(crate) fn presented(sold: config::Plan, edited: config::Plan) -> config::Plan {
    config::Plan {
        title: edited.title,
        description: edited.description,
        approval: edited.approval,
        migrate: edited.migrate,
        ..sold
    }
}

fn product_body(object: &Object, product: config::Product, all: &[Object]) -> ProductBody {
    let mut plans: Vec<&Object> = all
        .iter()
        .filter(|plan| plan.fields.kind == ObjectKind::Plan && plan.fields.parent == object.id)
        .collect();
    plans.sort_by_key(|plan| plan.fields.position);
    ProductBody {
        id: object.id.clone(),
        name: product.name,
        title: product.title,
        description: product.description,
        apis: product.apis,
        visibility: product.visibility,
        priority: product.priority,
        plans: plans.into_iter().map(|plan| plan.fields.body.clone()).collect(),
        origin: object.fields.origin,
    }
}

/// An API.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Api)]
pub(crate) struct ApiBody {
    id: String,
    name: String,
    version: String,
    base_path: Option<String>,
    hosts: Vec<String>,
    /// Where requests go, without secrets.
    #[schema(value_type = Object)]
    upstream: Json,
    /// Whether a description is stored.
    described: bool,
    #[schema(value_type = String)]
    origin: Origin,
}

/// `GET /apis`
pub(crate) async fn apis(State(app): State<App>, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let objects = app.store.objects(Some(ObjectKind::Api)).await?;
    let mut items = Vec::new();
    for object in sorted(&objects, ObjectKind::Api) {
        let api: config::Api = body(object)?;
        items.push(ApiBody {
            id: object.id.clone(),
            name: api.name,
            version: api.version,
            base_path: api.base_path,
            hosts: api.hosts,
            upstream: object.fields.body.get("upstream").cloned().unwrap_or_default(),
            described: object.fields.document.is_some(),
            origin: object.fields.origin,
        });
    }
    Ok(answer::json(StatusCode::OK, &sliced(items, &page, |api| &api.id)))
}

/// Documentation of [`apis`].
pub(crate) fn apis_doc() -> Doc {
    Doc::new(TAG, "listApis", "List APIs")
        .query::<Paging>()
        .answer::<Listed<ApiBody>>(200, "APIs by age")
}
