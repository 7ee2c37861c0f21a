//! Guides: pages in Markdown that product managers write and visitors read.
//!
//! Invariant: a change names the version that its writer has seen, so that nobody overwrites what they have not read.
//! Guides are no part of what gateways serve from: they raise no revision.

use domain::clock::Timestamp;
use serde::Serialize;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Result, Row, Store, args};

/// What a guide is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuideFields {
    /// What stands after `/docs/` in its address.
    pub path: String,
    /// Title.
    pub title: String,
    /// One sentence for lists.
    pub summary: String,
    /// Markdown.
    #[serde(skip)]
    pub body: String,
    /// Place in the list, from 0.
    pub position: u32,
    /// Whether visitors see it.
    pub published: bool,
}

/// A guide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guide {
    /// What it is made of.
    #[serde(flatten)]
    pub fields: GuideFields,
    /// 1 when made, one more with each change.
    pub version: i64,
    /// Who changed it last, by name.
    pub author: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl FromRow for Guide {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            fields: GuideFields {
                path: row.get("path")?,
                title: row.get("title")?,
                summary: row.get("summary")?,
                body: row.get("body")?,
                position: row.get("position")?,
                published: row.get("published")?,
            },
            version: row.get("version")?,
            author: row.get("author")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const ONE: &str = "SELECT * FROM guides WHERE path = $1";

impl Store {
    /// All guides, published or not, by position and title; their bodies are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn guides(&self) -> Result<Vec<Guide>> {
        self.control
            .all(
                "SELECT path, title, summary, '' AS body, position, published, version, author, created_at, updated_at
                 FROM guides ORDER BY position, title, path",
                args![],
            )
            .await
    }

    /// The guide at a path, published or not.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn guide(&self, path: &str) -> Result<Option<Guide>> {
        self.control.one(ONE, args![path]).await
    }

    /// A number that is another one after every change of a guide: tells whether something made from all of them is old.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn guides_state(&self) -> Result<(i64, i64)> {
        let mut tx = self.control.read().await?;
        let count: Option<i64> = tx
            .scalar("SELECT CAST(COUNT(*) AS BIGINT) FROM guides", args![])
            .await?;
        let sum: Option<i64> = tx
            .scalar(
                "SELECT CAST(COALESCE(SUM(version), 0) + COALESCE(MAX(updated_at), 0) AS BIGINT) FROM guides",
                args![],
            )
            .await?;
        Ok((count.unwrap_or(0), sum.unwrap_or(0)))
    }
}

impl ControlTx {
    /// Adds a guide.
    ///
    /// # Errors
    /// [`Error::Conflict`] on `guides(path)`.
    pub async fn create_guide(&mut self, fields: &GuideFields, author: &str) -> Result<Guide> {
        let now = self.now();
        self.execute(
            "INSERT INTO guides (path, title, summary, body, position, published, version, author, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $8)",
            args![
                &fields.path,
                &fields.title,
                &fields.summary,
                &fields.body,
                fields.position,
                fields.published,
                author,
                now
            ],
        )
        .await?;
        let after = self.required_guide(&fields.path).await?;
        self.noted_guide("create", None, Some(&after))?;
        Ok(after)
    }

    /// Replaces the guide at `path`, which may move it to another path; `seen` is the version that the writer has seen.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::State`] when someone else has changed it since,
    /// [`Error::Conflict`] on `guides(path)`.
    pub async fn update_guide(&mut self, path: &str, seen: i64, fields: &GuideFields, author: &str) -> Result<Guide> {
        let before = self.guide_as_seen(path, seen).await?;
        let now = self.now();
        self.execute(
            "UPDATE guides SET path = $2, title = $3, summary = $4, body = $5, position = $6, published = $7,
                version = version + 1, author = $8, updated_at = $9 WHERE path = $1",
            args![
                path,
                &fields.path,
                &fields.title,
                &fields.summary,
                &fields.body,
                fields.position,
                fields.published,
                author,
                now
            ],
        )
        .await?;
        let after = self.required_guide(&fields.path).await?;
        self.noted_guide("update", Some(&before), Some(&after))?;
        Ok(after)
    }

    /// Deletes the guide at `path`; `seen` is the version that the writer has seen.
    ///
    /// # Errors
    /// As [`ControlTx::update_guide`].
    pub async fn delete_guide(&mut self, path: &str, seen: i64) -> Result<()> {
        let before = self.guide_as_seen(path, seen).await?;
        self.execute("DELETE FROM guides WHERE path = $1", args![path]).await?;
        self.noted_guide("delete", Some(&before), None)
    }

    async fn required_guide(&mut self, path: &str) -> Result<Guide> {
        self.one(ONE, args![path]).await?.ok_or(Error::Missing("guide"))
    }

    async fn guide_as_seen(&mut self, path: &str, seen: i64) -> Result<Guide> {
        let guide = self.required_guide(path).await?;
        if guide.version == seen {
            return Ok(guide);
        }
        Err(Error::State(format!(
            "{} has changed this guide since you opened it",
            guide.author
        )))
    }

    fn noted_guide(&mut self, verb: &str, before: Option<&Guide>, after: Option<&Guide>) -> Result<()> {
        let id = after.or(before).map(|guide| guide.fields.path.clone());
        self.note(
            verb,
            Note {
                kind: Kind::Guide,
                id: id.unwrap_or_default(),
                account: None,
                before,
                after,
            },
        )
    }
}
