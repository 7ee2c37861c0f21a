//! What goes wrong in analytics.

/// Why analytics could not answer or store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The embedded database failed.
    #[error("the analytics database failed")]
    Database(#[from] sqlx::Error),
    /// The database was written by a later version.
    #[error("the analytics database has layout {found}, this version knows up to {known}: use a newer tollgate")]
    Newer {
        /// Layout in the database.
        found: i64,
        /// Newest layout of this version.
        known: i64,
    },
    /// A stored record does not read back.
    #[error("a stored record does not read back: {0}")]
    Corrupt(String),
    /// The address of the server is wrong.
    #[error("the URL of analytics is wrong: {reason}; write clickhouse+https://user:password@host:8443/database")]
    Url {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The cluster's name is none.
    #[error("the name of the ClickHouse cluster may hold letters, digits, and _ - . {{ }}")]
    Cluster,
    /// The authorities to trust cannot be read.
    #[error("the certificates of analytics' authorities cannot be used: {0}")]
    Authorities(String),
    /// ClickHouse cannot be reached, did not answer in time or cannot work now.
    #[error("ClickHouse does not answer: {0}")]
    Away(String),
    /// The question needs more than one question may take.
    #[error("the question needs more {what} than it may take: narrow its range or its filter")]
    TooMuch {
        /// Time, memory or rows.
        what: &'static str,
    },
    /// ClickHouse refused.
    #[error("ClickHouse refused (code {code}): {message}")]
    Refused {
        /// ClickHouse's code of the error.
        code: u32,
        /// What it said, without secrets.
        message: String,
    },
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(_) | Self::Away(_))
    }
}
