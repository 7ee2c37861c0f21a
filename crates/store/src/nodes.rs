//! Gateways of other processes, as they last said, and the test clock that all processes follow.

use domain::clock::{Reading, Timestamp};
use serde::Serialize;

use crate::{FromRow, Result, Row, Store, args};

/// A gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Name, unique in the deployment.
    pub node: String,
    /// Region; empty when there is none.
    pub region: String,
    /// Version of the program.
    pub version: String,
    /// Revision of the snapshot that it serves.
    pub revision: i64,
    /// Whether it says that it is ready.
    pub ready: bool,
    /// Records of usage that wait on its disk to be shipped.
    pub waiting_records: i64,
    /// Milliseconds that its clock is ahead of the control plane's, travel time included.
    pub clock_offset_ms: i64,
    /// When it started.
    pub started_at: Timestamp,
    /// When it said so.
    pub seen_at: Timestamp,
}

impl FromRow for Node {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            node: row.get("node")?,
            region: row.get("region")?,
            version: row.get("version")?,
            revision: row.get("revision")?,
            ready: row.get("ready")?,
            waiting_records: row.get("waiting_records")?,
            clock_offset_ms: row.get("clock_offset_ms")?,
            started_at: row.get("started_at")?,
            seen_at: row.get("seen_at")?,
        })
    }
}

impl Store {
    /// Notes what a gateway says of itself.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn note_node(&self, node: &Node) -> Result<()> {
        self.control
            .execute(
                "INSERT INTO gateway_nodes (node, region, version, revision, ready, waiting_records, clock_offset_ms, started_at, seen_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                 ON CONFLICT (node) DO UPDATE SET region = excluded.region, version = excluded.version,
                     revision = excluded.revision, ready = excluded.ready, waiting_records = excluded.waiting_records,
                     clock_offset_ms = excluded.clock_offset_ms, started_at = excluded.started_at, seen_at = excluded.seen_at",
                args![
                    &node.node,
                    &node.region,
                    &node.version,
                    node.revision,
                    node.ready,
                    node.waiting_records,
                    node.clock_offset_ms,
                    node.started_at,
                    node.seen_at
                ],
            )
            .await
            .map(drop)
    }

    /// Gateways that were seen since an instant, by name; 1000 at most.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn nodes(&self, since: Timestamp) -> Result<Vec<Node>> {
        let sql = "SELECT * FROM gateway_nodes WHERE seen_at >= $1 ORDER BY node LIMIT 1000";
        self.control.all(sql, args![since]).await
    }

    /// Forgets gateways that were not seen since an instant.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn prune_nodes(&self, before: Timestamp) -> Result<u64> {
        self.control
            .execute("DELETE FROM gateway_nodes WHERE seen_at < $1", args![before])
            .await
    }

    /// How the test clock of the deployment stands; `None` where it was never moved.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn test_clock(&self) -> Result<Option<Reading>> {
        let row = self
            .control
            .row("SELECT offset_ms, frozen_at FROM test_clock", args![])
            .await?;
        row.map(|row| {
            Ok(Reading {
                offset_ms: row.get("offset_ms")?,
                frozen_at: row.get("frozen_at")?,
            })
        })
        .transpose()
    }

    /// Sets the test clock of the deployment.
    ///
    /// # Errors
    /// See [`Error`](crate::Error).
    pub async fn set_test_clock(&self, reading: Reading) -> Result<()> {
        self.control
            .execute(
                "INSERT INTO test_clock (id, offset_ms, frozen_at) VALUES (1, $1, $2)
                 ON CONFLICT (id) DO UPDATE SET offset_ms = excluded.offset_ms, frozen_at = excluded.frozen_at",
                args![reading.offset_ms, reading.frozen_at],
            )
            .await
            .map(drop)
    }
}
