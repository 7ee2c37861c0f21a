//! Secrets that must be readable again (upstream credentials, signing secrets), encrypted by the caller.

use crate::control::Note;
use crate::{ControlTx, Kind, Result, Store, args};

impl Store {
    /// The ciphertext of a secret.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn secret(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.control
            .scalar("SELECT ciphertext FROM secrets WHERE name = $1", args![name])
            .await
    }

    /// Names and ciphertexts of all secrets, by name.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn secrets(&self) -> Result<Vec<(String, Vec<u8>)>> {
        let rows = self
            .control
            .rows("SELECT name, ciphertext FROM secrets ORDER BY name", args![])
            .await?;
        rows.iter()
            .map(|row| Ok((row.get("name")?, row.get("ciphertext")?)))
            .collect()
    }
}

impl ControlTx {
    /// As [`Store::secret`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn secret(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        self.scalar("SELECT ciphertext FROM secrets WHERE name = $1", args![name])
            .await
    }

    /// Stores or replaces a secret. The audit log says that it was set, never what it is.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn put_secret(&mut self, name: &str, ciphertext: &[u8]) -> Result<()> {
        let now = self.now();
        self.execute(
            "INSERT INTO secrets (name, ciphertext, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET ciphertext = excluded.ciphertext, updated_at = excluded.updated_at",
            args![name, ciphertext, now],
        )
        .await?;
        self.note::<()>(
            "set",
            Note {
                kind: Kind::Secret,
                id: name.to_owned(),
                account: None,
                before: None,
                after: None,
            },
        )
    }

    /// Deletes a secret. Returns whether there was one.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn delete_secret(&mut self, name: &str) -> Result<bool> {
        let gone = self.execute("DELETE FROM secrets WHERE name = $1", args![name]).await? > 0;
        if gone {
            self.note::<()>(
                "delete",
                Note {
                    kind: Kind::Secret,
                    id: name.to_owned(),
                    account: None,
                    before: None,
                    after: None,
                },
            )?;
        }
        Ok(gone)
    }
}
