//! Tokens of the Admin API, looked up by the hash of their secret.

use domain::clock::Timestamp;
use domain::ids::{AccountId, TokenId};
use domain::key::KeyHash;
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// A new token.
#[derive(Debug, Clone)]
pub struct NewToken {
    /// Id that the caller made.
    pub id: TokenId,
    /// Name for people.
    pub name: String,
    /// Hash of the secret.
    pub secret_hash: KeyHash,
    /// Scopes such as `config:read`.
    pub scopes: Vec<String>,
    /// The one account that it sees; all when `None`.
    pub account_id: Option<AccountId>,
    /// The end of its life.
    pub expires_at: Option<Timestamp>,
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Token {
    /// Id.
    pub id: TokenId,
    /// Name for people.
    pub name: String,
    /// Scopes.
    pub scopes: Vec<String>,
    /// The one account that it sees; all when `None`.
    pub account_id: Option<AccountId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The end of its life.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the precision of [`Store::touch_token`].
    pub last_used_at: Option<Timestamp>,
}

impl FromRow for Token {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            scopes: row.json("scopes_json")?,
            account_id: row.get("account_id")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

impl Store {
    /// The token with this secret, unless it is revoked or expired at `now`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn valid_token(&self, secret: KeyHash, now: Timestamp) -> Result<Option<Token>> {
        self.control
            .one(
                "SELECT * FROM tokens WHERE secret_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
                args![secret, now],
            )
            .await
    }

    /// Tokens that are not revoked, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn tokens(&self, scope: Scope, page: &Page) -> Result<Vec<Token>> {
        self.control
            .all(
                "SELECT * FROM tokens WHERE ($1 IS NULL OR account_id = $1) AND revoked_at IS NULL AND ($2 IS NULL OR id > $2)
                 ORDER BY id LIMIT $3",
                args![scope.account(), page.after(), page.limit()],
            )
            .await
    }

    /// Notes that a token is used at `now`, at most once a minute.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn touch_token(&self, id: TokenId, now: Timestamp) -> Result<()> {
        self.control
            .execute(
                "UPDATE tokens SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $3)",
                args![id, now, now.plus_millis(-60_000)],
            )
            .await
            .map(drop)
    }
}

impl ControlTx {
    /// Adds a token. Within an account it must be bound to that account.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope does not hold its account, [`Error::Conflict`] on `tokens(secret_hash)`.
    pub async fn create_token(&mut self, new: &NewToken) -> Result<Token> {
        match (new.account_id, self.scope()) {
            (Some(account), _) => drop(self.account_in_force(account).await?),
            (None, Scope::All) => {}
            (None, Scope::Account(_)) => return Err(Error::Missing("account")),
        }
        let now = self.now();
        self.execute(
            "INSERT INTO tokens (id, name, secret_hash, scopes_json, account_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![new.id, &new.name, new.secret_hash, serde_json::to_string(&new.scopes)?, new.account_id, now, new.expires_at],
        )
        .await?;
        let after = Token {
            id: new.id,
            name: new.name.clone(),
            scopes: new.scopes.clone(),
            account_id: new.account_id,
            created_at: now,
            expires_at: new.expires_at,
            revoked_at: None,
            last_used_at: None,
        };
        let note = Note {
            kind: Kind::Token,
            id: new.id.to_string(),
            account: new.account_id,
            before: None,
            after: Some(&after),
        };
        self.note("create", note)?;
        Ok(after)
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such token that is not revoked.
    pub async fn revoke_token(&mut self, id: TokenId) -> Result<()> {
        let (scope, now) = (self.scope().account(), self.now());
        let before: Token = self
            .one(
                "SELECT * FROM tokens WHERE id = $1 AND ($2 IS NULL OR account_id = $2) AND revoked_at IS NULL",
                args![id, scope],
            )
            .await?
            .ok_or(Error::Missing("token"))?;
        self.execute("UPDATE tokens SET revoked_at = $2 WHERE id = $1", args![id, now])
            .await?;
        let after = Token {
            revoked_at: Some(now),
            ..before.clone()
        };
        let note = Note {
            kind: Kind::Token,
            id: id.to_string(),
            account: before.account_id,
            before: Some(&before),
            after: Some(&after),
        };
        self.note("revoke", note)
    }
}
