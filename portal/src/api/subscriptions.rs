//! `/subscriptions`: consumers on plans. What moves a subscription on stands in [`super::transitions`].

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::enforce::Window;
use domain::ids::{AccountId, ConsumerId, PlanVersionId, SubscriptionId};
use domain::limit::{Quota, Rule};
use domain::period::{AnchorChoice, Period};
use domain::quantity::Quantity;
use domain::subscription::{Origin, SubscriptionStatus};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{Subscription, SubscriptionFilter};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer, Id, number};
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::fresh;
use crate::app::App;
use crate::hooks::QuotaQuery;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};
use crate::subscribing::{self, Overlap, Wish};

pub(super) const TAG: &str = "subscriptions";

/// A subscription to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateSubscription {
    /// The consumer.
    #[schema(value_type = String)]
    pub(crate) consumer_id: ConsumerId,
    /// Name of the product.
    pub(crate) product: String,
    /// Name of the plan.
    pub(crate) plan: String,
    /// Where periods are counted from: `start` (the instant of activation, in the account's zone), `calendar` or a time
    /// of RFC 3339; `start` unless given.
    #[schema(value_type = Option<String>)]
    pub(crate) anchor: Option<AnchorChoice>,
}

/// A period.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct PeriodBody {
    /// First instant.
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    /// First instant after it.
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
}

impl From<Period> for PeriodBody {
    fn from(period: Period) -> Self {
        Self {
            start: period.start,
            end: period.end,
        }
    }
}

/// A quota of the current period.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotaBody {
    /// Name of the meter.
    meter: String,
    /// Units a period as sold; null without end.
    max: Option<u64>,
    /// Units used: a number where they are whole, a decimal string otherwise.
    #[schema(value_type = u64)]
    used: Json,
    /// Units left: a number where they are whole, a decimal string otherwise; null without end.
    #[schema(value_type = Option<u64>)]
    remaining: Option<Json>,
    /// When the count starts at zero again.
    #[schema(value_type = String, format = DateTime)]
    resets_at: Timestamp,
}

/// A change of plan that waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PendingBody {
    /// Name of the new plan.
    plan: String,
    /// When it takes effect.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(crate) struct SubscriptionBody {
    #[schema(value_type = String)]
    pub(super) id: SubscriptionId,
    #[schema(value_type = String)]
    account_id: AccountId,
    #[schema(value_type = String)]
    consumer_id: ConsumerId,
    /// Name of the product.
    product: String,
    /// Name of the plan.
    plan: String,
    /// Version of the plan in force.
    #[schema(value_type = String)]
    plan_version_id: PlanVersionId,
    /// Number of that version.
    plan_version: Option<i64>,
    /// `pending_approval`, `pending_payment`, `trialing`, `active`, `past_due`, `paused`, `cancelled` or `rejected`.
    #[schema(value_type = String)]
    status: SubscriptionStatus,
    status_reason: Option<String>,
    /// Wall time in `timezone` from which periods are counted; null until activation.
    anchor: Option<String>,
    /// IANA zone of its periods.
    timezone: String,
    /// The usage period now; null while none runs.
    current_period: Option<PeriodBody>,
    #[schema(value_type = String)]
    origin: Origin,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    cancel_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    pending_change: Option<PendingBody>,
    /// One entry for each quota of the plan, in its order; only where one subscription is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Vec<QuotaBody>>,
    /// Other subscriptions of the consumer to some of the same APIs, and which wins; only where it was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    overlaps: Option<Vec<Overlap>>,
}

impl SubscriptionBody {
    /// The subscription as it stands now, without quota.
    pub(super) async fn new(app: &App, subscription: Subscription) -> Result<Self, Problem> {
        let names = Names::of(app, &subscription).await?;
        let period = subscription
            .status
            .is_live()
            .then(|| subscribing::period_at(&subscription, app.clock.now()))
            .flatten();
        Ok(Self {
            id: subscription.id,
            account_id: subscription.account_id,
            consumer_id: subscription.consumer_id,
            product: names.product,
            plan: names.plan,
            plan_version_id: subscription.plan_version_id,
            plan_version: names.version,
            status: subscription.status,
            status_reason: subscription.status_reason,
            anchor: subscription.anchor_local,
            timezone: subscription.zone,
            current_period: period.map(PeriodBody::from),
            origin: subscription.origin,
            created_at: subscription.created_at,
            activated_at: subscription.activated_at,
            cancel_at: subscription.cancel_at,
            ended_at: subscription.ended_at,
            pending_change: subscription
                .pending_change
                .zip(names.pending)
                .map(|(change, plan)| PendingBody { plan, at: change.at }),
            quota: None,
            overlaps: None,
        })
    }
}

