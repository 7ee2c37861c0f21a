//! Producers, gaps, poison, and what analytics still has to store.

use domain::clock::Timestamp;
use domain::usage::ProducerId;

use super::positions::{LogSpan, span_from_row};
use super::reconciliations::FactSpan;
use crate::{Error, FromRow, Result, Row, Store, args};

/// How a producer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It closed its journal.
    Orderly,
    /// It did not.
    Interrupted,
}

impl Ended {
    /// The word in the database and in APIs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Orderly => "orderly",
            Self::Interrupted => "interrupted",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        match word {
            "orderly" => Some(Self::Orderly),
            "interrupted" => Some(Self::Interrupted),
            _ => None,
        }
    }
}

/// How far a producer is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerRow {
    /// The producer.
    pub id: ProducerId,
    /// Its node.
    pub node: String,
    /// Its worker.
    pub worker: u32,
    /// When it began.
    pub first_seen: Timestamp,
    /// The number of the next record to count.
    pub next_seq: u64,
    /// Every request that it admitted before this instant is counted or listed open.
    pub alive_through: Option<Timestamp>,
    /// How it ended; `None` while it lives.
    pub ended: Option<Ended>,
    /// Who may count it.
    pub owner_epoch: i64,
}

/// Records that may be missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub producer: ProducerId,
    /// The first that may be missing.
    pub from_seq: u64,
    /// The one after the last; `None` where that is unknown.
    pub to_seq: Option<u64>,
    /// `power_loss`, `copied`, `damaged`, `missing` or `unmetered`.
    pub kind: String,
    /// What was written before is not missing.
    pub since: Option<Timestamp>,
}

/// A range that analytics has to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnalyticsBatch {
    /// The ledger commit that counted it.
    pub ledger_commit: u64,
    /// Whose records.
    pub producer: ProducerId,
    /// The first.
    pub first_seq: u64,
    /// The one after the last.
    pub next_seq: u64,
    /// Where a log holds them; `None` for journals in the same process and for the quarantine.
    pub span: Option<LogSpan>,
}

/// A request that was open when its gateway ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    /// Its number, above all journal records of the producer.
    pub seq: u64,
    /// The fact as the gateway last wrote it.
    pub record: Vec<u8>,
}

/// A record that cannot be read, or a message of a log with several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Whose.
    pub producer: ProducerId,
    /// Its number, or that of the first one.
    pub seq: u64,
    /// The number after the last one of a message; `None` for a single record.
    pub to_seq: Option<u64>,
    /// Why.
    pub reason: String,
    /// When it was found.
    pub found_at: Timestamp,
}

fn unsigned(row: &Row, column: &str) -> Result<u64> {
    u64::try_from(row.get::<i64>(column)?).map_err(|error| Error::decode(column, error))
}

impl FromRow for ProducerRow {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parse("id")?,
            node: row.get("node")?,
            worker: u32::try_from(row.get::<i64>("worker")?).map_err(|error| Error::decode("worker", error))?,
            first_seen: row.get("first_seen")?,
            next_seq: unsigned(row, "next_seq")?,
            alive_through: row.get("alive_through")?,
            ended: row
                .get::<Option<String>>("ended")?
                .and_then(|word| Ended::from_word(&word)),
            owner_epoch: row.get("owner_epoch")?,
        })
    }
}

impl FromRow for Gap {
    fn from_row(row: &Row) -> Result<Self> {
        let to_seq = row.get::<Option<i64>>("to_seq")?.map(u64::try_from).transpose();
        Ok(Self {
            producer: row.parse("producer")?,
            from_seq: unsigned(row, "from_seq")?,
            to_seq: to_seq.map_err(|error| Error::decode("to_seq", error))?,
            kind: row.get("kind")?,
            since: row.get("since")?,
        })
    }
}

impl FromRow for AnalyticsBatch {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            ledger_commit: unsigned(row, "ledger_commit")?,
            producer: row.parse("producer")?,
            first_seq: unsigned(row, "first_seq")?,
            next_seq: unsigned(row, "next_seq")?,
            span: span_from_row(row)?,
        })
    }
}

impl FromRow for Interrupted {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            seq: unsigned(row, "seq")?,
            record: row.get("record")?,
        })
    }
}

impl FromRow for Quarantined {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            producer: row.parse("producer")?,
            seq: unsigned(row, "seq")?,
            to_seq: row
                .get::<Option<i64>>("to_seq")?
                .map(u64::try_from)
                .transpose()
                .map_err(|error| Error::decode("to_seq", error))?,
            reason: row.get("reason")?,
            found_at: row.get("found_at")?,
        })
    }
}

