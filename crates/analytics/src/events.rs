//! Single facts: lists, one request, and the requests behind an invoice line.

use std::fmt;
use std::str::FromStr;

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::usage::{Fact, Kind, ProducerId, RejectionSample};
use sqlx::{QueryBuilder, Row as _, Sqlite, sqlite::SqliteRow};

use crate::database::Embedded;
use crate::error::Error;
use crate::usage::Billable;

/// A fact with its place in the journal and the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFact {
    /// Who wrote it.
    pub producer: ProducerId,
    /// Its number in the producer's journal.
    pub seq: u64,
    /// The ledger commit that counted it.
    pub ledger_commit: u64,
    /// The fact.
    pub fact: Fact,
}

/// A sample of a rejection with its place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSample {
    /// Who wrote it.
    pub producer: ProducerId,
    /// The number of its record in the producer's journal.
    pub seq: u64,
    /// The sample.
    pub sample: RejectionSample,
}

/// Where a page ended. Its text holds only `A-Za-z0-9_-`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    time: Timestamp,
    producer: ProducerId,
    seq: u64,
}

impl Cursor {
    /// As the columns have it: time, producer, number.
    pub(crate) fn parts(self) -> (i64, String, i64) {
        (self.time.as_millis(), self.producer.to_string(), int(self.seq))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.time.as_millis(), self.producer, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('_');
        let mut next = || parts.next().unwrap_or_default();
        let (time, producer, seq) = (next().parse(), next().parse(), next().parse());
        match (time, producer, seq, parts.next()) {
            (Ok(time), Ok(producer), Ok(seq), None) => Ok(Self {
                time: Timestamp::from_millis(time),
                producer,
                seq,
            }),
            _ => Err(Error::Corrupt("cursor".to_owned())),
        }
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
}

/// Which facts a list holds, in order of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventFilter {
    /// First instant.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
    /// Only this account.
    pub account: Option<AccountId>,
    /// Only this consumer.
    pub consumer: Option<ConsumerId>,
    /// Only this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Live or test traffic.
    pub mode: Mode,
}

/// Facts, counted one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RawCount {
    /// Facts of every kind, those that belong to no subscription too.
    pub facts: u64,
    /// Requests of subscriptions.
    pub requests: u64,
    /// Those that are billed.
    pub billable: u64,
}

const COUNTED_AT_ONCE: usize = 5_000;

/// Which requests stand behind a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Start of the usage period.
    pub period_start: Timestamp,
    /// Only this segment.
    pub segment: Option<u32>,
    /// The meter.
    pub meter: String,
    /// Counted by a ledger commit after this one.
    pub after_commit: u64,
    /// Counted by this ledger commit or an earlier one.
    pub through_commit: u64,
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Fact, Error> {
    postcard::from_bytes(bytes).map_err(|error| Error::Corrupt(error.to_string()))
}

pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn producer(row: &SqliteRow) -> Result<ProducerId, Error> {
    let text: String = row.try_get("producer")?;
    text.parse().map_err(|_| Error::Corrupt(format!("producer {text}")))
}

pub(crate) fn stored(row: &SqliteRow) -> Result<StoredFact, Error> {
    Ok(StoredFact {
        producer: producer(row)?,
        seq: u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0),
        ledger_commit: u64::try_from(row.try_get::<i64, _>("ledger_commit")?).unwrap_or(0),
        fact: decode(row.try_get("record")?)?,
    })
}

pub(crate) fn sample(row: &SqliteRow) -> Result<StoredSample, Error> {
    let record: String = row.try_get("record")?;
    let sample = serde_json::from_str(&record).map_err(|error| Error::Corrupt(error.to_string()))?;
    Ok(StoredSample {
        producer: producer(row)?,
        seq: u64::try_from(row.try_get::<i64, _>("seq")?).unwrap_or(0),
        sample,
    })
}

pub(crate) fn cursor(stored: &StoredFact) -> Cursor {
    Cursor {
        time: stored.fact.admitted_at,
        producer: stored.producer,
        seq: stored.seq,
    }
}

pub(crate) const COLUMNS: &str = "SELECT producer, seq, ledger_commit, record FROM fact WHERE ";

fn push_page(sql: &mut QueryBuilder<Sqlite>, after: Option<Cursor>, limit: usize) {
    if let Some(after) = after {
        sql.push(" AND (event_time, producer, seq) > (")
            .push_bind(after.time.as_millis());
        sql.push(", ")
            .push_bind(after.producer.to_string())
            .push(", ")
            .push_bind(int(after.seq))
            .push(")");
    }
    sql.push(" ORDER BY event_time, producer, seq LIMIT ")
        .push_bind(int(limit as u64));
}