struct Names {
    product: String,
    plan: String,
    version: Option<i64>,
    pending: Option<String>,
}

impl Names {
    async fn of(app: &App, subscription: &Subscription) -> Result<Self, Problem> {
        let version = app.store.plan_version(subscription.plan_version_id).await?;
        let pending = match subscription.pending_change {
            Some(change) => Some(name(app, &change.plan_id.to_string()).await?),
            None => None,
        };
        Ok(Self {
            product: name(app, &subscription.product_id.to_string()).await?,
            plan: name(app, &subscription.plan_id.to_string()).await?,
            version: version.map(|version| version.n),
            pending,
        })
    }
}

async fn name(app: &App, id: &str) -> Result<String, Problem> {
    Ok(app
        .store
        .object(id)
        .await?
        .map(|object| object.fields.name)
        .unwrap_or_default())
}

/// `POST /subscriptions`
pub(crate) async fn create(State(app): State<App>, caller: Caller, Body(wanted): Body<CreateSubscription>) -> Answer {
    let (subscription, overlaps) = make(&app, &caller, wanted, Origin::Api).await?;
    let body = SubscriptionBody {
        overlaps: Some(overlaps),
        ..SubscriptionBody::new(&app, subscription).await?
    };
    Ok(answer::json(StatusCode::CREATED, &body))
}

/// Subscribes a consumer: the subscription, and the others that cover some of the same APIs.
pub(crate) async fn make(
    app: &App,
    caller: &Caller,
    wanted: CreateSubscription,
    origin: Origin,
) -> Result<(Subscription, Vec<Overlap>), Problem> {
    super::consumers::visible(app, caller, wanted.consumer_id).await?;
    let mut tx = caller.change(app).await?;
    let (product, plan) = subscribing::named_plan(&mut tx, &wanted.product, &wanted.plan).await?;
    let unknown = |pointer: &str, what: &str, name: &str| {
        Problem::invalid(vec![Fault::at(pointer, format!("no {what} is called `{name}`"))])
    };
    let product = match product {
        Some(product) if super::products::is_open(app, caller, &product).await? => Some(product),
        _ => None,
    };
    let product = product.ok_or_else(|| unknown("/product", "product", &wanted.product))?;
    let plan = plan.ok_or_else(|| unknown("/plan", "plan of this product", &wanted.plan))?;
    let wish = Wish {
        consumer: wanted.consumer_id,
        product,
        plan,
        anchor: wanted.anchor.unwrap_or_default(),
        origin,
    };
    let subscription = subscribing::subscribe(&mut tx, wish).await?;
    let overlaps = subscribing::overlaps(&mut tx, &subscription).await?;
    app.commit(tx).await?;
    Ok((subscription, overlaps))
}

/// Documentation of [`create`].
pub(crate) fn create_doc() -> Doc {
    Doc::new(TAG, "createSubscription", "Subscribe a consumer to a plan")
        .text("A consumer has at most one live subscription to a product: a second is 409.")
        .body::<CreateSubscription>()
        .answer::<SubscriptionBody>(201, "The subscription")
}

/// Which subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// In this state alone.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    status: Option<SubscriptionStatus>,
    /// Of this consumer alone.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    consumer: Option<ConsumerId>,
    /// Of this account alone.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(default, deserialize_with = "from_text")]
    limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    #[serde(default)]
    cursor: Option<String>,
}

/// `GET /subscriptions`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let page = Paging {
        limit: which.limit,
        cursor: which.cursor,
    }
    .page()?;
    let filter = SubscriptionFilter {
        account: which.account,
        consumer: which.consumer,
        status: which.status,
        ..SubscriptionFilter::default()
    };
    let mut items = Vec::new();
    for subscription in app.store.subscriptions(caller.scope(), &filter, &page).await? {
        items.push(SubscriptionBody::new(&app, subscription).await?);
    }
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |subscription| subscription.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listSubscriptions", "List subscriptions")
        .query::<Which>()
        .answer::<Listed<SubscriptionBody>>(200, "Subscriptions, ended ones too, oldest first")
}

