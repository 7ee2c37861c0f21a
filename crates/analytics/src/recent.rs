//! What happened last: facts, newest first.

use domain::clock::Timestamp;
use domain::ids::ConsumerId;
use domain::key::Mode;

use crate::engine::Analytics;
use crate::error::Error;
use crate::events::{Cursor, Page, StoredFact, cursor};

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
}

/// What one consumer has, and where its reading stopped before its end.
struct Part {
    items: Vec<StoredFact>,
    stopped: Option<Cursor>,
}

impl Analytics {
    /// Facts, newest first; at most `limit`, those before `before` in time where it is given.
    ///
    /// # Errors
    /// When the engine fails.
    pub async fn recent(
        &self,
        filter: &RecentFilter,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<StoredFact>, Error> {
        let mut items = Vec::new();
        let mut stopped: Option<Cursor> = None;
        for consumer in &filter.consumers {
            let part = self.part(filter, *consumer, before, limit).await?;
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

    async fn part(
        &self,
        filter: &RecentFilter,
        consumer: ConsumerId,
        before: Option<Cursor>,
        limit: usize,
    ) -> Result<Part, Error> {
        let (mut items, mut before, mut read) = (Vec::new(), before, 0);
        loop {
            let facts = self.recent_of(filter, consumer, before, CHUNK).await?;
            let count = facts.len();
            for fact in facts {
                before = Some(cursor(&fact));
                if filter.holds(&fact) {
                    items.push(fact);
                }
                if items.len() > limit {
                    return Ok(Part { items, stopped: before });
                }
            }
            read += count;
            if count < CHUNK {
                return Ok(Part { items, stopped: None });
            }
            if read >= MOST_READ {
                return Ok(Part { items, stopped: before });
            }
        }
    }
}
