//! Errors as pages: what happened, what to do, the request's id and the time.

use askama::Template;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::show::{self, Moment};
use super::{Html, Shell, Visitor};
use crate::app::App;
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "error.html")]
struct Page<'a> {
    shell: Shell,
    title: &'a str,
    what: &'a str,
    next: Html,
    status: u16,
    request_id: &'a str,
    at: Moment,
    faults: Vec<String>,
}

/// The page of a problem; the plain problem where not even a page can be made.
pub(crate) async fn page(app: &App, visitor: &Visitor, problem: Problem) -> Response {
    let status = problem.status();
    if problem.name() == crate::people::UNVERIFIED
        && let Ok(response) = crate::pages::people::unverified(app, visitor).await
    {
        return response;
    }
    let Ok(shell) = visitor.shell(app).await else {
        return last_resort(&problem, visitor.request_id());
    };
    let (title, advice) = words(status);
    let title = match problem.name() {
        "not-found" | "internal" | "forbidden" => title,
        _ => problem.title(),
    };
    let page = Page {
        shell,
        title,
        what: &sentence(problem.detail_text().unwrap_or_default()),
        next: Html(advice.to_owned()),
        status: status.as_u16(),
        request_id: visitor.request_id(),
        at: show::moment(visitor.now(), visitor.zone()),
        faults: problem.faults().map(sentence).collect(),
    };
    let Ok(mut response) = super::with_status(status, &page) else {
        return last_resort(&problem, visitor.request_id());
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

/// A page that needs no database and no template.
pub(crate) fn last_resort(problem: &Problem, request_id: &str) -> Response {
    let (title, advice) = words(problem.status());
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/static/style.css\"></head><body><div class=\"shell alone\">\
         <main id=\"main\" class=\"narrow\"><h1>{title}</h1><p>{advice}</p><p class=\"small soft\">Request <span class=\"id\">{}</span></p></main></div></body></html>",
        super::escape(request_id)
    );
    let mut response = (problem.status(), html).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Title, and what to do (HTML of our own).
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        404 => (
            "There is nothing here",
            "The address is wrong, or what was here is gone, or it belongs to an organisation that is not yours. <a href=\"/search\">Search</a>, or begin at the <a href=\"/\">start page</a>.",
        ),
        403 => (
            "You may not do this",
            "Nothing was changed. <a href=\"/\">Go to the start page</a>.",
        ),
        409 => (
            "Someone was faster",
            "Nothing was changed. Go back, load the page again and see how things stand now.",
        ),
        413 => ("This is too large", "Nothing was changed. Send less."),
        429 => ("Too many tries", "Wait a moment, then try again."),
        503 => (
            "We cannot answer just now",
            "The database does not answer. Calls through the gateway go on. Try again in a few seconds; nothing was changed.",
        ),
        400..=499 => ("This did not work", "Nothing was changed. Go back and try again."),
        _ => (
            "Something failed on our side",
            "It is in our log under the request below. Nothing was half done. Try again; if it stays, tell support the request.",
        ),
    }
}

/// First letter large, a full stop at the end.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let Some(first) = letters.next() else {
        return String::new();
    };
    let mut out: String = first.to_uppercase().chain(letters).collect();
    if !out.ends_with(['.', '!', '?']) {
        out.push('.');
    }
    out
}
