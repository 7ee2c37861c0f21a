//! Roll-ups of one batch on their way into the database.

use std::collections::HashMap;

use domain::usage::RejectionCount;
use sqlx::{Sqlite, Transaction};

use crate::batch::Batch;
use crate::error::Error;
use crate::sums::{Dims, LEVELS, Sums, add_up, floor};

/// Ids of combinations that are in the database.
#[derive(Debug, Default)]
pub(crate) struct DimsCache(HashMap<String, i64>);

const CACHE_LIMIT: usize = 200_000;

impl Dims {
    /// A text that is equal for equal combinations alone: lengths keep parts apart.
    fn key(&self) -> String {
        let status = self.status.to_string();
        let optional = [&self.account, &self.consumer, &self.subscription, &self.credential];
        let mut key = String::new();
        for part in optional
            .into_iter()
            .map(|part| part.as_deref().unwrap_or_default())
            .chain([
                self.api.as_str(),
                &self.operation,
                &self.method,
                &self.plan,
                &status,
                self.mode,
                &self.outcome,
            ])
        {
            key.push_str(&part.len().to_string());
            key.push(':');
            key.push_str(part);
        }
        key
    }
}

/// Adds the batch to the roll-ups of every level.
pub(crate) async fn add(tx: &mut Transaction<'_, Sqlite>, cache: &mut DimsCache, batch: &Batch) -> Result<(), Error> {
    let sums = add_up(batch.facts.iter().map(|(_, fact)| fact));
    for ((level, time, dims), sum) in &sums {
        let id = dims_id(tx, cache, dims).await?;
        write(tx, (*level, *time, id), sum).await?;
    }
    for rejection in batch.rejections.iter().flat_map(|(_, counts)| counts) {
        write_rejection(tx, rejection).await?;
    }
    Ok(())
}

async fn dims_id(tx: &mut Transaction<'_, Sqlite>, cache: &mut DimsCache, dims: &Dims) -> Result<i64, Error> {
    let key = dims.key();
    if let Some(id) = cache.0.get(&key) {
        return Ok(*id);
    }
    let id: i64 = sqlx::query_scalar(
        "INSERT INTO dims (account, consumer, subscription, credential, api, operation, method, plan, status, mode, outcome, key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
         ON CONFLICT (key) DO UPDATE SET key = excluded.key RETURNING id",
    )
    .bind(&dims.account)
    .bind(&dims.consumer)
    .bind(&dims.subscription)
    .bind(&dims.credential)
    .bind(&dims.api)
    .bind(&dims.operation)
    .bind(&dims.method)
    .bind(&dims.plan)
    .bind(i64::from(dims.status))
    .bind(dims.mode)
    .bind(&dims.outcome)
    .bind(&key)
    .fetch_one(&mut **tx)
    .await?;
    if cache.0.len() >= CACHE_LIMIT {
        cache.0.clear();
    }
    cache.0.insert(key, id);
    Ok(id)
}

impl DimsCache {
    /// Forgets everything: a transaction that gave out ids was rolled back.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

async fn write(tx: &mut Transaction<'_, Sqlite>, at: (i64, i64, i64), sums: &Sums) -> Result<(), Error> {
    let (level, time, dims) = at;
    sqlx::query(
        "INSERT INTO rollup (level, time, dims, requests, bytes_in, bytes_out) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
             bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out",
    )
    .bind(level)
    .bind(time)
    .bind(dims)
    .bind(int(sums.requests))
    .bind(int(sums.bytes_in))
    .bind(int(sums.bytes_out))
    .execute(&mut **tx)
    .await?;
    for (bucket, count) in sums.latency.iter() {
        sqlx::query(
            "INSERT INTO rollup_latency (level, time, dims, bucket, count) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )
        .bind(level)
        .bind(time)
        .bind(dims)
        .bind(i64::from(bucket))
        .bind(int(count))
        .execute(&mut **tx)
        .await?;
    }
    for (meter, quantity) in &sums.quantities {
        let (units, nanos) = quantity.parts();
        sqlx::query(
            "INSERT INTO rollup_quantity (level, time, dims, meter, units, nanos) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO UPDATE SET units = units + excluded.units, nanos = nanos + excluded.nanos",
        )
        .bind(level)
        .bind(time)
        .bind(dims)
        .bind(meter)
        .bind(units)
        .bind(nanos)
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}

async fn write_rejection(tx: &mut Transaction<'_, Sqlite>, rejection: &RejectionCount) -> Result<(), Error> {
    let text = |id: Option<String>| id.unwrap_or_default();
    for level in LEVELS {
        sqlx::query(
            "INSERT INTO rollup_rejected
                 (level, time, account, consumer, subscription, api, operation, mode, reason, count)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )
        .bind(level)
        .bind(floor(rejection.minute, level))
        .bind(text(rejection.account.map(|id| id.to_string())))
        .bind(text(rejection.consumer.map(|id| id.to_string())))
        .bind(text(rejection.subscription.map(|id| id.to_string())))
        .bind(&rejection.api)
        .bind(&rejection.operation)
        .bind(rejection.mode.as_str())
        .bind(&rejection.reason)
        .bind(int(rejection.count))
        .execute(&mut **tx)
        .await?;
    }
    Ok(())
}
