//! How far each partition of a usage log is counted, and who may count it.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::usage::ProducerId;

use super::producers::AnalyticsBatch;
use crate::{Error, FromRow, Result, Row, Store, Tx, args};

/// The log under which batches stand whose records come out of the quarantine.
pub const QUARANTINE: &str = "quarantine";

/// How far a partition of a log is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsagePosition {
    /// The partition.
    pub part: u32,
    /// The offset of the next message to count.
    pub next_offset: u64,
    /// The epoch of the owner; only who claimed it last may move the position.
    pub owner_epoch: i64,
    /// Who that is.
    pub owner: String,
}

/// A stretch of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSpan {
    /// The partition.
    pub part: u32,
    /// The offset of the first message.
    pub from: u64,
    /// The offset after the last one.
    pub to: u64,
}

/// One partition's part of a transaction, refused unless position and epoch are what the writer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogMove {
    /// Whence and how far.
    pub span: LogSpan,
    /// The epoch under which the writer owns the partition.
    pub owner_epoch: i64,
}

/// A message that cannot be read and whose records cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unattributed {
    /// Its partition.
    pub part: u32,
    /// Its offset.
    pub offset: u64,
    /// Why.
    pub reason: String,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// What a transaction took from a log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBatch {
    /// The log's name.
    pub log: String,
    /// The positions that move.
    pub moves: Vec<LogMove>,
    /// In which partition each producer's records were.
    pub parts: BTreeMap<ProducerId, u32>,
    /// Messages that cannot be read.
    pub unattributed: Vec<Unattributed>,
}

impl LogBatch {
    /// Where the records of a producer were.
    pub fn span_of(&self, producer: ProducerId) -> Option<LogSpan> {
        let part = self.parts.get(&producer)?;
        self.moves.iter().map(|one| one.span).find(|span| span.part == *part)
    }
}

pub(super) fn int(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|error| Error::decode("offset", error))
}

fn unsigned(row: &Row, column: &str) -> Result<u64> {
    u64::try_from(row.get::<i64>(column)?).map_err(|error| Error::decode(column, error))
}

impl FromRow for UsagePosition {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            part: u32::try_from(row.get::<i64>("part")?).map_err(|error| Error::decode("part", error))?,
            next_offset: unsigned(row, "next_offset")?,
            owner_epoch: row.get("owner_epoch")?,
            owner: row.get("owner")?,
        })
    }
}

/// The span in a row of `analytics_batch`.
pub(super) fn span_from_row(row: &Row) -> Result<Option<LogSpan>> {
    let Some(part) = row.get::<Option<i64>>("part")? else {
        return Ok(None);
    };
    Ok(Some(LogSpan {
        part: u32::try_from(part).map_err(|error| Error::decode("part", error))?,
        from: unsigned(row, "from_offset")?,
        to: unsigned(row, "to_offset")?,
    }))
}

/// Moves the positions; false when another writer owns one of them or has moved it.
pub(super) async fn move_positions(tx: &mut Tx, batch: &LogBatch, now: Timestamp) -> Result<bool> {
    for LogMove { span, owner_epoch } in &batch.moves {
        let moved = tx
            .execute(
                "UPDATE usage_position SET next_offset = $1
                 WHERE log = $2 AND part = $3 AND next_offset = $4 AND owner_epoch = $5",
                args![int(span.to)?, &batch.log, span.part, int(span.from)?, *owner_epoch],
            )
            .await?;
        if moved != 1 {
            return Ok(false);
        }
    }
    for message in &batch.unattributed {
        keep_unattributed(tx, message, now).await?;
    }
    Ok(true)
}

/// A message of nobody is kept under producer 0, with its place in the log as its number.
async fn keep_unattributed(tx: &mut Tx, message: &Unattributed, now: Timestamp) -> Result<()> {
    let seq = (i64::from(message.part) << 40) | (int(message.offset)? & ((1 << 40) - 1));
    tx.execute(
        "INSERT INTO quarantine (producer, seq, to_seq, reason, raw, found_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (producer, seq) DO NOTHING",
        args![ProducerId(0).to_string(), seq, seq, &message.reason, &message.raw, now],
    )
    .await?;
    Ok(())
}

impl Store {
    /// Takes partitions of a log over: from now on whoever had them before is refused. Returns where to go on.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn claim_positions(
        &self,
        log: &str,
        parts: &[u32],
        owner: &str,
        now: Timestamp,
    ) -> Result<Vec<UsagePosition>> {
        let mut tx = self.ledger.write().await?;
        let mut claimed = Vec::with_capacity(parts.len());
        for part in parts {
            let row = tx
                .one(
                    "INSERT INTO usage_position (log, part, next_offset, owner_epoch, owner, claimed_at)
                     VALUES ($1, $2, 0, 1, $3, $4)
                     ON CONFLICT (log, part) DO UPDATE SET owner_epoch = usage_position.owner_epoch + 1,
                         owner = excluded.owner, claimed_at = excluded.claimed_at
                     RETURNING part, next_offset, owner_epoch, owner",
                    args![log, *part, owner, now],
                )
                .await?;
            claimed.extend(row);
        }
        tx.commit().await?;
        Ok(claimed)
    }

    /// How far a log is counted, by partition. One that was never claimed is absent.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn usage_positions(&self, log: &str) -> Result<Vec<UsagePosition>> {
        self.ledger
            .all(
                "SELECT part, next_offset, owner_epoch, owner FROM usage_position WHERE log = $1 ORDER BY part",
                args![log],
            )
            .await
    }

    /// What analytics has not stored yet of one place, oldest first: of a partition of a log, of the quarantine, or, with
    /// `None`, of journals in the same process.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pending_analytics_of(&self, place: Option<(&str, u32)>, limit: u32) -> Result<Vec<AnalyticsBatch>> {
        match place {
            None => {
                self.ledger
                    .all(
                        "SELECT * FROM analytics_batch WHERE done = $1 AND log IS NULL
                         ORDER BY ledger_commit, producer LIMIT $2",
                        args![false, limit],
                    )
                    .await
            }
            Some((log, part)) => {
                self.ledger
                    .all(
                        "SELECT * FROM analytics_batch WHERE done = $1 AND log = $2 AND part = $3
                         ORDER BY ledger_commit, producer LIMIT $4",
                        args![false, log, part, limit],
                    )
                    .await
            }
        }
    }
}
