//! Tries that are counted against guessing: log-ins, sign-ups, resets. A subject is an address or a network, hashed, so
//! that the table tells nobody who has tried.
//!
//! Attempts are no configuration: they raise no revision and write no audit event.

use domain::clock::Timestamp;
use domain::key::KeyHash;

use crate::{Result, Store, args};

/// A bound on tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptLimit {
    /// Who tries, or what is tried.
    pub subject: KeyHash,
    /// Tries within the window.
    pub max: u32,
    /// Length of the window.
    pub window_ms: i64,
}

impl Store {
    /// Counts a try against every limit, or against none: then the answer is the instant from which the next try is
    /// counted. A try that is turned away does not make the wait longer.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn attempt(&self, kind: &str, limits: &[AttemptLimit], now: Timestamp) -> Result<Option<Timestamp>> {
        let mut tx = self.control.write().await?;
        tx.lock("attempts").await?;
        let mut free_at: Option<Timestamp> = None;
        for limit in limits {
            let since = now.plus_millis(-limit.window_ms);
            let oldest: Option<Timestamp> = tx
                .scalar(
                    "SELECT at FROM attempts WHERE kind = $1 AND subject = $2 AND at > $3 ORDER BY at DESC LIMIT 1 OFFSET $4",
                    args![kind, limit.subject, since, i64::from(limit.max.saturating_sub(1))],
                )
                .await?;
            free_at = free_at.max(oldest.map(|at| at.plus_millis(limit.window_ms)));
        }
        if free_at.is_some() {
            tx.rollback().await?;
            return Ok(free_at);
        }
        for limit in limits {
            tx.execute(
                "INSERT INTO attempts (kind, subject, at) VALUES ($1, $2, $3)",
                args![kind, limit.subject, now],
            )
            .await?;
        }
        tx.commit().await?;
        Ok(None)
    }

    /// How many tries of a subject were counted after `since`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn attempts(&self, kind: &str, subject: KeyHash, since: Timestamp) -> Result<u64> {
        let count: Option<i64> = self
            .control
            .scalar(
                "SELECT COUNT(*) FROM attempts WHERE kind = $1 AND subject = $2 AND at > $3",
                args![kind, subject, since],
            )
            .await?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// Forgets the tries of a subject from `since` on: the last one was no guess.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn forget_attempts(&self, kind: &str, subject: KeyHash, since: Timestamp) -> Result<()> {
        self.control
            .execute(
                "DELETE FROM attempts WHERE kind = $1 AND subject = $2 AND at >= $3",
                args![kind, subject, since],
            )
            .await
            .map(drop)
    }

    /// Forgets tries before `before`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn prune_attempts(&self, before: Timestamp) -> Result<u64> {
        self.control
            .execute("DELETE FROM attempts WHERE at < $1", args![before])
            .await
    }
}
