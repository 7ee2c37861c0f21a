//! Published versions of plans. A version never changes and is never deleted (triggers refuse it).

use domain::clock::Timestamp;
use domain::ids::{PlanId, PlanVersionId};
use serde::Serialize;
use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use crate::control::Note;
use crate::{ControlTx, FromRow, Kind, Result, Row, Store, args};

/// A published version of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanVersion {
    /// Its id.
    pub id: PlanVersionId,
    /// Its plan.
    pub plan_id: PlanId,
    /// Its number within the plan, from 1.
    pub n: i64,
    /// Limits and prices as normalised JSON.
    pub body: Json,
    /// SHA-256 of the body, in hexadecimal.
    pub hash: String,
    /// Revision that published it.
    pub revision: i64,
    /// When it was published.
    pub published_at: Timestamp,
}

impl FromRow for PlanVersion {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.get("id")?,
            plan_id: row.get("plan_id")?,
            n: row.get("n")?,
            body: row.get("body_json")?,
            hash: row.get("hash")?,
            revision: row.get("revision")?,
            published_at: row.get("published_at")?,
        })
    }
}

const BY_ID: &str = "SELECT * FROM plan_versions WHERE id = $1";
const OF_PLAN: &str = "SELECT * FROM plan_versions WHERE plan_id = $1 ORDER BY n DESC";
const LATEST: &str = "SELECT * FROM plan_versions WHERE plan_id = $1 ORDER BY n DESC LIMIT 1";
const IN_USE: &str = "SELECT * FROM plan_versions v
    WHERE n = (SELECT MAX(n) FROM plan_versions w WHERE w.plan_id = v.plan_id)
       OR EXISTS (SELECT 1 FROM subscriptions s WHERE s.plan_version_id = v.id AND s.status NOT IN ('cancelled', 'rejected'))
    ORDER BY plan_id, n";

impl Store {
    /// One version.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_version(&self, id: PlanVersionId) -> Result<Option<PlanVersion>> {
        self.control.one(BY_ID, args![id]).await
    }

    /// All versions of a plan, newest first.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_versions(&self, plan: PlanId) -> Result<Vec<PlanVersion>> {
        self.control.all(OF_PLAN, args![plan]).await
    }

    /// The version that new subscribers get.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn latest_plan_version(&self, plan: PlanId) -> Result<Option<PlanVersion>> {
        self.control.one(LATEST, args![plan]).await
    }

    /// What a gateway needs: the newest version of every plan, and each one that a live subscription has.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_versions_in_use(&self) -> Result<Vec<PlanVersion>> {
        self.control.all(IN_USE, args![]).await
    }
}

impl ControlTx {
    /// As [`Store::plan_versions_in_use`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_versions_in_use(&mut self) -> Result<Vec<PlanVersion>> {
        self.all(IN_USE, args![]).await
    }

    /// As [`Store::plan_version`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn plan_version(&mut self, id: PlanVersionId) -> Result<Option<PlanVersion>> {
        self.one(BY_ID, args![id]).await
    }

    /// As [`Store::latest_plan_version`], seeing this transaction's own changes.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn latest_plan_version(&mut self, plan: PlanId) -> Result<Option<PlanVersion>> {
        self.one(LATEST, args![plan]).await
    }

    /// Publishes `body` as the next version under the id `id`. When the newest version has the same body, that one is
    /// returned and nothing changes.
    ///
    /// # Errors
    /// [`Error::Reference`](crate::Error::Reference) when there is no such plan.
    pub async fn publish_plan_version(&mut self, id: PlanVersionId, plan: PlanId, body: &Json) -> Result<PlanVersion> {
        let text = body.to_string();
        let hash = crate::migrate::hex(&Sha256::digest(text.as_bytes()));
        let latest = self.latest_plan_version(plan).await?;
        if let Some(same) = latest.as_ref().filter(|version| version.hash == hash) {
            return Ok(same.clone());
        }
        let version = PlanVersion {
            id,
            plan_id: plan,
            n: latest.map_or(1, |version| version.n + 1),
            body: body.clone(),
            hash,
            revision: self.next_revision().await?,
            published_at: self.now(),
        };
        self.execute(
            "INSERT INTO plan_versions (id, plan_id, n, body_json, hash, revision, published_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            args![id, plan, version.n, text, &version.hash, version.revision, version.published_at],
        )
        .await?;
        let note = Note {
            kind: Kind::PlanVersion,
            id: id.to_string(),
            account: None,
            before: None,
            after: Some(&version),
        };
        self.note("publish", note)?;
        Ok(version)
    }
}
