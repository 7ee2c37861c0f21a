//! `Idempotency-Key` on POST: the first request runs, later ones with the same key and body get its answer.
//!
//! Invariants: keys of different tokens never meet; an answer that holds a secret is never kept, its replay names the id;
//! an answer that says that nothing was done frees the key. After a crash between the work and the note of its answer the
//! key stays taken: a second run could do the work twice.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use store::{Claim, IdempotencyKey};

use super::caller::Caller;
use crate::app::App;
use crate::http::body::{BodyLimit, DEFAULT_LIMIT};
use crate::http::problem::{Fault, Problem};

const KEPT_MS: i64 = 24 * 3_600_000;
const MAX_KEPT_BODY: usize = 4 * 1024 * 1024;
/// Status under which the id of a thing is kept whose secret was shown.
const SHOWN: u16 = 599;

/// Extension of an answer that holds a secret: the id of the thing.
#[derive(Debug, Clone)]
pub(crate) struct ShownOnce(pub(crate) String);

/// Layer of each route, inside the one that finds the caller.
pub(crate) async fn replay(State(app): State<App>, request: Request, next: Next) -> Response {
    let header = request.headers().get("idempotency-key").cloned();
    let caller = request.extensions().get::<Caller>().cloned();
    let (Some(header), Some(caller)) = (header.filter(|_| request.method() == Method::POST), caller) else {
        return next.run(request).await;
    };
    let key = match header.to_str().ok().filter(|key| (1..=200).contains(&key.len())) {
        Some(key) => key.to_owned(),
        None => {
            return Problem::invalid(vec![Fault::parameter(
                "Idempotency-Key",
                "write 1 to 200 visible characters",
            )])
            .into_response();
        }
    };
    match once(&app, &caller, key, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn once(app: &App, caller: &Caller, key: String, request: Request, next: Next) -> Result<Response, Problem> {
    let (request, hash) = hashed(request).await?;
    let key = IdempotencyKey {
        principal: caller.who.to_string(),
        key,
        request_hash: hash,
    };
    let now = app.clock.now();
    match app.store.claim_idempotent(&key, now..now.plus_millis(KEPT_MS)).await? {
        Claim::First => {}
        Claim::Running => {
            return Err(Problem::conflict(
                "the first request with this Idempotency-Key has not been answered",
            ));
        }
        Claim::Answered { status: SHOWN, body } => return Err(already_shown(&body)),
        Claim::Answered { status, body } => return Ok(answered(status, body)),
        Claim::Mismatch => return Err(mismatch()),
    }
    // The work and the note of its answer go on when the client goes away.
    let app = app.clone();
    let work = tokio::spawn(async move {
        let response = next.run(request).await;
        keep(&app, &key, response).await
    });
    work.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a handler panicked");
        Err(Problem::internal())
    })
}

fn already_shown(id: &str) -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "secret-already-shown",
        "The secret was shown before",
    )
    .detail(format!(
        "this request made {id}; its secret was in the first answer alone"
    ))
    .about(id)
}

fn mismatch() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The Idempotency-Key was used for another request",
    )
    .detail("take a new key for a new request")
}

fn answered(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut headers = HeaderMap::new();
    headers.insert("idempotent-replayed", axum::http::HeaderValue::from_static("true"));
    if !body.is_empty() {
        headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static("application/json"));
    }
    (status, headers, body).into_response()
}

async fn hashed(request: Request) -> Result<(Request, [u8; 32]), Problem> {
    let limit = request
        .extensions()
        .get::<BodyLimit>()
        .map_or(DEFAULT_LIMIT, |limit| limit.0);
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, limit).await.map_err(|_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "request-too-large",
            "The body is too large",
        )
    })?;
    let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
    let mut hasher = Sha256::new();
    hasher.update(parts.method.as_str());
    hasher.update([0]);
    hasher.update(target);
    hasher.update([0]);
    hasher.update(&bytes);
    let hash = hasher.finalize().into();
    Ok((Request::from_parts(parts, Body::from(bytes)), hash))
}

async fn keep(app: &App, key: &IdempotencyKey, response: Response) -> Result<Response, Problem> {
    if !response.status().is_success() {
        app.store.release_idempotent(key).await?;
        return Ok(response);
    }
    if let Some(ShownOnce(id)) = response.extensions().get::<ShownOnce>() {
        app.store.finish_idempotent(key, SHOWN, id).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_KEPT_BODY)
        .await
        .map_err(|_| Problem::internal())?;
    let text = String::from_utf8_lossy(&bytes);
    app.store.finish_idempotent(key, parts.status.as_u16(), &text).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}
