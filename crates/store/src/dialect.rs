//! The one place where the two databases differ: how they are opened, how transactions begin, named locks, and how
//! their errors read.
//!
//! Invariants: every statement elsewhere is one text for both. Times are BIGINT milliseconds bound by the caller, JSON
//! and decimals are TEXT, ids are TEXT, every SUM is CAST to BIGINT.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgListener, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use crate::{Error, Result};

const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 20;

/// Begins a SQLite write transaction. A plain BEGIN would fail as busy as soon as a second reader wants to write.
pub(crate) const SQLITE_WRITE: &str = "BEGIN IMMEDIATE";
/// Begins a SQLite read transaction: one view of the data for all its statements.
pub(crate) const SQLITE_READ: &str = "BEGIN DEFERRED";
/// Begins a Postgres write transaction. Read-then-write is made safe by [`crate::Tx::lock`] or by compare-and-set.
pub(crate) const POSTGRES_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Begins a Postgres read transaction: one view of the data for all its statements.
pub(crate) const POSTGRES_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// Takes a named lock until the end of the transaction (SQLite has one writer and needs none).
pub(crate) const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text";

/// Tells other processes that a control transaction is committed; delivered at the commit.
pub(crate) const POSTGRES_NOTIFY: &str = "SELECT pg_notify('tollgate_revision', '')";
const CHANNEL: &str = "tollgate_revision";
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Hints that something was committed, perhaps by another process. They may be late or missing, never wrong: who gets
/// one looks at the revision, and looks without one every now and then.
#[derive(Debug)]
pub struct Hints(pub(crate) Option<PgPool>, pub(crate) Option<PgListener>);

impl Hints {
    /// Waits for the next; for ever on a database that gives none.
    pub async fn next(&mut self) {
        let Some(pool) = &self.0 else {
            return std::future::pending().await;
        };
        if self.1.is_none() {
            match listen(pool).await {
                Ok(listener) => self.1 = Some(listener),
                Err(error) => {
                    tracing::warn!(%error, "not listening for changes; looking for them once a second");
                    tokio::time::sleep(LISTEN_AGAIN).await;
                    return;
                }
            }
        }
        if let Some(listener) = &mut self.1
            && listener.recv().await.is_err()
        {
            self.1 = None;
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }
}

async fn listen(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

/// Which database a store runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Embedded, one file for each area.
    Sqlite,
    /// A server, all areas in one database.
    Postgres,
}

/// Opens a SQLite file: a pool of one writer, then a pool of readers.
pub(crate) async fn open_sqlite(file: &Path) -> Result<(SqlitePool, SqlitePool)> {
    let failed = |source| Error::Open {
        place: file.display().to_string(),
        source,
    };
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let writer = SqlitePoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.clone())
        .await
        .map_err(failed)?;
    let readers = SqlitePoolOptions::new()
        .max_connections(SQLITE_READERS)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options.pragma("query_only", "ON"))
        .await
        .map_err(failed)?;
    Ok((writer, readers))
}

/// Opens a pool on a Postgres server.
pub(crate) async fn open_postgres(url: &str) -> Result<PgPool> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|source| Error::Open {
            place: "the Postgres URL".to_owned(),
            source,
        })?
        .application_name("tollgate")
        .options([
            ("idle_in_transaction_session_timeout", "60s"),
            ("client_min_messages", "warning"),
        ]);
    let place = format!("{}:{}", options.get_host(), options.get_port());
    PgPoolOptions::new()
        .max_connections(POSTGRES_CONNECTIONS)
        .connect_with(options)
        .await
        .map_err(|source| Error::Open { place, source })
}

/// Sorts a driver's error into the store's.
pub(crate) fn classify(error: sqlx::Error) -> Error {
    let sqlx::Error::Database(cause) = &error else {
        return match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::BeginFailed => Error::Busy(error),
            sqlx::Error::ColumnDecode { index, source } => Error::Decode { column: index, source },
            other => Error::Database(other),
        };
    };
    match cause.kind() {
        ErrorKind::UniqueViolation => Error::Conflict {
            constraint: constraint(cause.as_ref()),
            source: error,
        },
        ErrorKind::ForeignKeyViolation => Error::Reference(error),
        ErrorKind::CheckViolation | ErrorKind::NotNullViolation => Error::Check(error),
        _ => by_code(error),
    }
}

fn by_code(error: sqlx::Error) -> Error {
    let (code, message) = match error.as_database_error() {
        Some(cause) => (
            cause.code().unwrap_or_default().into_owned(),
            cause.message().to_owned(),
        ),
        None => return Error::Database(error),
    };
    // SQLite: 1811 is SQLITE_CONSTRAINT_TRIGGER; 5 and 6 are busy and locked, 261, 517 and 773 their extended forms.
    // Postgres: TG001 is raised by our own triggers; 40001 and 40P01 are serialisation failure and deadlock, 55P03 a lock
    // that was not available, 57P01 to 57P03 a server that is going down or coming up.
    match code.as_str() {
        "1811" | "TG001" => Error::Immutable {
            reason: message,
            source: error,
        },
        "5" | "6" | "261" | "517" | "773" | "40001" | "40P01" | "55P03" | "57P01" | "57P02" | "57P03" => {
            Error::Busy(error)
        }
        _ => Error::Database(error),
    }
}

/// `table(column,column)` from SQLite's message or Postgres's detail.
fn constraint(cause: &dyn DatabaseError) -> String {
    if let Some(postgres) = cause.try_downcast_ref::<PgDatabaseError>() {
        // The words around the parentheses follow the server's language, the columns do not.
        let columns = postgres
            .detail()
            .and_then(|detail| detail.split_once('('))
            .and_then(|(_, rest)| rest.split_once(")="));
        return match columns {
            Some((columns, _)) => format!(
                "{}({})",
                postgres.table().unwrap_or_default(),
                columns.replace(", ", ",")
            ),
            None => postgres.constraint().unwrap_or_default().to_owned(),
        };
    }
    // "UNIQUE constraint failed: table.a, table.b"
    let list = cause.message().rsplit(": ").next().unwrap_or_default();
    let mut table = "";
    let mut columns = Vec::new();
    for part in list.split(", ") {
        if let Some((owner, column)) = part.split_once('.') {
            table = owner;
            columns.push(column);
        }
    }
    if columns.is_empty() {
        list.to_owned()
    } else {
        format!("{table}({})", columns.join(","))
    }
}
