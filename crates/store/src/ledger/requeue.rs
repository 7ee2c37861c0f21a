//! Records out of the quarantine: each is admitted once.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::quantity::Quantity;
use domain::usage::ProducerId;

use super::batch::{BucketKey, OpenRequest, add_total};
use super::positions::{QUARANTINE, int};
use super::producers::AnalyticsBatch;
use crate::{Error, FromRow, Result, Row, Store, args};

/// Something in the quarantine with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Whose; [`ProducerId`] 0 when that could not be told.
    pub producer: ProducerId,
    /// The number of the record, or of the first one of a message.
    pub seq: u64,
    /// The number after the last one of a message; `None` for a single record.
    pub to_seq: Option<u64>,
    /// The record, or the message as it was kept.
    pub raw: Vec<u8>,
}

/// What is admitted out of the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requeued {
    /// Whose row it is in the quarantine, and its number there.
    pub held: (ProducerId, u64),
    /// Whose records.
    pub producer: ProducerId,
    /// The first record.
    pub from: u64,
    /// The number after the last one.
    pub to: u64,
    /// They are known as a gap, which closes with this; nothing is admitted unless it is there as it was.
    pub closes_gap: bool,
    /// What to add to totals.
    pub totals: BTreeMap<BucketKey, (Quantity, u64)>,
    /// Requests that are open no more.
    pub closed: Vec<OpenRequest>,
}

impl FromRow for Held {
    fn from_row(row: &Row) -> Result<Self> {
        let number = |value: i64| u64::try_from(value).map_err(|error| Error::decode("seq", error));
        Ok(Self {
            producer: row.parse("producer")?,
            seq: number(row.get("seq")?)?,
            to_seq: row.get::<Option<i64>>("to_seq")?.map(number).transpose()?,
            raw: row.get("raw")?,
        })
    }
}

impl Store {
    /// What is in the quarantine and was not requeued, oldest first, behind `after` (producer and number).
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn held(&self, after: Option<(ProducerId, u64)>, limit: u32) -> Result<Vec<Held>> {
        let (producer, seq) = after.map_or((String::new(), 0), |(producer, seq)| (producer.to_string(), seq));
        self.ledger
            .all(
                "SELECT producer, seq, to_seq, raw FROM quarantine
                 WHERE requeued_at IS NULL AND (producer > $1 OR (producer = $1 AND seq > $2))
                 ORDER BY producer, seq LIMIT $3",
                args![producer, int(seq)?, limit],
            )
            .await
    }

    /// What a ledger commit admitted out of the quarantine of a producer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn requeued_in(&self, ledger_commit: u64) -> Result<Vec<Held>> {
        self.ledger
            .all(
                "SELECT producer, seq, to_seq, raw FROM quarantine WHERE ledger_commit = $1 ORDER BY seq",
                args![int(ledger_commit)?],
            )
            .await
    }

    /// Counts what was in the quarantine and returns what analytics has to store, or `None` when it was requeued before or
    /// its gap is not there: nothing is changed then.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn requeue(&self, requeued: &Requeued, now: Timestamp) -> Result<Option<AnalyticsBatch>> {
        let mut tx = self.ledger.write().await?;
        let commit: i64 = tx
            .scalar("UPDATE ledger_commit SET n = n + 1 WHERE id = 1 RETURNING n", args![])
            .await?
            .unwrap_or(0);
        let (held, seq) = requeued.held;
        let mut taken = tx
            .execute(
                "UPDATE quarantine SET requeued_at = $1, ledger_commit = $2
                 WHERE producer = $3 AND seq = $4 AND requeued_at IS NULL",
                args![now, commit, held.to_string(), int(seq)?],
            )
            .await?;
        let producer = requeued.producer.to_string();
        if taken == 1 && requeued.closes_gap {
            taken = tx
                .execute(
                    "DELETE FROM usage_gap WHERE producer = $1 AND from_seq = $2 AND to_seq = $3 AND kind = $4",
                    args![&producer, int(requeued.from)?, int(requeued.to)?, "missing"],
                )
                .await?;
        }
        if taken != 1 {
            tx.rollback().await?;
            return Ok(None);
        }
        for (key, (quantity, requests)) in &requeued.totals {
            add_total(&mut tx, key, *quantity, *requests).await?;
        }
        for open in &requeued.closed {
            tx.execute(
                "DELETE FROM open_request WHERE producer = $1 AND request_id = $2 AND admitted_at = $3",
                args![&producer, &open.request_id, open.admitted_at],
            )
            .await?;
        }
        tx.execute(
            "INSERT INTO analytics_batch (ledger_commit, producer, first_seq, next_seq, done, log, part, from_offset, to_offset)
             VALUES ($1, $2, $3, $4, $5, $6, 0, 0, 0)",
            args![commit, &producer, int(requeued.from)?, int(requeued.to)?, false, QUARANTINE],
        )
        .await?;
        tx.commit().await?;
        Ok(Some(AnalyticsBatch {
            ledger_commit: u64::try_from(commit).map_err(|error| Error::decode("ledger_commit", error))?,
            producer: requeued.producer,
            first_seq: requeued.from,
            next_seq: requeued.to,
            span: None,
        }))
    }
}
