//! Transactions that change the control database: they collect what changed and what the audit log says about it, and
//! stamp a revision at the commit.
//!
//! Invariants: one control transaction runs at a time (on Postgres by a lock), so what one reads stays true until it
//! commits; the revision is raised after everything else, so revisions become visible in their order; the audit log is a
//! chain of hashes that the same transaction extends.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use domain::clock::Timestamp;
use domain::ids::AccountId;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::audit::{self, Entry};
use crate::dialect::{self, Dialect, Hints};
use crate::kind::Kind;
use crate::page::Scope;
use crate::{Error, Result, Store, Tx, args};

/// Who makes a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `user`, `token`, `file`, `system` or `payment_provider`.
    pub kind: String,
    /// Id of the user or token; the job or file otherwise.
    pub id: String,
    /// Address that the request came from.
    pub address: Option<String>,
}

impl Actor {
    /// A job of the platform itself.
    pub fn system(job: &str) -> Self {
        Self {
            kind: "system".to_owned(),
            id: job.to_owned(),
            address: None,
        }
    }

    /// A person.
    pub fn user(id: domain::ids::UserId) -> Self {
        Self {
            kind: "user".to_owned(),
            id: id.to_string(),
            address: None,
        }
    }

    /// A token of the Admin API.
    pub fn token(id: domain::ids::TokenId) -> Self {
        Self {
            kind: "token".to_owned(),
            id: id.to_string(),
            address: None,
        }
    }

    /// The same actor with the address that the request came from.
    #[must_use]
    pub fn from_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }
}

/// What the audit log says about one change. Secrets and hashes of secrets never stand in `before` or `after`.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    /// `<kind>.<verb>`, such as `consumer.suspend`.
    pub action: String,
    /// Kind of the thing changed.
    pub kind: Kind,
    /// Its id or name.
    pub target: String,
    /// The account that it belongs to.
    pub account: Option<AccountId>,
    /// The thing before, unless it was made.
    pub before: Option<Json>,
    /// The thing after, unless it was deleted.
    pub after: Option<Json>,
}

/// One entry of the change feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The revision that made the change visible.
    pub revision: i64,
    /// Kind of the thing changed.
    pub kind: Kind,
    /// Its id or name.
    pub id: String,
}

/// One change of a resource.
pub(crate) struct Note<'a, T> {
    pub(crate) kind: Kind,
    pub(crate) id: String,
    pub(crate) account: Option<AccountId>,
    pub(crate) before: Option<&'a T>,
    pub(crate) after: Option<&'a T>,
}

/// A transaction on the control database. Statements run on it as on a [`Tx`].
#[derive(Debug)]
pub struct ControlTx {
    tx: Tx,
    actor: Actor,
    now: Timestamp,
    scope: Scope,
    changes: BTreeSet<(Kind, String)>,
    events: Vec<AuditEvent>,
}

impl Store {
    /// Begins a transaction that changes the control database as `actor` at `now`. One runs at a time.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn change(&self, actor: Actor, now: Timestamp) -> Result<ControlTx> {
        let mut tx = self.control.write().await?;
        tx.lock("control").await?;
        Ok(ControlTx {
            tx,
            actor,
            now,
            scope: Scope::All,
            changes: BTreeSet::new(),
            events: Vec::new(),
        })
    }

    /// Hints that a control transaction was committed, by this process or another.
    pub fn hints(&self) -> Hints {
        self.control.hints()
    }

    /// The newest revision.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn revision(&self) -> Result<i64> {
        Ok(self
            .control
            .scalar("SELECT n FROM revision", args![])
            .await?
            .unwrap_or(0))
    }

    /// What changed after the revision `after`, in order; `None` when the feed does not reach back that far and the
    /// caller needs everything. A revision is never cut: the last one may bring the answer above `limit` rows.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn changes_since(&self, after: i64, limit: u32) -> Result<Option<Vec<Change>>> {
        let mut tx = self.control.read().await?;
        let floor: i64 = tx.scalar("SELECT floor FROM revision", args![]).await?.unwrap_or(0);
        if after < floor {
            return Ok(None);
        }
        let rows = tx
            .rows(
                "SELECT revision, kind, id FROM config_changes
                 WHERE revision > $1 AND revision <= (SELECT MAX(r.revision) FROM
                    (SELECT revision FROM config_changes WHERE revision > $1 ORDER BY revision LIMIT $2) r)
                 ORDER BY revision, kind, id",
                args![after, limit],
            )
            .await?;
        let changes = rows.iter().map(|row| {
            Ok(Change {
                revision: row.get("revision")?,
                kind: row.parse("kind")?,
                id: row.get("id")?,
            })
        });
        changes.collect::<Result<_>>().map(Some)
    }

    /// Forgets changes made before `before`; older clients of the feed then get everything.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn prune_changes(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.control.write().await?;
        tx.lock("control").await?;
        tx.execute(
            "UPDATE revision SET floor = COALESCE((SELECT MAX(revision) FROM config_changes WHERE changed_at < $1), floor)",
            args![before],
        )
        .await?;
        let gone = tx
            .execute("DELETE FROM config_changes WHERE changed_at < $1", args![before])
            .await?;
        tx.commit().await?;
        Ok(gone)
    }
}

