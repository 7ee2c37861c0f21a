//! `/gateways`: the nodes and the revision that each serves.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::usage::ProducerId;
use serde::{Deserialize, Serialize};
use store::{CounterNode, CounterRun, Node, ProducerStand};
use utoipa::ToSchema;

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::Listed;
use crate::http::problem::{Fault, Problem};

/// A node that has said nothing for so long is not listed any more.
const LISTED_MS: i64 = 86_400_000;
const MAX_NAME: usize = 100;
const MAX_PRODUCERS: usize = 4_096;
const MAX_FENCE: u64 = 1 << 52;

/// A gateway.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gateway)]
pub(crate) struct GatewayBody {
    /// Name of the node.
    node: String,
    /// Its region; empty when there is none.
    region: String,
    /// Version of its program.
    version: String,
    /// Revision that it serves.
    revision: i64,
    /// Revisions between that and the newest.
    lag: i64,
    /// Whether it takes requests.
    ready: bool,
    /// Records of usage that wait on its disk to be shipped.
    waiting_records: i64,
    /// Milliseconds that its clock is ahead of the control plane's.
    clock_offset_ms: i64,
    /// When it said so.
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

/// The gateway of this process and those that have reported lately.
pub(crate) async fn all(app: &App) -> Result<Vec<Node>, Problem> {
    let mut nodes = app.hooks.gateways.call(()).await.map_err(|error| {
        tracing::error!(%error, "the gateways cannot be listed");
        Problem::internal()
    })?;
    let since = app.clock.now().plus_millis(-LISTED_MS);
    nodes.extend(app.store.nodes(since).await?);
    Ok(nodes)
}

/// `GET /gateways`
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let newest = app.store.revision().await?;
    let body = |node: Node| GatewayBody {
        lag: newest.saturating_sub(node.revision).max(0),
        node: node.node,
        region: node.region,
        version: node.version,
        revision: node.revision,
        ready: node.ready,
        waiting_records: node.waiting_records,
        clock_offset_ms: node.clock_offset_ms,
        seen_at: node.seen_at,
    };
    let items = all(&app).await?.into_iter().map(body).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::<GatewayBody> {
            items,
            next_cursor: None,
        },
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new("gateways", "listGateways", "List gateways").answer::<Listed<GatewayBody>>(200, "All nodes")
}

/// What a gateway says of itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// Its region; empty when there is none.
    #[serde(default)]
    region: String,
    /// Version of its program.
    version: String,
    /// Revision that it serves.
    revision: i64,
    /// Whether it takes requests.
    ready: bool,
    /// Records of usage that wait on its disk to be shipped.
    #[serde(default)]
    waiting_records: i64,
    /// What its clock shows.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Its runs, where it shares its counters with other gateways.
    #[serde(default)]
    counters: Option<Counters>,
}

/// Runs of a gateway that shares its counters.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Counters {
    /// The number of this run; higher for each.
    fence: u64,
    /// Whether the run has ended in order.
    #[serde(default)]
    has_left: bool,
    /// Runs whose usage may not all be in the ledger, this one included.
    #[schema(value_type = Vec<Object>)]
    runs: Vec<CounterRun>,
}

/// What a gateway is told.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Noted {
    /// Milliseconds that its clock is ahead of the control plane's, travel time included.
    clock_offset_ms: i64,
    /// How far the ledger has the producers of the runs that it named.
    #[schema(value_type = Vec<Object>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    producers: Vec<ProducerStand>,
}

/// Notes the runs of a gateway and looks how far the ledger has them.
async fn note_runs(app: &App, node: &str, said: Counters) -> Result<Vec<ProducerStand>, Problem> {
    let producers = || said.runs.iter().flat_map(|run| &run.producers);
    let is_id = |text: &String| text.parse::<ProducerId>().is_ok();
    if producers().count() > MAX_PRODUCERS || said.runs.len() > MAX_PRODUCERS || !producers().all(is_id) {
        let fault = Fault::at(
            "/counters/runs",
            format!("at most {MAX_PRODUCERS} producers, each by its id"),
        );
        return Err(Problem::invalid(vec![fault]));
    }
    if said.fence > MAX_FENCE || said.runs.iter().any(|run| run.fence > said.fence) {
        let fault = Fault::at(
            "/counters/fence",
            "the largest of the numbers of runs, below 2^52".to_owned(),
        );
        return Err(Problem::invalid(vec![fault]));
    }
    let noted = CounterNode {
        node: node.to_owned(),
        fence: said.fence,
        has_left: said.has_left,
        runs: said.runs,
    };
    app.store.note_counter_node(&noted).await?;
    Ok(app.store.producer_stands(&noted.runs).await?)
}

/// `PUT /gateways/{node}`
pub(crate) async fn report(State(app): State<App>, Id(node): Id<String>, Body(said): Body<Report>) -> Answer {
    let mut faults = Vec::new();
    let texts = [("", &node), ("/region", &said.region), ("/version", &said.version)];
    for (pointer, text) in texts {
        if text.len() > MAX_NAME || text.chars().any(char::is_control) {
            faults.push(Fault::at(
                pointer,
                format!("at most {MAX_NAME} bytes without control characters"),
            ));
        }
    }
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let now = app.clock.now();
    let producers = match said.counters {
        Some(counters) => note_runs(&app, &node, counters).await?,
        None => Vec::new(),
    };
    let noted = Noted {
        clock_offset_ms: said.now.millis_since(now),
        producers,
    };
    app.store
        .note_node(&Node {
            node,
            region: said.region,
            version: said.version,
            revision: said.revision,
            ready: said.ready,
            waiting_records: said.waiting_records,
            clock_offset_ms: noted.clock_offset_ms,
            started_at: said.started_at,
            seen_at: now,
        })
        .await?;
    Ok(answer::json(StatusCode::OK, &noted))
}

/// Documentation of [`report`].
pub(crate) fn report_doc() -> Doc {
    Doc::new("gateways", "reportGateway", "Say how a gateway does")
        .text("Gateways of other processes do so every few seconds; nothing of it is audited.")
        .body::<Report>()
        .answer::<Noted>(200, "Noted")
}

/// `DELETE /gateways/{node}`
pub(crate) async fn forget(State(app): State<App>, caller: Caller, Id(node): Id<String>) -> Answer {
    let mut tx = caller.change(&app).await?;
    tx.forget_node(&node).await?;
    app.commit(tx).await?;
    Ok(answer::none())
}

/// Documentation of [`forget`].
pub(crate) fn forget_doc() -> Doc {
    Doc::new("gateways", "deleteGateway", "Give a gateway up that will not come back")
        .text(
            "What it did not ship is lost. Until then limits that gateways share wait for it when the shared counters have \
             to be rebuilt. A gateway that runs names itself again.",
        )
        .empty(204, "It is waited for no more")
}
