//! One ledger transaction: totals, positions, open requests, gaps and the note for analytics, all or nothing.

use std::collections::BTreeMap;

use domain::clock::Timestamp;
use domain::ids::{PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::ProducerId;

use super::positions::{LogBatch, move_positions};
use super::producers::{Ended, Gap};
use crate::{Error, Result, Store, Tx, args, retrying};

/// What totals are kept by. Times are whole 15 minutes, to which every offset of the IANA zones is aligned.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BucketKey {
    /// Who pays.
    pub subscription: SubscriptionId,
    /// Start of the usage period that admission reserved from.
    pub period_start: Timestamp,
    /// Ordinal of the subscription's segment.
    pub segment: u32,
    /// The plan version in force.
    pub plan_version: PlanVersionId,
    /// The meter.
    pub meter: String,
    /// Live or test.
    pub mode: Mode,
    /// API name.
    pub api: String,
    /// Operation key.
    pub operation: String,
    /// [`domain::usage::Outcome::class_key`].
    pub outcome: String,
    /// Start of the 15 minutes.
    pub bucket: Timestamp,
}

/// Where a producer's counting goes on; the transaction is refused unless the ledger agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The producer.
    pub producer: ProducerId,
    /// The position that this writer read.
    pub next_seq: u64,
    /// The epoch under which this writer owns the producer.
    pub owner_epoch: i64,
}

/// A request that its gateway listed as open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenRequest {
    /// Its id.
    pub request_id: String,
    /// Its admission.
    pub admitted_at: Timestamp,
}

/// A record that cannot be read, or a message of a log with several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// Its number, or that of the first one.
    pub seq: u64,
    /// The number after the last one of a message; `None` for a single record.
    pub to_seq: Option<u64>,
    /// Why.
    pub reason: String,
    /// Its bytes.
    pub raw: Vec<u8>,
}

/// What one transaction takes from one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerBatch {
    /// Where it begins.
    pub claim: Claim,
    /// Where it ends.
    pub next_seq: u64,
    /// The producer's newest watermark.
    pub alive_through: Option<Timestamp>,
    /// Requests that became open, with their record.
    pub opened: BTreeMap<OpenRequest, Vec<u8>>,
    /// Requests that are open no more.
    pub closed: Vec<OpenRequest>,
    /// Records that may be missing.
    pub gaps: Vec<Gap>,
    /// Records that cannot be read.
    pub poison: Vec<Poison>,
    /// The producer has ended and this is its last batch.
    pub ended: Option<Ended>,
}

/// One ledger transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerBatch {
    /// What to add to totals: quantity and number of requests.
    pub totals: BTreeMap<BucketKey, (Quantity, u64)>,
    /// The producers it takes from.
    pub producers: Vec<ProducerBatch>,
    /// The log that it takes from; `None` for journals in the same process.
    pub log: Option<LogBatch>,
}

/// The first number of facts that the ledger itself makes of a producer's open requests.
const INTERRUPTED_FROM: i64 = 1 << 62;

fn int(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(|error| Error::decode("seq", error))
}

impl Store {
    /// Commits the batch and returns the number of the ledger commit, or `None` when another writer has moved one of
    /// its producers: nothing is changed then and positions must be read again.
    ///
    /// # Errors
    /// See [`Error`]; nothing is changed.
    pub async fn commit_usage(&self, batch: &LedgerBatch, now: Timestamp) -> Result<Option<u64>> {
        retrying(|| self.try_commit_usage(batch, now)).await
    }

    async fn try_commit_usage(&self, batch: &LedgerBatch, now: Timestamp) -> Result<Option<u64>> {
        let mut tx = self.ledger.write().await?;
        // The row stays locked to the end, so numbers are in the order of commits on both databases.
        let commit: i64 = tx
            .scalar("UPDATE ledger_commit SET n = n + 1 WHERE id = 1 RETURNING n", args![])
            .await?
            .unwrap_or(0);
        if let Some(log) = &batch.log
            && !move_positions(&mut tx, log, now).await?
        {
            tx.rollback().await?;
            return Ok(None);
        }
        for producer in &batch.producers {
            if !move_producer(&mut tx, producer).await? {
                tx.rollback().await?;
                return Ok(None);
            }
            note_analytics(&mut tx, producer, batch.log.as_ref(), commit).await?;
            note_producer(&mut tx, producer, commit, now).await?;
        }
        for (key, (quantity, requests)) in &batch.totals {
            add_total(&mut tx, key, *quantity, *requests).await?;
        }
        tx.commit().await?;
        Ok(u64::try_from(commit).ok())
    }
}

