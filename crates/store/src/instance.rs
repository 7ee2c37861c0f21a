//! The deployment itself: its id and its settings.

use domain::clock::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Result, Row, Store, args};

/// The deployment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Instance {
    /// Random id made at the first start.
    pub deployment_id: String,
    /// Settings as normalised JSON.
    pub settings: Json,
    /// When the deployment was made.
    pub created_at: Timestamp,
    /// When the settings were last changed.
    pub updated_at: Timestamp,
}

impl FromRow for Instance {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            deployment_id: row.get("deployment_id")?,
            settings: row.get("settings_json")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

const SELECT: &str = "SELECT * FROM instance";

impl Store {
    /// The deployment, made with `deployment_id` and empty settings when it does not exist yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn ensure_instance(&self, deployment_id: &str, now: Timestamp) -> Result<Instance> {
        let mut tx = self.control.write().await?;
        tx.lock("control").await?;
        tx.execute(
            "INSERT INTO instance (id, deployment_id, settings_json, created_at, updated_at) VALUES (1, $1, '{}', $2, $2)
             ON CONFLICT (id) DO NOTHING",
            args![deployment_id, now],
        )
        .await?;
        let instance = tx.one(SELECT, args![]).await?.ok_or(Error::Missing("deployment"))?;
        tx.commit().await?;
        Ok(instance)
    }

    /// The deployment, `None` before [`Store::ensure_instance`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn instance(&self) -> Result<Option<Instance>> {
        self.control.one(SELECT, args![]).await
    }
}

impl ControlTx {
    /// The settings, seeing this transaction's own changes; `None` before [`Store::ensure_instance`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn settings(&mut self) -> Result<Option<Json>> {
        Ok(self
            .one::<Instance>(SELECT, args![])
            .await?
            .map(|instance| instance.settings))
    }

    /// Replaces the settings; equal ones change nothing. Returns whether they changed.
    ///
    /// # Errors
    /// [`Error::Missing`] before [`Store::ensure_instance`].
    pub async fn set_settings(&mut self, settings: &Json) -> Result<bool> {
        let before: Instance = self.one(SELECT, args![]).await?.ok_or(Error::Missing("deployment"))?;
        if before.settings == *settings {
            return Ok(false);
        }
        let now = self.now();
        self.execute(
            "UPDATE instance SET settings_json = $1, updated_at = $2",
            args![settings, now],
        )
        .await?;
        let note = Note {
            kind: Kind::Settings,
            id: "settings".to_owned(),
            account: None,
            before: Some(&before.settings),
            after: Some(settings),
        };
        self.note("update", note)?;
        Ok(true)
    }
}
