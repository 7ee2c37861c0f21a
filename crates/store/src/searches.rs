//! What readers searched for and how much was found: tells product managers what is missing. Nothing about who searched.

use domain::clock::Timestamp;
use serde::Serialize;

use crate::{FromRow, Result, Row, Store, args};

/// A term and how often it was searched for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SearchTerm {
    /// The term as it was recorded.
    pub term: String,
    /// How often.
    pub times: u64,
    /// The most that one search for it has found.
    pub found: u64,
    /// When it was searched for last.
    pub last_at: Timestamp,
}

impl FromRow for SearchTerm {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            term: row.get("term")?,
            times: row.get("times")?,
            found: row.get("most")?,
            last_at: row.get("last_at")?,
        })
    }
}

impl Store {
    /// Records a search.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn record_search(&self, term: &str, found: u32, at: Timestamp) -> Result<()> {
        self.control
            .execute(
                "INSERT INTO searches (term, found, at) VALUES ($1, $2, $3)",
                args![term, found, at],
            )
            .await
            .map(drop)
    }

    /// The terms that were searched for most often since `since`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn top_searches(&self, since: Timestamp, limit: u32) -> Result<Vec<SearchTerm>> {
        self.control
            .all(
                "SELECT term, CAST(COUNT(*) AS BIGINT) AS times, MAX(found) AS most, MAX(at) AS last_at
                 FROM searches WHERE at >= $1 GROUP BY term ORDER BY times DESC, term LIMIT $2",
                args![since, limit],
            )
            .await
    }

    /// The terms that no search since `since` has found anything for, most often searched for first.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn fruitless_searches(&self, since: Timestamp, limit: u32) -> Result<Vec<SearchTerm>> {
        self.control
            .all(
                "SELECT term, CAST(COUNT(*) AS BIGINT) AS times, MAX(found) AS most, MAX(at) AS last_at
                 FROM searches WHERE at >= $1 GROUP BY term HAVING MAX(found) = 0 ORDER BY times DESC, term LIMIT $2",
                args![since, limit],
            )
            .await
    }

    /// Forgets searches before `before`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn prune_searches(&self, before: Timestamp) -> Result<u64> {
        self.control
            .execute("DELETE FROM searches WHERE at < $1", args![before])
            .await
    }
}
