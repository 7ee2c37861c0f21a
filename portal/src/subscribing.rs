//! How a consumer comes onto a plan and off it: one place for the Admin API, the configuration and the clock.

use domain::clock::Timestamp;
use domain::config::{Plan, Product};
use domain::ids::{ConsumerId, PlanId, PlanVersionId, ProductId, SubscriptionId};
use domain::period::{Anchor, AnchorChoice, Every, Period, Schedule, Zone};
use domain::subscription::{Approval, Origin, SubscriptionStatus};
use serde::Serialize;
use store::{ControlTx, NewSubscription, Object, ObjectKind, Page, PendingChange, Subscription, SubscriptionFilter};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::problem::Problem;

/// A consumer's wish for a plan.
pub(crate) struct Wish {
    pub(crate) consumer: ConsumerId,
    pub(crate) product: Object,
    pub(crate) plan: Object,
    pub(crate) anchor: AnchorChoice,
    pub(crate) origin: Origin,
}

/// The product and the plan of these names.
///
/// # Errors
/// `None` for the one that is not there.
pub(crate) async fn named_plan(
    tx: &mut ControlTx,
    product: &str,
    plan: &str,
) -> Result<(Option<Object>, Option<Object>), Problem> {
    let Some(product) = tx.object_named(ObjectKind::Product, "", product).await? else {
        return Ok((None, None));
    };
    let plan = tx.object_named(ObjectKind::Plan, &product.id, plan).await?;
    Ok((Some(product), plan))
}

/// Subscribes a consumer: active at once, or waiting for approval.
pub(crate) async fn subscribe(tx: &mut ControlTx, wish: Wish) -> Result<Subscription, Problem> {
    let (product_id, plan_id): (ProductId, PlanId) = (id(&wish.product)?, id(&wish.plan)?);
    let plan: Plan = body(&wish.plan)?;
    let version = tx
        .latest_plan_version(plan_id)
        .await?
        .ok_or_else(|| Problem::conflict("the plan is not published"))?;
    let consumer = tx
        .consumer(wish.consumer)
        .await?
        .ok_or_else(|| Problem::missing("consumer"))?;
    let account = tx
        .account(consumer.account_id)
        .await?
        .ok_or_else(|| Problem::missing("account"))?;
    let new = NewSubscription {
        id: SubscriptionId::new(tx.now(), App::seed()),
        consumer_id: wish.consumer,
        product_id,
        plan_id,
        plan_version_id: version.id,
        status: SubscriptionStatus::PendingApproval,
        zone: account.fields.timezone,
        every: every(&plan).to_string(),
        origin: wish.origin,
    };
    let subscription = tx
        .create_subscription(&new)
        .await
        .map_err(|error| match error.conflict() {
            Some(_) => {
                Problem::conflict("the consumer has a live subscription to this product: change its plan instead")
            }
            None => error.into(),
        })?;
    tx.set_anchor_choice(subscription.id, &wish.anchor.to_string()).await?;
    match plan.approval {
        Approval::Manual => Ok(subscription),
        Approval::Automatic => activate(tx, &subscription).await,
    }
}

/// Activates a subscription now: its periods count from the anchor that was chosen when it was made.
pub(crate) async fn activate(tx: &mut ControlTx, subscription: &Subscription) -> Result<Subscription, Problem> {
    let choice = tx
        .anchor_choice(subscription.id)
        .await?
        .and_then(|choice| choice.parse().ok())
        .unwrap_or_default();
    let (zone, every) = rhythm(subscription)?;
    let now = tx.now();
    let anchor = Anchor::resolve(choice, now, zone, every);
    Ok(tx
        .activate_subscription(
            subscription.id,
            SubscriptionStatus::Active,
            &anchor.local.to_string(),
            now,
        )
        .await?)
}

fn rhythm(subscription: &Subscription) -> Result<(Zone, Every), Problem> {
    let (Ok(zone), Ok(every)) = (subscription.zone.parse(), subscription.every.parse()) else {
        tracing::error!(subscription = %subscription.id, "the stored zone or period cannot be read");
        return Err(Problem::internal());
    };
    Ok((zone, every))
}

/// The period of an activated subscription in which an instant lies.
pub(crate) fn period_at(subscription: &Subscription, at: Timestamp) -> Option<Period> {
    let local = subscription.anchor_local.as_ref()?.parse().ok()?;
    let (zone, every) = rhythm(subscription).ok()?;
    Schedule::new(Anchor { local, zone }, every).period_at(at).ok()
}

