//! Alerts about quotas: each threshold of a quota is told once a period.

use domain::clock::Timestamp;
use domain::ids::SubscriptionId;

use crate::{Result, Store, args};

/// A threshold that was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaAlert {
    /// Whose quota.
    pub subscription: SubscriptionId,
    /// Its meter.
    pub meter: String,
    /// The threshold in basis points of the maximum.
    pub threshold: u32,
    /// Start of the period.
    pub period_start: Timestamp,
}

impl Store {
    /// Notes that an alert is sent at `now`. Only the first caller is told to send it.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn claim_quota_alert(&self, alert: &QuotaAlert, now: Timestamp) -> Result<bool> {
        let made = self
            .control
            .execute(
                "INSERT INTO quota_alerts (subscription_id, meter, threshold, period_start, sent_at) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (subscription_id, meter, threshold, period_start) DO NOTHING",
                args![
                    alert.subscription,
                    &alert.meter,
                    alert.threshold.to_string(),
                    alert.period_start,
                    now
                ],
            )
            .await?;
        Ok(made > 0)
    }
}
