//! Errors as clients see them: RFC 9457 `application/problem+json`.
//!
//! A handler returns a [`Problem`]; [`render`] writes it once, with the request's id as `instance`, and gives the same
//! form to whatever else answers with an error (no route, wrong method, a panic). Deliberately absent: texts of the
//! database or of the operating system, which go to the log alone.

use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

const TYPES: &str = "https://tollgate.dev/problems/";
const MEDIA: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One place in a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// JSON pointer (RFC 6901) into the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pointer: Option<String>,
    /// Name of the query or path parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parameter: Option<String>,
    /// What is wrong there and what to write.
    pub(crate) detail: String,
}

impl Fault {
    /// A fault in the body.
    pub(crate) fn at(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            detail: detail.into(),
        }
    }

    /// A fault in a parameter.
    pub(crate) fn parameter(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            pointer: None,
            parameter: Some(name.into()),
            detail: detail.into(),
        }
    }
}

/// An error for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    name: &'static str,
    title: &'static str,
    status: StatusCode,
    detail: Option<String>,
    errors: Vec<Fault>,
    id: Option<String>,
}

/// An error as it stands in an answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Address that names the kind of error.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened this time and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The request: `urn:tollgate:request:` and the `X-Request-Id` of the answer.
    instance: String,
    /// What is wrong, place by place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
    /// Id of the thing that the error is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
}

impl Problem {
    /// A kind of error: the last part of its type, its title and its status.
    pub(crate) const fn new(status: StatusCode, name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            status,
            detail: None,
            errors: Vec::new(),
            id: None,
        }
    }

    /// 400 with the places that are wrong.
    pub(crate) fn invalid(errors: Vec<Fault>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "request-invalid", "The request is not valid");
        problem.detail = errors.first().map(|fault| fault.detail.clone());
        problem.errors = errors;
        problem
    }

    /// 404: no such thing, or none that the caller may see.
    pub(crate) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(format!("no such {what}"))
    }

    /// 409: the thing's state does not allow it.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", "The state does not allow this").detail(detail)
    }

    /// 403.
    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Not allowed").detail(detail)
    }

    /// 500 that tells nothing; the cause is in the log under the request's id.
    pub(crate) const fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something failed on our side",
        )
    }

    /// Says what happened this time.
    #[must_use]
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names the thing that the error is about.
    #[must_use]
    pub(crate) fn about(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The places below `from` as places below `to`, and all others as the whole: for a request that is a part of what
    /// was checked.
    #[must_use]
    pub(crate) fn moved(mut self, from: &str, to: &str) -> Self {
        for pointer in self.errors.iter_mut().filter_map(|fault| fault.pointer.as_mut()) {
            let below = pointer.strip_prefix(from);
            *pointer = match below.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                Some(rest) => format!("{to}{rest}"),
                None => String::new(),
            };
        }
        self
    }

    /// What happened this time.
    pub(crate) fn detail_text(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The kind in words.
    pub(crate) const fn title(&self) -> &'static str {
        self.title
    }

    /// The last part of the type.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong, place by place: pointer or parameter, and what to write there.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&str, &str)> {
        self.errors.iter().map(|fault| {
            let place = fault.pointer.as_deref().or(fault.parameter.as_deref());
            (place.unwrap_or_default(), fault.detail.as_str())
        })
    }

    /// What is wrong, without the places.
    pub(crate) fn faults(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|fault| fault.detail.as_str())
    }

    /// The HTTP status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    fn body(self, request: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("{TYPES}{}", self.name),
            title: self.title,
            status: self.status.as_u16(),
            detail: self.detail,
            instance: format!("urn:tollgate:request:{request}"),
            errors: self.errors,
            id: self.id,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Missing(what) => Self::missing(what),
            store::Error::State(reason) => Self::conflict(reason),
            store::Error::Conflict { constraint, .. } => Self::conflict(format!("{constraint} is taken already")),
            error if error.retryable() => {
                tracing::warn!(error = %error, "the database is busy");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again").detail("the database is busy")
            }
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
                unavailable_or_internal(&error)
            }
        }
    }
}

/// A database that cannot be reached is 503, so that clients try again; all else is our fault.
fn unavailable_or_internal(error: &store::Error) -> Problem {
    match error {
        store::Error::Database(_) | store::Error::Open { .. } => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again")
                .detail("the database does not answer")
        }
        _ => Problem::internal(),
    }
}

/// The id of a request, in its extensions.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) String);

/// Layer: gives the request its id and writes every error in problem form, or as a page to those who ask for one.
pub(crate) async fn render(mut request: Request, next: Next) -> Response {
    let id = hex(&domain::random::bytes::<16>());
    request.extensions_mut().insert(RequestId(id.clone()));
    let wants_page = !request.uri().path().starts_with("/api");
    let reads_html = request
        .headers()
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    let mut response = next.run(request).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        response = match response.extensions().get::<Problem>() {
            Some(problem) if wants_page && reads_html => crate::pages::web::failure::last_resort(problem, &id),
            _ => problem_form(response, &id, wants_page),
        };
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-request-id", value);
    }
    response
}

fn problem_form(mut response: Response, id: &str, wants_page: bool) -> Response {
    let status = response.status();
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem,
        None if wants_page && response.headers().contains_key(CONTENT_TYPE) => return response,
        None => from_status(status),
    };
    let body = serde_json::to_vec(&problem.body(id)).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.insert(CONTENT_TYPE, MEDIA);
    parts.headers.remove("content-length");
    if status == StatusCode::UNAUTHORIZED {
        parts
            .headers
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tollgate\""));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        parts.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Response::from_parts(parts, body.into())
}

fn from_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::new(status, "not-found", "Not found"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(status, "method-not-allowed", "This method is not allowed here"),
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(status, "request-too-large", "The body is too large"),
        StatusCode::REQUEST_TIMEOUT => Problem::new(status, "request-timeout", "The request took too long"),
        StatusCode::UNAUTHORIZED => Problem::new(status, "invalid-credentials", "No valid token"),
        status if status.is_server_error() => Problem {
            status,
            ..Problem::internal()
        },
        _ => Problem::new(status, "request-invalid", "The request is not valid"),
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
