//! Configuration objects (APIs, meters, products, plans) as normalised JSON.
//!
//! Invariants: among those in force a name is unique within its kind and parent; an archived object keeps its id and
//! never comes back (a new one of the same name gets a new id), so that old subscriptions and facts stay readable.

use domain::clock::Timestamp;
use domain::subscription::Origin;
use serde::Serialize;
use serde_json::Value as Json;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Result, Row, Store, args};

/// Kind of a configuration object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// An API.
    Api,
    /// A meter.
    Meter,
    /// A product.
    Product,
    /// A plan; its parent is the product's id.
    Plan,
}

impl ObjectKind {
    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Meter => "meter",
            Self::Product => "product",
            Self::Plan => "plan",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Api, Self::Meter, Self::Product, Self::Plan]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Api => Kind::Api,
            Self::Meter => Kind::Meter,
            Self::Product => Kind::Product,
            Self::Plan => Kind::Plan,
        }
    }
}

/// What an object is made of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectFields {
    /// Kind.
    pub kind: ObjectKind,
    /// Id of the product for a plan, empty otherwise.
    pub parent: String,
    /// Name.
    pub name: String,
    /// Place among its siblings, from 0.
    pub position: u32,
    /// The object as normalised JSON; secrets in it are names of the encrypted secrets.
    pub body: Json,
    /// The API description, stored by [`ControlTx::put_document`].
    #[serde(skip)]
    pub document: Option<[u8; 32]>,
    /// Who owns it.
    pub origin: Origin,
}

/// A configuration object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Object {
    /// Its id, with the prefix of its kind.
    pub id: String,
    /// What it is made of.
    #[serde(flatten)]
    pub fields: ObjectFields,
    /// Revision that made it.
    pub created_revision: i64,
    /// Revision that changed it last.
    pub updated_revision: i64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was archived.
    pub archived_at: Option<Timestamp>,
}

impl FromRow for Object {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            fields: ObjectFields {
                kind: row.word("kind", ObjectKind::from_word)?,
                parent: row.get("parent")?,
                name: row.get("name")?,
                position: row.get("position")?,
                body: row.get("body_json")?,
                document: row.get("document_hash")?,
                origin: row.word("origin", Origin::from_word)?,
            },
            created_revision: row.get("created_revision")?,
            updated_revision: row.get("updated_revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            archived_at: row.get("archived_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM objects WHERE id = $1";
const BY_NAME: &str = "SELECT * FROM objects WHERE kind = $1 AND parent = $2 AND name = $3 AND archived_at IS NULL";
const ALL: &str = "SELECT * FROM objects WHERE ($1 IS NULL OR kind = $1) AND archived_at IS NULL ORDER BY kind, parent, position, name, id";

impl Store {
    /// The object of this id, archived or not.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn object(&self, id: &str) -> Result<Option<Object>> {
        self.control.one(BY_ID, args![id]).await
    }

    /// The object in force of this name; `parent` is the product's id for a plan, empty otherwise.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn object_named(&self, kind: ObjectKind, parent: &str, name: &str) -> Result<Option<Object>> {
        self.control.one(BY_NAME, args![kind.as_str(), parent, name]).await
    }

    /// All objects in force, of one kind or of all, by kind, parent, position and name.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn objects(&self, kind: Option<ObjectKind>) -> Result<Vec<Object>> {
        self.control.all(ALL, args![kind.map(ObjectKind::as_str)]).await
    }
}

impl ControlTx {
    /// As [`Store::object`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn object(&mut self, id: &str) -> Result<Option<Object>> {
        self.one(BY_ID, args![id]).await
    }

    /// As [`Store::object_named`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn object_named(&mut self, kind: ObjectKind, parent: &str, name: &str) -> Result<Option<Object>> {
        self.one(BY_NAME, args![kind.as_str(), parent, name]).await
    }

    /// As [`Store::objects`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn objects(&mut self, kind: Option<ObjectKind>) -> Result<Vec<Object>> {
        self.all(ALL, args![kind.map(ObjectKind::as_str)]).await
    }

    /// Adds an object under an id that the caller made.
    ///
    /// # Errors
    /// [`Error::Conflict`] on `objects(kind,parent,name)`.
    pub async fn create_object(&mut self, id: &str, fields: &ObjectFields) -> Result<Object> {
        let (now, revision) = (self.now(), self.next_revision().await?);
        self.execute(
            "INSERT INTO objects (id, kind, parent, name, position, body_json, document_hash, origin, created_revision,
                updated_revision, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $10)",
            args![
                id,
                fields.kind.as_str(),
                &fields.parent,
                &fields.name,
                fields.position,
                &fields.body,
                fields.document,
                fields.origin.as_str(),
                revision,
                now
            ],
        )
        .await?;
        let after = self.required_object(id).await?;
        let note = Note {
            kind: fields.kind.kind(),
            id: id.to_owned(),
            account: None,
            before: None,
            after: Some(&after),
        };
        self.note("create", note)?;
        Ok(after)
    }

    /// Replaces the fields of an object in force; equal ones change nothing. Returns whether anything changed.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none, [`Error::Conflict`] on a name that is taken.
    pub async fn update_object(&mut self, id: &str, fields: &ObjectFields) -> Result<bool> {
        let before = self
            .object(id)
            .await?
            .filter(|object| object.archived_at.is_none())
            .ok_or(Error::Missing("object"))?;
        if before.fields == *fields {
            return Ok(false);
        }
        let (now, revision) = (self.now(), self.next_revision().await?);
        self.execute(
            "UPDATE objects SET parent = $2, name = $3, position = $4, body_json = $5, document_hash = $6, origin = $7,
                updated_revision = $8, updated_at = $9 WHERE id = $1",
            args![
                id,
                &fields.parent,
                &fields.name,
                fields.position,
                &fields.body,
                fields.document,
                fields.origin.as_str(),
                revision,
                now
            ],
        )
        .await?;
        let after = self.required_object(id).await?;
        let note = Note {
            kind: fields.kind.kind(),
            id: id.to_owned(),
            account: None,
            before: Some(&before),
            after: Some(&after),
        };
        self.note("update", note)?;
        Ok(true)
    }

    /// Takes an object out of force. Returns whether it was in force.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none.
    pub async fn archive_object(&mut self, id: &str) -> Result<bool> {
        let before = self.required_object(id).await?;
        if before.archived_at.is_some() {
            return Ok(false);
        }
        let (now, revision) = (self.now(), self.next_revision().await?);
        self.execute(
            "UPDATE objects SET archived_at = $2, updated_at = $2, updated_revision = $3 WHERE id = $1",
            args![id, now, revision],
        )
        .await?;
        let after = self.required_object(id).await?;
        let note = Note {
            kind: before.fields.kind.kind(),
            id: id.to_owned(),
            account: None,
            before: Some(&before),
            after: Some(&after),
        };
        self.note("archive", note)?;
        Ok(true)
    }

    async fn required_object(&mut self, id: &str) -> Result<Object> {
        self.object(id).await?.ok_or(Error::Missing("object"))
    }
}
