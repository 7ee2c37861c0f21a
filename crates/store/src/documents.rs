//! API descriptions, stored once for each content under the SHA-256 of their bytes.
//!
//! Invariant: a stored document never changes (a trigger refuses it); one that nothing refers to is forgotten by
//! [`ControlTx::forget_unused_documents`].

use sha2::{Digest, Sha256};

use crate::{ControlTx, Result, Store, args};

impl Store {
    /// The bytes of a document.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn document(&self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        self.control
            .scalar("SELECT body FROM documents WHERE hash = $1", args![hash])
            .await
    }
}

impl ControlTx {
    /// As [`Store::document`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn document(&mut self, hash: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        self.scalar("SELECT body FROM documents WHERE hash = $1", args![hash])
            .await
    }

    /// Stores a document unless it is there already, and returns its hash.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn put_document(&mut self, body: &[u8]) -> Result<[u8; 32]> {
        let hash: [u8; 32] = Sha256::digest(body).into();
        let now = self.now();
        self.execute(
            "INSERT INTO documents (hash, body, created_at) VALUES ($1, $2, $3) ON CONFLICT (hash) DO NOTHING",
            args![hash, body, now],
        )
        .await?;
        Ok(hash)
    }

    /// Deletes the documents that no object refers to and returns their number.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn forget_unused_documents(&mut self) -> Result<u64> {
        self.execute(
            "DELETE FROM documents WHERE NOT EXISTS (SELECT 1 FROM objects WHERE objects.document_hash = documents.hash)",
            args![],
        )
        .await
    }
}