impl Embedded {
    /// Facts in order of time; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events(
        &self,
        filter: &EventFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("event_time >= ").push_bind(filter.from.as_millis());
        sql.push(" AND event_time < ").push_bind(filter.to.as_millis());
        sql.push(" AND mode = ").push_bind(filter.mode.as_str());
        for (column, value) in [
            ("account", filter.account.map(|id| id.to_string())),
            ("consumer", filter.consumer.map(|id| id.to_string())),
            ("subscription", filter.subscription.map(|id| id.to_string())),
        ] {
            if let Some(value) = value {
                sql.push(" AND ").push(column).push(" = ").push_bind(value);
            }
        }
        push_page(&mut sql, after, limit + 1);
        let rows = sql.build().fetch_all(&self.readers).await?;
        let mut items = rows.iter().map(stored).collect::<Result<Vec<_>, _>>()?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Ok(Page { items, next })
    }

    /// Counts the facts of a filter one by one, without any roll-up: what every other number must agree with.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raw_count(&self, filter: &EventFilter, billable: Billable<'_>) -> Result<RawCount, Error> {
        let (mut count, mut after) = (RawCount::default(), None);
        loop {
            let page = self.events(filter, after, COUNTED_AT_ONCE).await?;
            for stored in &page.items {
                count.facts += 1;
                // Neither a part of a request that goes on, nor what nobody pays for.
                if stored.fact.outcome.kind != Kind::Checkpoint && stored.fact.subscription.is_some() {
                    count.requests += 1;
                    count.billable += u64::from(billable(&stored.fact.outcome.class()));
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(count);
            }
        }
    }

    /// Everything recorded of a request id: facts (several where a client used it more than once), oldest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn request(&self, request_id: &str) -> Result<Vec<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("request_id = ").push_bind(request_id);
        push_page(&mut sql, None, 100);
        sql.build().fetch_all(&self.readers).await?.iter().map(stored).collect()
    }

    /// The fact of a producer's record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fact(&self, producer: ProducerId, seq: u64) -> Result<Option<StoredFact>, Error> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("producer = ")
            .push_bind(producer.to_string())
            .push(" AND seq = ")
            .push_bind(int(seq));
        sql.build()
            .fetch_optional(&self.readers)
            .await?
            .as_ref()
            .map(stored)
            .transpose()
    }

    /// Samples of rejections with a request id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rejected_request(&self, request_id: &str) -> Result<Vec<StoredSample>, Error> {
        let rows = sqlx::query("SELECT producer, seq, record FROM sample WHERE request_id = $1 ORDER BY at LIMIT 100")
            .bind(request_id)
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(sample).collect()
    }

    /// The billed requests behind a charge, in order of time; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn evidence(
        &self,
        evidence: &Evidence,
        billable: Billable<'_>,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let (mut items, mut after) = (Vec::new(), after);
        loop {
            let mut sql = QueryBuilder::new(COLUMNS);
            sql.push("subscription = ").push_bind(evidence.subscription.to_string());
            sql.push(" AND period_start = ")
                .push_bind(evidence.period_start.as_millis());
            sql.push(" AND mode = 'live' AND ledger_commit > ")
                .push_bind(int(evidence.after_commit));
            sql.push(" AND ledger_commit <= ")
                .push_bind(int(evidence.through_commit));
            push_page(&mut sql, after, limit + 1);
            let rows = sql.build().fetch_all(&self.readers).await?;
            let read = rows.len();
            for row in &rows {
                let fact = stored(row)?;
                after = Some(cursor(&fact));
                if evidence.holds(&fact.fact, billable) {
                    items.push(fact);
                }
                if items.len() > limit {
                    items.truncate(limit);
                    let next = items.last().map(cursor);
                    return Ok(Page { items, next });
                }
            }
            if read <= limit {
                return Ok(Page { items, next: None });
            }
        }
    }
}

impl Evidence {
    fn holds(&self, fact: &Fact, billable: Billable<'_>) -> bool {
        let in_segment = self.segment.is_none_or(|segment| segment == fact.segment);
        let by_meter = if self.meter == REQUESTS {
            fact.outcome.kind != Kind::Checkpoint
        } else {
            fact.quantities
                .iter()
                .any(|value| value.meter == self.meter && !value.quantity.is_zero())
        };
        in_segment && by_meter && billable(&fact.outcome.class())
    }
}
