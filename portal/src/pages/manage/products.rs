//! `/manage/products`: the products, and one of them.

use askama::Template;
use axum::extract::{Path, State};
use domain::config::{Api, Plan};
use domain::subscription::{Approval, Visibility};

use super::offer::{self, Offer, subscribers};
use super::plan_words::price_words;
use super::{may_change, shell};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Asked, Shell, Staff};

#[derive(Template)]
#[template(path = "manage/products.html")]
struct List {
    shell: Shell,
    may_change: bool,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    title: String,
    visibility: &'static str,
    apis: String,
    plans: usize,
    subscribers: String,
    changed: Moment,
}

/// `GET /manage/products`
pub(super) async fn list(State(app): State<App>, staff: Staff) -> web::Page {
    let live = subscribers(&app, &staff).await?;
    let rows = Offer::all(&app).await?.into_iter().map(|offer| Row {
        title: offer.title().to_owned(),
        visibility: visibility_word(offer.product.visibility),
        apis: offer.product.apis.join(", "),
        plans: offer.plans.len(),
        subscribers: show::number(of(&offer, &live)),
        changed: show::day(offer.object.updated_at, staff.visitor.zone()),
        name: offer.product.name,
    });
    let rows = rows.collect();
    let page = List {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        rows,
    };
    web::page(&page)
}

/// Live subscriptions to all plans of a product.
pub(super) fn of(offer: &Offer, live: &std::collections::BTreeMap<String, u64>) -> u64 {
    offer.plans.iter().filter_map(|(plan, _)| live.get(&plan.id)).sum()
}

/// Who sees a product, in a word.
pub(super) const fn visibility_word(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Public => "Public",
        Visibility::Unlisted => "Unlisted",
        Visibility::Private => "Private",
    }
}

#[derive(Template)]
#[template(path = "manage/product.html")]
struct One {
    shell: Shell,
    may_change: bool,
    saved: bool,
    name: String,
    title: String,
    description: String,
    visibility: &'static str,
    audience: Vec<String>,
    priority: i32,
    apis: Vec<ApiRow>,
    plans: Vec<PlanRow>,
    subscribers: String,
    origin: &'static str,
    changed: Moment,
}

struct ApiRow {
    name: String,
    version: String,
    base_path: String,
    targets: Vec<String>,
    operations: String,
    described: bool,
}

/// A plan in a list.
pub(super) struct PlanRow {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) price: String,
    pub(super) approval: &'static str,
    pub(super) version: Option<i64>,
    pub(super) published: Option<Moment>,
    pub(super) subscribers: String,
    pub(super) draft: Option<String>,
}

/// `GET /manage/products/{product}`
pub(super) async fn show(State(app): State<App>, staff: Staff, Path(name): Path<String>, asked: Asked) -> web::Page {
    let offer = Offer::named(&app, &name).await?;
    let live = subscribers(&app, &staff).await?;
    let mut apis = Vec::new();
    for (object, api) in offer::apis(&app, &offer.product).await? {
        let operations = match object.fields.document {
            Some(hash) => operations(&app, hash).await?,
            None => None,
        };
        apis.push(api_row(api, operations));
    }
    let page = One {
        shell: shell(&app, &staff).await?,
        may_change: may_change(&staff),
        saved: asked.get("saved").is_some(),
        title: offer.title().to_owned(),
        description: offer.product.description.clone().unwrap_or_default(),
        visibility: visibility_word(offer.product.visibility),
        audience: offer.product.audience.clone(),
        priority: offer.product.priority,
        apis,
        plans: plan_rows(&app, &staff, &offer).await?,
        subscribers: show::number(of(&offer, &live)),
        origin: offer.object.fields.origin.as_str(),
        changed: show::moment(offer.object.updated_at, staff.visitor.zone()),
        name,
    };
    web::page(&page)
}

/// How many operations a stored document has. Large ones are read on a thread for such work.
async fn operations(app: &App, hash: [u8; 32]) -> Result<Option<u64>, Problem> {
    let Some(bytes) = app.store.document(&hash).await? else {
        return Ok(None);
    };
    let counted = tokio::task::spawn_blocking(move || {
        let root = serde_json::from_slice(&bytes).ok()?;
        Some(description::openapi::read(&root).operations.len() as u64)
    });
    counted.await.map_err(|_| Problem::internal())
}

fn api_row(api: Api, operations: Option<u64>) -> ApiRow {
    ApiRow {
        version: api.version,
        base_path: api.base_path.unwrap_or_else(|| "/".to_owned()),
        targets: api.upstream.targets.into_iter().map(|target| target.url).collect(),
        described: operations.is_some(),
        operations: operations.map_or_else(|| show::NOTHING.to_owned(), show::number),
        name: api.name,
    }
}

/// The plans of a product, and the drafts of plans that are not there yet.
pub(super) async fn plan_rows(app: &App, staff: &Staff, offer: &Offer) -> Result<Vec<PlanRow>, Problem> {
    let live = subscribers(app, staff).await?;
    let mut rows = Vec::new();
    for (object, plan) in &offer.plans {
        let version = app.store.latest_plan_version(crate::subscribing::id(object)?).await?;
        rows.push(PlanRow {
            name: plan.name.clone(),
            title: plan_title(plan).to_owned(),
            price: price_words(plan),
            approval: approval_word(plan.approval),
            published: version
                .as_ref()
                .map(|version| show::day(version.published_at, staff.visitor.zone())),
            version: version.map(|version| version.n),
            subscribers: show::number(live.get(&object.id).copied().unwrap_or(0)),
            draft: None,
        });
    }
    for draft in app.store.drafts(super::plan_editor::KIND).await? {
        let Some((product, plan)) = super::plan_editor::of_id(&draft.id) else {
            continue;
        };
        if product != offer.product.name {
            continue;
        }
        match rows.iter_mut().find(|row| row.name == plan) {
            Some(row) => row.draft = Some(draft.author),
            None => rows.push(PlanRow {
                name: plan.to_owned(),
                title: plan.to_owned(),
                price: show::NOTHING.to_owned(),
                approval: show::NOTHING,
                version: None,
                published: None,
                subscribers: "0".to_owned(),
                draft: Some(draft.author),
            }),
        }
    }
    Ok(rows)
}

/// What people call a plan.
pub(super) fn plan_title(plan: &Plan) -> &str {
    plan.title.as_deref().unwrap_or(&plan.name)
}

/// How a plan takes subscribers, in words.
pub(super) const fn approval_word(approval: Approval) -> &'static str {
    match approval {
        Approval::Automatic => "At once",
        Approval::Manual => "After approval",
    }
}