async fn move_producer(tx: &mut Tx, batch: &ProducerBatch) -> Result<bool> {
    let moved = tx
        .execute(
            "UPDATE producer SET next_seq = $1, alive_through = COALESCE($2, alive_through), ended = COALESCE($3, ended)
             WHERE id = $4 AND next_seq = $5 AND owner_epoch = $6",
            args![
                int(batch.next_seq)?,
                batch.alive_through,
                batch.ended.map(Ended::as_str),
                batch.claim.producer.to_string(),
                int(batch.claim.next_seq)?,
                batch.claim.owner_epoch
            ],
        )
        .await?;
    Ok(moved == 1)
}

async fn note_analytics(tx: &mut Tx, batch: &ProducerBatch, log: Option<&LogBatch>, commit: i64) -> Result<()> {
    let span = log.and_then(|log| log.span_of(batch.claim.producer));
    tx.execute(
        "INSERT INTO analytics_batch (ledger_commit, producer, first_seq, next_seq, done, log, part, from_offset, to_offset)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            commit,
            batch.claim.producer.to_string(),
            int(batch.claim.next_seq)?,
            int(batch.next_seq)?,
            false,
            log.map(|log| &log.log),
            span.map(|span| span.part),
            span.map(|span| int(span.from)).transpose()?,
            span.map(|span| int(span.to)).transpose()?
        ],
    )
    .await?;
    Ok(())
}

async fn note_producer(tx: &mut Tx, batch: &ProducerBatch, commit: i64, now: Timestamp) -> Result<()> {
    let producer = batch.claim.producer.to_string();
    for (open, record) in &batch.opened {
        tx.execute(
            "INSERT INTO open_request (producer, request_id, admitted_at, record) VALUES ($1, $2, $3, $4)
             ON CONFLICT (producer, request_id, admitted_at) DO UPDATE SET record = excluded.record",
            args![&producer, &open.request_id, open.admitted_at, record],
        )
        .await?;
    }
    for open in &batch.closed {
        tx.execute(
            "DELETE FROM open_request WHERE producer = $1 AND request_id = $2 AND admitted_at = $3",
            args![&producer, &open.request_id, open.admitted_at],
        )
        .await?;
    }
    for gap in &batch.gaps {
        tx.execute(
            "INSERT INTO usage_gap (producer, from_seq, to_seq, kind, since, found_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (producer, from_seq) DO NOTHING",
            args![
                &producer,
                int(gap.from_seq)?,
                gap.to_seq.map(int).transpose()?,
                &gap.kind,
                gap.since,
                now
            ],
        )
        .await?;
    }
    for poison in &batch.poison {
        tx.execute(
            "INSERT INTO quarantine (producer, seq, to_seq, reason, raw, found_at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (producer, seq) DO NOTHING",
            args![
                &producer,
                int(poison.seq)?,
                poison.to_seq.map(int).transpose()?,
                &poison.reason,
                &poison.raw,
                now
            ],
        )
        .await?;
    }
    if batch.ended.is_some() {
        interrupt_open(tx, &producer, commit).await
    } else {
        Ok(())
    }
}

/// Whatever is still open of a producer that has ended was cut off.
async fn interrupt_open(tx: &mut Tx, producer: &str, commit: i64) -> Result<()> {
    tx.execute(
        "INSERT INTO interrupted_request (producer, seq, ledger_commit, record)
         SELECT producer, $1 + ROW_NUMBER() OVER (ORDER BY admitted_at, request_id), $2, record
         FROM open_request WHERE producer = $3",
        args![INTERRUPTED_FROM, commit, producer],
    )
    .await?;
    tx.execute("DELETE FROM open_request WHERE producer = $1", args![producer])
        .await?;
    Ok(())
}

pub(super) async fn add_total(tx: &mut Tx, key: &BucketKey, quantity: Quantity, requests: u64) -> Result<()> {
    let (units, nanos) = quantity.parts();
    tx.execute(
        "INSERT INTO usage_bucket (subscription, period_start, segment, plan_version, meter, mode, api, operation,
             outcome, bucket, units, nanos, requests)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         ON CONFLICT (subscription, period_start, segment, plan_version, meter, mode, api, operation, outcome, bucket)
         DO UPDATE SET units = usage_bucket.units + excluded.units, nanos = usage_bucket.nanos + excluded.nanos,
             requests = usage_bucket.requests + excluded.requests",
        args![
            key.subscription,
            key.period_start,
            key.segment,
            key.plan_version,
            &key.meter,
            key.mode.as_str(),
            &key.api,
            &key.operation,
            &key.outcome,
            key.bucket,
            units,
            nanos,
            int(requests)?
        ],
    )
    .await?;
    Ok(())
}
