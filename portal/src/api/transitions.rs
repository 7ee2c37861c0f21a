//! What moves a subscription on: `POST /subscriptions/{id}/approve`, `reject`, `pause`, `resume`, `cancel`, `uncancel`,
//! `change` and `change/preview`.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::subscription::SubscriptionStatus as Status;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{ControlTx, Object, PlanVersion, Subscription};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::billing_change::{ChangeMoney, change_money};
use super::caller::Caller;
use super::endpoint::Doc;
use super::subscriptions::{SubscriptionBody, TAG};
use crate::app::App;
use crate::http::body::Body;
use crate::http::problem::{Fault, Problem};
use crate::subscribing;

/// The reason of a subscription that was cancelled and gives nothing back.
pub(super) const ENDED_WITHOUT_CREDIT: &str = "cancelled, no credit";

async fn found(tx: &mut ControlTx, id: SubscriptionId) -> Result<Subscription, Problem> {
    tx.subscription(id)
        .await?
        .ok_or_else(|| Problem::missing("subscription"))
}

/// 409 unless the subscription is in one of these states.
fn expect(subscription: &Subscription, states: &[Status], verb: &str) -> Result<(), Problem> {
    if states.contains(&subscription.status) {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "the subscription is {} and cannot be {verb}",
        subscription.status
    )))
}

async fn done(app: &App, tx: ControlTx, subscription: Subscription) -> Answer {
    app.commit(tx).await?;
    shown(app, subscription).await
}

async fn shown(app: &App, subscription: Subscription) -> Answer {
    Ok(answer::json(
        StatusCode::OK,
        &SubscriptionBody::new(app, subscription).await?,
    ))
}

/// `POST /subscriptions/{id}/approve`
pub(crate) async fn approve(State(app): State<App>, caller: Caller, Id(id): Id<SubscriptionId>) -> Answer {
    let after = approved(&app, &caller, id).await?;
    Ok(answer::json(StatusCode::OK, &SubscriptionBody::new(&app, after).await?))
}

/// Approves a subscription that waits.
pub(crate) async fn approved(app: &App, caller: &Caller, id: SubscriptionId) -> Result<Subscription, Problem> {
    let mut tx = caller.change(app).await?;
    let before = found(&mut tx, id).await?;
    caller.provider_only()?;
    expect(&before, &[Status::PendingApproval], "approved")?;
    let after = subscribing::activate(&mut tx, &before).await?;
    app.commit(tx).await?;
    Ok(after)
}

/// Documentation of [`approve`].
pub(crate) fn approve_doc() -> Doc {
    Doc::new(TAG, "approveSubscription", "Approve a subscription that waits")
        .answer::<SubscriptionBody>(200, "It is active")
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reject {
    /// For people; the consumer's owner can read it.
    reason: String,
}

/// `POST /subscriptions/{id}/reject`
pub(crate) async fn reject(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Body(wanted): Body<Reject>,
) -> Answer {
    let after = rejected(&app, &caller, id, &wanted.reason).await?;
    Ok(answer::json(StatusCode::OK, &SubscriptionBody::new(&app, after).await?))
}

/// Rejects a subscription that waits.
pub(crate) async fn rejected(
    app: &App,
    caller: &Caller,
    id: SubscriptionId,
    reason: &str,
) -> Result<Subscription, Problem> {
    let mut tx = caller.change(app).await?;
    let before = found(&mut tx, id).await?;
    caller.provider_only()?;
    if reason.trim().is_empty() || reason.len() > 2_000 {
        return Err(Problem::invalid(vec![Fault::at(
            "/reason",
            "write why, in 1 to 2000 characters",
        )]));
    }
    expect(&before, &[Status::PendingApproval], "rejected")?;
    let now = tx.now();
    let after = tx.end_subscription(id, Status::Rejected, Some(reason), now).await?;
    app.commit(tx).await?;
    Ok(after)
}

/// Documentation of [`reject`].
pub(crate) fn reject_doc() -> Doc {
    Doc::new(TAG, "rejectSubscription", "Reject a subscription that waits")
        .body::<Reject>()
        .answer::<SubscriptionBody>(200, "It is rejected")
}

/// `POST /subscriptions/{id}/pause`
pub(crate) async fn pause(State(app): State<App>, caller: Caller, Id(id): Id<SubscriptionId>) -> Answer {
    let mut tx = caller.change(&app).await?;
    let before = found(&mut tx, id).await?;
    expect(&before, &[Status::Active, Status::Trialing, Status::PastDue], "paused")?;
    let after = tx
        .set_subscription_status(id, before.status, Status::Paused, None)
        .await?;
    done(&app, tx, after).await
}

/// Documentation of [`pause`].
pub(crate) fn pause_doc() -> Doc {
    Doc::new(TAG, "pauseSubscription", "Pause a subscription")
        .answer::<SubscriptionBody>(200, "The gateways refuse it now")
}

/// `POST /subscriptions/{id}/resume`
pub(crate) async fn resume(State(app): State<App>, caller: Caller, Id(id): Id<SubscriptionId>) -> Answer {
    let mut tx = caller.change(&app).await?;
    let before = found(&mut tx, id).await?;
    expect(&before, &[Status::Paused], "resumed")?;
    let after = tx
        .set_subscription_status(id, Status::Paused, Status::Active, None)
        .await?;
    done(&app, tx, after).await
}

/// Documentation of [`resume`].
pub(crate) fn resume_doc() -> Doc {
    Doc::new(TAG, "resumeSubscription", "Resume a paused subscription").answer::<SubscriptionBody>(200, "It is active")
}

/// When something takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// At once.
    Now,
    /// At the end of the current usage period.
    PeriodEnd,
}

