//! Consumers: the applications of accounts. A deleted consumer keeps its row, because facts point to it.

use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId};
use domain::subscription::{ConsumerStatus, Origin};
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Page, Result, Row, Scope, Store, args};

/// A new consumer.
#[derive(Debug, Clone)]
pub struct NewConsumer {
    /// Id that the caller made.
    pub id: ConsumerId,
    /// Its account.
    pub account_id: AccountId,
    /// Name; unique within the account among those from files.
    pub name: String,
    /// Who owns it.
    pub origin: Origin,
}

/// A consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Consumer {
    /// Id.
    pub id: ConsumerId,
    /// Its account.
    pub account_id: AccountId,
    /// Name.
    pub name: String,
    /// Whether the gateway serves it.
    pub status: ConsumerStatus,
    /// Why it is suspended.
    pub suspended_reason: Option<String>,
    /// Who owns it.
    pub origin: Origin,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

impl FromRow for Consumer {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            account_id: row.get("account_id")?,
            name: row.get("name")?,
            status: row.word("status", ConsumerStatus::from_word)?,
            suspended_reason: row.get("suspended_reason")?,
            origin: row.word("origin", Origin::from_word)?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            deleted_at: row.get("deleted_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM consumers WHERE id = $1 AND ($2 IS NULL OR account_id = $2)";
const FROM_FILES: &str =
    "SELECT * FROM consumers WHERE account_id = $1 AND name = $2 AND origin = 'file' AND deleted_at IS NULL";
const LIST: &str = "SELECT * FROM consumers
    WHERE ($1 IS NULL OR account_id = $1) AND ($2 IS NULL OR account_id = $2) AND deleted_at IS NULL AND ($3 IS NULL OR id > $3)
    ORDER BY id LIMIT $4";

/// A consumer that was searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundConsumer {
    /// The consumer.
    pub consumer: Consumer,
    /// Name of its account.
    pub account_name: String,
}

impl FromRow for FoundConsumer {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            consumer: Consumer::from_row(row)?,
            account_name: row.get("account_name")?,
        })
    }
}

const FIND: &str = "SELECT c.*, a.name AS account_name FROM consumers c JOIN accounts a ON a.id = c.account_id
    WHERE c.deleted_at IS NULL AND ($4 IS NULL OR c.id > $4)
      AND ($1 = '' OR c.id = $1 OR a.id = $1 OR LOWER(c.name) LIKE $2 ESCAPE '!' OR LOWER(a.name) LIKE $2 ESCAPE '!'
        OR LOWER(a.email) LIKE $2 ESCAPE '!'
        OR EXISTS (SELECT 1 FROM credentials k WHERE k.consumer_id = c.id AND (k.prefix = $3 OR k.id = $1))
        OR EXISTS (SELECT 1 FROM members m JOIN users u ON u.id = m.user_id WHERE m.account_id = a.id AND u.email_key LIKE $2 ESCAPE '!')
        OR EXISTS (SELECT 1 FROM subscriptions s WHERE s.consumer_id = c.id AND s.id = $1))
    ORDER BY c.id LIMIT $5";
/// Characters of a key that are its prefix.
const PREFIX: usize = 12;

impl Store {
    /// Consumers in force by what one knows of them: a part of the name, of the account's name or address, of a member's
    /// address; the beginning of a key; an id of the consumer, its account, a key or a subscription. An empty text finds all.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn find_consumers(&self, text: &str, page: &Page) -> Result<Vec<FoundConsumer>> {
        let text = text.trim();
        let escaped = text
            .to_lowercase()
            .replace('!', "!!")
            .replace('%', "!%")
            .replace('_', "!_");
        let prefix: String = text.chars().take(PREFIX).collect();
        self.control
            .all(
                FIND,
                args![text, format!("%{escaped}%"), prefix, page.after(), page.limit()],
            )
            .await
    }

    /// The consumer of this id, deleted or not, when the scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn consumer(&self, scope: Scope, id: ConsumerId) -> Result<Option<Consumer>> {
        self.control.one(BY_ID, args![id, scope.account()]).await
    }

    /// Consumers in force, of one account when it is given, oldest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn consumers(&self, scope: Scope, account: Option<AccountId>, page: &Page) -> Result<Vec<Consumer>> {
        self.control
            .all(LIST, args![scope.account(), account, page.after(), page.limit()])
            .await
    }
}

