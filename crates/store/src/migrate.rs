//! Migrations: embedded files, applied in order, each in a transaction of its own.
//!
//! `migrations/{sqlite,postgres}/{control,ledger}/NNNN_name.sql` have the same names for both databases (the build
//! refuses otherwise). Migrations expand, move, contract; an applied file never changes. There is no way back down.

use std::fmt::Write as _;

use domain::clock::Timestamp;
use sha2::{Digest, Sha256};

use crate::dialect::Dialect;
use crate::{Db, Error, Result, Store, Tx, args};

include!(concat!(env!("OUT_DIR"), "/migrations.rs"));

const BOOKS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations (
    area TEXT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (area, version)
)";

/// One step of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The number in the file's name.
    pub version: i64,
    /// The rest of the file's name.
    pub name: &'static str,
    /// The statements.
    pub sql: &'static str,
}

/// A part of the store with migrations of its own: one file each on SQLite, one database together on Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Configuration, accounts, consumers, credentials, subscriptions, audit.
    Control,
    /// Usage and money.
    Ledger,
}

impl Area {
    /// Both areas in the order of their migration.
    pub const ALL: [Self; 2] = [Self::Control, Self::Ledger];

    /// The name in file paths and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Ledger => "ledger",
        }
    }
}

/// The migrations of an area, oldest first.
pub fn migrations(dialect: Dialect, area: Area) -> &'static [Migration] {
    match (dialect, area) {
        (Dialect::Sqlite, Area::Control) => SQLITE_CONTROL,
        (Dialect::Sqlite, Area::Ledger) => SQLITE_LEDGER,
        (Dialect::Postgres, Area::Control) => POSTGRES_CONTROL,
        (Dialect::Postgres, Area::Ledger) => POSTGRES_LEDGER,
    }
}

impl Store {
    /// Brings both areas to the newest schema that this program knows.
    ///
    /// # Errors
    /// [`Error::Newer`] when the database was migrated by a newer program, [`Error::Altered`] when an applied file has
    /// changed, [`Error::Migration`] when a step fails (it is rolled back, earlier ones stay).
    pub async fn migrate(&self, now: Timestamp) -> Result<()> {
        for area in Area::ALL {
            self.migrate_area(area, i64::MAX, now).await?;
        }
        Ok(())
    }

    /// Brings one area to the version `through` at most. For tests of upgrades.
    ///
    /// # Errors
    /// As [`Store::migrate`].
    pub async fn migrate_area(&self, area: Area, through: i64, now: Timestamp) -> Result<()> {
        let db = self.area(area);
        let known = migrations(db.dialect(), area);
        let applied = applied(db, area).await?;
        check(area, known, &applied)?;
        for step in known.iter().filter(|step| step.version <= through) {
            apply(db, area, *step, now).await.map_err(|source| Error::Migration {
                area: area.name(),
                version: step.version,
                source: Box::new(source),
            })?;
        }
        Ok(())
    }

    /// Version of the newest applied migration of an area, 0 when there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn schema_version(&self, area: Area) -> Result<i64> {
        Ok(applied(self.area(area), area)
            .await?
            .last()
            .map_or(0, |(version, _)| *version))
    }

    fn area(&self, area: Area) -> &Db {
        match area {
            Area::Control => &self.control,
            Area::Ledger => &self.ledger,
        }
    }
}

async fn locked(db: &Db) -> Result<Tx> {
    let mut tx = db.write().await?;
    tx.lock("schema_migrations").await?;
    Ok(tx)
}

async fn applied(db: &Db, area: Area) -> Result<Vec<(i64, String)>> {
    let mut tx = locked(db).await?;
    tx.execute(BOOKS, args![]).await?;
    let rows = tx
        .rows(
            "SELECT version, checksum FROM schema_migrations WHERE area = $1 ORDER BY version",
            args![area.name()],
        )
        .await?;
    tx.commit().await?;
    rows.iter()
        .map(|row| Ok((row.get("version")?, row.get("checksum")?)))
        .collect()
}

fn check(area: Area, known: &[Migration], applied: &[(i64, String)]) -> Result<()> {
    let newest = known.last().map_or(0, |step| step.version);
    if let Some((found, _)) = applied.last().filter(|(found, _)| *found > newest) {
        return Err(Error::Newer {
            area: area.name(),
            found: *found,
            known: newest,
        });
    }
    for (index, (version, sum)) in applied.iter().enumerate() {
        let same = known
            .get(index)
            .is_some_and(|step| step.version == *version && checksum(step.sql) == *sum);
        if !same {
            return Err(Error::Altered {
                area: area.name(),
                version: *version,
            });
        }
    }
    Ok(())
}

async fn apply(db: &Db, area: Area, step: Migration, now: Timestamp) -> Result<()> {
    let mut tx = locked(db).await?;
    let done: Option<i64> = tx
        .scalar(
            "SELECT version FROM schema_migrations WHERE area = $1 AND version = $2",
            args![area.name(), step.version],
        )
        .await?;
    if done.is_some() {
        return Ok(());
    }
    tx.script(step.sql).await?;
    tx.execute(
        "INSERT INTO schema_migrations (area, version, name, checksum, applied_at) VALUES ($1, $2, $3, $4, $5)",
        args![area.name(), step.version, step.name, checksum(step.sql), now],
    )
    .await?;
    tx.commit().await
}

fn checksum(sql: &str) -> String {
    hex(&Sha256::digest(sql.as_bytes()))
}

/// Lower-case hexadecimal text of some bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
