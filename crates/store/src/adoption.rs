//! How the portal is taken up: who came, and when each first called. Read for product managers, never for customers.

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, PlanId, SubscriptionId};

use crate::{FromRow, Result, Row, Store, args};

/// A day and how many came on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayCount {
    /// Midnight UTC at which the day begins.
    pub day: Timestamp,
    /// How many.
    pub count: u64,
}

impl FromRow for DayCount {
    fn from_row(row: &Row) -> Result<Self> {
        let day: i64 = row.get("day")?;
        Ok(Self {
            day: Timestamp::from_millis(day.saturating_mul(DAY_MS)),
            count: row.get("many")?,
        })
    }
}

/// Who came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// People who are not staff.
    Person,
    /// Organisations.
    Account,
    /// Apps.
    Consumer,
}

/// A subscription of an account that is new, with the account's age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Newcomer {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its account.
    pub account: AccountId,
    /// When the account was made.
    pub account_created_at: Timestamp,
}

impl FromRow for Newcomer {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("id")?,
            account: row.get("account_id")?,
            account_created_at: row.get("account_created_at")?,
        })
    }
}

/// A live subscription to a product, by the names of people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductSubscriber {
    /// Its plan, which may be archived.
    pub plan: PlanId,
    /// Name of the consumer.
    pub app: String,
    /// Name of the account.
    pub account: String,
}

impl FromRow for ProductSubscriber {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            plan: row.get("plan_id")?,
            app: row.get("app")?,
            account: row.get("account")?,
        })
    }
}

const DAY_MS: i64 = 86_400_000;
const PEOPLE: &str = "SELECT created_at / 86400000 AS day, CAST(COUNT(*) AS BIGINT) AS many FROM users
    WHERE staff_roles_json = '[]' AND created_at >= $1 AND created_at < $2 GROUP BY created_at / 86400000 ORDER BY day";
const ACCOUNTS: &str = "SELECT created_at / 86400000 AS day, CAST(COUNT(*) AS BIGINT) AS many FROM accounts
    WHERE created_at >= $1 AND created_at < $2 GROUP BY created_at / 86400000 ORDER BY day";
const CONSUMERS: &str = "SELECT created_at / 86400000 AS day, CAST(COUNT(*) AS BIGINT) AS many FROM consumers
    WHERE created_at >= $1 AND created_at < $2 GROUP BY created_at / 86400000 ORDER BY day";

impl Store {
    /// How many came on each UTC day from `from` up to but without `to`; days without anyone are left out.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn arrivals(&self, who: Arrival, from: Timestamp, to: Timestamp) -> Result<Vec<DayCount>> {
        let sql = match who {
            Arrival::Person => PEOPLE,
            Arrival::Account => ACCOUNTS,
            Arrival::Consumer => CONSUMERS,
        };
        self.control.all(sql, args![from, to]).await
    }

    /// How many organisations and how many apps are in force.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn population(&self) -> Result<(u64, u64)> {
        let mut tx = self.control.read().await?;
        let accounts = "SELECT CAST(COUNT(*) AS BIGINT) FROM accounts WHERE deleted_at IS NULL";
        let accounts: Option<u64> = tx.scalar(accounts, args![]).await?;
        let consumers = "SELECT CAST(COUNT(*) AS BIGINT) FROM consumers WHERE deleted_at IS NULL";
        let consumers: Option<u64> = tx.scalar(consumers, args![]).await?;
        Ok((accounts.unwrap_or(0), consumers.unwrap_or(0)))
    }

    /// The subscriptions of accounts that were made from `from` up to but without `to`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn newcomers(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Newcomer>> {
        self.control
            .all(
                "SELECT s.id AS id, s.account_id AS account_id, a.created_at AS account_created_at
                 FROM subscriptions s JOIN accounts a ON a.id = s.account_id
                 WHERE a.created_at >= $1 AND a.created_at < $2 ORDER BY s.id",
                args![from, to],
            )
            .await
    }

    /// The quarter of an hour in which each subscription was used first, of use since `from`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn first_uses(&self, from: Timestamp) -> Result<Vec<(SubscriptionId, Timestamp)>> {
        let rows = self
            .ledger
            .rows(
                "SELECT subscription, MIN(bucket) AS first FROM usage_bucket WHERE bucket >= $1
                 GROUP BY subscription ORDER BY subscription",
                args![from],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("subscription")?, row.get("first")?)))
            .collect()
    }

    /// The names of accounts, apps and plans of live subscriptions to a product, those to archived plans too.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn product_subscribers(&self, product: domain::ids::ProductId) -> Result<Vec<ProductSubscriber>> {
        self.control
            .all(
                "SELECT s.plan_id AS plan_id, c.name AS app, a.name AS account FROM subscriptions s
                 JOIN consumers c ON c.id = s.consumer_id JOIN accounts a ON a.id = s.account_id
                 WHERE s.product_id = $1 AND s.status NOT IN ('cancelled', 'rejected') ORDER BY a.name, c.name, s.id",
                args![product],
            )
            .await
    }

    /// The names of accounts and consumers of live subscriptions to a plan, by consumer: for lists of subscribers.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn subscriber_names(&self, plan: domain::ids::PlanId) -> Result<Vec<(ConsumerId, String, String)>> {
        let rows = self
            .control
            .rows(
                "SELECT c.id AS consumer, c.name AS app, a.name AS account FROM subscriptions s
                 JOIN consumers c ON c.id = s.consumer_id JOIN accounts a ON a.id = s.account_id
                 WHERE s.plan_id = $1 AND s.status NOT IN ('cancelled', 'rejected') ORDER BY c.id",
                args![plan],
            )
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("consumer")?, row.get("app")?, row.get("account")?)))
            .collect()
    }
}
