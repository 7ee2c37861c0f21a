//! The door of every page: finds the visitor, asks the route's access, and gives errors the form of a page.

use axum::extract::{Request, State};
use axum::http::Method;
use axum::http::header::{ACCEPT, CACHE_CONTROL, SET_COOKIE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Access, Door};
use super::cookie::Cookie;
use super::failure;
use super::visitor::Visitor;
use crate::app::App;
use crate::http::problem::Problem;

const FORM_COOKIE_SECONDS: u32 = 86_400;

/// Layer of each page.
pub(crate) async fn enter(State((app, access)): State<(App, Access)>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = match Visitor::find(&app, &parts).await {
        Ok(visitor) => visitor,
        Err(problem) => return problem.into_response(),
    };
    parts.extensions.insert(visitor.clone());
    let reader = Reader::of(&parts.headers);
    let response = match access.door(visitor.person(), &parts.method) {
        Door::Open => {
            let is_form = parts.method == Method::POST;
            if is_form && let Err(problem) = super::posted::same_origin(&app, &parts) {
                problem.into_response()
            } else {
                next.run(Request::from_parts(parts, body)).await
            }
        }
        Door::LogIn => log_in(&visitor, &parts.method).unwrap_or_else(IntoResponse::into_response),
        Door::Elsewhere(path) => super::see_other(path).unwrap_or_else(IntoResponse::into_response),
        Door::Closed(why) => Problem::forbidden(why).into_response(),
    };
    finished(&app, &visitor, reader, response).await
}

/// Who reads the answer: errors are pages for people and problems for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Person,
    Program,
}

impl Reader {
    fn of(headers: &HeaderMap) -> Self {
        let takes_html = headers
            .get(ACCEPT)
            .and_then(|accept| accept.to_str().ok())
            .is_some_and(|accept| accept.contains("text/html"));
        if takes_html { Self::Person } else { Self::Program }
    }
}

/// The page for an address that no route has.
pub(crate) async fn nothing_here(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let problem = Problem::missing("page or route");
    match Visitor::find(&app, &parts).await {
        Ok(visitor) => finished(&app, &visitor, Reader::of(&parts.headers), problem.into_response()).await,
        Err(_) => problem.into_response(),
    }
}

/// To the log-in page, and back after it. What a form held is gone, so it leads to the page before it.
fn log_in(visitor: &Visitor, method: &Method) -> Result<Response, Problem> {
    let back = if method == Method::GET {
        visitor.path_and_query()
    } else {
        "/app"
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("next", back)
        .finish();
    super::see_other(&format!("/login?{query}"))
}

async fn finished(app: &App, visitor: &Visitor, reader: Reader, mut response: Response) -> Response {
    if reader == Reader::Person {
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            response = failure::page(app, visitor, problem).await;
        } else if response.status() == StatusCode::METHOD_NOT_ALLOWED {
            let problem = Problem::new(
                response.status(),
                "method-not-allowed",
                "This method is not allowed here",
            );
            response = failure::page(app, visitor, problem).await;
        }
    }
    let headers = response.headers_mut();
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("private, no-cache"));
    headers.entry(VARY).or_insert(HeaderValue::from_static("Cookie"));
    if let Some(secret) = visitor.new_form_secret()
        && let Some(value) = Cookie::Form.write(visitor.scheme(), secret, FORM_COOKIE_SECONDS)
    {
        headers.append(SET_COOKIE, value);
    }
    response
}
