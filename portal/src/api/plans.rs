//! `/plans/{product}/{plan}/…`: versions of a plan, publishing one, taking it out of sale, moving its subscribers.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::{Document, Plan, Product};
use domain::ids::{PlanId, PlanVersionId};
use domain::subscription::{Migrate, Origin};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Object, ObjectKind, PlanVersion};
use utoipa::ToSchema;

use super::answer::{self, Answer, PlanPath};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::configuration::plan::Prune;
use crate::configuration::{self, Apply, Run, write};
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::Query;
use crate::subscribing::{body, id};

const TAG: &str = "plans";

/// A version of a plan. It never changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanVersion)]
pub(crate) struct VersionBody {
    #[schema(value_type = String)]
    id: PlanVersionId,
    /// Its number within the plan, from 1.
    version: i64,
    /// SHA-256 of the content.
    hash: String,
    /// Limits and prices.
    #[schema(value_type = Object)]
    content: Json,
    /// Revision that published it.
    revision: i64,
    #[schema(value_type = String, format = DateTime)]
    published_at: Timestamp,
}

impl From<PlanVersion> for VersionBody {
    fn from(version: PlanVersion) -> Self {
        let PlanVersion {
            id,
            n,
            body,
            hash,
            revision,
            published_at,
            ..
        } = version;
        Self {
            id,
            version: n,
            hash,
            content: body,
            revision,
            published_at,
        }
    }
}

async fn named(app: &App, path: &PlanPath) -> Result<(Object, Object), Problem> {
    let product = app
        .store
        .object_named(ObjectKind::Product, "", &path.product)
        .await?
        .ok_or_else(|| Problem::missing("product"))?;
    let plan = app
        .store
        .object_named(ObjectKind::Plan, &product.id, &path.plan)
        .await?
        .ok_or_else(|| Problem::missing("plan"))?;
    Ok((product, plan))
}

/// `GET /plans/{product}/{plan}/versions`
pub(crate) async fn versions(State(app): State<App>, path: PlanPath, Query(paging): Query<Paging>) -> Answer {
    let page = paging.page()?;
    let (_, plan) = named(&app, &path).await?;
    let all = app.store.plan_versions(id(&plan)?).await?;
    let before = page.after().and_then(|after| after.parse::<i64>().ok());
    let some = all
        .into_iter()
        .filter(|version| before.is_none_or(|before| version.n < before));
    let limit = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let items = some.take(limit).map(VersionBody::from).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |version| version.version.to_string()),
    ))
}

/// Documentation of [`versions`].
pub(crate) fn versions_doc() -> Doc {
    Doc::new(TAG, "listPlanVersions", "List the versions of a plan")
        .query::<Paging>()
        .answer::<Listed<VersionBody>>(200, "Versions, newest first")
}

/// What to publish.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// The whole plan as the files of apply hold it, without its name; absent publishes the plan as it is.
    #[schema(value_type = Option<Object>)]
    plan: Option<serde_json::Map<String, Json>>,
}

/// `POST /plans/{product}/{plan}/publish`
pub(crate) async fn publish(
    State(app): State<App>,
    caller: Caller,
    path: PlanPath,
    Body(wanted): Body<Publish>,
) -> Answer {
    let (product, plan) = named(&app, &path).await?;
    let wanted = match wanted.plan {
        None => body(&plan)?,
        Some(mut map) => {
            let name = map.entry("name").or_insert_with(|| Json::from(path.plan.clone()));
            if name.as_str() != Some(&path.plan) {
                return Err(Problem::invalid(vec![Fault::at(
                    "/plan/name",
                    "the name is the one in the address",
                )]));
            }
            crate::http::body::typed::<Plan>(Json::Object(map)).map_err(|fault| {
                let pointer = format!("/plan{}", fault.pointer.unwrap_or_default());
                Problem::invalid(vec![Fault::at(pointer, fault.detail)])
            })?
        }
    };
    edit(&app, &caller, &product, wanted).await?;
    let version = app
        .store
        .latest_plan_version(id(&plan)?)
        .await?
        .ok_or_else(Problem::internal)?;
    Ok(answer::json(StatusCode::OK, &VersionBody::from(version)))
}