/// How long a usage period of a plan is: a month unless its price says otherwise.
pub(crate) fn every(plan: &Plan) -> Every {
    plan.price.as_ref().map_or_else(month, |price| price.usage_period)
}

fn month() -> Every {
    Every::MONTH
}

/// The wanted plan as a change at an instant.
pub(crate) fn change(plan: &Object, version: PlanVersionId, at: Timestamp) -> Result<PendingChange, Problem> {
    Ok(PendingChange {
        plan_id: id(plan)?,
        plan_version_id: version,
        at,
    })
}

/// The typed id of an object.
pub(crate) fn id<T: std::str::FromStr>(object: &Object) -> Result<T, Problem> {
    object.id.parse().map_err(|_| unreadable(object))
}

/// The body of an object as its type.
pub(crate) fn body<T: serde::de::DeserializeOwned>(object: &Object) -> Result<T, Problem> {
    serde_json::from_value(object.fields.body.clone()).map_err(|_| unreadable(object))
}

fn unreadable(object: &Object) -> Problem {
    tracing::error!(object = %object.id, "a stored object cannot be read");
    Problem::internal()
}

/// Another live subscription of the same consumer whose product covers some of the same APIs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Overlap {
    /// The other subscription.
    #[schema(value_type = String)]
    pub(crate) subscription_id: SubscriptionId,
    /// Its product.
    pub(crate) product: String,
    /// APIs that both cover.
    pub(crate) apis: Vec<String>,
    /// Name of the product whose subscription admits, counts and bills a request to these APIs.
    pub(crate) wins: String,
}

/// The overlaps of a subscription: the lowest priority wins, then the oldest subscription.
pub(crate) async fn overlaps(tx: &mut ControlTx, subscription: &Subscription) -> Result<Vec<Overlap>, Problem> {
    let Some(own) = tx.object(&subscription.product_id.to_string()).await? else {
        return Ok(Vec::new());
    };
    overlapping(tx, subscription.consumer_id, (&body(&own)?, subscription.id)).await
}

/// The overlaps that a subscription of a consumer to a product has, or would have.
pub(crate) async fn overlapping(
    tx: &mut ControlTx,
    consumer: ConsumerId,
    (own, id): (&Product, SubscriptionId),
) -> Result<Vec<Overlap>, Problem> {
    let filter = SubscriptionFilter {
        consumer: Some(consumer),
        ..SubscriptionFilter::default()
    };
    let mut found = Vec::new();
    for other in tx.subscriptions(&filter, &Page::first(Page::MAX)).await? {
        if other.id == id || !other.status.is_live() {
            continue;
        }
        let Some(product) = tx.object(&other.product_id.to_string()).await? else {
            continue;
        };
        let product: Product = body(&product)?;
        let apis: Vec<String> = own
            .apis
            .iter()
            .filter(|api| product.apis.contains(api))
            .cloned()
            .collect();
        if apis.is_empty() {
            continue;
        }
        let own_wins = (own.priority, id) < (product.priority, other.id);
        let wins = if own_wins {
            own.name.clone()
        } else {
            product.name.clone()
        };
        found.push(Overlap {
            subscription_id: other.id,
            product: product.name,
            apis,
            wins,
        });
    }
    Ok(found)
}

/// Carries out the cancellations and changes of plan that are due at `now`, each at its own instant.
///
/// # Errors
/// See [`store::Error`].
pub(crate) async fn carry_out_due(app: &App) -> store::Result<()> {
    let now = app.clock.now();
    for due in app.store.due_subscriptions(now, 1_000).await? {
        let mut tx = app.store.change(store::Actor::system("timeline"), now).await?;
        let Some(subscription) = tx.subscription(due.id).await?.filter(|one| one.status.is_live()) else {
            continue;
        };
        let cancel = subscription.cancel_at.filter(|at| *at <= now);
        let pending = subscription.pending_change.filter(|change| change.at <= now);
        // A change that is due at the end of the subscription would never be in force.
        if let Some(change) = pending.filter(|change| cancel.is_none_or(|at| change.at < at)) {
            tx.change_plan(subscription.id, change).await?;
        }
        if let Some(at) = cancel {
            tx.end_subscription(
                subscription.id,
                SubscriptionStatus::Cancelled,
                subscription.status_reason.as_deref(),
                at,
            )
            .await?;
        }
        if tx.commit().await?.is_some() {
            app.publisher.wake();
        }
    }
    Ok(())
}
