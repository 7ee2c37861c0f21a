//! Credentials of consumers. Of a secret only its SHA-256 is stored, with the few characters that lists may show.
//!
//! Invariants: a hash is unique for ever, so a revoked key never comes back; revocation is never undone.

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, CredentialId};
use domain::key::{KeyHash, Mode};
use domain::subscription::Origin;
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// A new API key.
#[derive(Debug, Clone)]
pub struct NewCredential {
    /// Id that the caller made.
    pub id: CredentialId,
    /// Its consumer.
    pub consumer_id: ConsumerId,
    /// Hash of the whole key.
    pub hash: KeyHash,
    /// First characters of the key.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// Live or test.
    pub mode: Mode,
    /// Name for people.
    pub name: Option<String>,
    /// Scopes; empty allows everything.
    pub scopes: Vec<String>,
    /// Names of the products that it opens; empty opens all of its consumer's.
    pub products: Vec<String>,
    /// The end of its life.
    pub expires_at: Option<Timestamp>,
    /// Who owns it.
    pub origin: Origin,
}

/// An API key as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    /// Id.
    pub id: CredentialId,
    /// The account of its consumer.
    pub account_id: AccountId,
    /// Its consumer.
    pub consumer_id: ConsumerId,
    /// Hash of the whole key.
    #[serde(skip)]
    pub hash: KeyHash,
    /// First characters of the key.
    pub prefix: String,
    /// Last four characters of the key.
    pub last4: String,
    /// Live or test.
    pub mode: Mode,
    /// Name for people.
    pub name: Option<String>,
    /// Scopes; empty allows everything.
    pub scopes: Vec<String>,
    /// Names of the products that it opens; empty opens all of its consumer's.
    pub products: Vec<String>,
    /// Who owns it.
    pub origin: Origin,
    /// The credential that it replaces.
    pub rotated_from: Option<CredentialId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The end of its life.
    pub expires_at: Option<Timestamp>,
    /// When it was, or will be, revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the precision of [`Store::touch_credentials`].
    pub last_used_at: Option<Timestamp>,
}

impl FromRow for Credential {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            consumer_id: row.get("consumer_id")?,
            hash: row.get("secret_hash")?,
            prefix: row.get("prefix")?,
            last4: row.get("last4")?,
            mode: row.word("mode", |word| {
                [Mode::Live, Mode::Test].into_iter().find(|mode| mode.as_str() == word)
            })?,
            name: row.get("name")?,
            scopes: row.json("scopes_json")?,
            products: row.json("products_json")?,
            origin: row.word("origin", Origin::from_word)?,
            rotated_from: row.get("rotated_from")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            revoked_at: row.get("revoked_at")?,
            last_used_at: row.get("last_used_at")?,
        })
    }
}

/// A credential that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The old one.
    pub credential: Credential,
    /// Since when there is another in its place.
    pub replaced_at: Timestamp,
}

impl FromRow for Ending {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            credential: Credential::from_row(row)?,
            replaced_at: row.get("replaced_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM credentials WHERE id = $1 AND ($2 IS NULL OR account_id = $2)";
const OF_CONSUMER: &str =
    "SELECT * FROM credentials WHERE consumer_id = $1 AND ($2 IS NULL OR account_id = $2) AND ($3 IS NULL OR id > $3)
    ORDER BY id LIMIT $4";
const LASTING: &str =
    "SELECT * FROM credentials WHERE consumer_id = $1 AND ($2 IS NULL OR account_id = $2) AND ($3 IS NULL OR id > $3)
    AND NOT (expires_at IS NOT NULL AND expires_at - created_at <= $5
        AND (expires_at <= $6 OR (revoked_at IS NOT NULL AND revoked_at <= $6)))
    ORDER BY id LIMIT $4";
const ENDING: &str = "SELECT c.*, h.created_at AS replaced_at FROM credentials h JOIN credentials c ON c.id = h.rotated_from
    JOIN consumers o ON o.id = c.consumer_id
    WHERE h.rotated_from IS NOT NULL AND c.revoked_at > $1 AND c.revoked_at <= $2 AND o.deleted_at IS NULL ORDER BY c.id";
const LIVE: &str = "SELECT c.* FROM credentials c JOIN consumers o ON o.id = c.consumer_id
    WHERE (c.revoked_at IS NULL OR c.revoked_at > $1) AND o.deleted_at IS NULL AND ($2 IS NULL OR c.id > $2) ORDER BY c.id LIMIT $3";

impl Store {
    /// The credential of this id, revoked or not, when the scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn credential(&self, scope: Scope, id: CredentialId) -> Result<Option<Credential>> {
        self.control.one(BY_ID, args![id, scope.account()]).await
    }

    /// The credential with this hash, revoked or not.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn credential_by_hash(&self, hash: KeyHash) -> Result<Option<Credential>> {
        self.control
            .one("SELECT * FROM credentials WHERE secret_hash = $1", args![hash])
            .await
    }

