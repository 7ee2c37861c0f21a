//! What a subscription will be anchored to once it is activated: a wish that outlives the wait for an approval.

use domain::ids::SubscriptionId;

use crate::{ControlTx, Error, Result, args};

impl ControlTx {
    /// Keeps the wish of a subscription: `start`, `calendar` or a time of RFC 3339.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such subscription, [`Error::State`] when it was activated.
    pub async fn set_anchor_choice(&mut self, id: SubscriptionId, choice: &str) -> Result<()> {
        let subscription = self.subscription(id).await?.ok_or(Error::Missing("subscription"))?;
        if subscription.activated_at.is_some() {
            return Err(Error::State("the subscription was activated before".to_owned()));
        }
        self.execute(
            "UPDATE subscriptions SET anchor_choice = $2 WHERE id = $1",
            args![id, choice],
        )
        .await
        .map(drop)
    }

    /// The wish of a subscription, when this transaction's scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn anchor_choice(&mut self, id: SubscriptionId) -> Result<Option<String>> {
        let scope = self.scope().account();
        self.scalar(
            "SELECT anchor_choice FROM subscriptions WHERE id = $1 AND ($2 IS NULL OR account_id = $2)",
            args![id, scope],
        )
        .await
    }
}
