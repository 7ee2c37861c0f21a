//! Signed-in browsers, and links that work once. Only hashes of cookies and link secrets are stored.
//!
//! Sessions and links are no configuration: they raise no revision and write no audit event.

use domain::clock::Timestamp;
use domain::ids::UserId;
use domain::key::KeyHash;

use crate::{FromRow, Result, Row, Store, args};

/// A new session.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Hash of the cookie.
    pub secret_hash: KeyHash,
    /// Who signed in.
    pub user_id: UserId,
    /// Token that forms carry.
    pub csrf: String,
    /// Address of the browser.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Hash of the cookie.
    pub secret_hash: KeyHash,
    /// Who signed in.
    pub user_id: UserId,
    /// Token that forms carry.
    pub csrf: String,
    /// Address of the browser.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the precision of [`Store::touch_session`].
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
}

impl FromRow for Session {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            secret_hash: row.get("secret_hash")?,
            user_id: row.get("user_id")?,
            csrf: row.get("csrf")?,
            address: row.get("address")?,
            agent: row.get("agent")?,
            created_at: row.get("created_at")?,
            seen_at: row.get("seen_at")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

/// What a link that works once is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Shows that an address is theirs.
    VerifyEmail,
    /// Sets a new password.
    ResetPassword,
}

impl LinkPurpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
        }
    }
}

/// A link that works once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whose it is.
    pub user_id: UserId,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl FromRow for Link {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            user_id: row.get("user_id")?,
            expires_at: row.get("expires_at")?,
        })
    }
}

/// Expired links are known so long, so that their page can offer another one.
const LINKS_KEPT_MS: i64 = 30 * 86_400_000;

impl Store {
    /// Begins a session.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn create_session(&self, new: &NewSession, now: Timestamp) -> Result<()> {
        self.control
            .execute(
                "INSERT INTO sessions (secret_hash, user_id, csrf, address, agent, created_at, seen_at, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
                args![
                    new.secret_hash,
                    new.user_id,
                    &new.csrf,
                    new.address.as_deref(),
                    new.agent.as_deref(),
                    now,
                    new.expires_at
                ],
            )
            .await
            .map(drop)
    }

    /// The session of this cookie, unless it has ended or its person may not sign in.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn session(&self, secret: KeyHash, now: Timestamp) -> Result<Option<Session>> {
        self.control
            .one(
                "SELECT s.* FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.secret_hash = $1 AND s.expires_at > $2 AND u.disabled_at IS NULL",
                args![secret, now],
            )
            .await
    }

    /// Notes that a session is in use at `now` and lives until `expires_at`.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn touch_session(&self, secret: KeyHash, now: Timestamp, expires_at: Timestamp) -> Result<()> {
        self.control
            .execute(
                "UPDATE sessions SET seen_at = $2, expires_at = $3 WHERE secret_hash = $1",
                args![secret, now, expires_at],
            )
            .await
            .map(drop)
    }

    /// The sessions of a person that have not ended, newest first.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn sessions_of(&self, user: UserId, now: Timestamp) -> Result<Vec<Session>> {
        self.control
            .all(
                "SELECT * FROM sessions WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC",
                args![user, now],
            )
            .await
    }

    /// Ends one session.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn end_session(&self, secret: KeyHash) -> Result<()> {
        self.control
            .execute("DELETE FROM sessions WHERE secret_hash = $1", args![secret])
            .await
            .map(drop)
    }

    /// Ends all sessions of a person.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn end_sessions(&self, user: UserId) -> Result<u64> {
        self.control
            .execute("DELETE FROM sessions WHERE user_id = $1", args![user])
            .await
    }

    /// Ends one session of this person, by the hash of its cookie. Returns whether there was one.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn end_session_of(&self, user: UserId, secret: KeyHash) -> Result<bool> {
        let ended = self
            .control
            .execute(
                "DELETE FROM sessions WHERE user_id = $1 AND secret_hash = $2",
                args![user, secret],
            )
            .await?;
        Ok(ended > 0)
    }

    /// Ends all sessions of a person but this one.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn end_other_sessions(&self, user: UserId, kept: KeyHash) -> Result<u64> {
        self.control
            .execute(
                "DELETE FROM sessions WHERE user_id = $1 AND secret_hash <> $2",
                args![user, kept],
            )
            .await
    }

    /// Forgets sessions that ended before `now`, and links a month after they did.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn prune_sessions(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.control.write().await?;
        let sessions = tx
            .execute("DELETE FROM sessions WHERE expires_at <= $1", args![now])
            .await?;
        let links = tx
            .execute(
                "DELETE FROM one_time_links WHERE expires_at <= $1",
                args![now.plus_millis(-LINKS_KEPT_MS)],
            )
            .await?;
        tx.commit().await?;
        Ok(sessions + links)
    }

    /// Adds a link that works once and withdraws earlier ones of the same purpose.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn create_link(
        &self,
        secret: KeyHash,
        user: UserId,
        purpose: LinkPurpose,
        times: std::ops::Range<Timestamp>,
    ) -> Result<()> {
        let mut tx = self.control.write().await?;
        tx.execute(
            "DELETE FROM one_time_links WHERE user_id = $1 AND purpose = $2",
            args![user, purpose.as_str()],
        )
        .await?;
        tx.execute(
            "INSERT INTO one_time_links (secret_hash, user_id, purpose, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
            args![secret, user, purpose.as_str(), times.start, times.end],
        )
        .await?;
        tx.commit().await
    }

    /// A link that was not used, expired or not.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn link(&self, secret: KeyHash, purpose: LinkPurpose) -> Result<Option<Link>> {
        self.control
            .one(
                "SELECT user_id, expires_at FROM one_time_links WHERE secret_hash = $1 AND purpose = $2",
                args![secret, purpose.as_str()],
            )
            .await
    }

    /// Uses up a link: its person, or `None` when it is unknown, used, expired or for something else.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn use_link(&self, secret: KeyHash, purpose: LinkPurpose, now: Timestamp) -> Result<Option<UserId>> {
        let mut tx = self.control.write().await?;
        let user = tx
            .scalar(
                "DELETE FROM one_time_links WHERE secret_hash = $1 AND purpose = $2 AND expires_at > $3 RETURNING user_id",
                args![secret, purpose.as_str(), now],
            )
            .await?;
        tx.commit().await?;
        Ok(user)
    }
}
