//! One database: its pools, its transactions, and the statements that run on either.
//!
//! Writes go through one writer connection on SQLite; reads never wait for it. A transaction that is dropped without
//! [`Tx::commit`] is rolled back. A task that holds a write transaction must not ask the same database for a second one.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use sqlx::postgres::{PgArguments, PgPool};
use sqlx::sqlite::{SqliteArguments, SqlitePool};
use sqlx::{Arguments as _, Postgres, SqlSafeStr, Sqlite, Transaction};

use crate::dialect::{self, Dialect};
use crate::row::{FromColumn, FromRow};
use crate::{Error, Result, Row, Value};

const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// One database. Clones share its pools.
#[derive(Debug, Clone)]
pub struct Db(Pool);

#[derive(Debug, Clone)]
enum Pool {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// A transaction on either database.
#[derive(Debug)]
pub struct Tx(Connection);

#[derive(Debug)]
enum Connection {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

macro_rules! on_reader {
    ($db:expr, $sql:expr, $args:expr, $method:ident, $map:expr) => {
        match &$db.0 {
            Pool::Sqlite { readers, .. } => sqlx::query_with($sql, sqlite_arguments($args)?)
                .$method(readers)
                .await
                .map($map(Row::Sqlite)),
            Pool::Postgres(pool) => sqlx::query_with($sql, postgres_arguments($args)?)
                .$method(pool)
                .await
                .map($map(Row::Postgres)),
        }
    };
}

macro_rules! on_tx {
    ($tx:expr, $sql:expr, $args:expr, $method:ident, $map:expr) => {
        match &mut $tx.0 {
            Connection::Sqlite(tx) => sqlx::query_with($sql, sqlite_arguments($args)?)
                .$method(&mut **tx)
                .await
                .map($map(Row::Sqlite)),
            Connection::Postgres(tx) => sqlx::query_with($sql, postgres_arguments($args)?)
                .$method(&mut **tx)
                .await
                .map($map(Row::Postgres)),
        }
    };
}

impl Db {
    pub(crate) async fn sqlite(file: &Path) -> Result<Self> {
        let (writer, readers) = dialect::open_sqlite(file).await?;
        Ok(Self(Pool::Sqlite { writer, readers }))
    }

    pub(crate) async fn postgres(url: &str) -> Result<Self> {
        Ok(Self(Pool::Postgres(dialect::open_postgres(url).await?)))
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Pool::Sqlite { .. } => Dialect::Sqlite,
            Pool::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Begins a write transaction, trying again while the database is busy.
    ///
    /// # Errors
    /// [`Error::Busy`] when the database stays busy, [`Error::Database`] when it is away.
    pub async fn write(&self) -> Result<Tx> {
        retrying(|| self.begin(dialect::SQLITE_WRITE, dialect::POSTGRES_WRITE)).await
    }

    /// Begins a read transaction: all its statements see the data of one instant.
    ///
    /// # Errors
    /// As [`Db::write`].
    pub async fn read(&self) -> Result<Tx> {
        match &self.0 {
            Pool::Sqlite { readers, .. } => Ok(Tx(Connection::Sqlite(readers.begin_with(dialect::SQLITE_READ).await?))),
            Pool::Postgres(pool) => Ok(Tx(Connection::Postgres(pool.begin_with(dialect::POSTGRES_READ).await?))),
        }
    }

    async fn begin(&self, sqlite: &'static str, postgres: &'static str) -> Result<Tx> {
        match &self.0 {
            Pool::Sqlite { writer, .. } => Ok(Tx(Connection::Sqlite(writer.begin_with(sqlite).await?))),
            Pool::Postgres(pool) => Ok(Tx(Connection::Postgres(pool.begin_with(postgres).await?))),
        }
    }

    /// Runs one writing statement in a transaction of its own and returns the number of rows that it changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn execute(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64> {
        let mut tx = self.write().await?;
        let changed = tx.execute(sql, args).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// All rows of one reading statement.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rows(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<Row>> {
        Ok(on_reader!(self, sql, args, fetch_all, each)?)
    }

    /// The first row of one reading statement, if any.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn row(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<Row>> {
        Ok(on_reader!(self, sql, args, fetch_optional, maybe)?)
    }

    /// All rows of one reading statement, each read as `T`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn all<T: FromRow>(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>> {
        self.rows(sql, args).await?.iter().map(T::from_row).collect()
    }

