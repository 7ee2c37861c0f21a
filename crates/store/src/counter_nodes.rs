//! Gateways that share their counters, and which of their runs may have used units that the ledger does not have yet.
//!
//! A gateway names itself here before it takes part for the first time, so a table of counters that was lost is never
//! rebuilt without one of them. It is forgotten when it left in order and the ledger has all of it.

use domain::usage::ProducerId;
use serde::{Deserialize, Serialize};

use crate::control::Note;
use crate::{ControlTx, Error, FromRow, Kind, Node, Result, Row, Store, Tx, args};

/// One run of a gateway's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterRun {
    /// Higher for each run of the node; 0 for producers of which the node does not know the run.
    pub fence: u64,
    /// The producers of usage that it had, as 32 hexadecimal digits.
    pub producers: Vec<String>,
}

/// A gateway that shares its counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterNode {
    /// Name, unique in the deployment.
    pub node: String,
    /// Its latest run.
    pub fence: u64,
    /// Whether that ended in order.
    pub has_left: bool,
    /// Runs whose usage may not all be in the ledger, the latest included.
    pub runs: Vec<CounterRun>,
}

/// How far the ledger has a producer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerStand {
    /// Its id.
    pub id: String,
    /// Records below are counted.
    pub next_seq: u64,
    /// It has ended and all its records are counted.
    pub ended: bool,
}

impl FromRow for CounterNode {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            node: row.get("node")?,
            fence: u64::try_from(row.get::<i64>("fence")?).map_err(|error| Error::decode("fence", error))?,
            has_left: row.get("has_left")?,
            runs: row.json("runs_json")?,
        })
    }
}

impl FromRow for ProducerStand {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            id: row.parse::<ProducerId>("id")?.to_string(),
            next_seq: u64::try_from(row.get::<i64>("next_seq")?).map_err(|error| Error::decode("next_seq", error))?,
            ended: row.get::<Option<String>>("ended")?.is_some(),
        })
    }
}

async fn stand(tx: &mut Tx, producer: &str) -> Result<Option<ProducerStand>> {
    let sql = "SELECT id, next_seq, ended FROM producer WHERE id = $1";
    tx.one(sql, args![producer]).await
}

impl Store {
    /// Notes what a gateway says of its runs. An earlier run than the latest one is not heard.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn note_counter_node(&self, node: &CounterNode) -> Result<()> {
        let fence = i64::try_from(node.fence).map_err(|error| Error::decode("fence", error))?;
        let runs = serde_json::to_string(&node.runs)?;
        self.control
            .execute(
                "INSERT INTO counter_nodes (node, fence, has_left, runs_json) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (node) DO UPDATE SET fence = excluded.fence, has_left = excluded.has_left,
                     runs_json = excluded.runs_json
                 WHERE excluded.fence >= counter_nodes.fence",
                args![&node.node, fence, node.has_left, runs],
            )
            .await
            .map(drop)
    }

    /// How far the ledger has these producers; those that it does not know are left out.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn producer_stands(&self, runs: &[CounterRun]) -> Result<Vec<ProducerStand>> {
        let mut tx = self.ledger.read().await?;
        let mut stands = Vec::new();
        for producer in runs.iter().flat_map(|run| &run.producers) {
            stands.extend(stand(&mut tx, producer).await?);
        }
        tx.rollback().await?;
        Ok(stands)
    }

    /// Every gateway that shares counters, by name, with those of its runs that may have used units which the ledger does
    /// not have yet: the latest until it has left, and any with a producer that has not ended. What is read from the
    /// ledger afterwards has all of the other runs.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn counter_nodes(&self) -> Result<Vec<CounterNode>> {
        let mut nodes: Vec<CounterNode> = self
            .control
            .all("SELECT * FROM counter_nodes ORDER BY node", args![])
            .await?;
        let mut tx = self.ledger.read().await?;
        for node in &mut nodes {
            let mut open = Vec::new();
            for run in std::mem::take(&mut node.runs) {
                let goes_on = run.fence == node.fence && !node.has_left;
                if goes_on || !has_ended(&mut tx, &run).await? {
                    open.push(run);
                }
            }
            node.runs = open;
        }
        tx.rollback().await?;
        nodes.retain(|node| !node.has_left || !node.runs.is_empty());
        Ok(nodes)
    }
}

impl ControlTx {
    /// Gives a gateway up: it will not come back, and usage that it did not ship is lost.
    ///
    /// # Errors
    /// [`Error::Missing`] when no gateway of this name ever said anything.
    pub async fn forget_node(&mut self, node: &str) -> Result<()> {
        let before: Option<Node> = self
            .one("SELECT * FROM gateway_nodes WHERE node = $1", args![node])
            .await?;
        self.execute("DELETE FROM gateway_nodes WHERE node = $1", args![node])
            .await?;
        let shared = self
            .execute("DELETE FROM counter_nodes WHERE node = $1", args![node])
            .await?;
        if before.is_none() && shared == 0 {
            return Err(Error::Missing("gateway"));
        }
        let note = Note {
            kind: Kind::Node,
            id: node.to_owned(),
            account: None,
            before: before.as_ref(),
            after: None::<&Node>,
        };
        self.note("forget", note)
    }
}

async fn has_ended(tx: &mut Tx, run: &CounterRun) -> Result<bool> {
    for producer in &run.producers {
        if !stand(tx, producer).await?.is_some_and(|stand| stand.ended) {
            return Ok(false);
        }
    }
    Ok(true)
}
