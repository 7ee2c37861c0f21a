//! How many live subscriptions each plan has: what a change of the configuration would touch.

use domain::ids::PlanId;

use crate::{ControlTx, Result, args};

impl ControlTx {
    /// Plans with at least one live subscription, and the number of those, by plan.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_subscribers(&mut self) -> Result<Vec<(PlanId, u64)>> {
        let rows = self
            .rows(
                "SELECT plan_id, CAST(COUNT(*) AS BIGINT) AS live FROM subscriptions WHERE status NOT IN ('cancelled', 'rejected')
                 GROUP BY plan_id ORDER BY plan_id",
                args![],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("plan_id")?, row.get("live")?)))
            .collect()
    }
}
