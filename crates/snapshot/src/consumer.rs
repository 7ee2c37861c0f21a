//! Consumers and which of their subscriptions pays.

use std::sync::Arc;

use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::ids::{AccountId, ApiId, ConsumerId, ProductId, SubscriptionId};
use domain::subscription::{Access, ConsumerStatus, Grace, SubscriptionStatus};

use crate::catalog::Catalog;
use crate::error::{Error, Fault, Object};
use crate::plan::CompiledPlan;
use crate::source::{ConsumerRecord, SubscriptionRecord};

/// A subscription.
#[derive(Debug)]
pub struct CompiledSubscription {
    /// Id.
    pub id: SubscriptionId,
    /// The plan version in force, with its product.
    pub plan: Arc<CompiledPlan>,
    /// Ordinal of the segment of its timeline in force, from 0.
    pub segment: u32,
    /// State.
    pub status: SubscriptionStatus,
    /// Until when a past due subscription is served.
    pub grace_until: Option<Timestamp>,
    /// Its usage periods.
    pub cycle: UsageCycle,
    /// When it was made.
    pub created_at: Timestamp,
}

impl CompiledSubscription {
    /// What the gateway does with its requests now.
    pub fn access(&self, now: Timestamp) -> Access {
        let grace = if self.grace_until.is_some_and(|until| now < until) {
            Grace::Running
        } else {
            Grace::Over
        };
        self.status.access(grace)
    }
}

/// A consumer.
#[derive(Debug)]
pub struct CompiledConsumer {
    /// Id.
    pub id: ConsumerId,
    /// Name.
    pub name: Arc<str>,
    /// Its account.
    pub account: AccountId,
    /// State.
    pub status: ConsumerStatus,
    /// Its subscriptions, in the order in which they pay.
    pub subscriptions: Box<[Arc<CompiledSubscription>]>,
    pub(crate) record: Arc<ConsumerRecord>,
}

impl CompiledConsumer {
    pub(crate) fn new(record: &Arc<ConsumerRecord>, catalog: &Catalog) -> Result<Self, Error> {
        let mut subscriptions: Vec<Arc<CompiledSubscription>> = Vec::with_capacity(record.subscriptions.len());
        for row in &record.subscriptions {
            let object = || Object::new("subscription", row.id);
            if subscriptions.iter().any(|known| known.id == row.id) {
                return Err(Error {
                    object: object(),
                    fault: Fault::Duplicate(object()),
                });
            }
            let compiled = subscription(row, catalog).map_err(|fault| Error {
                object: object(),
                fault,
            })?;
            subscriptions.push(Arc::new(compiled));
        }
        subscriptions.sort_by_key(|subscription| {
            (
                rank(subscription.status),
                subscription.plan.product.priority,
                subscription.created_at,
                subscription.id,
            )
        });
        Ok(Self {
            id: record.id,
            name: record.name.as_str().into(),
            account: record.account,
            status: record.status,
            subscriptions: subscriptions.into(),
            record: Arc::clone(record),
        })
    }

    /// Whether compiling it again with this catalog would change nothing.
    pub(crate) fn fits(&self, catalog: &Catalog) -> bool {
        self.subscriptions.iter().all(|subscription| {
            let known = catalog.plans.get(&subscription.plan.version_id);
            known.is_some_and(|plan| Arc::ptr_eq(plan, &subscription.plan))
        })
    }

    /// The one subscription that admits, counts and pays for a request to an API: among those whose product covers it
    /// (and that the key opens: `pinned` is empty for all), one that may be served before one that waits or rests, then
    /// the lowest product priority, then the oldest. A past due subscription stays the one that pays after its grace.
    pub fn paying(&self, api: ApiId, pinned: &[ProductId]) -> Option<&Arc<CompiledSubscription>> {
        self.subscriptions.iter().find(|subscription| {
            let product = &subscription.plan.product;
            product.covers(api) && (pinned.is_empty() || pinned.contains(&product.id))
        })
    }

    /// All that was computed, in one order.
    pub(crate) fn dump(&self) -> String {
        let subscriptions: Vec<_> = self
            .subscriptions
            .iter()
            .map(|one| {
                (
                    one.id,
                    one.plan.version_id,
                    &one.plan.name,
                    one.plan.product.priority,
                    one.cycle.stamp(),
                )
            })
            .collect();
        format!("consumer {:?} {subscriptions:?}", self.record)
    }
}

fn subscription(row: &SubscriptionRecord, catalog: &Catalog) -> Result<CompiledSubscription, Fault> {
    let plan = catalog.plans.get(&row.plan_version);
    let plan = plan.ok_or_else(|| Fault::Missing(Object::new("plan version", row.plan_version)))?;
    Ok(CompiledSubscription {
        id: row.id,
        plan: Arc::clone(plan),
        segment: row.segment,
        status: row.status,
        grace_until: row.grace_until,
        cycle: UsageCycle::new(row.cycle.clone()).map_err(Fault::Cycle)?,
        created_at: row.created_at,
    })
}

/// Subscriptions that may be served go before those that wait or rest, and those before the dead, so that an old
/// cancelled one never hides one in force, yet its owner is told what became of it.
const fn rank(status: SubscriptionStatus) -> u8 {
    match status {
        SubscriptionStatus::Trialing | SubscriptionStatus::Active | SubscriptionStatus::PastDue => 0,
        SubscriptionStatus::PendingPayment | SubscriptionStatus::Paused => 1,
        SubscriptionStatus::PendingApproval => 2,
        SubscriptionStatus::Cancelled | SubscriptionStatus::Rejected => 3,
    }
}
