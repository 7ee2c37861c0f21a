//! Cancellations and changes of plan that are due.

use domain::clock::Timestamp;
use domain::subscription::SubscriptionStatus;

use crate::{Actor, Result, Store, Subscription};

const AT_ONCE: u32 = 500;

impl Store {
    /// Carries out the cancellations and changes of plan that are due at `now`, each exactly at its own instant. Returns
    /// how many subscriptions changed; the gateways are to be told then.
    ///
    /// # Errors
    /// See [`Error`](crate::Error); what was carried out before stays.
    pub async fn carry_out_transitions(&self, now: Timestamp) -> Result<u32> {
        let mut changed = 0;
        loop {
            let due = self.due_subscriptions(now, AT_ONCE).await?;
            if due.is_empty() {
                return Ok(changed);
            }
            for subscription in &due {
                changed += u32::from(self.carry_out(subscription, now).await?);
            }
        }
    }

    async fn carry_out(&self, due: &Subscription, now: Timestamp) -> Result<bool> {
        let mut tx = self.change(Actor::system("billing"), now).await?;
        let found = tx.subscription(due.id).await?.filter(|one| one.status.is_live());
        let Some(subscription) = found else {
            tx.rollback().await?;
            return Ok(false);
        };
        let cancel = subscription.cancel_at.filter(|at| *at <= now);
        let pending = subscription.pending_change.filter(|change| change.at <= now);
        // A change that is due at the end of the subscription would never be in force.
        if let Some(change) = pending.filter(|change| cancel.is_none_or(|at| change.at < at)) {
            tx.change_plan(subscription.id, change).await?;
        }
        if let Some(at) = cancel {
            let reason = subscription.status_reason.as_deref();
            tx.end_subscription(subscription.id, SubscriptionStatus::Cancelled, reason, at)
                .await?;
        }
        tx.commit().await.map(|revision| revision.is_some())
    }
}
