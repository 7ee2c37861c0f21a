//! Answers to requests that carried an `Idempotency-Key`: the first request claims the key, later ones get its answer.

use domain::clock::Timestamp;

use crate::{FromRow, Result, Row, Store, args};

/// A key as one caller sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Who sent it: id of the token or user. Keys of different callers never meet.
    pub principal: String,
    /// The key.
    pub key: String,
    /// SHA-256 over method, path and body.
    pub request_hash: [u8; 32],
}

/// What became of the claim of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The caller is the first: it runs the request, then calls [`Store::finish_idempotent`] or [`Store::release_idempotent`].
    First,
    /// The first request is still running.
    Running,
    /// The first request was answered like this.
    Answered {
        /// HTTP status.
        status: u16,
        /// Body without secrets.
        body: String,
    },
    /// The key was used for another request.
    Mismatch,
}

struct Known {
    request_hash: [u8; 32],
    answer: Option<(u16, String)>,
}

impl FromRow for Known {
    fn from_row(row: &Row) -> Result<Self> {
        let status: Option<u16> = row.get("status")?;
        let body: Option<String> = row.get("body")?;
        Ok(Self {
            request_hash: row.get("request_hash")?,
            answer: status.map(|status| (status, body.unwrap_or_default())),
        })
    }
}

impl Store {
    /// Claims a key at `times.start` until `times.end`. An expired key is free again.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn claim_idempotent(&self, key: &IdempotencyKey, times: std::ops::Range<Timestamp>) -> Result<Claim> {
        let mut tx = self.control.write().await?;
        tx.lock(&format!("idempotency {} {}", key.principal, key.key)).await?;
        tx.execute(
            "DELETE FROM idempotency_keys WHERE principal = $1 AND idempotency_key = $2 AND expires_at <= $3",
            args![&key.principal, &key.key, times.start],
        )
        .await?;
        let made = tx
            .execute(
                "INSERT INTO idempotency_keys (principal, idempotency_key, request_hash, created_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (principal, idempotency_key) DO NOTHING",
                args![&key.principal, &key.key, key.request_hash, times.start, times.end],
            )
            .await?;
        let known: Option<Known> = tx
            .one(
                "SELECT request_hash, status, body FROM idempotency_keys WHERE principal = $1 AND idempotency_key = $2",
                args![&key.principal, &key.key],
            )
            .await?;
        tx.commit().await?;
        Ok(match known {
            _ if made > 0 => Claim::First,
            Some(known) if known.request_hash != key.request_hash => Claim::Mismatch,
            Some(Known {
                answer: Some((status, body)),
                ..
            }) => Claim::Answered { status, body },
            Some(_) | None => Claim::Running,
        })
    }

    /// Stores the answer of the first request. The body must not hold a secret.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn finish_idempotent(&self, key: &IdempotencyKey, status: u16, body: &str) -> Result<()> {
        self.control
            .execute(
                "UPDATE idempotency_keys SET status = $4, body = $5
                 WHERE principal = $1 AND idempotency_key = $2 AND request_hash = $3 AND status IS NULL",
                args![&key.principal, &key.key, key.request_hash, status, body],
            )
            .await
            .map(drop)
    }

    /// Frees a key whose request did nothing, so that it can be sent again.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn release_idempotent(&self, key: &IdempotencyKey) -> Result<()> {
        self.control
            .execute(
                "DELETE FROM idempotency_keys WHERE principal = $1 AND idempotency_key = $2 AND request_hash = $3 AND status IS NULL",
                args![&key.principal, &key.key, key.request_hash],
            )
            .await
            .map(drop)
    }

    /// Forgets keys that expired at `now` or before.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn prune_idempotent(&self, now: Timestamp) -> Result<u64> {
        self.control
            .execute("DELETE FROM idempotency_keys WHERE expires_at <= $1", args![now])
            .await
    }
}
