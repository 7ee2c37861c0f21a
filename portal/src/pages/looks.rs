//! `POST /theme`: light or dark, as the reader chooses.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{REFERER, SET_COOKIE};

use super::web::cookie::Cookie;
use super::web::route::post;
use super::web::{Access, Page, PageRoute, Posted, Visitor, see_other};
use crate::app::App;

const YEAR: u32 = 31_536_000;

/// The pages of this file.
pub(crate) fn table() -> Vec<PageRoute> {
    vec![post("/theme", Access::Public, choose)]
}

/// `POST /theme`
async fn choose(State(app): State<App>, visitor: Visitor, headers: HeaderMap, form: Posted) -> Page {
    let theme = if form.get("theme") == "dark" { "dark" } else { "light" };
    let back = headers
        .get(REFERER)
        .and_then(|referer| referer.to_str().ok())
        .and_then(|referer| referer.split_once("://"))
        .and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)))
        .filter(|path| !path.starts_with("//") && app.links.origin().len() > 1)
        .unwrap_or("/");
    let mut response = see_other(back)?;
    if let Some(value) = Cookie::Theme.write(visitor.scheme(), theme, YEAR) {
        response.headers_mut().append(SET_COOKIE, value);
    }
    Ok(response)
}
