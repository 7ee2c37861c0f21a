//! What of a batch is in already, in whatever batch it came.
//!
//! A ledger from an older backup counts again what analytics has, under other commits and with other bounds. A record is
//! known by its producer and number: facts and samples by their rows, rejections, which leave no rows, by the ranges of
//! the batches that are in.

use std::borrow::Cow;
use std::collections::HashSet;

use domain::usage::ProducerId;
use sqlx::{Sqlite, Transaction};

use crate::batch::Batch;
use crate::error::Error;

type Tx<'a> = Transaction<'a, Sqlite>;

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Leaves of a batch what is new. Facts that are in belong to this batch's commit from now on.
///
/// # Errors
/// When the database fails.
pub(super) async fn only_new<'b>(tx: &mut Tx<'_>, batch: &'b Batch) -> Result<Cow<'b, Batch>, Error> {
    let (ranges, facts) = (ranges(tx, batch).await?, facts(tx, batch).await?);
    let samples = samples(tx, batch).await?;
    if ranges.is_empty() && facts.is_empty() && samples.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    let mut new = batch.clone();
    new.facts.retain(|(seq, _)| !facts.contains(seq));
    new.samples.retain(|(seq, _)| !samples.contains(seq));
    new.rejections
        .retain(|(seq, _)| !ranges.iter().any(|range| range.contains(seq)));
    Ok(Cow::Owned(new))
}

/// The parts of a producer that are in and meet the batch.
async fn ranges(tx: &mut Tx<'_>, batch: &Batch) -> Result<Vec<std::ops::Range<u64>>, Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT first_seq, next_seq FROM batch WHERE producer = $1 AND first_seq < $2 AND next_seq > $3",
    )
    .bind(batch.producer.to_string())
    .bind(int(batch.next_seq))
    .bind(int(batch.first_seq))
    .fetch_all(&mut **tx)
    .await?;
    let number = |value: i64| u64::try_from(value).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|(first, next)| number(first)..number(next))
        .collect())
}

async fn facts(tx: &mut Tx<'_>, batch: &Batch) -> Result<HashSet<u64>, Error> {
    let producer = batch.producer;
    let moved: Vec<i64> = sqlx::query_scalar(
        "UPDATE fact SET ledger_commit = $4 WHERE producer = $1 AND seq >= $2 AND seq < $3 RETURNING seq",
    )
    .bind(producer.to_string())
    .bind(int(batch.first_seq))
    .bind(int(batch.next_seq))
    .bind(int(batch.ledger_commit))
    .fetch_all(&mut **tx)
    .await?;
    let mut known: HashSet<u64> = moved.into_iter().filter_map(|seq| u64::try_from(seq).ok()).collect();
    // The fact of a request that was cut off stands where the request was listed, which may be far below.
    let within = batch.first_seq..batch.next_seq;
    for (seq, _) in batch.facts.iter().filter(|(seq, _)| !within.contains(seq)) {
        if is_fact(tx, producer, *seq).await? {
            known.insert(*seq);
        }
    }
    Ok(known)
}

async fn is_fact(tx: &mut Tx<'_>, producer: ProducerId, seq: u64) -> Result<bool, Error> {
    let row: Option<i64> = sqlx::query_scalar("SELECT 1 FROM fact WHERE producer = $1 AND seq = $2")
        .bind(producer.to_string())
        .bind(int(seq))
        .fetch_optional(&mut **tx)
        .await?;
    Ok(row.is_some())
}

async fn samples(tx: &mut Tx<'_>, batch: &Batch) -> Result<HashSet<u64>, Error> {
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT DISTINCT seq FROM sample WHERE producer = $1 AND seq >= $2 AND seq < $3")
            .bind(batch.producer.to_string())
            .bind(int(batch.first_seq))
            .bind(int(batch.next_seq))
            .fetch_all(&mut **tx)
            .await?;
    Ok(rows.into_iter().filter_map(|seq| u64::try_from(seq).ok()).collect())
}
