//! Health, readiness and metrics, on a listener of their own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serving::health::Health;
use telemetry::{Metrics, TEXT_FORMAT};
use tokio::net::TcpListener;

/// What the handlers hold.
#[derive(Debug, Clone)]
pub(crate) struct Ops {
    pub(crate) health: Arc<Health>,
    pub(crate) metrics: Metrics,
}

async fn alive() -> &'static str {
    "ok\n"
}

async fn ready(State(ops): State<Ops>) -> Response {
    if ops.health.is_ready() {
        return "ready\n".into_response();
    }
    let missing = ops.health.missing().join("\n");
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready\n{missing}\n")).into_response()
}

async fn metrics(State(ops): State<Ops>) -> Response {
    match ops.metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Serves until the task is dropped.
pub(crate) async fn serve(listener: TcpListener, ops: Ops) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(ops);
    axum::serve(listener, router).await
}