/// What becomes of what was paid in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Credit {
    /// Nothing is given back.
    #[default]
    None,
    /// The part that was not used is credited.
    Prorated,
}

/// How to cancel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cancel {
    /// At the end of the period unless given.
    #[serde(default = "period_end")]
    #[schema(inline)]
    pub(crate) at: When,
    /// None unless given.
    #[serde(default)]
    #[schema(inline)]
    pub(crate) credit: Credit,
}

const fn period_end() -> When {
    When::PeriodEnd
}

/// `POST /subscriptions/{id}/cancel`
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Body(wanted): Body<Cancel>,
) -> Answer {
    shown(&app, end(&app, &caller, id, &wanted).await?).await
}

/// Cancels a subscription, now or at the end of its period.
pub(crate) async fn end(
    app: &App,
    caller: &Caller,
    id: SubscriptionId,
    wanted: &Cancel,
) -> Result<Subscription, Problem> {
    let mut tx = caller.change(app).await?;
    let before = found(&mut tx, id).await?;
    if !before.status.is_live() {
        return Err(Problem::conflict(format!(
            "the subscription is {} already",
            before.status
        )));
    }
    let reason = match wanted.credit {
        Credit::None => ENDED_WITHOUT_CREDIT,
        Credit::Prorated => "cancelled, credit: prorated",
    };
    let now = tx.now();
    let end = subscribing::period_at(&before, now)
        .map(|period| period.end)
        .filter(|_| wanted.at == When::PeriodEnd);
    let after = match end {
        None => tx.end_subscription(id, Status::Cancelled, Some(reason), now).await?,
        Some(end) => {
            tx.set_subscription_status(id, before.status, before.status, Some(reason))
                .await?;
            tx.schedule_cancel(id, Some(end)).await?
        }
    };
    app.commit(tx).await?;
    Ok(after)
}

/// Documentation of [`cancel`].
pub(crate) fn cancel_doc() -> Doc {
    Doc::new(TAG, "cancelSubscription", "Cancel a subscription")
        .body::<Cancel>()
        .answer::<SubscriptionBody>(200, "It is cancelled, or will be at `cancel_at`")
}

/// `POST /subscriptions/{id}/uncancel`
pub(crate) async fn uncancel(State(app): State<App>, caller: Caller, Id(id): Id<SubscriptionId>) -> Answer {
    shown(&app, go_on(&app, &caller, id).await?).await
}

/// Takes back a cancellation that waits.
pub(crate) async fn go_on(app: &App, caller: &Caller, id: SubscriptionId) -> Result<Subscription, Problem> {
    let mut tx = caller.change(app).await?;
    let before = found(&mut tx, id).await?;
    if before.cancel_at.is_none() {
        return Err(Problem::conflict("no cancellation is waiting"));
    }
    tx.set_subscription_status(id, before.status, before.status, None)
        .await?;
    let after = tx.schedule_cancel(id, None).await?;
    app.commit(tx).await?;
    Ok(after)
}

/// Documentation of [`uncancel`].
pub(crate) fn uncancel_doc() -> Doc {
    Doc::new(TAG, "uncancelSubscription", "Take back a cancellation that waits")
        .answer::<SubscriptionBody>(200, "It goes on")
}

/// Another plan of the same product.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePlan {
    /// Name of the plan.
    pub(crate) plan: String,
    /// At once unless given.
    #[serde(default = "now")]
    #[schema(inline)]
    pub(crate) at: When,
}

const fn now() -> When {
    When::Now
}

/// What a change of plan comes to.
struct Move {
    before: Subscription,
    plan: Object,
    version: PlanVersion,
    at: Timestamp,
}

