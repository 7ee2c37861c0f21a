//! Facts and samples out of the server.

use ::clickhouse::Row;
use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::usage::ProducerId;
use serde::Deserialize;

use super::ClickHouse;
use super::rows::{FACT_COLUMNS, FactRead, SAMPLE_COLUMNS, SampleRead};
use super::sql::Sql;
use crate::answer::outcome;
use crate::error::Error;
use crate::events::{BatchCounts, Cursor, EventFilter, Evidence, RawCounts, StoredFact, StoredSample};
use crate::recent::RecentFilter;
use crate::usage::Billable;

/// A day, which is a partition.
const FIRST_STEP_MS: i64 = 86_400_000;

fn push_cursor(sql: &mut Sql, sign: &str, at: Option<Cursor>) {
    let Some(at) = at else { return };
    // The first condition is what the key can use.
    sql.push(" AND event_time ").push(sign).push("= ").time(at.time);
    sql.push(" AND (event_time, producer, seq) ").push(sign).push(" (");
    sql.time(at.time).push(", ").producer(at.producer);
    sql.push(", ").number(at.seq).push(")");
}

fn push_page(sql: &mut Sql, after: Option<Cursor>, limit: usize) {
    push_cursor(sql, ">", after);
    sql.push(" ORDER BY event_time, producer, seq LIMIT ");
    sql.number(limit as u64);
}

fn push_filter(sql: &mut Sql, filter: &EventFilter) {
    sql.within("event_time", filter.from.as_millis(), filter.to.as_millis());
    sql.push(" AND mode = ").text(filter.mode.as_str());
    for (column, value) in filter.columns() {
        sql.push(" AND ").push(column).push(" = ").text(value);
    }
}

#[derive(Debug, Row, Deserialize)]
struct Count {
    outcome: String,
    subscription: String,
    facts: u64,
}

#[derive(Debug, Row, Deserialize)]
struct BatchCount {
    ledger_commit: u64,
    producer: u128,
    facts: u64,
}

impl ClickHouse {
    async fn stored(&self, sql: Sql) -> Result<Vec<StoredFact>, Error> {
        let rows: Vec<FactRead> = self.fetch(sql).await?;
        rows.into_iter().map(FactRead::stored).collect()
    }

    async fn samples(&self, sql: Sql) -> Result<Vec<StoredSample>, Error> {
        let rows: Vec<SampleRead> = self.fetch(sql).await?;
        rows.into_iter().map(SampleRead::stored).collect()
    }

    /// Goes on in ever wider steps of time: a page is found in the first of them, and what lies beyond it is not read.
    pub(crate) async fn events_after(
        &self,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        let start = after.map_or(filter.from, |after| after.time.max(filter.from));
        let (mut facts, mut from, mut width) = (Vec::new(), start, FIRST_STEP_MS);
        while facts.len() < limit && from < filter.to {
            let to = from.plus_millis(width).min(filter.to);
            let step = EventFilter {
                from,
                to,
                ..filter.clone()
            };
            let mut sql = Sql::new(FACT_COLUMNS);
            push_filter(&mut sql, &step);
            push_page(&mut sql, after, limit - facts.len());
            facts.extend(self.stored(sql).await?);
            (from, width) = (to, width.saturating_mul(2));
        }
        Ok(facts)
    }

    pub(crate) async fn raw_counts(&self, filter: &EventFilter, billable: Billable<'_>) -> Result<RawCounts, Error> {
        let mut sql =
            Sql::new("SELECT toString(outcome) AS outcome, subscription, count() AS facts FROM fact FINAL WHERE ");
        push_filter(&mut sql, filter);
        sql.push(" GROUP BY outcome, subscription");
        let mut counts = RawCounts::new();
        for row in self.fetch::<Count>(sql).await? {
            let of = match row.subscription.as_str() {
                "" => None,
                id => Some(id.parse().map_err(|_| Error::Corrupt(format!("subscription {id}")))?),
            };
            let count = counts.entry(of).or_default();
            count.add(of, outcome(&row.outcome)?, row.facts, billable);
        }
        Ok(counts)
    }

    pub(crate) async fn facts_by_batch(&self, from: Timestamp, to: Timestamp) -> Result<BatchCounts, Error> {
        let mut sql = Sql::new("SELECT ledger_commit, producer, count() AS facts FROM fact FINAL WHERE ");
        sql.within("event_time", from.as_millis(), to.as_millis());
        sql.push(" GROUP BY ledger_commit, producer");
        let rows: Vec<BatchCount> = self.fetch(sql).await?;
        let key = |row: &BatchCount| (row.ledger_commit, ProducerId(row.producer));
        Ok(rows.iter().map(|row| (key(row), row.facts)).collect())
    }

    pub(crate) async fn request(&self, request_id: &str) -> Result<Vec<StoredFact>, Error> {
        let mut sql = Sql::new(FACT_COLUMNS);
        sql.push("request_id = ").text(request_id);
        push_page(&mut sql, None, 100);
        self.stored(sql).await
    }

    pub(crate) async fn fact(&self, producer: ProducerId, seq: u64) -> Result<Option<StoredFact>, Error> {
        let mut sql = Sql::new(FACT_COLUMNS);
        sql.push("producer = ").producer(producer);
        sql.push(" AND seq = ").number(seq);
        Ok(self.stored(sql).await?.pop())
    }

    pub(crate) async fn rejected_request(&self, request_id: &str) -> Result<Vec<StoredSample>, Error> {
        let mut sql = Sql::new(SAMPLE_COLUMNS);
        sql.push("request_id = ").text(request_id);
        sql.push(" ORDER BY at LIMIT 100");
        self.samples(sql).await
    }

    pub(crate) async fn recent_rejections(
        &self,
        consumer: ConsumerId,
        range: (Timestamp, Timestamp),
        limit: usize,
    ) -> Result<Vec<StoredSample>, Error> {
        let mut sql = Sql::new(SAMPLE_COLUMNS);
        sql.push("consumer = ").text(consumer.to_string()).push(" AND ");
        sql.within("at", range.0.as_millis(), range.1.as_millis());
        sql.push(" ORDER BY at DESC LIMIT ").number(limit as u64);
        self.samples(sql).await
    }

    pub(crate) async fn evidence_after(
        &self,
        evidence: &Evidence,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Vec<StoredFact>, Error> {
        let mut sql = Sql::new(FACT_COLUMNS);
        sql.push("subscription = ").text(evidence.subscription.to_string());
        sql.push(" AND period_start = ")
            .number(evidence.period_start.as_millis());
        sql.push(" AND mode = 'live' AND ledger_commit > ")
            .number(evidence.after_commit);
        sql.push(" AND ledger_commit <= ").number(evidence.through_commit);
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
        let mut sql = Sql::new(FACT_COLUMNS);
        sql.push("consumer = ").text(consumer.to_string()).push(" AND ");
        sql.within("event_time", filter.from.as_millis(), filter.to.as_millis());
        sql.push(" AND mode = ").text(filter.mode.as_str());
        if let Some((least, most)) = filter.status {
            sql.push(" AND status >= ").number(least);
            sql.push(" AND status <= ").number(most);
        }
        push_cursor(&mut sql, "<", before);
        sql.push(" ORDER BY event_time DESC, producer DESC, seq DESC LIMIT ");
        sql.number(limit as u64);
        self.stored(sql).await
    }
}
