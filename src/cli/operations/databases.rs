//! Consistent copies of the embedded databases, of a platform that runs or stands still.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection as _, Executor as _};

use super::manifest::make_file;

/// Usage rows and their roll-ups.
pub(super) const ANALYTICS: &str = "analytics.db";

/// How long a writer of the platform may hold a database.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a database was not copied.
#[derive(Debug, thiserror::Error)]
#[error("the database {path} cannot be copied")]
pub(crate) struct Error {
    path: PathBuf,
    #[source]
    source: sqlx::Error,
}

fn failed(path: &Path) -> impl FnOnce(sqlx::Error) -> Error {
    let path = path.to_owned();
    move |source| Error { path, source }
}

/// A runtime for one command.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn open(path: &Path) -> Result<SqliteConnection, Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE);
    SqliteConnection::connect_with(&options).await.map_err(failed(path))
}

/// Keeps everybody from writing to a database until it is let go.
pub(super) struct Held {
    connection: SqliteConnection,
    path: PathBuf,
}

/// Keeps everybody from writing to a database; readers go on.
pub(super) async fn hold(path: &Path) -> Result<Held, Error> {
    let mut connection = open(path).await?;
    connection.execute("BEGIN IMMEDIATE").await.map_err(failed(path))?;
    Ok(Held {
        connection,
        path: path.to_owned(),
    })
}

impl Held {
    /// Lets writers go on.
    pub(super) async fn release(mut self) -> Result<(), Error> {
        self.connection.execute("ROLLBACK").await.map_err(failed(&self.path))?;
        self.connection.close().await.map_err(failed(&self.path))
    }
}

/// Writes a copy of a database as it stands at one instant, for its user alone.
pub(super) async fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    // SQLite fills an empty file and keeps its mode.
    let io = |error: std::io::Error| failed(to)(sqlx::Error::Io(error));
    drop(make_file(to).map_err(io)?);
    let mut connection = open(from).await?;
    let target = to.to_string_lossy().into_owned();
    let copied = sqlx::query("VACUUM INTO $1").bind(target);
    copied.execute(&mut connection).await.map_err(failed(from))?;
    connection.close().await.map_err(failed(from))
}

/// Marks those batches as done in a copied ledger that stand in the copied analytics: their records may have been freed
/// before the journal was copied.
pub(super) async fn agree(ledger: &Path, analytics: &Path) -> Result<(), Error> {
    const MARK: &str = "UPDATE analytics_batch SET done = 1 WHERE done = 0 AND EXISTS (
        SELECT 1 FROM analytics.batch AS batch WHERE batch.ledger_commit = analytics_batch.ledger_commit
            AND batch.producer = analytics_batch.producer AND batch.first_seq = analytics_batch.first_seq)";
    let mut connection = open(ledger).await?;
    let target = analytics.to_string_lossy().into_owned();
    sqlx::query("ATTACH DATABASE $1 AS analytics")
        .bind(target)
        .execute(&mut connection)
        .await
        .map_err(failed(analytics))?;
    connection.execute(MARK).await.map_err(failed(ledger))?;
    connection.close().await.map_err(failed(ledger))
}

/// Finds damage in a restored database.
pub(super) async fn check(path: &Path) -> Result<(), Error> {
    let mut connection = open(path).await?;
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(&mut connection)
        .await
        .map_err(failed(path))?;
    connection.close().await.map_err(failed(path))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(failed(path)(sqlx::Error::Protocol(verdict)))
    }
}
