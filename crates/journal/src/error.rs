//! What can go wrong, told apart by what the caller does about it.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::ProducerId;

/// Why there is no room for a record at this moment. Every reason ends by itself when the cause does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The next segment is still being prepared (a slow disk, or segments too small for the load).
    #[error("the next segment is not ready yet")]
    Preparing,
    /// All files together reached `max_bytes`; room returns when segments are freed.
    #[error("the journal reached its largest size")]
    MaxBytes,
    /// The operating system refused to make the next segment (no space, input/output error).
    #[error("the next segment cannot be made: {0}")]
    Disk(io::ErrorKind),
    /// Records wait in memory because writing them failed; they go first.
    #[error("earlier records could not be written yet")]
    Failing,
    /// More bytes than one record may have; waiting does not help.
    #[error("larger than the largest record")]
    TooLarge,
}

/// A failed operation of the journal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused `action` on `path`. Retryable when the cause is gone.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock of this folder.
    #[error("another process uses the journal in {}", .0.display())]
    Locked(PathBuf),
    /// The settings contradict each other.
    #[error("journal settings: {0}")]
    Settings(&'static str),
    /// No room for the record; it was not written and used no sequence number.
    #[error(transparent)]
    Full(#[from] Full),
    /// Writing fails and the queue in memory is full: the record is lost and used no sequence number.
    #[error("writing fails and the queue in memory is full")]
    QueueFull,
    /// The journal has no such producer (never seen here, or vanished after it was freed).
    #[error("no producer {0} in this journal")]
    Unknown(ProducerId),
    /// Records from the wanted one up to `first` are no longer here: freed, or lost with their segment.
    #[error("records of {producer} before {first} are not here")]
    Missing {
        /// Whose records.
        producer: ProducerId,
        /// The oldest sequence number that can be read.
        first: u64,
    },
    /// The record `from` is on disk but not readable.
    #[error("record {from} of {producer} is damaged")]
    Damaged {
        /// Whose record.
        producer: ProducerId,
        /// The first sequence number that cannot be read.
        from: u64,
        /// Where reading can go on, when a later segment is intact.
        resume: Option<u64>,
    },
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
}

impl Error {
    /// Names the file and the action of an error of the operating system.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the same call can succeed later without anybody changing the arguments.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::Io { .. } | Self::Locked(_) | Self::QueueFull => true,
            Self::Full(full) => !matches!(full, Full::TooLarge),
            Self::Damaged { resume, .. } => resume.is_none(),
            Self::Settings(_) | Self::Unknown(_) | Self::Missing { .. } | Self::Closed => false,
        }
    }
}
