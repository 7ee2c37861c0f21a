//! The timeline of a subscription: which plan version held from when to when.
//!
//! Invariants: a segment is opened and closed once and never changes otherwise (triggers); at most one is open; each
//! begins where the one before it ended.

use std::collections::HashMap;

use domain::clock::Timestamp;
use domain::ids::{ConsumerId, PlanVersionId, SubscriptionId};
use serde::Serialize;

use crate::{ControlTx, Error, FromRow, Result, Row, Scope, Store, args};

/// A part of a subscription's life on one plan version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Segment {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Its number within the subscription, from 1.
    pub n: i64,
    /// The plan version.
    pub plan_version_id: PlanVersionId,
    /// When it begins.
    pub from: Timestamp,
    /// When it ended (not included); `None` while it is open.
    pub to: Option<Timestamp>,
}

impl FromRow for Segment {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription_id: row.get("subscription_id")?,
            n: row.get("n")?,
            plan_version_id: row.get("plan_version_id")?,
            from: row.get("from_at")?,
            to: row.get("to_at")?,
        })
    }
}

const OF_SUBSCRIPTION: &str = "SELECT g.* FROM sub_segments g JOIN subscriptions s ON s.id = g.subscription_id
    WHERE g.subscription_id = $1 AND ($2 IS NULL OR s.account_id = $2) ORDER BY g.n";

const ORDINALS: &str =
    "SELECT s.id AS id, MAX(g.n) AS n FROM sub_segments g JOIN subscriptions s ON s.id = g.subscription_id
    WHERE ($1 IS NULL OR s.consumer_id = $1) AND ($2 IS NULL OR s.account_id = $2) GROUP BY s.id";

impl Store {
    /// The segments of a subscription in order.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn segments(&self, scope: Scope, subscription: SubscriptionId) -> Result<Vec<Segment>> {
        self.control
            .all(OF_SUBSCRIPTION, args![subscription, scope.account()])
            .await
    }
}

impl ControlTx {
    /// The ordinal, from 0, of the newest segment of each subscription of a consumer, or of all consumers; subscriptions
    /// that were never activated have none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn segment_ordinals(&mut self, consumer: Option<ConsumerId>) -> Result<HashMap<SubscriptionId, u32>> {
        let scope = self.scope().account();
        let rows = self.rows(ORDINALS, args![consumer, scope]).await?;
        let ordinal = |n: i64| u32::try_from(n.saturating_sub(1)).unwrap_or(0);
        rows.iter()
            .map(|row| Ok((row.get("id")?, ordinal(row.get("n")?))))
            .collect()
    }

    /// As [`Store::segments`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn segments(&mut self, subscription: SubscriptionId) -> Result<Vec<Segment>> {
        let scope = self.scope().account();
        self.all(OF_SUBSCRIPTION, args![subscription, scope]).await
    }

    /// Opens the next segment at `from`, which must be where the one before it ended.
    pub(crate) async fn open_segment(
        &mut self,
        id: SubscriptionId,
        version: PlanVersionId,
        from: Timestamp,
    ) -> Result<()> {
        let last = self.segments(id).await?.last().copied();
        if last.is_some_and(|segment| segment.to != Some(from)) {
            return Err(Error::State(
                "the segment before is still open or ended at another instant".to_owned(),
            ));
        }
        let n = last.map_or(1, |segment| segment.n + 1);
        self.execute(
            "INSERT INTO sub_segments (subscription_id, n, plan_version_id, from_at) VALUES ($1, $2, $3, $4)",
            args![id, n, version, from],
        )
        .await
        .map(drop)
    }

    /// Closes the open segment at `to`, if one is open.
    pub(crate) async fn close_segment(&mut self, id: SubscriptionId, to: Timestamp) -> Result<()> {
        let open = self
            .segments(id)
            .await?
            .into_iter()
            .find(|segment| segment.to.is_none());
        if open.is_some_and(|segment| segment.from > to) {
            return Err(Error::State("a segment cannot end before it begins".to_owned()));
        }
        self.execute(
            "UPDATE sub_segments SET to_at = $2 WHERE subscription_id = $1 AND to_at IS NULL",
            args![id, to],
        )
        .await
        .map(drop)
    }
}
