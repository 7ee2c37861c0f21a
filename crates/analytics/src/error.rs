//! What goes wrong in analytics.

/// Why analytics could not answer or store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error("the analytics database failed")]
    Database(#[from] sqlx::Error),
    /// The database was written by a later version.
    #[error("the analytics database has layout {found}, this version knows up to {known}: use a newer tollgate")]
    Newer {
        /// Layout in the file.
        found: i64,
        /// Newest layout of this version.
        known: i64,
    },
    /// A stored record does not read back.
    #[error("a stored record does not read back: {0}")]
    Corrupt(String),
}

impl Error {
    /// Whether the same call may succeed later.
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}
