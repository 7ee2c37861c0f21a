//! What a form sends: its fields, once it is known that one of our pages sent it.
//!
//! Invariant: a [`Posted`] exists only for a request whose origin is this server and whose CSRF token is the visitor's.

use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::stream;

use super::visitor::Visitor;
use crate::app::App;
use crate::http::body::BodyLimit;
use crate::http::problem::Problem;

/// Name of the hidden field of every form.
pub(crate) const CSRF_FIELD: &str = "_csrf";
const MAX_FIELDS: usize = 2_000;

/// A file of a form.
#[derive(Debug, Clone)]
pub(crate) struct File {
    /// The field.
    pub(crate) field: String,
    /// The name that the sender gave it: to show, never for a path.
    pub(crate) name: String,
    /// Its content.
    pub(crate) content: Bytes,
}

/// The fields of a form, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Posted {
    fields: Vec<(String, String)>,
    files: Vec<File>,
}

impl Posted {
    /// The first value of a field as it was written; empty when absent.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.fields
            .iter()
            .find(|(known, _)| known == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// The first value of a field, trimmed; empty when absent.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The value, `None` when absent or empty.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        Some(self.get(name)).filter(|value| !value.is_empty())
    }

    /// Whether the form has the field at all: a ticked box, the button that was pressed.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(known, _)| known == name)
    }

    /// All values of a field, trimmed, without the empty ones.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.every(name).filter(|value| !value.is_empty())
    }

    /// All values of a field, trimmed, with the empty ones: columns of a table of inputs.
    pub(crate) fn every<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known == name)
            .map(|(_, value)| value.trim())
    }

    /// The file of a field, unless none was chosen.
    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.files
            .iter()
            .find(|file| file.field == name && !file.content.is_empty())
    }

    /// Names and values in the order of the form, without the CSRF token.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .filter(|(name, _)| name != CSRF_FIELD)
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    async fn read(request: Request) -> Result<Self, Problem> {
        let limit = request
            .extensions()
            .get::<BodyLimit>()
            .map_or(crate::http::body::DEFAULT_LIMIT, |limit| limit.0);
        let media = request
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let bytes = axum::body::to_bytes(request.into_body(), limit).await.map_err(|_| {
            Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "request-too-large",
                "The form is too large",
            )
            .detail(format!(
                "A form on this page may have {} MB at most.",
                limit.div_ceil(1 << 20)
            ))
        })?;
        if let Ok(boundary) = multer::parse_boundary(&media) {
            return Self::multipart(bytes, boundary).await;
        }
        if !bytes.is_empty() && !media.starts_with("application/x-www-form-urlencoded") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "This is not a form",
            ));
        }
        let fields: Vec<_> = form_urlencoded::parse(&bytes)
            .take(MAX_FIELDS)
            .map(|(name, value)| (name.into_owned(), plain(&value)))
            .collect();
        Ok(Self {
            fields,
            files: Vec::new(),
        })
    }

    async fn multipart(bytes: Bytes, boundary: String) -> Result<Self, Problem> {
        let broken = |_| Problem::invalid(Vec::new()).detail("the form was cut on its way: send it again");
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let mut parts = multer::Multipart::new(body, boundary);
        let mut posted = Self::default();
        while let Some(part) = parts.next_field().await.map_err(broken)? {
            if posted.fields.len() + posted.files.len() >= MAX_FIELDS {
                break;
            }
            let field = part.name().unwrap_or_default().to_owned();
            match part.file_name().map(str::to_owned) {
                Some(name) => posted.files.push(File {
                    field,
                    name,
                    content: part.bytes().await.map_err(broken)?,
                }),
                None => {
                    let value = part.text().await.map_err(broken)?;
                    posted.fields.push((field, plain(&value)));
                }
            }
        }
        Ok(posted)
    }
}

/// Text without the NUL that no database takes, with the line ends of this side.
fn plain(value: &str) -> String {
    value.replace('\0', "").replace("\r\n", "\n")
}

impl<S: Send + Sync> FromRequest<S> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let visitor = request
            .extensions()
            .get::<Visitor>()
            .cloned()
            .ok_or_else(Problem::internal)?;
        let posted = Self::read(request).await?;
        let token = posted.raw(CSRF_FIELD);
        if visitor.accepts_csrf(token) {
            Ok(posted)
        } else {
            Err(stale())
        }
    }
}

fn stale() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "form-expired", "This form has expired").detail(
        "It was opened before you logged in or out, or cookies are switched off. Nothing was changed: go back, load the page again and send it once more.",
    )
}

/// Refuses a form that another site sent. Browsers say where a form comes from; programs that say nothing still need the token.
pub(super) fn same_origin(app: &App, parts: &Parts) -> Result<(), Problem> {
    let site = text(&parts.headers, "sec-fetch-site");
    let cross_site = site.is_some_and(|site| site != "same-origin" && site != "none");
    let foreign = match parts.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
        None => false,
        Some(origin) => {
            let host = text(&parts.headers, HOST.as_str()).unwrap_or_default();
            let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
            origin != app.links.origin() && (authority.is_empty() || authority != host)
        }
    };
    if cross_site || foreign {
        return Err(
            Problem::new(StatusCode::FORBIDDEN, "cross-site", "Another site sent this form")
                .detail("Nothing was changed. Open the page here and send the form from it."),
        );
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