/// `GET /subscriptions/{id}`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Id(id): Id<SubscriptionId>) -> Answer {
    let subscription = visible(&app, &caller, id).await?;
    let quota = quota(&app, &subscription).await?;
    let body = SubscriptionBody {
        quota: Some(quota),
        ..SubscriptionBody::new(&app, subscription).await?
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getSubscription", "Get a subscription with its quotas")
        .text("The quotas count every request that was answered before the call.")
        .answer::<SubscriptionBody>(200, "The subscription")
}

/// The subscription, ended or not, when the caller may see it.
pub(crate) async fn visible(app: &App, caller: &Caller, id: SubscriptionId) -> Result<Subscription, Problem> {
    app.store
        .subscription(caller.scope(), id)
        .await?
        .ok_or_else(|| Problem::missing("subscription"))
}

/// What a subscription has used of one quota.
#[derive(Debug, Clone)]
pub(crate) struct Used {
    /// Meter and maximum.
    pub(crate) quota: Quota,
    pub(crate) used: Quantity,
    /// The period that it counts in.
    pub(crate) period: Period,
}

async fn quota(app: &App, subscription: &Subscription) -> Result<Vec<QuotaBody>, Problem> {
    fresh(app).await?;
    let entry = |one: Used| QuotaBody {
        used: number(one.used),
        remaining: one.quota.max.map(|max| number(left(max, one.used))),
        resets_at: one.period.end,
        max: one.quota.max,
        meter: one.quota.meter,
    };
    Ok(used(app, subscription).await?.into_iter().map(entry).collect())
}

/// What a subscription has used of its quotas in the period that runs, in the order of its plan. Ask for fresh usage before.
pub(crate) async fn used(app: &App, subscription: &Subscription) -> Result<Vec<Used>, Problem> {
    let Some(period) = subscribing::period_at(subscription, app.clock.now()).filter(|_| subscription.status.is_live())
    else {
        return Ok(Vec::new());
    };
    let quotas = quotas(app, subscription.plan_version_id).await?;
    let query = QuotaQuery {
        subscription: subscription.id,
        window: Window {
            start: period.start,
            end: period.end,
        },
        meters: quotas.iter().map(|quota| quota.meter.clone()).collect(),
    };
    let used = app.hooks.quota_use.call(query).await.map_err(|error| {
        tracing::error!(%error, "the use of a quota cannot be read");
        Problem::internal()
    })?;
    let used = quotas
        .into_iter()
        .zip(used)
        .map(|(quota, used)| Used { quota, used, period });
    Ok(used.collect())
}

fn left(max: u64, used: Quantity) -> Quantity {
    let left = Quantity::from_units(max).saturating_sub(used);
    if left.nanos() < 0 { Quantity::ZERO } else { left }
}

/// The quotas of a plan version in its order; a maximum that is not written is the price's `included`.
async fn quotas(app: &App, version: PlanVersionId) -> Result<Vec<Quota>, Problem> {
    let Some(version) = app.store.plan_version(version).await? else {
        return Ok(Vec::new());
    };
    let plan: Plan = serde_json::from_value(version.body).map_err(|error| {
        tracing::error!(%error, version = %version.id, "a stored plan version cannot be read");
        Problem::internal()
    })?;
    let included = |meter: &str| {
        plan.price
            .as_ref()?
            .usage
            .iter()
            .find(|entry| entry.meter == meter)?
            .included
    };
    let limits = plan.limits.iter().filter_map(|entry| entry.understand().ok());
    let quotas = limits.filter_map(|limit| match limit.rule {
        Rule::Quota(quota) => Some(Quota {
            max: quota.max.or_else(|| included(&quota.meter)),
            ..quota
        }),
        Rule::Rate { .. } | Rule::Concurrency { .. } => None,
    });
    Ok(quotas.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_negative_and_whole_numbers_are_numbers() {
        assert_eq!(number(left(10, Quantity::from_units(4))), Json::from(6));
        assert_eq!(number(left(10, Quantity::from_units(14))), Json::from(0));
        assert_eq!(number(Quantity::from_nanos(1_500_000_000)), Json::from("1.5"));
    }
}