async fn wanted_move(tx: &mut ControlTx, id: SubscriptionId, wanted: &ChangePlan) -> Result<Move, Problem> {
    let before = found(tx, id).await?;
    expect(
        &before,
        &[
            Status::PendingApproval,
            Status::PendingPayment,
            Status::Trialing,
            Status::Active,
            Status::PastDue,
        ],
        "changed",
    )?;
    let product = tx
        .object(&before.product_id.to_string())
        .await?
        .ok_or_else(|| Problem::missing("product"))?;
    let plan = tx
        .object_named(store::ObjectKind::Plan, &product.id, &wanted.plan)
        .await?;
    let plan = plan.ok_or_else(|| {
        Problem::invalid(vec![Fault::at(
            "/plan",
            format!("no plan of this product is called `{}`", wanted.plan),
        )])
    })?;
    let version = tx
        .latest_plan_version(subscribing::id(&plan)?)
        .await?
        .ok_or_else(|| Problem::conflict("the plan is not published"))?;
    if version.id == before.plan_version_id {
        return Err(Problem::conflict(
            "the subscription is on the newest version of this plan already",
        ));
    }
    let typed: Plan = subscribing::body(&plan)?;
    if subscribing::every(&typed).to_string() != before.every {
        return Err(Problem::conflict(
            "not supported yet: the plan has another usage period, so cancel and subscribe anew",
        ));
    }
    let now = tx.now();
    let at = match wanted.at {
        When::Now => now,
        When::PeriodEnd => subscribing::period_at(&before, now).map_or(now, |period| period.end),
    };
    Ok(Move {
        before,
        plan,
        version,
        at,
    })
}

/// `POST /subscriptions/{id}/change`
pub(crate) async fn change(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Body(wanted): Body<ChangePlan>,
) -> Answer {
    shown(&app, move_to(&app, &caller, id, &wanted).await?).await
}

/// Puts a subscription on another plan of its product, now or at the end of its period.
pub(crate) async fn move_to(
    app: &App,
    caller: &Caller,
    id: SubscriptionId,
    wanted: &ChangePlan,
) -> Result<Subscription, Problem> {
    let mut tx = caller.change(app).await?;
    let Move { plan, version, at, .. } = wanted_move(&mut tx, id, wanted).await?;
    let change = subscribing::change(&plan, version.id, at)?;
    let after = if at <= tx.now() {
        tx.change_plan(id, change).await?
    } else {
        tx.schedule_change(id, Some(change)).await?
    };
    app.commit(tx).await?;
    Ok(after)
}

/// Documentation of [`change`].
pub(crate) fn change_doc() -> Doc {
    Doc::new(TAG, "changeSubscription", "Change the plan of a subscription")
        .text("A later change replaces one that waits.")
        .body::<ChangePlan>()
        .answer::<SubscriptionBody>(200, "It is on the plan, or will be at `pending_change.at`")
}

/// What a change of plan would come to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangePreview {
    /// When it would take effect.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    /// The version in force.
    #[schema(value_type = String)]
    pub(crate) from_version_id: PlanVersionId,
    /// The version then.
    #[schema(value_type = String)]
    pub(crate) to_version_id: PlanVersionId,
    /// Limits in force.
    #[schema(value_type = Vec<Object>)]
    pub(crate) limits_before: Json,
    /// Limits then.
    #[schema(value_type = Vec<Object>)]
    pub(crate) limits_after: Json,
    /// What it comes to in money; null before the subscription is active.
    pub(crate) money: Option<ChangeMoney>,
}

/// `POST /subscriptions/{id}/change/preview`
pub(crate) async fn preview(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SubscriptionId>,
    Body(wanted): Body<ChangePlan>,
) -> Answer {
    let preview = seen_before(&app, &caller, id, &wanted).await?;
    Ok(answer::json(StatusCode::OK, &preview))
}

/// What a change of plan would come to. Changes nothing.
pub(crate) async fn seen_before(
    app: &App,
    caller: &Caller,
    id: SubscriptionId,
    wanted: &ChangePlan,
) -> Result<ChangePreview, Problem> {
    let mut tx = caller.change(app).await?;
    let Move {
        before, version, at, ..
    } = wanted_move(&mut tx, id, wanted).await?;
    let old = tx.plan_version(before.plan_version_id).await?;
    tx.rollback().await?;
    let money = change_money(app, &before, (&version, at)).await?;
    let limits = |body: Json| body.get("limits").cloned().unwrap_or_else(|| Json::Array(Vec::new()));
    Ok(ChangePreview {
        at,
        from_version_id: before.plan_version_id,
        to_version_id: version.id,
        limits_before: limits(old.map(|version| version.body).unwrap_or_default()),
        limits_after: limits(version.body),
        money,
    })
}

/// Documentation of [`preview`].
pub(crate) fn preview_doc() -> Doc {
    Doc::new(TAG, "previewChange", "See what a change of plan comes to")
        .body::<ChangePlan>()
        .answer::<ChangePreview>(200, "Nothing is changed")
}
