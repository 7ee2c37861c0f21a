//! A batch goes in whole, each record of it once.
//!
//! 1. Look which records are in, by the notes of earlier batches.
//! 2. Facts and samples go in; those that are in take the place of themselves.
//! 3. Of the records that are new, sums, rejections and the note that they are in go in as one block: all or nothing.
//!
//! A crash anywhere leaves either no note, and everything is done again, or the note, and nothing is added. An insertion
//! whose answer was lost may still be under way when its batch comes again; then step 1 cannot see it, and the token, made
//! of the producer and the numbers of the new records, makes the server keep one of the two. A token is never given to
//! other records: a batch of other numbers has another one.

use std::time::{Duration, Instant};

use ::clickhouse::{Client, Row, RowWrite};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;

use super::ClickHouse;
use super::known::{Known, numbers, runs};
use super::rows::{FactRow, RollupRow, SampleRow};
use super::sql;
use crate::batch::Batch;
use crate::error::Error;
use crate::sums::{LEVELS, add_up, floor};

/// Batches written beside each other.
const ABREAST: usize = 8;
/// What was seen is acted on within this time, or looked at again.
const FRESH: Duration = Duration::from_secs(10);
const SEND_LIMIT: Duration = Duration::from_secs(30);
const END_LIMIT: Duration = Duration::from_mins(1);

/// The rows of one batch that are one block, and their token.
#[derive(Debug)]
struct Block {
    rows: Vec<RollupRow>,
    token: String,
}

impl ClickHouse {
    pub(crate) async fn insert(&self, batches: &[Batch]) -> Result<(), Error> {
        self.ready().await?;
        let batches: Vec<&Batch> = batches.iter().filter(|batch| !numbers(batch).is_empty()).collect();
        self.put_facts(&batches).await?;
        self.put_samples(&batches).await?;
        for batches in batches.chunks(ABREAST) {
            self.put_blocks(batches).await?;
        }
        Ok(())
    }

    async fn put_facts(&self, batches: &[&Batch]) -> Result<(), Error> {
        let mut rows = Vec::new();
        for batch in batches {
            for (seq, fact) in &batch.facts {
                rows.push(FactRow::new(batch.producer, *seq, batch.ledger_commit, fact)?);
            }
        }
        self.put("fact", &self.writing(None), &rows).await
    }

    async fn put_samples(&self, batches: &[&Batch]) -> Result<(), Error> {
        let mut rows = Vec::new();
        for batch in batches {
            for (seq, samples) in &batch.samples {
                for (position, sample) in (0_u32..).zip(samples) {
                    rows.push(SampleRow::new(batch.producer, (*seq, position), sample)?);
                }
            }
        }
        self.put("sample", &self.writing(None), &rows).await
    }

    async fn put_blocks(&self, batches: &[&Batch]) -> Result<(), Error> {
        let known = self.look(batches).await?;
        let looked = Instant::now();
        let mut under_way = JoinSet::new();
        for block in batches.iter().filter_map(|batch| block(batch, &known)) {
            let engine = self.clone();
            under_way.spawn(async move {
                // A process that stood still since then, however long, must not act on what it saw.
                if looked.elapsed() > FRESH {
                    return Err(Error::Away("too long between looking and writing".to_owned()));
                }
                engine
                    .put("rollup", &engine.writing(Some(&block.token)), &block.rows)
                    .await
            });
        }
        let mut result = Ok(());
        while let Some(done) = under_way.join_next().await {
            let done = done.unwrap_or_else(|error| Err(Error::Away(error.to_string())));
            result = result.and(done);
        }
        result
    }

    #[cfg(not(feature = "testing"))]
    async fn look(&self, batches: &[&Batch]) -> Result<Known, Error> {
        self.known(batches).await
    }

    #[cfg(feature = "testing")]
    async fn look(&self, batches: &[&Batch]) -> Result<Known, Error> {
        if self.settings.blind {
            return Ok(Known::default());
        }
        self.known(batches).await
    }

    /// A client for one insertion; with a token it is kept once.
    fn writing(&self, token: Option<&str>) -> Client {
        let mut client = self
            .writes
            .clone()
            .with_setting("async_insert", "0")
            // One insertion is one block, whatever its size.
            .with_setting("max_insert_block_size", "100000000")
            .with_setting("min_insert_block_size_rows", "100000000")
            .with_setting("min_insert_block_size_bytes", "0")
            // A batch may reach over more days than the server allows by itself.
            .with_setting("max_partitions_per_insert_block", "0");
        if self.settings.cluster.is_some() {
            client.set_setting("insert_quorum", "auto");
            client.set_setting("insert_quorum_parallel", "0");
        }
        client.set_setting("insert_deduplicate", if token.is_some() { "1" } else { "0" });
        if let Some(token) = token {
            client.set_setting("insert_deduplication_token", token);
        }
        client
    }

    async fn put<R>(&self, table: &str, client: &Client, rows: &[R]) -> Result<(), Error>
    where
        R: Row + for<'a> Row<Value<'a> = R> + RowWrite,
    {
        if rows.is_empty() {
            return Ok(());
        }
        let written = async {
            let insert = client.insert::<R>(table).await?;
            let mut insert = insert.with_timeouts(Some(SEND_LIMIT), Some(END_LIMIT));
            for row in rows {
                insert.write(row).await?;
            }
            insert.end().await
        };
        written.await.map_err(|error| sql::error(&self.server, &error))
    }
}

/// The block of what is new in a batch; `None` when nothing is.
fn block(batch: &Batch, known: &Known) -> Option<Block> {
    let is_new = |seq: &u64| !known.holds(batch.producer, *seq);
    let new: Vec<u64> = numbers(batch).into_iter().filter(is_new).collect();
    if new.is_empty() {
        return None;
    }
    let facts = batch.facts.iter().filter(|(seq, _)| is_new(seq)).map(|(_, fact)| fact);
    let sums = add_up(facts.clone()).into_iter();
    let mut rows: Vec<RollupRow> = sums
        .map(|((level, time, dims), sums)| RollupRow::of_use(level, time, dims, sums))
        .collect();
    let refused = batch.rejections.iter().filter(|(seq, _)| is_new(seq));
    for count in refused.clone().flat_map(|(_, counts)| counts) {
        for level in LEVELS {
            rows.push(RollupRow::of_rejections(level, floor(count.minute, level), count));
        }
    }
    let times = facts.map(|fact| fact.admitted_at);
    let minutes = refused.flat_map(|(_, counts)| counts).map(|count| count.minute);
    let samples = batch
        .samples
        .iter()
        .flat_map(|(_, samples)| samples)
        .map(|sample| sample.at);
    let newest = times.chain(minutes).chain(samples).max().unwrap_or_default();
    let runs = runs(&new);
    let mut hash = Sha256::new();
    for run in runs {
        hash.update(run.start.to_be_bytes());
        hash.update(run.end.to_be_bytes());
        rows.push(RollupRow::of_batch(batch.producer, run, newest.as_millis()));
    }
    let hash: String = hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{}:{}-{}:{hash}", batch.producer, batch.first_seq, batch.next_seq);
    Some(Block { rows, token })
}
