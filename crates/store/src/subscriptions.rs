//! Subscriptions: a consumer on one plan version of a product.
//!
//! Invariants: at most one live subscription per consumer and product (a partial unique index); the anchor is set once,
//! at activation; every plan version that ever held is a segment of the timeline. Which transition is allowed is decided
//! by the caller, who names the status that it decided on: another one by then is an error.

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, PlanId, PlanVersionId, ProductId, SubscriptionId};
use domain::subscription::{Origin, SubscriptionStatus};
use serde::Serialize;

use crate::control::Note;
use crate::{Bind as _, ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, Value, args};

/// A new subscription, not yet activated.
#[derive(Debug, Clone)]
pub struct NewSubscription {
    /// Id that the caller made.
    pub id: SubscriptionId,
    /// Its consumer.
    pub consumer_id: ConsumerId,
    /// The product.
    pub product_id: ProductId,
    /// The plan.
    pub plan_id: PlanId,
    /// The version of the plan.
    pub plan_version_id: PlanVersionId,
    /// `pending_approval` or `pending_payment`; follow with [`ControlTx::activate_subscription`] where neither applies.
    pub status: SubscriptionStatus,
    /// IANA zone of its periods.
    pub zone: String,
    /// Length of a usage period, such as `month`.
    pub every: String,
    /// Who owns it.
    pub origin: Origin,
}

/// A change of plan that waits for its instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PendingChange {
    /// The new plan.
    pub plan_id: PlanId,
    /// The new version.
    pub plan_version_id: PlanVersionId,
    /// When it takes effect.
    pub at: Timestamp,
}

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Subscription {
    /// Id.
    pub id: SubscriptionId,
    /// The account of its consumer.
    pub account_id: AccountId,
    /// Its consumer.
    pub consumer_id: ConsumerId,
    /// The product.
    pub product_id: ProductId,
    /// The plan in force.
    pub plan_id: PlanId,
    /// The version in force.
    pub plan_version_id: PlanVersionId,
    /// Its state.
    pub status: SubscriptionStatus,
    /// Why it is in that state, where someone said so.
    pub status_reason: Option<String>,
    /// Wall time in `zone` from which all periods count, such as `2027-01-31T00:00:00`; `None` until activation.
    pub anchor_local: Option<String>,
    /// IANA zone of its periods.
    pub zone: String,
    /// Length of a usage period.
    pub every: String,
    /// Who owns it.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was activated.
    pub activated_at: Option<Timestamp>,
    /// Until when a past due subscription is served.
    pub grace_until: Option<Timestamp>,
    /// When it will be cancelled.
    pub cancel_at: Option<Timestamp>,
    /// When it was cancelled or rejected.
    pub ended_at: Option<Timestamp>,
    /// The change of plan that waits.
    pub pending_change: Option<PendingChange>,
}

impl FromRow for Subscription {
    fn from_row(row: &Row) -> Result<Self> {
        let pending = (
            row.get("pending_plan_id")?,
            row.get("pending_plan_version_id")?,
            row.get("pending_at")?,
        );
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            consumer_id: row.get("consumer_id")?,
            product_id: row.get("product_id")?,
            plan_id: row.get("plan_id")?,
            plan_version_id: row.get("plan_version_id")?,
            status: row.word("status", SubscriptionStatus::from_word)?,
            status_reason: row.get("status_reason")?,
            anchor_local: row.get("anchor_local")?,
            zone: row.get("zone")?,
            every: row.get("every")?,
            origin: row.word("origin", Origin::from_word)?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            activated_at: row.get("activated_at")?,
            grace_until: row.get("grace_until")?,
            cancel_at: row.get("cancel_at")?,
            ended_at: row.get("ended_at")?,
            pending_change: match pending {
                (Some(plan_id), Some(plan_version_id), Some(at)) => Some(PendingChange {
                    plan_id,
                    plan_version_id,
                    at,
                }),
                _ => None,
            },
        })
    }
}

/// Which subscriptions to list; empty fields do not filter.
#[derive(Debug, Clone, Copy, Default)]
pub struct SubscriptionFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// Of this consumer.
    pub consumer: Option<ConsumerId>,
    /// Of this product.
    pub product: Option<ProductId>,
    /// Of this plan.
    pub plan: Option<PlanId>,
    /// In this state.
    pub status: Option<SubscriptionStatus>,
}

const BY_ID: &str = "SELECT * FROM subscriptions WHERE id = $1 AND ($2 IS NULL OR account_id = $2)";
const LIST: &str = "SELECT * FROM subscriptions
    WHERE ($1 IS NULL OR account_id = $1) AND ($2 IS NULL OR account_id = $2) AND ($3 IS NULL OR consumer_id = $3)
      AND ($4 IS NULL OR product_id = $4) AND ($5 IS NULL OR plan_id = $5) AND ($6 IS NULL OR status = $6)
      AND ($7 IS NULL OR id > $7)
    ORDER BY id LIMIT $8";
