//! What no orderly program does to a data directory: copies, replaced files, rows taken out behind the platform's back.

use std::path::Path;
use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

/// `cp -r`: the copy has other inodes and times, as copies have.
pub fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(copied.success(), "{} could not be copied", from.display());
}

/// Copies of the database's files that exist, under the same names in another folder.
pub fn copy_database(from: &Path, name: &str, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let file = format!("{name}{suffix}");
        let _ = std::fs::remove_file(to.join(&file));
        if from.join(&file).exists() {
            std::fs::copy(from.join(&file), to.join(&file)).unwrap();
        }
    }
}

/// The producers whose folders a journal holds.
pub fn producers(journal: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(journal).unwrap().map(|entry| entry.unwrap());
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names
        .filter(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .collect()
}

/// Puts the producers of a copied journal into another one, in the place of what it has of them.
pub fn put_producers_back(copy: &Path, journal: &Path) {
    for producer in producers(copy) {
        let _ = std::fs::remove_dir_all(journal.join(&producer));
        self::copy(&copy.join(&producer), &journal.join(&producer));
    }
}

/// A connection to a SQLite file of its own, on a runtime of its own.
pub struct Database {
    runtime: tokio::runtime::Runtime,
    connection: Option<SqliteConnection>,
}

impl Database {
    pub fn open(path: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(std::time::Duration::from_secs(10));
        let connection = runtime.block_on(options.connect()).unwrap();
        Self {
            runtime,
            connection: Some(connection),
        }
    }

    /// Runs statements; gives the number of rows that they changed.
    pub fn run(&mut self, sql: &str) -> u64 {
        let connection = self.connection.as_mut().unwrap();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection);
        self.runtime.block_on(done).unwrap().rows_affected()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = self.runtime.block_on(connection.close());
        }
    }
}
