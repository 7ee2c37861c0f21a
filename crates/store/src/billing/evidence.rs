//! Which usage commits stand behind a line, so that it opens into its single requests.

use domain::clock::Timestamp;
use domain::ids::{InvoiceId, PlanVersionId, SubscriptionId};

use super::read::no_line;
use crate::{FromRow, Result, Row, Scope, Store, args};

/// The usage behind a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineEvidence {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// The meter; `None` for a recurring amount, behind which there is no usage.
    pub meter: Option<String>,
    /// The segment of the timeline, from 1.
    pub segment: u32,
    /// The plan version in force in it.
    pub plan_version: PlanVersionId,
    /// Usage commits after this one.
    pub after_commit: u64,
    /// Usage commits up to this one.
    pub through_commit: u64,
    /// Of a late line: quarters of an hour that lie before this are not in it.
    pub late_before: Option<Timestamp>,
    /// The price, such as `usage/requests`.
    pub price: String,
    /// Segments that the usage period has; one needs no look at the segment.
    pub segments: u32,
}

impl FromRow for LineEvidence {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            subscription: row.get("subscription")?,
            period_start: row.get("period_start")?,
            meter: row.get("meter")?,
            segment: row.get("segment")?,
            plan_version: row.get("plan_version")?,
            after_commit: row.get("from_commit")?,
            through_commit: row.get("through_commit")?,
            late_before: row.get("late_before")?,
            price: row.get("price")?,
            segments: 1,
        })
    }
}

impl Store {
    /// What stands behind a line, counted from 1.
    ///
    /// # Errors
    /// [`Error::Missing`](crate::Error::Missing) when the scope holds no such invoice or it has no such line.
    pub async fn line_evidence(&self, scope: Scope, invoice: InvoiceId, line: u32) -> Result<LineEvidence> {
        let sql = "SELECT c.* FROM invoice_line l JOIN charge_line c ON c.id = l.charge_line JOIN invoice i ON i.id = l.invoice
            WHERE l.invoice = $1 AND l.n = $2 AND ($3 IS NULL OR i.account = $3)";
        let found: Option<LineEvidence> = self.ledger.one(sql, args![invoice, line, scope.account()]).await?;
        let mut found = found.ok_or_else(no_line)?;
        let sql = "SELECT COUNT(DISTINCT segment) FROM charge_line WHERE subscription = $1 AND period_start = $2 AND price = $3";
        let values = args![found.subscription, found.period_start, &found.price];
        found.segments = self.ledger.scalar(sql, values).await?.unwrap_or(1);
        Ok(found)
    }
}
