//! The engine on a ClickHouse server.
//!
//! There are no transactions, so what must be true together is one block of one table: the roll-ups of a batch, its
//! rejections and the note that its records are in (kinds of `rollup`). Facts and samples go in before it and take the
//! place of themselves when they come again. Whether a batch is in is read from those notes, which last as long as the
//! evidence, and not from the server's memory of insertion tokens, which ends with its window; the token keeps an
//! insertion that is still under way from being added beside its repetition. See `insert.rs`.
//!
//! Materialized views are deliberately absent: a view is filled after its table and apart from it, so a crash between the
//! two could only be made good while the token is remembered.

mod insert;
mod known;
mod migrate;
mod purge;
mod read;
mod rows;
mod sql;
mod tls;
mod usage;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use ::clickhouse::{Client, Row, RowOwned, RowRead};
use tokio::sync::OnceCell;

use self::sql::Sql;
use crate::error::Error;
use crate::settings::{Server, Settings};

/// Beyond the time that the server may take, for the way there and back.
const WAY: Duration = Duration::from_secs(5);
/// For statements that change tables.
const CHANGE_LIMIT: Duration = Duration::from_mins(10);

/// The engine on a ClickHouse server. Clones share its connections.
#[derive(Clone)]
pub struct ClickHouse {
    server: Arc<Server>,
    settings: Arc<Settings>,
    reads: Box<Client>,
    writes: Box<Client>,
    migrated: Arc<OnceCell<()>>,
    /// Days that the tables keep facts, as far as this process has set them.
    kept_days: Arc<AtomicU32>,
}

impl std::fmt::Debug for ClickHouse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClickHouse").field(&self.server).finish()
    }
}

impl ClickHouse {
    /// Opens a database of a server, makes it when absent and brings it to this version's layout. Where the server is
    /// away that is done at the first call that finds it.
    ///
    /// # Errors
    /// When the server refuses, or a later version wrote the database.
    pub async fn open(server: Server, settings: &Settings) -> Result<Self, Error> {
        settings.check()?;
        let client = tls::client(settings)?
            .with_url(&server.address)
            .with_user(&server.user)
            .with_password(&server.password)
            .with_database(&server.database)
            .with_product_info("tollgate", env!("CARGO_PKG_VERSION"));
        let engine = Self {
            reads: Box::new(limited(client.clone(), settings)),
            writes: Box::new(client),
            server: Arc::new(server),
            settings: Arc::new(settings.clone()),
            migrated: Arc::default(),
            kept_days: Arc::default(),
        };
        match engine.ready().await {
            Err(error) if error.is_retryable() => {
                tracing::warn!(server = %engine.server, %error, "analytics are away; they are tried again when needed");
            }
            outcome => outcome?,
        }
        Ok(engine)
    }

    /// Makes sure that the tables are there.
    async fn ready(&self) -> Result<(), Error> {
        self.migrated.get_or_try_init(|| migrate::migrate(self)).await.copied()
    }

    /// The rows of a question.
    async fn fetch<R>(&self, sql: Sql) -> Result<Vec<R>, Error>
    where
        R: Row + RowOwned + RowRead,
    {
        self.ready().await?;
        self.fetch_from(&self.reads, sql).await
    }

    async fn fetch_from<R>(&self, client: &Client, sql: Sql) -> Result<Vec<R>, Error>
    where
        R: Row + RowOwned + RowRead,
    {
        let limit = self.settings.query_time + WAY;
        match tokio::time::timeout(limit, sql.on(client).fetch_all()).await {
            Ok(rows) => rows.map_err(|error| sql::error(&self.server, &error)),
            Err(_) => Err(Error::Away(format!("no answer within {} s", limit.as_secs()))),
        }
    }

    /// Runs a statement that changes something and waits until it is done.
    async fn change(&self, client: &Client, sql: Sql) -> Result<(), Error> {
        match tokio::time::timeout(CHANGE_LIMIT, sql.on(client).execute()).await {
            Ok(done) => done.map_err(|error| sql::error(&self.server, &error)),
            Err(_) => Err(Error::Away(format!("no answer within {} s", CHANGE_LIMIT.as_secs()))),
        }
    }
}

/// A client whose questions are held to the limits of the settings.
fn limited(client: Client, settings: &Settings) -> Client {
    client
        .with_setting("max_execution_time", settings.query_time.as_secs().max(1).to_string())
        .with_setting("timeout_overflow_mode", "throw")
        .with_setting("max_memory_usage", settings.query_memory.to_string())
        .with_setting("max_result_rows", "2000000")
        .with_setting("result_overflow_mode", "throw")
        // A fact has one time, so copies of it are never in two partitions.
        .with_setting("do_not_merge_across_partitions_select_final", "1")
        // Copies of a fact differ in their ledger commit alone, which has no index: where an index rules one out it rules
        // out all. Without this the server reads nearly the whole table again for fear that it might not.
        .with_setting("use_skip_indexes_if_final", "1")
        .with_setting("use_skip_indexes_if_final_exact_mode", "0")
}
