//! The Admin API, `/api/v1`.
//!
//! # Adding a resource
//! 1. A file of its own: bodies (`Deserialize` with `deny_unknown_fields`, `Serialize`, `ToSchema`), handlers that return
//!    [`answer::Answer`], and beside each handler a function that gives its [`endpoint::Doc`]. A handler takes
//!    `State<App>`, [`caller::Caller`], ids by [`answer::Id`], parameters by `Query`, the body by `Body`, in this order.
//! 2. Reads pass `caller.scope()` to the store; writes run in `caller.change(&app)`, whose transaction sees only what the
//!    caller may see, and end with `app.commit(tx)`. What is foreign is 404.
//! 3. One line in [`table`] for each route, with what a caller needs.
//! 4. One line in `tests/isolation.rs` for each route, and `tollgate openapi` to write the document anew.

pub(crate) mod accounts;
pub(crate) mod answer;
pub(crate) mod audit_events;
pub(crate) mod billing;
pub(crate) mod billing_change;
pub(crate) mod billing_preview;
pub(crate) mod caller;
pub(crate) mod config;
pub(crate) mod consumers;
pub(crate) mod credentials;
pub(crate) mod document;
pub(crate) mod endpoint;
pub(crate) mod feed;
pub(crate) mod gateways;
pub(crate) mod idempotency;
pub(crate) mod invoices;
pub(crate) mod invoices_evidence;
pub(crate) mod invoices_money;
pub(crate) mod members;
pub(crate) mod plans;
pub(crate) mod products;
pub(crate) mod reconciliation;
pub(crate) mod refusals;
pub(crate) mod requests;
pub(crate) mod revenue;
pub(crate) mod scope;
pub(crate) mod subscriptions;
pub(crate) mod table;
pub(crate) mod test_clock;
pub(crate) mod tokens;
pub(crate) mod transitions;
pub(crate) mod usage;
pub(crate) mod usage_events;
pub(crate) mod users;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub use self::document::openapi_document;
pub use self::endpoint::Need;
pub use self::scope::{Access, Area, Scope};

use crate::app::App;

/// A route of the Admin API, for tests that try them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    /// HTTP method.
    pub method: String,
    /// Path below `/api/v1`, with `{name}` for parameters.
    pub path: String,
    /// What a caller needs.
    pub need: Need,
}

/// Every route of the Admin API that the table lists.
pub fn routes() -> Vec<RouteInfo> {
    let info = |endpoint: endpoint::Endpoint| RouteInfo {
        method: endpoint.method.to_string(),
        path: endpoint.path.to_owned(),
        need: endpoint.need,
    };
    table::table().into_iter().map(info).collect()
}

/// The router of `/api/v1`.
pub(crate) fn router(app: &App) -> Router<App> {
    let mut router = Router::new().route("/openapi.json", get(openapi));
    for endpoint in table::table() {
        let handler = endpoint
            .handler()
            .route_layer(from_fn_with_state(app.clone(), idempotency::replay))
            .route_layer(from_fn_with_state((app.clone(), endpoint.need), caller::authorize))
            .route_layer(endpoint.limit());
        router = router.route(endpoint.path, handler);
    }
    router
}

/// `GET /api/v1/openapi.json`: the document is as public as the program.
async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], openapi_document()).into_response()
}