    /// The first row of one reading statement, read as `T`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn one<T: FromRow>(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<T>> {
        self.row(sql, args).await?.as_ref().map(T::from_row).transpose()
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scalar<T: FromColumn>(&self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<T>> {
        self.row(sql, args).await?.as_ref().map(|row| row.at(0)).transpose()
    }

    pub(crate) fn hints(&self) -> dialect::Hints {
        match &self.0 {
            Pool::Sqlite { .. } => dialect::Hints(None, None),
            Pool::Postgres(pool) => dialect::Hints(Some(pool.clone()), None),
        }
    }

    /// Closes the pools; open transactions end first.
    pub async fn close(&self) {
        match &self.0 {
            Pool::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match self.0 {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Waits for the lock of this name and holds it until the transaction ends, so that what is read afterwards stays
    /// true until the commit. On SQLite the transaction is the only writer already. Take locks before the first
    /// statement and always in one order.
    ///
    /// # Errors
    /// [`Error::Busy`] on a deadlock.
    pub async fn lock(&mut self, name: &str) -> Result<()> {
        if self.dialect() == Dialect::Postgres {
            self.rows(dialect::POSTGRES_LOCK, crate::args![name]).await?;
        }
        Ok(())
    }

    /// Runs one statement and returns the number of rows that it changed.
    ///
    /// # Errors
    /// See [`Error`]. On Postgres a failed statement ends the transaction: every later one fails.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<u64> {
        match &mut self.0 {
            Connection::Sqlite(tx) => {
                let done = sqlx::query_with(sql, sqlite_arguments(args)?)
                    .execute(&mut **tx)
                    .await?;
                Ok(done.rows_affected())
            }
            Connection::Postgres(tx) => {
                let done = sqlx::query_with(sql, postgres_arguments(args)?)
                    .execute(&mut **tx)
                    .await?;
                Ok(done.rows_affected())
            }
        }
    }

    /// All rows of one statement.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rows(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<Row>> {
        Ok(on_tx!(self, sql, args, fetch_all, each)?)
    }

    /// The first row of one statement, if any.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn row(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<Row>> {
        Ok(on_tx!(self, sql, args, fetch_optional, maybe)?)
    }

    /// All rows of one statement, each read as `T`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn all<T: FromRow>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Vec<T>> {
        self.rows(sql, args).await?.iter().map(T::from_row).collect()
    }

    /// The first row of one statement, read as `T`.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn one<T: FromRow>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<T>> {
        self.row(sql, args).await?.as_ref().map(T::from_row).transpose()
    }

    /// The first column of the first row.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scalar<T: FromColumn>(&mut self, sql: impl SqlSafeStr, args: Vec<Value>) -> Result<Option<T>> {
        self.row(sql, args).await?.as_ref().map(|row| row.at(0)).transpose()
    }

    /// Runs a script of several statements without values (migrations).
    pub(crate) async fn script(&mut self, sql: &'static str) -> Result<()> {
        match &mut self.0 {
            Connection::Sqlite(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
            Connection::Postgres(tx) => sqlx::raw_sql(sql).execute(&mut **tx).await.map(drop)?,
        }
        Ok(())
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// See [`Error`]; after an error on the way to the server the outcome is unknown.
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            Connection::Sqlite(tx) => tx.commit().await?,
            Connection::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }

    /// Undoes the changes. Dropping the transaction does the same later.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn rollback(self) -> Result<()> {
        match self.0 {
            Connection::Sqlite(tx) => tx.rollback().await?,
            Connection::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Runs a whole transaction again, up to eight times with growing pauses, while it fails as retryable (deadlock, busy,
/// serialisation). Use it around a method that begins and commits its own transaction.
///
/// # Errors
/// The last error.
pub async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match attempt().await {
            Err(error) if error.retryable() => tokio::time::sleep(pause).await,
            done => return done,
        }
        pause = pause.saturating_mul(2);
    }
    attempt().await
}

fn each<R>(wrap: fn(R) -> Row) -> impl Fn(Vec<R>) -> Vec<Row> {
    move |rows| rows.into_iter().map(wrap).collect()
}

fn maybe<R>(wrap: fn(R) -> Row) -> impl Fn(Option<R>) -> Option<Row> {
    move |row| row.map(wrap)
}

macro_rules! arguments {
    ($name:ident, $type:ty) => {
        fn $name(values: Vec<Value>) -> Result<$type> {
            let mut arguments = <$type>::default();
            for value in values {
                match value {
                    Value::Text(text) => arguments.add(text),
                    Value::Int(number) => arguments.add(number),
                    Value::Bool(flag) => arguments.add(flag),
                    Value::Blob(bytes) => arguments.add(bytes),
                }
                .map_err(|source| Error::Database(sqlx::Error::Encode(source)))?;
            }
            Ok(arguments)
        }
    };
}

arguments!(sqlite_arguments, SqliteArguments);
arguments!(postgres_arguments, PgArguments);
