//! Invoices as people look for them: by state, account, month and words, in pages by number, with counts and sums.

use domain::clock::Timestamp;
use domain::ids::AccountId;
use domain::invoice::InvoiceStatus;
use domain::money::Currency;

use super::InvoiceSummary;
use crate::{FromRow, Result, Row, Scope, Store, Value, args};

/// A state that people filter by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvoiceState {
    /// A status.
    Status(InvoiceStatus),
    /// Open past its due date.
    Overdue,
}

/// Which invoices; empty fields do not filter.
#[derive(Debug, Clone, Default)]
pub struct InvoiceSearch {
    /// Of this account.
    pub account: Option<AccountId>,
    /// In this state.
    pub state: Option<InvoiceState>,
    /// Issued, or made while a draft, at or after this.
    pub from: Option<Timestamp>,
    /// Issued, or made while a draft, before this.
    pub to: Option<Timestamp>,
    /// A part of the number, or the invoice is of one of `named`.
    pub text: Option<String>,
    /// Accounts that the text names.
    pub named: Vec<AccountId>,
}

/// Invoices of one currency and state, added up. Amounts are minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvoiceSum {
    /// The currency.
    pub currency: Currency,
    /// The status.
    pub status: InvoiceStatus,
    /// Whether they are past their due date.
    pub overdue: bool,
    /// How many.
    pub count: u64,
    /// What was charged.
    pub total: i64,
    /// What is still to be paid; nothing of drafts.
    pub amount_due: i64,
}

impl FromRow for InvoiceSum {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            currency: row.parse("currency")?,
            status: row.word("status", InvoiceStatus::from_word)?,
            overdue: row.get::<i64>("late")? != 0,
            count: u64::try_from(row.get::<i64>("invoices")?).unwrap_or(0),
            total: row.get("total")?,
            amount_due: row.get("open_amount")?,
        })
    }
}

impl InvoiceState {
    /// Whether a sum is of this state.
    pub fn holds(self, sum: &InvoiceSum) -> bool {
        match self {
            Self::Status(status) => sum.status == status,
            Self::Overdue => sum.overdue,
        }
    }
}

/// Invoices with their standing, narrowed by everything but their state.
macro_rules! found {
    () => {
        "FROM (SELECT i.*,
            (SELECT e.status FROM invoice_event e WHERE e.invoice = i.id ORDER BY e.n DESC LIMIT 1) AS status,
            CAST(COALESCE((SELECT SUM(p.amount) FROM payment p WHERE p.invoice = i.id), 0) AS BIGINT) AS paid,
            CAST(0 AS BIGINT) AS from_balance,
            CAST(COALESCE((SELECT SUM(c.total) FROM credit_note c WHERE c.invoice = i.id), 0) AS BIGINT) AS credited
        FROM invoice i
        WHERE ($1 IS NULL OR i.account = $1) AND ($2 IS NULL OR i.account = $2)
            AND ($3 IS NULL OR COALESCE(i.finalized_at, i.created_at) >= $3)
            AND ($4 IS NULL OR COALESCE(i.finalized_at, i.created_at) < $4)
            AND ($5 IS NULL OR LOWER(i.number) LIKE $5 ESCAPE '!' OR $6 LIKE '%,' || i.account || ',%')) x "
    };
}

const PAGE: &str = concat!(
    "SELECT * ",
    found!(),
    "WHERE ($7 IS NULL OR status = $7) AND ($8 IS NULL OR (status = 'open' AND due_at < $8)) ORDER BY id DESC LIMIT $9 OFFSET $10"
);
const SUMS: &str = concat!(
    "SELECT currency, status, late, COUNT(*) AS invoices, CAST(SUM(total) AS BIGINT) AS total,
        CAST(SUM(CASE WHEN status IN ('draft', 'void') OR total - paid - credited < 0 THEN 0
            ELSE total - paid - credited END) AS BIGINT) AS open_amount
     FROM (SELECT x.*, CAST(CASE WHEN status = 'open' AND due_at < $7 THEN 1 ELSE 0 END AS BIGINT) AS late ",
    found!(),
    ") y GROUP BY currency, status, late ORDER BY currency, status, late"
);

impl InvoiceSearch {
    fn values(&self, scope: Scope) -> Vec<Value> {
        let text = self.text.as_ref().map(|text| {
            let plain = text.to_lowercase();
            let escaped = plain.replace('!', "!!").replace('%', "!%").replace('_', "!_");
            format!("%{escaped}%")
        });
        let named: String = self.named.iter().map(|id| format!("{id},")).collect();
        args![
            scope.account(),
            self.account,
            self.from,
            self.to,
            text,
            format!(",{named}")
        ]
    }
}

impl Store {
    /// Invoices, newest first: `limit` of them after `skip`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn find_invoices(
        &self,
        scope: Scope,
        search: &InvoiceSearch,
        (skip, limit): (u32, u32),
        now: Timestamp,
    ) -> Result<Vec<InvoiceSummary>> {
        let mut values = search.values(scope);
        let (status, late) = match search.state {
            None => (None, None),
            Some(InvoiceState::Status(status)) => (Some(status.as_str()), None),
            Some(InvoiceState::Overdue) => (None, Some(now)),
        };
        values.extend(args![status, late, limit, skip]);
        self.ledger.all(PAGE, values).await
    }

    /// All that the search finds, whatever its state, counted and added up by currency and state.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn invoice_sums(&self, scope: Scope, search: &InvoiceSearch, now: Timestamp) -> Result<Vec<InvoiceSum>> {
        let mut values = search.values(scope);
        values.extend(args![now]);
        self.ledger.all(SUMS, values).await
    }
}
