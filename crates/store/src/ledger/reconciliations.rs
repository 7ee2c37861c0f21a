//! Reconciliations that are asked for by slot, carried out by whoever claims them, and what they found.

use domain::clock::Timestamp;

use super::AnalyticsBatch;
use crate::{Error, FromRow, Result, Row, Store, args};

/// A reconciliation that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedReconciliation {
    /// What it is for; each slot is reconciled once.
    pub slot: String,
    /// First instant of the time.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
}

/// A reconciliation that was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneReconciliation {
    /// What it was for.
    pub slot: String,
    /// First instant of the time.
    pub from: Timestamp,
    /// First instant after it.
    pub to: Timestamp,
    /// When it was done.
    pub done_at: Timestamp,
    /// Requests by which hops differ.
    pub discrepancy: i64,
    /// What it found, as JSON.
    pub report: String,
}

/// The facts of a batch, as metering handed them to analytics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactSpan {
    /// How many.
    pub facts: u64,
    /// The earliest admission.
    pub first_at: Timestamp,
    /// The latest.
    pub last_at: Timestamp,
}

impl FactSpan {
    /// Of facts that were admitted at these instants; `None` without any.
    pub fn of(admissions: impl IntoIterator<Item = Timestamp>) -> Option<Self> {
        admissions.into_iter().fold(None, |span: Option<Self>, at| {
            let span = span.unwrap_or(Self {
                facts: 0,
                first_at: at,
                last_at: at,
            });
            Some(Self {
                facts: span.facts + 1,
                first_at: span.first_at.min(at),
                last_at: span.last_at.max(at),
            })
        })
    }
}

/// A batch that analytics has stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBatch {
    /// The batch.
    pub batch: AnalyticsBatch,
    /// Its facts.
    pub span: FactSpan,
}

impl FromRow for AskedReconciliation {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            slot: row.get("slot")?,
            from: row.get("from_time")?,
            to: row.get("to_time")?,
        })
    }
}

impl FromRow for DoneReconciliation {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            slot: row.get("slot")?,
            from: row.get("from_time")?,
            to: row.get("to_time")?,
            done_at: row.get("done_at")?,
            discrepancy: row.get("discrepancy")?,
            report: row.get("report")?,
        })
    }
}

impl FromRow for StoredBatch {
    fn from_row(row: &Row) -> Result<Self> {
        let facts = row.get::<i64>("facts")?;
        Ok(Self {
            batch: AnalyticsBatch::from_row(row)?,
            span: FactSpan {
                facts: u64::try_from(facts).map_err(|error| Error::decode("facts", error))?,
                first_at: row.get("first_at")?,
                last_at: row.get("last_at")?,
            },
        })
    }
}

const CLAIM: &str = "UPDATE reconciliation SET claimed_until = $1
    WHERE slot = (SELECT slot FROM reconciliation
        WHERE done_at IS NULL AND (claimed_until IS NULL OR claimed_until < $2) ORDER BY asked_at, slot LIMIT 1)
    RETURNING *";

impl Store {
    /// Asks for a reconciliation, unless its slot was asked for already.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ask_reconciliation(&self, asked: &AskedReconciliation, now: Timestamp) -> Result<()> {
        self.ledger
            .execute(
                "INSERT INTO reconciliation (slot, asked_at, from_time, to_time) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (slot) DO NOTHING",
                args![&asked.slot, now, asked.from, asked.to],
            )
            .await
            .map(drop)
    }

    /// Takes up the oldest reconciliation that nobody carries out, until `until`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn claim_reconciliation(&self, until: Timestamp, now: Timestamp) -> Result<Option<AskedReconciliation>> {
        let waits: Option<i64> = self
            .ledger
            .scalar(
                "SELECT COUNT(*) FROM reconciliation
                 WHERE done_at IS NULL AND (claimed_until IS NULL OR claimed_until < $1)",
                args![now],
            )
            .await?;
        if waits.unwrap_or(0) == 0 {
            return Ok(None);
        }
        let mut tx = self.ledger.write().await?;
        tx.lock("reconciliations").await?;
        let claimed = tx.one(CLAIM, args![until, now]).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Notes what a reconciliation found, and forgets those that were done before `keep_from`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn finish_reconciliation(&self, done: &DoneReconciliation, keep_from: Timestamp) -> Result<()> {
        let mut tx = self.ledger.write().await?;
        tx.execute(
            "UPDATE reconciliation SET done_at = $1, discrepancy = $2, report = $3 WHERE slot = $4",
            args![done.done_at, done.discrepancy, &done.report, &done.slot],
        )
        .await?;
        tx.execute("DELETE FROM reconciliation WHERE done_at < $1", args![keep_from])
            .await?;
        tx.commit().await
    }

    /// The reconciliation that was done last.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn last_reconciliation(&self) -> Result<Option<DoneReconciliation>> {
        self.ledger
            .one(
                "SELECT * FROM reconciliation WHERE done_at IS NOT NULL ORDER BY done_at DESC, asked_at DESC LIMIT 1",
                args![],
            )
            .await
    }

    /// Whether a slot was reconciled.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn is_reconciled(&self, slot: &str) -> Result<bool> {
        let done: Option<i64> = self
            .ledger
            .scalar(
                "SELECT COUNT(*) FROM reconciliation WHERE slot = $1 AND done_at IS NOT NULL",
                args![slot],
            )
            .await?;
        Ok(done.unwrap_or(0) > 0)
    }

    /// Records of ledger commits that analytics has not stored yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn waiting_for_analytics(&self) -> Result<u64> {
        let waiting: Option<i64> = self
            .ledger
            .scalar(
                "SELECT CAST(COALESCE(SUM(next_seq - first_seq), 0) AS BIGINT) FROM analytics_batch WHERE done = $1",
                args![false],
            )
            .await?;
        Ok(u64::try_from(waiting.unwrap_or(0)).unwrap_or(0))
    }

    /// Batches that analytics has stored with facts from `from` up to but without `to`, in the order of commits; at most
    /// `limit`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn stored_batches(&self, from: Timestamp, to: Timestamp, limit: u32) -> Result<Vec<StoredBatch>> {
        self.ledger
            .all(
                "SELECT * FROM analytics_batch WHERE done = $1 AND facts > 0 AND last_at >= $2 AND first_at < $3
                 ORDER BY ledger_commit, producer LIMIT $4",
                args![true, from, to, limit],
            )
            .await
    }
}
