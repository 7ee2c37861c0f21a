//! The embedded engine: one SQLite file, one writer.
//!
//! A batch goes in with its roll-ups in one transaction and leaves a row behind, so that a replay adds nothing.

mod insert;
mod known;
mod purge;
mod read;
mod rollup;
mod usage;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::Mutex;

use self::rollup::DimsCache;
use crate::error::Error;

const MIGRATIONS: &[&str] = &[
    include_str!("../../../../migrations/sqlite/analytics/0001_facts.sql"),
    include_str!("../../../../migrations/sqlite/analytics/0002_batch_ranges.sql"),
];
const READERS: u32 = 4;

/// The embedded engine. Clones share it.
#[derive(Debug, Clone)]
pub struct Embedded {
    readers: SqlitePool,
    writer: SqlitePool,
    dims: Arc<Mutex<DimsCache>>,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A batch is marked done, and its records are freed, as soon as it is committed here: that must survive.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(Duration::from_secs(10))
        .pragma("cache_size", "-8000")
}

impl Embedded {
    /// Opens the file, which is made when absent, and brings it to this version's layout.
    ///
    /// # Errors
    /// When the file cannot be opened or was written by a later version.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(path))
            .await?;
        migrate(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(options(path));
        Ok(Self {
            readers,
            writer,
            dims: Arc::default(),
        })
    }

    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Writes a consistent copy to `path`, which must not exist.
    ///
    /// # Errors
    /// When the copy cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), Error> {
        sqlx::query("VACUUM INTO $1")
            .bind(path.to_string_lossy().into_owned())
            .execute(&self.writer)
            .await?;
        Ok(())
    }
}

async fn migrate(writer: &SqlitePool) -> Result<(), Error> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(writer).await?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        let mut tx = writer.begin().await?;
        sqlx::raw_sql(*sql).execute(&mut *tx).await?;
        let version = format!("PRAGMA user_version = {}", index + 1);
        sqlx::raw_sql(sqlx::AssertSqlSafe(version)).execute(&mut *tx).await?;
        tx.commit().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_the_first_layout_learns_where_its_batches_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("analytics.db");
        let old = SqlitePool::connect_with(options(&path)).await.unwrap();
        sqlx::raw_sql(MIGRATIONS[0]).execute(&old).await.unwrap();
        let rows =
            "INSERT INTO batch VALUES (1, 'a', 0), (2, 'a', 40), (2, 'b', 0), (3, 'a', 90); PRAGMA user_version = 1";
        sqlx::raw_sql(rows).execute(&old).await.unwrap();
        old.close().await;
        let analytics = Embedded::open(&path).await.unwrap();
        let ends: Vec<Option<i64>> = sqlx::query_scalar("SELECT next_seq FROM batch ORDER BY producer, first_seq")
            .fetch_all(&analytics.readers)
            .await
            .unwrap();
        assert_eq!(ends, [Some(40), Some(90), None, None]);
    }
}
