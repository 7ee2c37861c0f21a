//! Facts and samples out of the file.

use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::usage::ProducerId;
use sqlx::{QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow};

use super::Embedded;
use crate::error::Error;
use crate::events::{
    BatchCounts, Cursor, EventFilter, Evidence, RawCounts, StoredFact, StoredSample, cursor, decode, decode_sample,
};
use crate::recent::RecentFilter;
use crate::usage::Billable;

const COLUMNS: &str = "SELECT producer, seq, ledger_commit, record FROM fact WHERE ";
const COUNTED_AT_ONCE: usize = 5_000;

fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn producer(row: &SqliteRow) -> Result<ProducerId, Error> {
    let text: String = row.try_get("producer")?;
    text.parse().map_err(|_| Error::Corrupt(format!("producer {text}")))
}

fn stored(row: &SqliteRow) -> Result<StoredFact, Error> {
    Ok(StoredFact {
        producer: producer(row)?,
        seq: u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0),
        ledger_commit: u64::try_from(row.try_get::<i64, _>("ledger_commit")?).unwrap_or(0),
        fact: decode(row.try_get("record")?)?,
    })
}

fn sample(row: &SqliteRow) -> Result<StoredSample, Error> {
    let record: String = row.try_get("record")?;
    Ok(StoredSample {
        producer: producer(row)?,
        seq: u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0),
        sample: decode_sample(&record)?,
    })
}

fn push_cursor(sql: &mut QueryBuilder<Sqlite>, sign: &str, at: Option<Cursor>) {
    let Some(at) = at else { return };
    sql.push(" AND (event_time, producer, seq) ").push(sign).push(" (");
    sql.push_bind(at.time.as_millis());
    sql.push(", ").push_bind(at.producer.to_string());
    sql.push(", ").push_bind(int(at.seq)).push(")");
}

fn push_page(sql: &mut QueryBuilder<Sqlite>, after: Option<Cursor>, limit: usize) {
    push_cursor(sql, ">", after);
    sql.push(" ORDER BY event_time, producer, seq LIMIT ")
        .push_bind(int(limit as u64));
}

impl Embedded {
    async fn stored(&self, mut sql: QueryBuilder<Sqlite>) -> Result<Vec<StoredFact>, Error> {
        sql.build().fetch_all(&self.readers).await?.iter().map(stored).collect()
    }

    pub(crate) async fn events_after(
        &self,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("event_time >= ").push_bind(filter.from.as_millis());
        sql.push(" AND event_time < ").push_bind(filter.to.as_millis());
        sql.push(" AND mode = ").push_bind(filter.mode.as_str());
        for (column, value) in filter.columns() {
            sql.push(" AND ").push(column).push(" = ").push_bind(value);
        }
        push_page(&mut sql, after, limit);
        self.stored(sql).await
    }

    pub(crate) async fn raw_counts(&self, filter: &EventFilter, billable: Billable<'_>) -> Result<RawCounts, Error> {
        let (mut counts, mut after) = (RawCounts::new(), None);
        loop {
            let facts = self.events_after(filter, after, COUNTED_AT_ONCE).await?;
            for stored in &facts {
                let of = stored.fact.subscription;
                let count = counts.entry(of).or_default();
                count.add(of, stored.fact.outcome.class(), 1, billable);
            }
            after = facts.last().map(cursor);
            if facts.len() < COUNTED_AT_ONCE {
                return Ok(counts);
            }
        }
    }

    pub(crate) async fn facts_by_batch(&self, from: Timestamp, to: Timestamp) -> Result<BatchCounts, Error> {
        let rows = sqlx::query(
            "SELECT ledger_commit, producer, COUNT(*) FROM fact WHERE event_time >= $1 AND event_time < $2
             GROUP BY ledger_commit, producer",
        )
        .bind(from.as_millis())
        .bind(to.as_millis())
        .fetch_all(&self.readers)
        .await?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        rows.iter()
            .map(|row| {
                let key = (number(row.try_get(0)?), producer(row)?);
                Ok((key, number(row.try_get(2)?)))
            })
            .collect()
    }

    pub(crate) async fn request(&self, request_id: &str) -> Result<Vec<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("request_id = ").push_bind(request_id.to_owned());
        push_page(&mut sql, None, 100);
        self.stored(sql).await
    }

    pub(crate) async fn fact(&self, producer: ProducerId, seq: u64) -> Result<Option<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("producer = ").push_bind(producer.to_string());
        sql.push(" AND seq = ").push_bind(int(seq));
        Ok(self.stored(sql).await?.pop())
    }

    pub(crate) async fn rejected_request(&self, request_id: &str) -> Result<Vec<StoredSample>, Error> {
        let rows = sqlx::query("SELECT producer, seq, record FROM sample WHERE request_id = $1 ORDER BY at LIMIT 100")
            .bind(request_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(sample).collect()
    }

    pub(crate) async fn evidence_after(
        &self,
        evidence: &Evidence,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("subscription = ").push_bind(evidence.subscription.to_string());
        sql.push(" AND period_start = ")
            .push_bind(evidence.period_start.as_millis());
        sql.push(" AND mode = 'live' AND ledger_commit > ")
            .push_bind(int(evidence.after_commit));
        sql.push(" AND ledger_commit <= ")
            .push_bind(int(evidence.through_commit));
        push_page(&mut sql, after, limit);
        self.stored(sql).await
    }

    pub(crate) async fn recent_of(
        &self,
        filter: &RecentFilter,
        consumer: ConsumerId,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("consumer = ").push_bind(consumer.to_string());
        sql.push(" AND event_time >= ").push_bind(filter.from.as_millis());
        sql.push(" AND event_time < ").push_bind(filter.to.as_millis());
        sql.push(" AND mode = ").push_bind(filter.mode.as_str());
        if let Some((least, most)) = filter.status {
            sql.push(" AND status >= ").push_bind(i64::from(least));
            sql.push(" AND status <= ").push_bind(i64::from(most));
        }
        push_cursor(&mut sql, "<", before);
        sql.push(" ORDER BY event_time DESC, producer DESC, seq DESC LIMIT ")
            .push_bind(int(limit as u64));
        self.stored(sql).await
    }

    pub(crate) async fn recent_rejections(
        &self,
        consumer: ConsumerId,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<StoredSample>, Error> {
        let sql = "SELECT producer, seq, record FROM sample WHERE consumer = $1 AND at >= $2 AND at < $3 ORDER BY at DESC LIMIT $4";
        let rows = sqlx::query(sql)
            .bind(consumer.to_string())
            .bind(range.0.as_millis())
            .bind(range.1.as_millis())
            .bind(int(limit as u64))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(sample).collect()
    }
}