impl ControlTx {
    /// The instant of this transaction.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Who makes it.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Bounds every read and write of this transaction to what the caller may see.
    #[must_use]
    pub fn within(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Whose rows this transaction sees.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The revision that the commit will raise to if anything changes.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn next_revision(&mut self) -> Result<i64> {
        self.tx
            .scalar("SELECT n + 1 FROM revision", args![])
            .await?
            .ok_or(Error::Missing("revision"))
    }

    /// Audits a change, and notes it for the gateways when they serve from things of this kind.
    pub(crate) fn note<T: Serialize>(&mut self, verb: &str, note: Note<'_, T>) -> Result<()> {
        if note.kind.is_served() {
            self.changed(note.kind, note.id.clone());
        }
        self.audit(AuditEvent {
            action: format!("{}.{verb}", note.kind),
            kind: note.kind,
            target: note.id,
            account: note.account,
            before: note.before.map(serde_json::to_value).transpose()?,
            after: note.after.map(serde_json::to_value).transpose()?,
        });
        Ok(())
    }

    /// Notes that a thing which the gateways serve from has changed: the commit raises the revision.
    pub fn changed(&mut self, kind: Kind, id: impl Into<String>) {
        self.changes.insert((kind, id.into()));
    }

    /// Adds an event to the audit log at the commit.
    pub fn audit(&mut self, event: AuditEvent) {
        self.events.push(event);
    }

    /// Writes the audit events, raises the revision when something changed, and commits. Returns the revision when it
    /// was raised.
    ///
    /// # Errors
    /// See [`Error`]; nothing is changed then.
    pub async fn commit(mut self) -> Result<Option<i64>> {
        let entry = Entry {
            at: self.now,
            actor: &self.actor,
            events: &self.events,
        };
        audit::append(&mut self.tx, &entry).await?;
        if self.changes.is_empty() {
            self.tx.commit().await?;
            return Ok(None);
        }
        // Nobody else can see a higher revision before this one is committed: the row stays locked until then.
        let raised: Option<i64> = self
            .tx
            .scalar("UPDATE revision SET n = n + 1 RETURNING n", args![])
            .await?;
        let revision = raised.ok_or(Error::Missing("revision"))?;
        for (kind, id) in std::mem::take(&mut self.changes) {
            self.tx
                .execute(
                    "INSERT INTO config_changes (revision, kind, id, changed_at) VALUES ($1, $2, $3, $4)",
                    args![revision, kind.as_str(), id, self.now],
                )
                .await?;
        }
        if self.tx.dialect() == Dialect::Postgres {
            self.tx.rows(dialect::POSTGRES_NOTIFY, args![]).await?;
        }
        self.tx.commit().await?;
        Ok(Some(revision))
    }

    /// Undoes everything.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rollback(self) -> Result<()> {
        self.tx.rollback().await
    }
}

impl Deref for ControlTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for ControlTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}
