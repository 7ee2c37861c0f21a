//! What happened last: facts and kept samples of rejections, newest first.

use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::key::Mode;
use sqlx::{QueryBuilder, Sqlite};

use crate::Embedded;
use crate::error::Error;
use crate::events::{COLUMNS, Cursor, Page, StoredFact, StoredSample, cursor, int, sample, stored};

const CHUNK: usize = 500;
/// A page looks at so many facts of a consumer at most; where few of them fit, it is short and goes on by its cursor.
const MOST_READ: usize = 10_000;

/// Which of the last requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentFilter {
    /// Whose; of nobody when empty.
    pub consumers: Vec<ConsumerId>,
    /// First instant.
    pub from: Timestamp,
    /// First instant after the range.
    pub to: Timestamp,
    /// Live or test traffic.
    pub mode: Mode,
    /// Only these statuses, both ends included.
    pub status: Option<(u16, u16)>,
    /// Only paths that hold this text.
    pub path: Option<String>,
}

impl RecentFilter {
    fn holds(&self, fact: &StoredFact) -> bool {
        self.path.as_ref().is_none_or(|part| fact.fact.path.contains(part))
    }

    fn chunk(&self, consumer: ConsumerId, before: Option<Cursor>) -> QueryBuilder<Sqlite> {
        let mut sql = QueryBuilder::new(COLUMNS);
        sql.push("consumer = ").push_bind(consumer.to_string());
        sql.push(" AND event_time >= ").push_bind(self.from.as_millis());
        sql.push(" AND event_time < ").push_bind(self.to.as_millis());
        sql.push(" AND mode = ").push_bind(self.mode.as_str());
        if let Some((least, most)) = self.status {
            sql.push(" AND status >= ").push_bind(i64::from(least));
            sql.push(" AND status <= ").push_bind(i64::from(most));
        }
        if let Some(before) = before {
            let (time, producer, seq) = before.parts();
            sql.push(" AND (event_time, producer, seq) < (").push_bind(time);
            sql.push(", ").push_bind(producer);
            sql.push(", ").push_bind(seq).push(")");
        }
        sql.push(" ORDER BY event_time DESC, producer DESC, seq DESC LIMIT ")
            .push_bind(int(CHUNK as u64));
        sql
    }
}

/// What one consumer has, and where its reading stopped before its end.
struct Part {
    items: Vec<StoredFact>,
    stopped: Option<Cursor>,
}

impl Embedded {
    /// Facts, newest first; at most `limit`, those before `before` in time where it is given.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recent(
        &self,
        filter: &RecentFilter,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let mut items = Vec::new();
        let mut stopped: Option<Cursor> = None;
        for consumer in &filter.consumers {
            let part = self.recent_of(filter, *consumer, before, limit).await?;
            items.extend(part.items);
            // Nothing older than the newest stop is known to be complete.
            stopped = stopped.max(part.stopped);
        }
        items.sort_by_key(|fact| std::cmp::Reverse(cursor(fact)));
        if let Some(stop) = stopped {
            items.retain(|fact| cursor(fact) >= stop);
        }
        let is_cut = items.len() > limit;
        items.truncate(limit);
        let next = if is_cut { items.last().map(cursor) } else { stopped };
        Ok(Page { items, next })
    }

    async fn recent_of(
        &self,
        filter: &RecentFilter,
        consumer: ConsumerId,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Part, Error> {
        let (mut items, mut before, mut read) = (Vec::new(), before, 0);
        loop {
            let rows = filter.chunk(consumer, before).build().fetch_all(&self.readers).await?;
            for row in &rows {
                let fact = stored(row)?;
                before = Some(cursor(&fact));
                if filter.holds(&fact) {
                    items.push(fact);
                }
                if items.len() > limit {
                    return Ok(Part { items, stopped: before });
                }
            }
            read += rows.len();
            if rows.len() < CHUNK {
                return Ok(Part { items, stopped: None });
            }
            if read >= MOST_READ {
                return Ok(Part { items, stopped: before });
            }
        }
    }

    /// Kept samples of rejected requests of a consumer, newest first; at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recent_rejections(
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
