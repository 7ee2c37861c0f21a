//! From a request to the operation that it calls.
//!
//! The path is made canonical once; what is matched, authorised, metered and forwarded is that form. Paths below
//! `/.tollgate` are the gateway's own and never reach an upstream, in whatever spelling.

use std::borrow::Cow;

use http::header::{ALLOW, HOST, HeaderValue};
use serving::Request;
use serving::problem::ProblemKind;
use snapshot::{Found, Route, Snapshot};

use crate::headers::value_of;
use crate::reject::{About, Rejection};

/// What records keep of a path.
const RECORDED: usize = 256;
const RESERVED: &str = "/.tollgate";

/// The canonical path of a request.
///
/// # Errors
/// `request-invalid` for spellings that servers read in different ways.
pub(crate) fn canonical(request: &Request) -> Result<Cow<'_, str>, Rejection> {
    domain::path::canonical(request.uri().path())
        .map_err(|fault| Rejection::from(ProblemKind::RequestInvalid).detail(fault.to_string()))
}

/// Whether a canonical path is the gateway's own.
pub(crate) fn is_reserved(path: &str) -> bool {
    path.strip_prefix(RESERVED)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The start of a path, as records keep it.
pub(crate) fn cut(path: &str) -> &str {
    let mut end = path.len().min(RECORDED);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path.get(..end).unwrap_or_default()
}

/// Finds the operation; tells `about` what it found on the way.
///
/// # Errors
/// `no-route` and `method-not-allowed`.
pub(crate) fn find<'a, 'p>(
    snapshot: &'a Snapshot,
    request: &Request,
    path: &'p str,
    about: &mut About,
) -> Result<Found<'a, 'p>, Rejection> {
    let method = request.method();
    if *method == http::Method::TRACE || *method == http::Method::CONNECT {
        return Err(not_allowed(&[
            "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT",
        ]));
    }
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    match snapshot.routes().find(host, path, method.as_str()) {
        Route::Found(found) => {
            about.api = Some(std::sync::Arc::clone(&found.api.name));
            about.operation = Some(std::sync::Arc::clone(&found.operation.key));
            Ok(found)
        }
        Route::MethodNotAllowed { api, allow } => {
            about.api = Some(std::sync::Arc::clone(&api.name));
            Err(not_allowed(&allow))
        }
        Route::NoRoute { api } => {
            about.api = api.map(|api| std::sync::Arc::clone(&api.name));
            Err(ProblemKind::NoRoute.into())
        }
    }
}

fn not_allowed(allow: &[&str]) -> Rejection {
    let allowed: HeaderValue = value_of(&allow.join(", "));
    Rejection::from(ProblemKind::MethodNotAllowed).with(ALLOW, allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_paths_are_whole_segments() {
        for path in ["/.tollgate", "/.tollgate/", "/.tollgate/usage", "/.tollgate/x/y"] {
            assert!(is_reserved(path), "{path}");
        }
        for path in ["/", "/.tollgatex", "/a/.tollgate", "/.Tollgate"] {
            assert!(!is_reserved(path), "{path}");
        }
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(cut("/short"), "/short");
        assert_eq!(cut(&format!("{}é", "a".repeat(255))).len(), 255);
    }
}