impl ControlTx {
    /// The consumer of this id, deleted or not, when this transaction's scope includes it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn consumer(&mut self, id: ConsumerId) -> Result<Option<Consumer>> {
        let scope = self.scope().account();
        self.one(BY_ID, args![id, scope]).await
    }

    /// The consumer in force that files call by this name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn file_consumer(&mut self, account: AccountId, name: &str) -> Result<Option<Consumer>> {
        self.one(FROM_FILES, args![account, name]).await
    }

    /// Adds a consumer.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such account in force, [`Error::Conflict`] on `consumers(account_id,name)`
    /// among consumers from files.
    pub async fn create_consumer(&mut self, new: &NewConsumer) -> Result<Consumer> {
        self.account_in_force(new.account_id).await?;
        let now = self.now();
        self.execute(
            "INSERT INTO consumers (id, account_id, name, status, origin, created_at, updated_at) VALUES ($1, $2, $3, 'active', $4, $5, $5)",
            args![new.id, new.account_id, &new.name, new.origin.as_str(), now],
        )
        .await?;
        let after = self.consumer(new.id).await?.ok_or(Error::Missing("consumer"))?;
        self.noted_consumer("create", None, Some(&after))?;
        Ok(after)
    }

    /// Renames a consumer.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force, [`Error::Conflict`] as for a new one.
    pub async fn rename_consumer(&mut self, id: ConsumerId, name: &str) -> Result<Consumer> {
        let before = self.consumer_in_force(id).await?;
        let now = self.now();
        self.execute(
            "UPDATE consumers SET name = $2, updated_at = $3 WHERE id = $1",
            args![id, name, now],
        )
        .await?;
        self.reread("rename", before).await
    }

    /// Suspends a consumer: the gateway refuses it. The reason of one that is suspended already is replaced.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force.
    pub async fn suspend_consumer(&mut self, id: ConsumerId, reason: &str) -> Result<Consumer> {
        let before = self.consumer_in_force(id).await?;
        let now = self.now();
        self.execute(
            "UPDATE consumers SET status = 'suspended', suspended_reason = $2, updated_at = $3 WHERE id = $1",
            args![id, reason, now],
        )
        .await?;
        self.reread("suspend", before).await
    }

    /// Lets a suspended consumer call again; one that is active is returned unchanged.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force.
    pub async fn resume_consumer(&mut self, id: ConsumerId) -> Result<Consumer> {
        let before = self.consumer_in_force(id).await?;
        if before.status == ConsumerStatus::Active {
            return Ok(before);
        }
        let now = self.now();
        self.execute(
            "UPDATE consumers SET status = 'active', suspended_reason = NULL, updated_at = $2 WHERE id = $1",
            args![id, now],
        )
        .await?;
        self.reread("resume", before).await
    }

    /// Deletes a consumer without live subscriptions and revokes its credentials; its row stays for the facts.
    ///
    /// # Errors
    /// [`Error::Missing`] when the scope holds no such consumer in force, [`Error::State`] while a subscription is live.
    pub async fn delete_consumer(&mut self, id: ConsumerId) -> Result<()> {
        let before = self.consumer_in_force(id).await?;
        let live: Option<i64> = self
            .scalar(
                "SELECT COUNT(*) FROM subscriptions WHERE consumer_id = $1 AND status NOT IN ('cancelled', 'rejected')",
                args![id],
            )
            .await?;
        if live.unwrap_or(0) > 0 {
            return Err(Error::State(
                "the consumer still has live subscriptions: cancel them first".to_owned(),
            ));
        }
        for credential in self.credentials_of(id).await? {
            self.revoke_credential(credential.id, self.now()).await?;
        }
        let now = self.now();
        self.execute(
            "UPDATE consumers SET deleted_at = $2, updated_at = $2 WHERE id = $1",
            args![id, now],
        )
        .await?;
        self.noted_consumer("delete", Some(&before), None)
    }

    pub(crate) async fn consumer_in_force(&mut self, id: ConsumerId) -> Result<Consumer> {
        self.consumer(id)
            .await?
            .filter(|consumer| consumer.deleted_at.is_none())
            .ok_or(Error::Missing("consumer"))
    }

    async fn reread(&mut self, verb: &str, before: Consumer) -> Result<Consumer> {
        let after = self.consumer(before.id).await?.ok_or(Error::Missing("consumer"))?;
        self.noted_consumer(verb, Some(&before), Some(&after))?;
        Ok(after)
    }

    fn noted_consumer(&mut self, verb: &str, before: Option<&Consumer>, after: Option<&Consumer>) -> Result<()> {
        let Some(one) = after.or(before) else { return Ok(()) };
        let (id, account) = (one.id.to_string(), Some(one.account_id));
        self.note(
            verb,
            Note {
                kind: Kind::Consumer,
                id,
                account,
                before,
                after,
            },
        )
    }
}
