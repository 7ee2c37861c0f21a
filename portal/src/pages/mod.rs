//! Pages: the start page, the readable documentation of the Admin API, and the sheet and icons that they use.

pub(crate) mod api_docs;
pub(crate) mod home;
pub(crate) mod statics;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;

/// Renders a template as a page.
fn page(template: &impl askama::Template) -> Response {
    match template.render() {
        Ok(text) => {
            let html = HeaderValue::from_static("text/html; charset=utf-8");
            (StatusCode::OK, [(CONTENT_TYPE, html)], text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be rendered");
            Problem::internal().into_response()
        }
    }
}
