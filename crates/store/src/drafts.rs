//! What product managers are working on: the next version of a plan, a document that was uploaded.
//!
//! Invariants: a draft is no part of what gateways serve from, so it raises no revision and writes no audit event (what
//! comes of it does both); a change names the version that its writer has seen. Deliberately absent: what is in a draft,
//! which is the caller's.

use domain::clock::Timestamp;
use serde_json::Value as Json;

use crate::{Error, FromRow, Result, Row, Store, args};

/// A draft to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDraft {
    /// Which one.
    pub id: String,
    /// What kind of thing it is a draft of.
    pub kind: String,
    /// The draft itself.
    pub fields: Json,
    /// What was uploaded with it.
    pub body: Option<Vec<u8>>,
}

/// A draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Which one.
    pub id: String,
    /// What kind of thing it is a draft of.
    pub kind: String,
    /// The draft itself.
    pub fields: Json,
    /// 1 when made, one more with each change.
    pub version: i64,
    /// Who changed it last, by name.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl FromRow for Draft {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("kind")?,
            fields: row.get("fields_json")?,
            version: row.get("version")?,
            author: row.get("author")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const COLUMNS_OF_ONE: &str =
    "SELECT id, kind, fields_json, version, author, created_at, updated_at FROM drafts WHERE id = $1";

impl Store {
    /// The draft of this id, without what was uploaded with it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn draft(&self, id: &str) -> Result<Option<Draft>> {
        self.control.one(COLUMNS_OF_ONE, args![id]).await
    }

    /// What was uploaded with a draft.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn draft_body(&self, id: &str) -> Result<Option<Vec<u8>>> {
        self.control
            .scalar("SELECT body FROM drafts WHERE id = $1 AND body IS NOT NULL", args![id])
            .await
    }

    /// All drafts of a kind, the last one changed first, without what was uploaded with them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn drafts(&self, kind: &str) -> Result<Vec<Draft>> {
        self.control
            .all(
                "SELECT id, kind, fields_json, version, author, created_at, updated_at FROM drafts WHERE kind = $1
                 ORDER BY updated_at DESC, id LIMIT 1000",
                args![kind],
            )
            .await
    }

    /// Keeps a draft; `seen` is the version that its writer has seen, 0 for none.
    ///
    /// # Errors
    /// [`Error::State`] when someone else has changed it since.
    pub async fn put_draft(&self, draft: &NewDraft, seen: i64, author: &str, now: Timestamp) -> Result<Draft> {
        let mut tx = self.control.write().await?;
        tx.lock("drafts").await?;
        let before: Option<Draft> = tx.one(COLUMNS_OF_ONE, args![&draft.id]).await?;
        if before.as_ref().map_or(0, |before| before.version) != seen {
            let by = before.map_or_else(|| "someone".to_owned(), |before| before.author);
            tx.rollback().await?;
            return Err(Error::State(format!("{by} has changed this draft since you opened it")));
        }
        let fields = draft.fields.to_string();
        tx.execute(
            "INSERT INTO drafts (id, kind, fields_json, body, version, author, created_at, updated_at)
             VALUES ($1, $2, $3, $4, 1, $5, $6, $6)
             ON CONFLICT (id) DO UPDATE SET fields_json = $3, body = $4, version = drafts.version + 1, author = $5, updated_at = $6",
            args![&draft.id, &draft.kind, fields, draft.body.clone(), author, now],
        )
        .await?;
        let after: Option<Draft> = tx.one(COLUMNS_OF_ONE, args![&draft.id]).await?;
        tx.commit().await?;
        after.ok_or(Error::Missing("draft"))
    }

    /// Forgets a draft.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_draft(&self, id: &str) -> Result<()> {
        let sql = "DELETE FROM drafts WHERE id = $1";
        self.control.execute(sql, args![id]).await.map(drop)
    }

    /// Forgets the drafts of a kind that nobody has changed since `before`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prune_drafts(&self, kind: &str, before: Timestamp) -> Result<u64> {
        self.control
            .execute(
                "DELETE FROM drafts WHERE kind = $1 AND updated_at < $2",
                args![kind, before],
            )
            .await
    }
}
