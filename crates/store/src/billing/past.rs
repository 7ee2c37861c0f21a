//! Past traffic, for previews: from the ledger's totals, whatever plan was in force.

use std::collections::BTreeSet;

use domain::clock::Timestamp;
use domain::ids::{AccountId, SubscriptionId};
use domain::quantity::Quantity;

use crate::{FromRow, Result, Row, Store, args};

/// A part of the traffic of some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastUse {
    /// Who used it.
    pub subscription: SubscriptionId,
    /// The meter.
    pub meter: String,
    /// Operation key.
    pub operation: String,
    /// [`domain::usage::Outcome::class_key`].
    pub outcome: String,
    /// How much.
    pub quantity: Quantity,
}

impl FromRow for PastUse {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            meter: row.get("meter")?,
            operation: row.get("operation")?,
            outcome: row.get("outcome")?,
            quantity: Quantity::from_parts(row.get("units")?, row.get("nanos")?),
        })
    }
}

const PAST: &str = "SELECT subscription, meter, operation, outcome, CAST(SUM(units) AS BIGINT) AS units,
        CAST(SUM(nanos) AS BIGINT) AS nanos
    FROM usage_bucket WHERE bucket >= $1 AND bucket < $2 AND mode = 'live'
    GROUP BY subscription, meter, operation, outcome ORDER BY subscription, meter, operation, outcome";

const PAST_OF_ONE: &str = "SELECT subscription, meter, operation, outcome, CAST(SUM(units) AS BIGINT) AS units,
        CAST(SUM(nanos) AS BIGINT) AS nanos
    FROM usage_bucket WHERE subscription = $1 AND bucket >= $2 AND bucket < $3 AND mode = 'live'
    GROUP BY subscription, meter, operation, outcome ORDER BY meter, operation, outcome";

impl Store {
    /// As [`Store::past_use`], of one subscription.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn past_use_of(&self, id: SubscriptionId, from: Timestamp, to: Timestamp) -> Result<Vec<PastUse>> {
        self.ledger.all(PAST_OF_ONE, args![id, from, to]).await
    }

    /// Live traffic whose quarter of an hour begins from `from` up to but without `to`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn past_use(&self, from: Timestamp, to: Timestamp) -> Result<Vec<PastUse>> {
        self.ledger.all(PAST, args![from, to]).await
    }

    /// The ids of an account's subscriptions, ended ones too.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn subscription_ids(&self, account: AccountId) -> Result<BTreeSet<SubscriptionId>> {
        let rows = self
            .control
            .rows("SELECT id FROM subscriptions WHERE account_id = $1", args![account])
            .await?;
        rows.iter().map(|row| row.get("id")).collect()
    }
}