impl Store {
    /// Makes sure that the producer has a row.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn register_producer(&self, row: &ProducerRow) -> Result<()> {
        let next_seq = i64::try_from(row.next_seq).map_err(|error| Error::decode("next_seq", error))?;
        self.ledger
            .execute(
                "INSERT INTO producer (id, node, worker, first_seen, next_seq, owner_epoch) VALUES ($1, $2, $3, $4, $5, $6)
                 ON CONFLICT (id) DO NOTHING",
                args![row.id.to_string(), &row.node, row.worker, row.first_seen, next_seq, row.owner_epoch],
            )
            .await?;
        Ok(())
    }

    /// Every producer, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn producers(&self) -> Result<Vec<ProducerRow>> {
        self.ledger
            .all("SELECT * FROM producer ORDER BY first_seen, id", args![])
            .await
    }

    /// Producers that have not passed `end` and began before it: what a period that ends there still waits for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn producers_behind(&self, end: Timestamp) -> Result<Vec<ProducerRow>> {
        self.ledger
            .all(
                "SELECT * FROM producer WHERE ended IS NULL AND first_seen < $1
                     AND (alive_through IS NULL OR alive_through < $1) ORDER BY first_seen, id",
                args![end],
            )
            .await
    }

    /// Gaps found so far, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn gaps(&self) -> Result<Vec<Gap>> {
        self.ledger
            .all(
                "SELECT * FROM usage_gap ORDER BY found_at DESC, producer, from_seq",
                args![],
            )
            .await
    }

    /// Records that could not be read and were not requeued, newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn quarantined(&self) -> Result<Vec<Quarantined>> {
        self.ledger
            .all(
                "SELECT * FROM quarantine WHERE requeued_at IS NULL ORDER BY found_at DESC, producer, seq",
                args![],
            )
            .await
    }

    /// What analytics has not stored yet, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn pending_analytics(&self, limit: u32) -> Result<Vec<AnalyticsBatch>> {
        self.ledger
            .all(
                "SELECT * FROM analytics_batch WHERE done = $1 ORDER BY ledger_commit, producer LIMIT $2",
                args![false, limit],
            )
            .await
    }

    /// The interrupted requests that a ledger commit made of a producer.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn interrupted(&self, batch: &AnalyticsBatch) -> Result<Vec<Interrupted>> {
        let commit = i64::try_from(batch.ledger_commit).map_err(|error| Error::decode("ledger_commit", error))?;
        self.ledger
            .all(
                "SELECT seq, record FROM interrupted_request WHERE producer = $1 AND ledger_commit = $2 ORDER BY seq",
                args![batch.producer.to_string(), commit],
            )
            .await
    }

    /// Marks batches as stored by analytics, with the facts that it was handed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn analytics_done(&self, batches: &[(AnalyticsBatch, Option<FactSpan>)]) -> Result<()> {
        let mut tx = self.ledger.write().await?;
        for (batch, span) in batches {
            let int = |value: u64| i64::try_from(value).map_err(|error| Error::decode("ledger_commit", error));
            tx.execute(
                "UPDATE analytics_batch SET done = $1, facts = $2, first_at = $3, last_at = $4
                 WHERE ledger_commit = $5 AND producer = $6",
                args![
                    true,
                    int(span.map_or(0, |span| span.facts))?,
                    span.map(|span| span.first_at),
                    span.map(|span| span.last_at),
                    int(batch.ledger_commit)?,
                    batch.producer.to_string()
                ],
            )
            .await?;
        }
        tx.commit().await
    }

    /// Notes that a record came again with another content; the first one is kept.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn note_conflict(&self, producer: ProducerId, seq: u64, hashes: [&str; 2], now: Timestamp) -> Result<()> {
        let seq = i64::try_from(seq).map_err(|error| Error::decode("seq", error))?;
        self.ledger
            .execute(
                "INSERT INTO usage_conflict (producer, seq, kept_sha256, refused_sha256, seen_at)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                args![producer.to_string(), seq, hashes[0], hashes[1], now],
            )
            .await?;
        Ok(())
    }

    /// How many conflicts were seen.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn conflicts(&self) -> Result<u64> {
        let count: Option<i64> = self
            .ledger
            .scalar("SELECT COUNT(*) FROM usage_conflict", args![])
            .await?;
        Ok(u64::try_from(count.unwrap_or(0)).unwrap_or(0))
    }
}
