//! What was earned, from the ledger of money.

use domain::clock::Timestamp;
use domain::money::Currency;
use serde::Serialize;

use crate::{FromRow, Result, Row, Store, args};

/// Revenue of one currency in a span of time. Amounts are minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RevenueRow {
    /// The currency.
    pub currency: Currency,
    /// Net amounts of issued invoices.
    pub invoiced: i64,
    /// Net amounts of credit notes and of invoices made void.
    pub returned: i64,
    /// Payments that came in.
    pub collected: i64,
    /// What open invoices ask for at the end of the span.
    pub outstanding: i64,
}

impl FromRow for RevenueRow {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            currency: row.parse("currency")?,
            invoiced: row.get("invoiced")?,
            returned: row.get("returned")?,
            collected: row.get("collected")?,
            outstanding: row.get("outstanding")?,
        })
    }
}

const REVENUE: &str = "SELECT currency,
        CAST(-SUM(CASE WHEN book = 'revenue' AND amount < 0 AND at >= $1 THEN amount ELSE 0 END) AS BIGINT) AS invoiced,
        CAST(SUM(CASE WHEN book = 'revenue' AND amount > 0 AND at >= $1 THEN amount ELSE 0 END) AS BIGINT) AS returned,
        CAST(SUM(CASE WHEN book = 'cash' AND at >= $1 THEN amount ELSE 0 END) AS BIGINT) AS collected,
        CAST(SUM(CASE WHEN book = 'receivable' THEN amount ELSE 0 END) AS BIGINT) AS outstanding
    FROM ledger_entry WHERE at < $2 GROUP BY currency ORDER BY currency";

impl Store {
    /// What was earned from `from` up to but without `to`, by currency.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn revenue(&self, from: Timestamp, to: Timestamp) -> Result<Vec<RevenueRow>> {
        self.ledger.all(REVENUE, args![from, to]).await
    }

    /// How much late usage was written off, as a number of requests.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn written_off(&self) -> Result<u64> {
        let sql = "SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM written_off WHERE meter = 'requests'";
        let count: Option<i64> = self.ledger.scalar(sql, args![]).await?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }
}