const LIVE: &str = "SELECT * FROM subscriptions WHERE status NOT IN ('cancelled', 'rejected') AND ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2";
const DUE: &str = "SELECT * FROM subscriptions
    WHERE status NOT IN ('cancelled', 'rejected') AND (cancel_at <= $1 OR pending_at <= $1) ORDER BY id LIMIT $2";

impl Store {
    /// The subscription of this id, ended or not, when the scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscription(&self, scope: Scope, id: SubscriptionId) -> Result<Option<Subscription>> {
        self.control.one(BY_ID, args![id, scope.account()]).await
    }

    /// Subscriptions, ended ones too, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscriptions(
        &self,
        scope: Scope,
        filter: &SubscriptionFilter,
        page: &Page,
    ) -> Result<Vec<Subscription>> {
        self.control.all(LIST, list_args(scope, filter, page)).await
    }

    /// What a gateway needs: all live subscriptions, by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_subscriptions(&self, page: &Page) -> Result<Vec<Subscription>> {
        self.control.all(LIVE, args![page.after(), page.limit()]).await
    }

    /// Live subscriptions whose cancellation or change of plan is due at `now`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn due_subscriptions(&self, now: Timestamp, limit: u32) -> Result<Vec<Subscription>> {
        self.control.all(DUE, args![now, limit]).await
    }
}

fn list_args(scope: Scope, filter: &SubscriptionFilter, page: &Page) -> Vec<Value> {
    args![
        scope.account(),
        filter.account,
        filter.consumer,
        filter.product,
        filter.plan,
        filter.status.map(SubscriptionStatus::as_str),
        page.after(),
        page.limit()
    ]
}

