//! What usage adds up to: the numbers that quotas, usage and invoices share.

use domain::clock::Timestamp;
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;

use crate::{Error, FromRow, Result, Row, Store, args};

/// A part of a period's usage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    /// Ordinal of the subscription's segment.
    pub segment: u32,
    /// The plan version in force.
    pub plan_version: PlanVersionId,
    /// The meter.
    pub meter: String,
    /// [`domain::usage::Outcome::class_key`].
    pub outcome: String,
    /// How much.
    pub quantity: Quantity,
    /// In how many requests.
    pub requests: u64,
}

/// A period's usage at one instant of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeriodTotals {
    /// The ledger commit that the totals include last.
    pub ledger_commit: u64,
    /// The totals by segment, meter and outcome.
    pub totals: Vec<Total>,
}

/// What was used in 15 minutes, for counters that are rebuilt after a restart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct WindowUse {
    /// Who pays.
    pub subscription: SubscriptionId,
    /// Live or test.
    pub mode: Mode,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// The meter.
    pub meter: String,
    /// Operation key.
    pub operation: String,
    /// [`domain::usage::Outcome::class_key`].
    pub outcome: String,
    /// Start of the 15 minutes.
    pub bucket: Timestamp,
    /// How much.
    pub quantity: Quantity,
}

fn quantity(row: &Row) -> Result<Quantity> {
    Ok(Quantity::from_parts(row.get("units")?, row.get("nanos")?))
}

fn mode(row: &Row) -> Result<Mode> {
    row.word("mode", |word| match word {
        "live" => Some(Mode::Live),
        "test" => Some(Mode::Test),
        _ => None,
    })
}

impl FromRow for Total {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            segment: u32::try_from(row.get::<i64>("segment")?).map_err(|error| Error::decode("segment", error))?,
            plan_version: row.get("plan_version")?,
            meter: row.get("meter")?,
            outcome: row.get("outcome")?,
            quantity: quantity(row)?,
            requests: u64::try_from(row.get::<i64>("requests")?).map_err(|error| Error::decode("requests", error))?,
        })
    }
}

impl FromRow for WindowUse {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            mode: mode(row)?,
            period_start: row.get("period_start")?,
            meter: row.get("meter")?,
            operation: row.get("operation")?,
            outcome: row.get("outcome")?,
            bucket: row.get("bucket")?,
            quantity: quantity(row)?,
        })
    }
}

impl Store {
    /// The usage of one period of a subscription, and the ledger commit up to which it is counted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn period_totals(
        &self,
        subscription: SubscriptionId,
        period_start: Timestamp,
        mode: Mode,
    ) -> Result<PeriodTotals> {
        let mut tx = self.ledger.read().await?;
        let commit: Option<i64> = tx.scalar("SELECT n FROM ledger_commit WHERE id = 1", args![]).await?;
        let totals = tx
            .all(
                "SELECT segment, plan_version, meter, outcome, CAST(SUM(units) AS BIGINT) AS units,
                     CAST(SUM(nanos) AS BIGINT) AS nanos, CAST(SUM(requests) AS BIGINT) AS requests
                 FROM usage_bucket WHERE subscription = $1 AND period_start = $2 AND mode = $3
                 GROUP BY segment, plan_version, meter, outcome
                 ORDER BY segment, plan_version, meter, outcome",
                args![subscription, period_start, mode.as_str()],
            )
            .await?;
        tx.rollback().await?;
        Ok(PeriodTotals {
            ledger_commit: u64::try_from(commit.unwrap_or(0)).unwrap_or(0),
            totals,
        })
    }

    /// The starts of the periods in which a subscription has live usage, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn periods_with_usage(&self, subscription: SubscriptionId) -> Result<Vec<Timestamp>> {
        let rows = self
            .ledger
            .rows(
                "SELECT DISTINCT period_start FROM usage_bucket WHERE subscription = $1 AND mode = $2 ORDER BY period_start",
                args![subscription, "live"],
            )
            .await?;
        rows.iter().map(|row| row.get("period_start")).collect()
    }

    /// The number of the newest ledger commit.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ledger_commit(&self) -> Result<u64> {
        let n: Option<i64> = self
            .ledger
            .scalar("SELECT n FROM ledger_commit WHERE id = 1", args![])
            .await?;
        Ok(u64::try_from(n.unwrap_or(0)).unwrap_or(0))
    }

    /// Everything used since `since` (rounded down to 15 minutes), and in periods that began since `periods_since`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn used_since(&self, since: Timestamp, periods_since: Timestamp) -> Result<Vec<WindowUse>> {
        let bucket = since.as_millis().div_euclid(900_000) * 900_000;
        self.ledger
            .all(
                "SELECT subscription, mode, period_start, meter, operation, outcome, bucket, units, nanos
                 FROM usage_bucket WHERE bucket >= $1 OR period_start >= $2",
                args![bucket, periods_since],
            )
            .await
    }

    /// What one subscription has used, as [`Store::used_since`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn used_by(
        &self,
        subscription: SubscriptionId,
        since: Timestamp,
        periods_since: Timestamp,
    ) -> Result<Vec<WindowUse>> {
        let bucket = since.as_millis().div_euclid(900_000) * 900_000;
        self.ledger
            .all(
                "SELECT subscription, mode, period_start, meter, operation, outcome, bucket, units, nanos
                 FROM usage_bucket WHERE subscription = $1 AND (bucket >= $2 OR period_start >= $3)",
                args![subscription, bucket, periods_since],
            )
            .await
    }
}
