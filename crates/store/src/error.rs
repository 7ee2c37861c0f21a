//! What can go wrong in the store.
//!
//! A violated unique constraint is named the same on both databases: `table(column,column)`.

/// The result of the store's methods.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a method of the store failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A unique constraint refused the row. The constraint reads `table(column,column)`.
    #[error("{constraint} must be unique")]
    Conflict {
        /// The constraint as `table(column,column)`, in the order of its definition.
        constraint: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The row points to another that does not exist, or is still pointed to.
    #[error("a referenced row is missing or still in use")]
    Reference(#[source] sqlx::Error),
    /// A check of the schema refused the row.
    #[error("a check of the schema refused the row")]
    Check(#[source] sqlx::Error),
    /// A row that never changes was about to be changed or deleted.
    #[error("{reason}")]
    Immutable {
        /// What the schema says about it, such as `audit_events is append-only`.
        reason: String,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The row is not in the state that the change asks for.
    #[error("{0}")]
    State(String),
    /// The row to change does not exist, or is not visible to the account that asks.
    #[error("no such {0}")]
    Missing(&'static str),
    /// The database could not serialise the transaction or was busy: try again.
    #[error("the database is busy")]
    Busy(#[source] sqlx::Error),
    /// A stored value is not what its column promises.
    #[error("column {column} holds an unreadable value")]
    Decode {
        /// Name or position of the column.
        column: String,
        /// Why it cannot be read.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A value cannot be written as JSON.
    #[error("a value cannot be written as JSON")]
    Encode(#[from] serde_json::Error),
    /// The database has been migrated by a newer program.
    #[error("the {area} database is at version {found}, this program knows {known}: use a newer program")]
    Newer {
        /// `control` or `ledger`.
        area: &'static str,
        /// Version of the newest migration in the database.
        found: i64,
        /// Version of the newest migration in the program.
        known: i64,
    },
    /// A migration was changed after it had been applied, or one before the newest is missing.
    #[error("migration {version} of the {area} database is not the one that was applied")]
    Altered {
        /// `control` or `ledger`.
        area: &'static str,
        /// Version of the migration.
        version: i64,
    },
    /// A migration failed and was rolled back.
    #[error("migration {version} of the {area} database failed")]
    Migration {
        /// `control` or `ledger`.
        area: &'static str,
        /// Version of the migration.
        version: i64,
        /// What the database said.
        #[source]
        source: Box<Error>,
    },
    /// The database cannot be opened.
    #[error("cannot open {place}")]
    Open {
        /// The file, or the server without its password.
        place: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The data directory cannot be made.
    #[error("cannot make the directory {place}")]
    Directory {
        /// The directory.
        place: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anything else that the database reports.
    #[error("the database failed")]
    Database(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same transaction may succeed when it is tried again.
    pub fn retryable(&self) -> bool {
        matches!(self, Self::Busy(_))
    }

    /// The violated unique constraint as `table(column,column)`.
    pub fn conflict(&self) -> Option<&str> {
        match self {
            Self::Conflict { constraint, .. } => Some(constraint),
            _ => None,
        }
    }

    pub(crate) fn decode(
        column: &(impl ToString + ?Sized),
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Decode {
            column: column.to_string(),
            source: source.into(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        crate::dialect::classify(error)
    }
}
