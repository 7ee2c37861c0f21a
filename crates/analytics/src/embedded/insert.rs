//! A batch goes in whole, each record of it once.

use domain::usage::RejectionSample;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::{Embedded, known, rollup};
use crate::batch::Batch;
use crate::error::Error;
use crate::events::{encode, encode_sample};

const ROWS_A_STATEMENT: usize = 500;

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl Embedded {
    pub(crate) async fn insert(&self, batches: &[Batch]) -> Result<(), Error> {
        let mut cache = self.dims.lock().await;
        let mut tx = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut result = Ok(());
        for batch in batches {
            result = insert_one(&mut tx, &mut cache, batch).await;
            if result.is_err() {
                break;
            }
        }
        let result = match result {
            Ok(()) => tx.commit().await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if result.is_err() {
            cache.clear();
        }
        result
    }
}

async fn insert_one(
    tx: &mut Transaction<'_, Sqlite>,
    cache: &mut rollup::DimsCache,
    batch: &Batch,
) -> Result<(), Error> {
    let new = known::only_new(tx, batch).await?;
    let batch = &*new;
    sqlx::query(
        "INSERT INTO batch (ledger_commit, producer, first_seq, next_seq) VALUES ($1, $2, $3, $4)
         ON CONFLICT DO UPDATE SET next_seq = MAX(COALESCE(next_seq, 0), excluded.next_seq)",
    )
    .bind(int(batch.ledger_commit))
    .bind(batch.producer.to_string())
    .bind(int(batch.first_seq))
    .bind(int(batch.next_seq))
    .execute(&mut **tx)
    .await?;
    insert_facts(tx, batch).await?;
    for (seq, samples) in &batch.samples {
        for (position, sample) in (0_i64..).zip(samples) {
            insert_sample(tx, batch, (*seq, position), sample).await?;
        }
    }
    rollup::add(tx, cache, batch).await
}

async fn insert_facts(tx: &mut Transaction<'_, Sqlite>, batch: &Batch) -> Result<(), Error> {
    let producer = batch.producer.to_string();
    for rows in batch.facts.chunks(ROWS_A_STATEMENT) {
        let records = rows
            .iter()
            .map(|(_, fact)| encode(fact))
            .collect::<Result<Vec<_>, _>>()?;
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO fact (producer, seq, ledger_commit, event_time, request_id, account, consumer, subscription,
                 period_start, api, operation, mode, status, record) ",
        );
        query.push_values(rows.iter().zip(records), |mut row, ((seq, fact), record)| {
            row.push_bind(&producer)
                .push_bind(int(*seq))
                .push_bind(int(batch.ledger_commit))
                .push_bind(fact.admitted_at.as_millis())
                .push_bind(&fact.request_id)
                .push_bind(fact.account.map(|id| id.to_string()))
                .push_bind(fact.consumer.map(|id| id.to_string()))
                .push_bind(fact.subscription.map(|id| id.to_string()))
                .push_bind(fact.period_start.map(domain::clock::Timestamp::as_millis))
                .push_bind(&fact.api)
                .push_bind(&fact.operation)
                .push_bind(fact.mode.as_str())
                .push_bind(i64::from(fact.outcome.status))
                .push_bind(record);
        });
        query.build().execute(&mut **tx).await?;
    }
    Ok(())
}

async fn insert_sample(
    tx: &mut Transaction<'_, Sqlite>,
    batch: &Batch,
    at: (u64, i64),
    sample: &RejectionSample,
) -> Result<(), Error> {
    let record = encode_sample(sample)?;
    sqlx::query(
        "INSERT INTO sample (producer, seq, position, at, request_id, account, consumer, record)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(batch.producer.to_string())
    .bind(int(at.0))
    .bind(at.1)
    .bind(sample.at.as_millis())
    .bind(&sample.request_id)
    .bind(sample.of.account.map(|id| id.to_string()))
    .bind(sample.of.consumer.map(|id| id.to_string()))
    .bind(record)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
