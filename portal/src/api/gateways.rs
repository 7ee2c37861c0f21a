//! `/gateways`: the nodes and the revision that each serves.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::endpoint::Doc;
use crate::app::App;
use crate::http::cursor::Listed;
use crate::http::problem::Problem;

/// A gateway.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gateway)]
pub(crate) struct GatewayBody {
    /// Name of the node.
    node: String,
    /// Its region; empty when there is none.
    region: String,
    /// Revision that it serves.
    revision: i64,
    /// Revisions between that and the newest.
    lag: i64,
    /// When it said so.
    #[schema(value_type = String, format = DateTime)]
    seen_at: Timestamp,
}

/// `GET /gateways`
pub(crate) async fn list(State(app): State<App>) -> Answer {
    let newest = app.store.revision().await?;
    let nodes = app.hooks.gateways.call(()).await.map_err(|error| {
        tracing::error!(%error, "the gateways cannot be listed");
        Problem::internal()
    })?;
    let body = |node: crate::hooks::GatewayStatus| GatewayBody {
        lag: newest.saturating_sub(node.revision).max(0),
        node: node.node,
        region: node.region,
        revision: node.revision,
        seen_at: node.seen_at,
    };
    let items = nodes.into_iter().map(body).collect();
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