    /// All credentials of a consumer, revoked ones too, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn credentials(&self, scope: Scope, consumer: ConsumerId, page: &Page) -> Result<Vec<Credential>> {
        self.control
            .all(
                OF_CONSUMER,
                args![consumer, scope.account(), page.after(), page.limit()],
            )
            .await
    }

    /// As [`Store::credentials`], without those that are over by `now` and were made to live for `brief` milliseconds at
    /// most: keys that a program made for one call and nobody looks for.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lasting_credentials(
        &self,
        scope: Scope,
        consumer: ConsumerId,
        (brief, now): (i64, Timestamp),
        page: &Page,
    ) -> Result<Vec<Credential>> {
        self.control
            .all(
                LASTING,
                args![consumer, scope.account(), page.after(), page.limit(), brief, now],
            )
            .await
    }

    /// Credentials that were replaced and end after `from`, up to `to`, each with the moment of its replacement.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ending_credentials(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Ending>> {
        self.control.all(ENDING, args![from, to]).await
    }

    /// What a gateway needs: credentials that are not yet revoked at `now`, expired ones too (they get an answer of their
    /// own), by id.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn live_credentials(&self, now: Timestamp, page: &Page) -> Result<Vec<Credential>> {
        self.control.all(LIVE, args![now, page.after(), page.limit()]).await
    }

    /// Notes when credentials were last used, in one transaction; earlier times change nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn touch_credentials(&self, uses: &[(CredentialId, Timestamp)]) -> Result<()> {
        let mut ordered = uses.to_vec();
        ordered.sort_unstable_by_key(|(id, _)| *id);
        let mut tx = self.control.write().await?;
        for (id, at) in ordered {
            tx.execute(
                "UPDATE credentials SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
                args![id, at],
            )
            .await?;
        }
        tx.commit().await
    }
}

impl ControlTx {
    /// The credential of this id, revoked or not, when this transaction's scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn credential(&mut self, id: CredentialId) -> Result<Option<Credential>> {
        let scope = self.scope().account();
        self.one(BY_ID, args![id, scope]).await
    }

    /// The credentials of a consumer that no revocation is set for, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn credentials_of(&mut self, consumer: ConsumerId) -> Result<Vec<Credential>> {
        let scope = self.scope().account();
        self.all(
            "SELECT * FROM credentials WHERE consumer_id = $1 AND ($2 IS NULL OR account_id = $2) AND revoked_at IS NULL ORDER BY id",
            args![consumer, scope],
        )
        .await
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force, [`Error::Conflict`] on `credentials(secret_hash)`.
    pub async fn create_credential(&mut self, new: &NewCredential) -> Result<Credential> {
        self.insert_credential(new, None).await
    }

    /// Replaces a credential by another: the old one stays valid until `until` and is revoked then.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such credential, [`Error::State`] when it is revoked or rotated already,
    /// [`Error::Conflict`] on `credentials(secret_hash)`.
    pub async fn rotate_credential(
        &mut self,
        old: CredentialId,
        new: &NewCredential,
        until: Timestamp,
    ) -> Result<Credential> {
        let before = self.credential(old).await?.ok_or(Error::Missing("credential"))?;
        if before.consumer_id != new.consumer_id {
            return Err(Error::Missing("credential"));
        }
        if before.revoked_at.is_some() {
            return Err(Error::State("the credential is revoked or rotated already".to_owned()));
        }
        let after = self.insert_credential(new, Some(old)).await?;
        self.revoke_credential(old, until).await?;
        Ok(after)
    }

    /// Revokes a credential at `at`; an earlier revocation stands. Returns the credential as it is then.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such credential.
    pub async fn revoke_credential(&mut self, id: CredentialId, at: Timestamp) -> Result<Credential> {
        let before = self.credential(id).await?.ok_or(Error::Missing("credential"))?;
        if before.revoked_at.is_some_and(|earlier| earlier <= at) {
            return Ok(before);
        }
        self.execute("UPDATE credentials SET revoked_at = $2 WHERE id = $1", args![id, at])
            .await?;
        let after = Credential {
            revoked_at: Some(at),
            ..before.clone()
        };
        let (account, before, after_ref) = (Some(before.account_id), Some(&before), Some(&after));
        self.note(
            "revoke",
            Note {
                kind: Kind::Credential,
                id: id.to_string(),
                account,
                before,
                after: after_ref,
            },
        )?;
        Ok(after)
    }

    async fn insert_credential(
        &mut self,
        new: &NewCredential,
        rotated_from: Option<CredentialId>,
    ) -> Result<Credential> {
        let consumer = self.consumer_in_force(new.consumer_id).await?;
        let now = self.now();
        self.execute(
            "INSERT INTO credentials (id, account_id, consumer_id, kind, secret_hash, prefix, last4, mode, name, scopes_json,
                products_json, origin, rotated_from, created_at, expires_at)
             VALUES ($1, $2, $3, 'api_key', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            args![
                new.id, consumer.account_id, new.consumer_id, new.hash, &new.prefix, &new.last4, new.mode.as_str(), new.name.as_deref(),
                serde_json::to_string(&new.scopes)?, serde_json::to_string(&new.products)?, new.origin.as_str(), rotated_from, now,
                new.expires_at
            ],
        )
        .await?;
        let after = self.credential(new.id).await?.ok_or(Error::Missing("credential"))?;
        let note = Note {
            kind: Kind::Credential,
            id: new.id.to_string(),
            account: Some(consumer.account_id),
            before: None,
            after: Some(&after),
        };
        self.note("create", note)?;
        Ok(after)
    }
}
