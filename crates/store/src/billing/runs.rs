//! Billing runs: asked for by anyone, carried out by a billing worker, which holds a lease on the run.

use domain::clock::Timestamp;
use domain::ids::{AccountId, RunId};
use serde::Serialize;

use crate::{FromRow, Page, Result, Row, Store, args};

/// What a run bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunScope {
    /// Everything that is due.
    Due,
    /// Also the usage of running periods so far.
    Interim,
}

impl RunScope {
    /// The word in the database and in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Interim => "interim",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Due, Self::Interim]
            .into_iter()
            .find(|scope| scope.as_str() == word)
    }
}

/// A run as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewBillingRun {
    /// Id that the caller made.
    pub id: RunId,
    /// What it bills.
    pub scope: RunScope,
    /// Whom; everybody unless given.
    pub account: Option<AccountId>,
    /// Whether invoices are issued at once, or stay drafts.
    pub finalize: bool,
    /// Until when the caller carries the run out itself; `None` leaves it to a worker.
    pub own_until: Option<Timestamp>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillingRun {
    /// Its id.
    pub id: RunId,
    /// What it bills.
    pub scope: RunScope,
    /// Whom; everybody unless given.
    pub account: Option<AccountId>,
    /// Whether invoices are issued at once.
    pub finalize: bool,
    /// `queued`, `running` or `done`.
    pub state: String,
    /// Accounts to bill.
    pub total: u32,
    /// Accounts billed.
    pub done: u32,
    /// Accounts that could not be billed; they are tried again by the next run.
    pub failed: u32,
    /// Invoices that it made.
    pub invoices: u32,
    /// Credit notes that it made.
    pub credit_notes: u32,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it was done.
    pub finished_at: Option<Timestamp>,
}

impl FromRow for BillingRun {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            scope: row.word("kind", RunScope::from_word)?,
            account: row.get("account")?,
            finalize: row.get("finalize")?,
            state: row.get("state")?,
            total: row.get("total")?,
            done: row.get("done")?,
            failed: row.get("failed")?,
            invoices: row.get("invoices")?,
            credit_notes: row.get("credit_notes")?,
            requested_at: row.get("requested_at")?,
            finished_at: row.get("finished_at")?,
        })
    }
}

/// An account that a run could not bill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunFailure {
    /// The account.
    pub account: AccountId,
    /// Why.
    pub reason: String,
    /// When it was tried last.
    pub at: Timestamp,
}

impl FromRow for RunFailure {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            account: row.get("account")?,
            reason: row.get("reason")?,
            at: row.get("at")?,
        })
    }
}

const CLAIM: &str = "UPDATE billing_run SET state = 'running', lease_until = $1
    WHERE id = (SELECT id FROM billing_run WHERE state = 'queued' OR (state = 'running' AND lease_until < $2) ORDER BY id LIMIT 1)
    RETURNING *";
const WAITS: &str =
    "SELECT COUNT(*) FROM billing_run WHERE state = 'queued' OR (state = 'running' AND lease_until < $1)";

impl Store {
    /// Queues a run for the billing worker.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn enqueue_billing_run(&self, new: &NewBillingRun, now: Timestamp) -> Result<()> {
        self.ledger
            .execute(
                "INSERT INTO billing_run (id, kind, account, finalize, state, total, done, failed, requested_at, lease_until)
                 VALUES ($1, $2, $3, $4, $5, 0, 0, 0, $6, $7)",
                args![
                    new.id,
                    new.scope.as_str(),
                    new.account,
                    new.finalize,
                    if new.own_until.is_some() { "running" } else { "queued" },
                    now,
                    new.own_until
                ],
            )
            .await
            .map(drop)
    }

    /// A run.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn billing_run(&self, id: RunId) -> Result<Option<BillingRun>> {
        self.ledger
            .one("SELECT * FROM billing_run WHERE id = $1", args![id])
            .await
    }

    /// Whether a run waits for a worker.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn billing_run_waits(&self, now: Timestamp) -> Result<bool> {
        let count: Option<i64> = self.ledger.scalar(WAITS, args![now]).await?;
        Ok(count.unwrap_or(0) > 0)
    }

    /// Takes the oldest run that waits, or whose worker has let its lease end, until `until`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn claim_billing_run(&self, until: Timestamp, now: Timestamp) -> Result<Option<BillingRun>> {
        let mut tx = self.ledger.write().await?;
        tx.lock("billing/runs").await?;
        let claimed = tx.one(CLAIM, args![until, now]).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Says how far a run is and prolongs its lease.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn billing_run_progress(&self, run: &BillingRun, lease_until: Timestamp) -> Result<()> {
        self.ledger
            .execute(
                "UPDATE billing_run SET total = $2, done = $3, failed = $4, lease_until = $5, invoices = $6, credit_notes = $7
                 WHERE id = $1 AND state = 'running'",
                args![
                    run.id,
                    run.total,
                    run.done,
                    run.failed,
                    lease_until,
                    run.invoices,
                    run.credit_notes
                ],
            )
            .await
            .map(drop)
    }

    /// Ends a run.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn finish_billing_run(&self, run: &BillingRun, now: Timestamp) -> Result<()> {
        self.ledger
            .execute(
                "UPDATE billing_run SET state = 'done', total = $2, done = $3, failed = $4, finished_at = $5, lease_until = NULL,
                     invoices = $6, credit_notes = $7
                 WHERE id = $1 AND state <> 'done'",
                args![
                    run.id,
                    run.total,
                    run.done,
                    run.failed,
                    now,
                    run.invoices,
                    run.credit_notes
                ],
            )
            .await
            .map(drop)
    }

    /// Runs that somebody asked for, newest first. A page continues after an id.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn billing_runs(&self, page: &Page) -> Result<Vec<BillingRun>> {
        let sql = "SELECT * FROM billing_run WHERE ($1 IS NULL OR id < $1) ORDER BY id DESC LIMIT $2";
        self.ledger.all(sql, args![page.after(), page.limit()]).await
    }

    /// Forgets whom a run could not bill: it tries all of them again.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn forget_run_failures(&self, run: RunId) -> Result<()> {
        self.ledger
            .execute("DELETE FROM billing_run_failure WHERE run = $1", args![run])
            .await
            .map(drop)
    }

    /// Notes that a run could not bill an account.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn note_run_failure(&self, run: RunId, failure: &RunFailure) -> Result<()> {
        self.ledger
            .execute(
                "INSERT INTO billing_run_failure (run, account, reason, at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (run, account) DO UPDATE SET reason = excluded.reason, at = excluded.at",
                args![run, failure.account, &failure.reason, failure.at],
            )
            .await
            .map(drop)
    }

    /// Whom a run could not bill, the first 1000 of them.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn run_failures(&self, run: RunId) -> Result<Vec<RunFailure>> {
        let sql = "SELECT * FROM billing_run_failure WHERE run = $1 ORDER BY at, account LIMIT 1000";
        self.ledger.all(sql, args![run]).await
    }
}
