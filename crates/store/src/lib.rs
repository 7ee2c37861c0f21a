//! The relational store: SQLite or Postgres, one SQL text for both.
//!
//! [`Store`] has two databases, `control` (configuration, accounts, credentials, subscriptions, audit) and `ledger`
//! (usage and money). On SQLite they are two files, each with one writer; on Postgres both live in one database. A
//! method that reads is a method of [`Store`] and runs in one transaction; a method that changes the control database is
//! a method of [`ControlTx`], so that several changes can be one transaction with one revision and their audit events.
//!
//! Invariants: ids are TEXT, times BIGINT milliseconds from the caller's clock, JSON and decimals TEXT; every unique
//! constraint reads the same on both databases; every query that serves a caller bound to an account has the account in
//! its WHERE. Deliberately absent: encryption, hashing of passwords and keys (the caller's), and any cache.
//!
//! # Adding a resource
//! 1. A migration: `migrations/sqlite/<area>/NNNN_name.sql` and the file of the same name under `postgres`, with the next
//!    free number of the area; an applied file never changes. SQLite tables are `STRICT`: TEXT, INTEGER (also for
//!    booleans), BLOB; Postgres has TEXT, BIGINT, BOOLEAN, BYTEA in their place. Append-only tables get triggers (see
//!    `audit_events`; on Postgres they call `refuse_change()`, which the first control migration makes).
//! 2. A module `src/<resource>.rs` (or `src/ledger/*.rs`, `src/billing/*.rs`) with `impl Store` for reads and
//!    `impl ControlTx` (control) or transactions from [`Db::write`] (ledger) for writes:
//!    `tx.execute("INSERT INTO t (id, n) VALUES ($1, $2)", args![id, n])`. Use [`Tx::lock`] before a read-then-write on the
//!    ledger, and [`retrying`] around the whole transaction.
//! 3. A file in `tests/contract/` that calls every public method on both databases.

mod accounts;
mod adoption;
mod anchor_choice;
mod attempts;
mod audit;
pub mod billing;
mod config_revisions;
mod consumers;
mod control;
mod counter_nodes;
mod credentials;
mod db;
mod dialect;
mod documents;
mod drafts;
mod error;
mod guides;
mod idempotency;
mod instance;
mod invitations;
mod kind;
pub mod ledger;
mod members;
mod migrate;
mod nodes;
mod objects;
mod page;
mod plan_subscribers;
mod plan_versions;
mod quota_alerts;
mod row;
mod searches;
mod secrets;
mod segments;
mod sessions;
mod subscriptions;
#[cfg(feature = "testing")]
pub mod testing;
mod tokens;
mod users;
mod value;

use std::path::{Path, PathBuf};

pub use accounts::{Account, AccountFields};
pub use adoption::{Arrival, DayCount, Newcomer, ProductSubscriber};
pub use attempts::AttemptLimit;
pub use audit::{AuditChain, AuditFilter, AuditRecord};
pub use config_revisions::ConfigRevision;
pub use consumers::{Consumer, FoundConsumer, NewConsumer};
pub use control::{Actor, AuditEvent, Change, ControlTx};
pub use counter_nodes::{CounterNode, CounterRun, ProducerStand};
pub use credentials::{Credential, Ending, NewCredential};
pub use db::{Db, Tx, retrying};
pub use dialect::{Dialect, Hints};
pub use drafts::{Draft, NewDraft};
pub use error::{Error, Result};
pub use guides::{Guide, GuideFields};
pub use idempotency::{Claim, IdempotencyKey};
pub use instance::Instance;
pub use invitations::{Invitation, NewInvitation};
pub use kind::{Kind, UnknownName};
pub use members::{AccountRole, Member, Membership};
pub use migrate::{Area, Migration, migrations};
pub use nodes::Node;
pub use objects::{Object, ObjectFields, ObjectKind};
pub use page::{Page, Scope};
pub use plan_versions::PlanVersion;
pub use quota_alerts::QuotaAlert;
pub use row::{At, FromColumn, FromRow, Row};
pub use searches::SearchTerm;
pub use segments::Segment;
pub use sessions::{Link, LinkPurpose, NewSession, Session};
pub use sqlx::AssertSqlSafe;
pub use subscriptions::{NewSubscription, PendingChange, Subscription, SubscriptionFilter};
pub use tokens::{NewToken, Token};
pub use users::{NewUser, StaffRole, User};
pub use value::{Bind, Value};

/// File name of the control database in the data directory.
pub const CONTROL_FILE: &str = "control.db";
/// File name of the ledger database in the data directory.
pub const LEDGER_FILE: &str = "ledger.db";

/// The relational store. Clones share its pools.
#[derive(Debug, Clone)]
pub struct Store {
    /// Configuration, accounts, consumers, credentials, subscriptions, audit.
    pub control: Db,
    /// Usage and money.
    pub ledger: Db,
}

/// Where a store lives.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// The directory that holds the SQLite files; made when absent.
    Directory(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "Directory({})", path.display()),
            // The URL may hold a password.
            Self::Postgres(_) => f.write_str("Postgres(…)"),
        }
    }
}

impl Location {
    /// From the text of a setting: a `postgres://` or `postgresql://` URL, or a directory, with or without `sqlite:`.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::Postgres(text.to_owned());
        }
        let path = text
            .strip_prefix("sqlite://")
            .or_else(|| text.strip_prefix("sqlite:"))
            .unwrap_or(text);
        Self::Directory(PathBuf::from(path))
    }
}

impl Store {
    /// Opens the store; [`Store::migrate`] comes next.
    ///
    /// # Errors
    /// [`Error::Open`] or [`Error::Directory`].
    pub async fn open(location: &Location) -> Result<Self> {
        match location {
            Location::Directory(path) => {
                private_directory(path)?;
                Ok(Self {
                    control: Db::sqlite(&path.join(CONTROL_FILE)).await?,
                    ledger: Db::sqlite(&path.join(LEDGER_FILE)).await?,
                })
            }
            Location::Postgres(url) => {
                let db = Db::postgres(url).await?;
                Ok(Self {
                    control: db.clone(),
                    ledger: db,
                })
            }
        }
    }

    /// Which database the store runs on.
    pub fn dialect(&self) -> Dialect {
        self.control.dialect()
    }

    /// Closes all connections; open transactions end first.
    pub async fn close(&self) {
        self.control.close().await;
        self.ledger.close().await;
    }
}

/// Credential hashes and invoices are for the owner of the process alone.
fn private_directory(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Directory {
        place: path.display().to_string(),
        source,
    })
}