/// Applies the product with one plan in the place of the old one.
async fn edit(app: &App, caller: &Caller, product: &Object, wanted: Plan) -> Result<(), Problem> {
    let mut whole: Product = body(product)?;
    let mut plans = app.store.objects(Some(ObjectKind::Plan)).await?;
    plans.retain(|plan| plan.fields.parent == product.id);
    plans.sort_by_key(|plan| plan.fields.position);
    let mut place = String::new();
    for (index, plan) in plans.iter().enumerate() {
        let known: Plan = body(plan)?;
        if known.name == wanted.name {
            place = format!("/products/0/plans/{index}");
        }
        whole.plans.push(if known.name == wanted.name {
            wanted.clone()
        } else {
            known
        });
    }
    let document = Document {
        products: vec![whole],
        ..Document::default()
    };
    let wish = Apply {
        document,
        prune: Prune::Nothing,
        run: Run::Real,
        origin: Origin::Api,
    };
    let applied = configuration::apply(app, caller.actor(), wish).await;
    // The product around the plan was not sent, so its places would lead nowhere.
    applied.map(drop).map_err(|problem| problem.moved(&place, "/plan"))
}

/// Documentation of [`publish`].
pub(crate) fn publish_doc() -> Doc {
    Doc::new(TAG, "publishPlan", "Publish a plan")
        .text("Other limits or prices make a new version; the same ones do not. Existing subscribers move as `migrate` says.")
        .body::<Publish>()
        .answer::<VersionBody>(200, "The version that new subscribers get")
}

/// A plan that is out of sale.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Archived {
    product: String,
    plan: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(rename = "archived_at")]
    at: Option<Timestamp>,
    /// Live subscriptions, which keep their version.
    subscribers: u64,
}

/// `POST /plans/{product}/{plan}/archive`
pub(crate) async fn archive(State(app): State<App>, caller: Caller, path: PlanPath) -> Answer {
    let (_, plan) = named(&app, &path).await?;
    let plan_id: PlanId = id(&plan)?;
    configuration::archive(&app, caller.actor(), &[&plan]).await?;
    let mut tx = caller.change(&app).await?;
    let subscribers = tx
        .plan_subscribers()
        .await?
        .into_iter()
        .find(|(plan, _)| *plan == plan_id)
        .map_or(0, |(_, count)| count);
    let at = tx.object(&plan.id).await?.and_then(|plan| plan.archived_at);
    tx.rollback().await?;
    Ok(answer::json(
        StatusCode::OK,
        &Archived {
            product: path.product,
            plan: path.plan,
            at,
            subscribers,
        },
    ))
}

/// Documentation of [`archive`].
pub(crate) fn archive_doc() -> Doc {
    Doc::new(TAG, "archivePlan", "Take a plan out of sale").answer::<Archived>(200, "Subscribers keep what they have")
}

/// How to move subscribers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MigrateSubscribers {
    /// `now` or `period_end`.
    #[schema(value_type = String)]
    at: Migrate,
}

/// How many were moved.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Migrated {
    /// The version that they are, or will be, on.
    #[schema(value_type = String)]
    plan_version_id: PlanVersionId,
    /// Live subscriptions that were on another version.
    subscribers: u64,
}

/// `POST /plans/{product}/{plan}/migrate`
pub(crate) async fn migrate(
    State(app): State<App>,
    caller: Caller,
    path: PlanPath,
    Body(wanted): Body<MigrateSubscribers>,
) -> Answer {
    if wanted.at == Migrate::Never {
        return Err(Problem::invalid(vec![Fault::at("/at", "write now or period_end")]));
    }
    let (_, plan) = named(&app, &path).await?;
    let (plan_version_id, subscribers) = move_subscribers(&app, &caller, id(&plan)?, wanted.at).await?;
    Ok(answer::json(
        StatusCode::OK,
        &Migrated {
            plan_version_id,
            subscribers,
        },
    ))
}

/// Moves the subscribers of a plan to its newest version; tells which that is and how many were on another one.
pub(crate) async fn move_subscribers(
    app: &App,
    caller: &Caller,
    plan: PlanId,
    how: Migrate,
) -> Result<(PlanVersionId, u64), Problem> {
    let mut tx = caller.change(app).await?;
    let version = tx
        .latest_plan_version(plan)
        .await?
        .ok_or_else(|| Problem::conflict("the plan is not published"))?;
    let moved = write::migrate(&mut tx, plan, version.id, how).await?;
    app.commit(tx).await?;
    Ok((version.id, moved))
}

/// Documentation of [`migrate`].
pub(crate) fn migrate_doc() -> Doc {
    Doc::new(
        TAG,
        "migratePlan",
        "Move the subscribers of a plan to its newest version",
    )
    .body::<MigrateSubscribers>()
    .answer::<Migrated>(200, "How many are moved")
}