impl ControlTx {
    /// The subscription of this id, ended or not, when this transaction's scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscription(&mut self, id: SubscriptionId) -> Result<Option<Subscription>> {
        let scope = self.scope().account();
        self.one(BY_ID, args![id, scope]).await
    }

    /// As [`Store::subscriptions`], within this transaction's scope and seeing its own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn subscriptions(&mut self, filter: &SubscriptionFilter, page: &Page) -> Result<Vec<Subscription>> {
        let values = list_args(self.scope(), filter, page);
        self.all(LIST, values).await
    }

    /// Adds a subscription that is not yet activated.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force, [`Error::Conflict`] on
    /// `subscriptions(consumer_id,product_id)` when a live one exists, [`Error::Reference`] for an unknown plan.
    pub async fn create_subscription(&mut self, new: &NewSubscription) -> Result<Subscription> {
        let consumer = self.consumer_in_force(new.consumer_id).await?;
        let now = self.now();
        self.execute(
            "INSERT INTO subscriptions (id, account_id, consumer_id, product_id, plan_id, plan_version_id, status, zone, every,
                origin, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
            args![
                new.id, consumer.account_id, new.consumer_id, new.product_id, new.plan_id, new.plan_version_id, new.status.as_str(),
                &new.zone, &new.every, new.origin.as_str(), now
            ],
        )
        .await?;
        let after = self.required(new.id).await?;
        self.noted_subscription("create", None, &after)?;
        Ok(after)
    }

    /// Activates a subscription at `at`: sets its anchor for good, gives it the status `to` (`active` or `trialing`) and
    /// opens its first segment.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such subscription, [`Error::State`] when it was activated or has ended.
    pub async fn activate_subscription(
        &mut self,
        id: SubscriptionId,
        to: SubscriptionStatus,
        anchor_local: &str,
        at: Timestamp,
    ) -> Result<Subscription> {
        let before = self.live(id).await?;
        if before.activated_at.is_some() {
            return Err(Error::State("the subscription was activated before".to_owned()));
        }
        let sql = "UPDATE subscriptions SET status = $3, anchor_local = $4, activated_at = $5, status_reason = NULL, updated_at = $2 WHERE id = $1";
        let now = self.now();
        self.execute(sql, args![id, now, to.as_str(), anchor_local, at]).await?;
        self.open_segment(id, before.plan_version_id, at).await?;
        self.reread_subscription("activate", &before).await
    }

    /// Moves a live subscription from the status `from` to another live one.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such subscription, [`Error::State`] when its status is not `from`.
    pub async fn set_subscription_status(
        &mut self,
        id: SubscriptionId,
        from: SubscriptionStatus,
        to: SubscriptionStatus,
        reason: Option<&str>,
    ) -> Result<Subscription> {
        let before = self.live(id).await?;
        if before.status != from {
            return Err(Error::State(format!(
                "the subscription is {}, no longer {from}",
                before.status
            )));
        }
        if !to.is_live() {
            return Err(Error::State(format!("{to} ends a subscription")));
        }
        let sql = "UPDATE subscriptions SET status = $3, status_reason = $4, updated_at = $2 WHERE id = $1";
        self.update_subscription(to.as_str(), &before, sql, args![to.as_str(), reason])
            .await
    }

    /// Sets until when a past due subscription is served.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::State`] when the scope holds no such live subscription.
    pub async fn set_grace(&mut self, id: SubscriptionId, until: Option<Timestamp>) -> Result<Subscription> {
        let before = self.live(id).await?;
        self.update_subscription(
            "set_grace",
            &before,
            "UPDATE subscriptions SET grace_until = $3, updated_at = $2 WHERE id = $1",
            args![until],
        )
        .await
    }

    /// Ends a subscription at `at` as `cancelled` or `rejected` and closes its timeline.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such subscription, [`Error::State`] when it has ended, or when `at` lies
    /// before its open segment.
    pub async fn end_subscription(
        &mut self,
        id: SubscriptionId,
        to: SubscriptionStatus,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<Subscription> {
        let before = self.live(id).await?;
        if to.is_live() {
            return Err(Error::State(format!("{to} does not end a subscription")));
        }
        self.close_segment(id, at).await?;
        let sql = "UPDATE subscriptions SET status = $3, status_reason = $4, ended_at = $5, cancel_at = NULL, pending_plan_id = NULL,
            pending_plan_version_id = NULL, pending_at = NULL, updated_at = $2 WHERE id = $1";
        self.update_subscription(to.as_str(), &before, sql, args![to.as_str(), reason, at])
            .await
    }

    /// Sets or takes back when a live subscription will be cancelled.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::State`] when the scope holds no such live subscription.
    pub async fn schedule_cancel(&mut self, id: SubscriptionId, at: Option<Timestamp>) -> Result<Subscription> {
        let before = self.live(id).await?;
        let verb = if at.is_some() { "schedule_cancel" } else { "uncancel" };
        self.update_subscription(
            verb,
            &before,
            "UPDATE subscriptions SET cancel_at = $3, updated_at = $2 WHERE id = $1",
            args![at],
        )
        .await
    }

    /// Sets or takes back the change of plan that waits.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::State`] when the scope holds no such live subscription.
    pub async fn schedule_change(&mut self, id: SubscriptionId, change: Option<PendingChange>) -> Result<Subscription> {
        let before = self.live(id).await?;
        let sql = "UPDATE subscriptions SET pending_plan_id = $3, pending_plan_version_id = $4, pending_at = $5, updated_at = $2 WHERE id = $1";
        let values = args![
            change.map(|change| change.plan_id),
            change.map(|change| change.plan_version_id),
            change.map(|change| change.at)
        ];
        self.update_subscription("schedule_change", &before, sql, values).await
    }

    /// Puts a subscription on another plan version at `change.at`: closes the open segment there and opens the next. A
    /// change that waited is gone then. Before activation only the version is replaced.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::State`] when the scope holds no such live subscription, or when the instant lies
    /// before the open segment.
    pub async fn change_plan(&mut self, id: SubscriptionId, change: PendingChange) -> Result<Subscription> {
        let before = self.live(id).await?;
        if before.activated_at.is_some() {
            self.close_segment(id, change.at).await?;
            self.open_segment(id, change.plan_version_id, change.at).await?;
        }
        let sql = "UPDATE subscriptions SET plan_id = $3, plan_version_id = $4, pending_plan_id = NULL, pending_plan_version_id = NULL,
            pending_at = NULL, updated_at = $2 WHERE id = $1";
        self.update_subscription(
            "change_plan",
            &before,
            sql,
            args![change.plan_id, change.plan_version_id],
        )
        .await
    }

    async fn live(&mut self, id: SubscriptionId) -> Result<Subscription> {
        let found = self.required(id).await?;
        if found.status.is_live() {
            Ok(found)
        } else {
            Err(Error::State(format!("the subscription is {}", found.status)))
        }
    }

    async fn required(&mut self, id: SubscriptionId) -> Result<Subscription> {
        self.subscription(id).await?.ok_or(Error::Missing("subscription"))
    }

    async fn update_subscription(
        &mut self,
        verb: &str,
        before: &Subscription,
        sql: &'static str,
        values: Vec<Value>,
    ) -> Result<Subscription> {
        let mut all = vec![before.id.bind(), self.now().bind()];
        all.extend(values);
        self.execute(sql, all).await?;
        self.reread_subscription(verb, before).await
    }

    async fn reread_subscription(&mut self, verb: &str, before: &Subscription) -> Result<Subscription> {
        let after = self.required(before.id).await?;
        self.noted_subscription(verb, Some(before), &after)?;
        Ok(after)
    }

    fn noted_subscription(&mut self, verb: &str, before: Option<&Subscription>, after: &Subscription) -> Result<()> {
        let (id, account) = (after.id.to_string(), Some(after.account_id));
        self.note(
            verb,
            Note {
                kind: Kind::Subscription,
                id,
                account,
                before,
                after: Some(after),
            },
        )
    }
}
