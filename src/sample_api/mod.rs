//! The sample API that `tollgate demo` runs as a process of its own behind the gateway.
//!
//! It answers from real data (the IANA time zone database, ISO 4217) and knows nothing of Tollgate: whoever calls must
//! show the secret that the gateway adds, where one is set. Its document is `openapi/samples/worldtime.yaml`.

mod currencies;
mod text;
mod time;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::json;
use subtle::ConstantTimeEq as _;

/// The OpenAPI document of the sample API.
pub(crate) const DOCUMENT: &str = include_str!("../../openapi/samples/worldtime.yaml");

/// The configuration that `tollgate demo` applies.
pub(crate) const CONFIGURATION: &str = include_str!("../../openapi/samples/tollgate.yaml");

/// The variable that carries the gateway's secret.
pub(crate) const SECRET_VARIABLE: &str = "WORLDTIME_SECRET";

/// A problem of RFC 9457.
pub(crate) struct Problem(StatusCode, String);

impl Problem {
    fn bad_request(detail: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, detail.into())
    }

    fn not_found(detail: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, detail.into())
    }
}

impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.0.canonical_reason().unwrap_or("Error");
        let body = json!({ "type": "about:blank", "title": title, "status": self.0.as_u16(), "detail": self.1 });
        let mut response = (self.0, axum::Json(body)).into_response();
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        response
    }
}

async fn only_the_gateway(State(secret): State<Option<String>>, request: Request, next: Next) -> Response {
    let given = request
        .headers()
        .get("x-gateway-secret")
        .map_or(&[][..], HeaderValue::as_bytes);
    let wanted = secret.as_deref().unwrap_or_default().as_bytes();
    if secret.is_some() && !bool::from(given.ct_eq(wanted)) {
        return Problem(StatusCode::UNAUTHORIZED, "call this API through its gateway".to_owned()).into_response();
    }
    next.run(request).await
}

fn router(secret: Option<String>) -> Router {
    Router::new()
        .route("/zones", get(time::zones))
        .route("/time", get(time::time))
        .route("/convert", get(time::convert))
        .route("/transitions", get(time::transitions))
        .route("/currencies", get(currencies::list))
        .route("/currencies/{code}", get(currencies::one))
        .route("/text/figures", post(text::figures))
        .fallback(|| async { Problem::not_found("there is no such operation") })
        .layer(from_fn_with_state(secret, only_the_gateway))
}

/// Serves until the process ends. Prints the address on standard output when it is ready.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) async fn serve(listen: SocketAddr, secret: Option<String>) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router(secret)).await
}

/// Runs as a process: with the secret of [`SECRET_VARIABLE`], until it is killed or, where asked, until its standard
/// input closes.
pub(crate) fn run(listen: SocketAddr, until: Until) -> crate::cli::End {
    #[expect(
        clippy::disallowed_methods,
        reason = "this process has no configuration of the platform"
    )]
    let secret = std::env::var(SECRET_VARIABLE).ok().filter(|secret| !secret.is_empty());
    if until == Until::InputCloses {
        std::thread::spawn(|| {
            // An error ends the input as well.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            std::process::exit(0);
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    crate::cli::End::from(runtime.and_then(|runtime| runtime.block_on(serve(listen, secret))))
}

/// When the process ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Never.
    Killed,
    /// When its standard input closes.
    InputCloses,
}
