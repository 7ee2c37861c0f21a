//! JSON bodies: bounded, strict, and every fault with its place.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::nearest;
use super::problem::{Fault, Problem};
use super::strict;

/// Largest body unless the route says otherwise.
pub(crate) const DEFAULT_LIMIT: usize = 256 * 1024;

/// Largest body of the route that a request came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimit(pub(crate) usize);

/// A JSON body read as `T`. An empty body is `{}`.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = read(request).await?;
        let value = if bytes.is_empty() {
            Value::Object(serde_json::Map::new())
        } else {
            value(&bytes)?
        };
        typed(value).map(Self).map_err(|fault| Problem::invalid(vec![fault]))
    }
}

fn value(bytes: &[u8]) -> Result<Value, Problem> {
    strict::parse(bytes).map_err(|fault| Problem::invalid(vec![fault]))
}

async fn read(request: Request) -> Result<bytes::Bytes, Problem> {
    let limit = request
        .extensions()
        .get::<BodyLimit>()
        .map_or(DEFAULT_LIMIT, |limit| limit.0);
    let is_json = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_json);
    let bytes = axum::body::to_bytes(request.into_body(), limit)
        .await
        .map_err(|_| too_large(limit))?;
    if bytes.is_empty() || is_json {
        return Ok(bytes);
    }
    let problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "The body is not JSON",
    );
    Err(problem.detail("send `Content-Type: application/json`"))
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request-too-large",
        "The body is too large",
    )
    .detail(format!("the body ends early or is longer than {limit} bytes"))
}

fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a JSON value as `T`; a fault has the place of what does not fit.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Fault> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = pointer(error.path());
        let message = error.inner().to_string();
        let Some(advice) = nearest::advice(&message) else {
            return Fault::at(pointer, message);
        };
        if let Some(field) = advice
            .field
            .filter(|field| !pointer.ends_with(&format!("/{}", escape(field))))
        {
            pointer = format!("{pointer}/{}", escape(&field));
        }
        Fault::at(pointer, advice.text)
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&mut text, &index.to_string()),
            Segment::Map { key } => push(&mut text, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// Adds a segment to a JSON pointer.
pub(crate) fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&escape(segment));
}

/// One segment of a JSON pointer.
pub(crate) fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its place matters")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its place matters")]
        limit: u32,
    }

    fn fault(value: Value) -> Fault {
        typed::<Outer>(value).unwrap_err()
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest() {
        let fault = fault(json!({"inner": [{"limit": 1}, {"limt": 2}]}));
        assert_eq!(fault.pointer.as_deref(), Some("/inner/1/limt"));
        assert_eq!(fault.detail, "unknown key `limt`: did you mean `limit`?");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_place() {
        let fault = fault(json!({"inner": [{"limit": "1"}]}));
        assert_eq!(fault.pointer.as_deref(), Some("/inner/0/limit"));
        assert!(fault.detail.contains("invalid type"));
    }

    #[test]
    fn a_missing_key_is_named() {
        assert!(fault(json!({"inner": [{}]})).detail.contains("missing field `limit`"));
    }
}
