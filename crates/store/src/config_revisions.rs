//! The whole configuration as it was after each change of it, for the list of revisions and for rollback.

use domain::clock::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::{ControlTx, FromRow, Page, Result, Row, Store, args};

/// One kept revision of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigRevision {
    /// Its number.
    pub revision: i64,
    /// Kind of who made it.
    pub actor_kind: String,
    /// Id of who made it.
    pub actor_id: String,
    /// When.
    pub created_at: Timestamp,
}

impl FromRow for ConfigRevision {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            revision: row.get("revision")?,
            actor_kind: row.get("actor_kind")?,
            actor_id: row.get("actor_id")?,
            created_at: row.get("created_at")?,
        })
    }
}

impl Store {
    /// The kept revisions without their documents, newest first; the page continues after a revision's number.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn config_revisions(&self, page: &Page) -> Result<Vec<ConfigRevision>> {
        let before = page.after().and_then(|after| after.parse::<i64>().ok());
        self.control
            .all(
                "SELECT revision, actor_kind, actor_id, created_at FROM config_revisions WHERE ($1 IS NULL OR revision < $1)
                 ORDER BY revision DESC LIMIT $2",
                args![before, page.limit()],
            )
            .await
    }

    /// The document of a kept revision.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn config_document(&self, revision: i64) -> Result<Option<Json>> {
        self.control
            .scalar(
                "SELECT document_json FROM config_revisions WHERE revision = $1",
                args![revision],
            )
            .await
    }
}

impl ControlTx {
    /// Keeps the exported document of the revision that this transaction makes, and the newest `keep` in all. Call it
    /// after the objects have been changed; a transaction that changes nothing else must not call it.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn keep_config(&mut self, document: &Json, keep: u32) -> Result<i64> {
        let (revision, now, actor) = (self.next_revision().await?, self.now(), self.actor().clone());
        self.execute(
            "INSERT INTO config_revisions (revision, document_json, actor_kind, actor_id, created_at) VALUES ($1, $2, $3, $4, $5)",
            args![revision, document, actor.kind, actor.id, now],
        )
        .await?;
        self.execute(
            "DELETE FROM config_revisions WHERE revision NOT IN (SELECT revision FROM config_revisions ORDER BY revision DESC LIMIT $1)",
            args![keep.max(1)],
        )
        .await?;
        self.changed(crate::Kind::Config, revision.to_string());
        Ok(revision)
    }
}
