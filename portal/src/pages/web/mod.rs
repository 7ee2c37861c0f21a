//! What every page stands on: who looks at it, what they may open, forms, layouts, errors as pages.
//!
//! # Adding pages
//! 1. A folder `pages/<section>/` with a file for each resource and `pub(crate) fn table() -> Vec<PageRoute>` in its
//!    `mod.rs`; one line in [`super::table`]. A route cannot be made without an [`Access`], so none is open by omission.
//! 2. A handler takes `State<App>`, then the visitor as one of [`Visitor`] (anyone), [`Member`] (signed in, with a current
//!    organisation) or [`Staff`], then path ids (`Id`, `Ids`, `Path`), [`Asked`] (the query), and for POST last
//!    [`Posted`] (the fields of a form whose CSRF token has been checked). It returns [`Page`].
//! 3. Reads and writes go through the same functions as the Admin API, with [`Member::caller`] or [`Staff::caller`] (a
//!    caller sees its account alone; what is foreign is 404). A [`Problem`] that is returned becomes an error page.
//! 4. A template is `templates/<section>/<page>.html`: `{% extends "layouts/public.html" %}` (full width),
//!    `layouts/narrow.html` (one task) or `layouts/section.html` (side navigation), with the blocks `title` and `main`; its
//!    struct has a field `shell: Shell` from `visitor.shell(&app).await?` (`.side(…)` for sections). The current
//!    link of the side is found by the path.
//! 5. A form is `<form method="post" action="…">{{ shell.csrf() }}…</form>`; its fields come from [`Form`]:
//!    `{{ form.text("email", "Work email").kind("email") }}`. On a fault the page is shown again with status 422 by
//!    [`unprocessable`]; what was typed stays, secrets do not. A change answers with [`see_other`].
//!    A form whose work must not be done twice carries [`once::field`] and does it in [`once::once`].
//! 6. Figures are written by [`show`], charts by [`chart`]; both give HTML that is safe to put into a template as it is.
//! 7. A row for each route in `tests/pages/roles.rs`.

pub(crate) mod access;
pub(crate) mod chart;
pub(crate) mod cookie;
pub(crate) mod enter;
pub(crate) mod failure;
pub(crate) mod field;
pub(crate) mod form;
pub(crate) mod once;
pub(crate) mod posted;
pub(crate) mod range;
pub(crate) mod route;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod sides;
pub(crate) mod visitor;

use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

pub(crate) use self::access::Access;
pub(crate) use self::form::Form;
pub(crate) use self::posted::Posted;
pub(crate) use self::route::PageRoute;
pub(crate) use self::shell::{Shell, Side};
pub(crate) use self::visitor::{Member, Staff, Visitor};
use crate::http::problem::Problem;

/// What a handler of a page returns.
pub(crate) type Page = Result<Response, Problem>;

/// HTML that needs no escaping.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(pub(crate) String);

impl std::fmt::Display for Html {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

impl From<reference::Html> for Html {
    fn from(html: reference::Html) -> Self {
        Self(html.to_string())
    }
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page with status 200.
pub(crate) fn page(template: &impl askama::Template) -> Page {
    with_status(StatusCode::OK, template)
}

/// A form again, with what is wrong in it: 422.
pub(crate) fn unprocessable(template: &impl askama::Template) -> Page {
    with_status(StatusCode::UNPROCESSABLE_ENTITY, template)
}

/// A page with this status.
pub(crate) fn with_status(status: StatusCode, template: &impl askama::Template) -> Page {
    let text = template.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Problem::internal()
    })?;
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    Ok((status, [(CONTENT_TYPE, html)], text).into_response())
}

/// Marks an answer as one that nothing may keep: it holds a secret.
pub(crate) fn never_stored(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 303 to a path of this server.
pub(crate) fn see_other(path: &str) -> Page {
    let location = HeaderValue::from_str(path).map_err(|_| Problem::internal())?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// A file to download, such as `usage.csv`.
pub(crate) fn download(name: &str, media: &'static str, body: impl Into<axum::body::Body>) -> Page {
    let safe: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "-_.".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let disposition =
        HeaderValue::from_str(&format!("attachment; filename=\"{safe}\"")).map_err(|_| Problem::internal())?;
    let mut response = (StatusCode::OK, body.into()).into_response();
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

/// The query of a page: names and values as people wrote them. Unknown names are ignored, so that links keep working.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Vec<(String, String)>);

impl Asked {
    /// The value of a name, trimmed; `None` when absent or empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// The value read as a type; `None` also when it cannot be read.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name).and_then(|value| value.parse().ok())
    }

    /// The page number, from 1.
    pub(crate) fn page_number(&self) -> u32 {
        self.parsed("page")
            .filter(|page| (1..=100_000).contains(page))
            .unwrap_or(1)
    }

    /// This query with one name set to another value (or taken away when empty), as `?a=b&c=d`, for links. A lone `?` is
    /// what leads to the same page without any query.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (known, old) in self.0.iter().filter(|(known, old)| known != name && !old.is_empty()) {
            query.append_pair(known, old);
        }
        if !value.is_empty() {
            query.append_pair(name, value);
        }
        format!("?{}", query.finish())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(
            form_urlencoded::parse(query.as_bytes())
                .take(100)
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        ))
    }
}
