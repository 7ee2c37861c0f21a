//! What was earned, from the ledger of money.

use domain::clock::Timestamp;
use domain::ids::{AccountId, PlanVersionId};
use domain::money::Currency;
use serde::Serialize;

use super::Balance;
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

/// What one plan version earned in one currency in a span of time. Amounts are minor units without tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Earned {
    /// The plan version whose prices were charged.
    pub plan_version: PlanVersionId,
    /// The currency.
    pub currency: Currency,
    /// Lines of invoices that were issued.
    pub invoiced: i64,
    /// Lines of credit notes.
    pub credited: i64,
    /// Lines of issued invoices that were made void.
    pub voided: i64,
}

impl FromRow for Earned {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            plan_version: row.get("plan_version")?,
            currency: row.parse("currency")?,
            invoiced: row.get("invoiced")?,
            credited: row.get("credited")?,
            voided: row.get("voided")?,
        })
    }
}

/// Dated like the entries of the ledger, so that both always add up to the same.
const EARNED: &str = "SELECT plan_version, currency, CAST(SUM(invoiced) AS BIGINT) AS invoiced,
        CAST(SUM(credited) AS BIGINT) AS credited, CAST(SUM(voided) AS BIGINT) AS voided
    FROM (
        SELECT c.plan_version, i.currency, l.amount AS invoiced, 0 AS credited, 0 AS voided
        FROM invoice i JOIN invoice_line l ON l.invoice = i.id JOIN charge_line c ON c.id = l.charge_line
        WHERE i.finalized_at >= $1 AND i.finalized_at < $2
        UNION ALL
        SELECT c.plan_version, n.currency, 0, k.amount, 0
        FROM credit_note n JOIN credit_note_line k ON k.credit_note = n.id
            JOIN invoice_line l ON l.invoice = k.invoice AND l.n = k.line JOIN charge_line c ON c.id = l.charge_line
        WHERE n.created_at >= $1 AND n.created_at < $2
        UNION ALL
        SELECT c.plan_version, i.currency, 0, 0, l.amount
        FROM invoice_event e JOIN invoice i ON i.id = e.invoice JOIN invoice_line l ON l.invoice = i.id
            JOIN charge_line c ON c.id = l.charge_line
        WHERE e.status = 'void' AND e.at >= $1 AND e.at < $2 AND i.finalized_at IS NOT NULL
    ) x GROUP BY plan_version, currency ORDER BY currency, plan_version";

const OWING: &str = "SELECT account, currency,
        CAST(SUM(CASE WHEN book = 'receivable' THEN amount ELSE 0 END) AS BIGINT) AS receivable,
        CAST(-SUM(CASE WHEN book = 'balance' THEN amount ELSE 0 END) AS BIGINT) AS credit
    FROM ledger_entry GROUP BY account, currency ORDER BY account, currency";

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

    /// What each plan version earned from `from` up to but without `to`, by currency: finalized lines, credit notes, voids.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn earned(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Earned>> {
        self.ledger.all(EARNED, args![from, to]).await
    }

    /// What every account owes and has to its credit, by account and currency.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn all_balances(&self) -> Result<Vec<(AccountId, Balance)>> {
        let rows = self.ledger.rows(OWING, args![]).await?;
        rows.iter()
            .map(|row| Ok((row.get("account")?, Balance::from_row(row)?)))
            .collect()
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
