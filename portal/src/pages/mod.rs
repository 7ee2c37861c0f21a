//! Pages. [`web`] is what they stand on; every other folder is a section of the portal.

pub(crate) mod admin;
pub(crate) mod api_docs;
pub(crate) mod app;
pub(crate) mod catalogue;
pub(crate) mod finance;
pub(crate) mod looks;
pub(crate) mod manage;
pub(crate) mod money;
pub(crate) mod operations;
pub(crate) mod people;
pub(crate) mod reading;
pub(crate) mod reference;
pub(crate) mod statics;
pub(crate) mod web;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::from_fn_with_state;
use tower_http::compression::predicate::{DefaultPredicate, Predicate as _};

pub use self::web::access::{Access, Section};

use self::web::PageRoute;
use self::web::route::get;
use crate::app::App;

/// Every page.
pub(crate) fn table() -> Vec<PageRoute> {
    let mut pages = vec![get("/api/docs", Access::Public, api_docs::show)];
    pages.extend(catalogue::table());
    pages.extend(reference::table());
    pages.extend(admin::table());
    pages.extend(app::table());
    pages.extend(looks::table());
    pages.extend(manage::table());
    pages.extend(people::table());
    pages.extend(finance::table());
    pages
}

/// A page, for tests that try them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageInfo {
    /// HTTP method.
    pub method: String,
    /// Path, with `{name}` for parameters.
    pub path: String,
    /// Who may open it.
    pub access: Access,
}

/// Every page that the table lists.
pub fn page_routes() -> Vec<PageInfo> {
    let info = |route: PageRoute| PageInfo {
        method: route.method.to_string(),
        path: route.path.to_owned(),
        access: route.access,
    };
    table().into_iter().map(info).collect()
}

/// The router of all pages.
pub(crate) fn router(app: &App) -> Router<App> {
    table().into_iter().fold(Router::new(), |router, page| {
        let handler = page
            .handler()
            .route_layer(from_fn_with_state((app.clone(), page.access), web::enter::enter))
            .route_layer(page.limit());
        router.route(page.path, handler)
    })
}

/// Whether an answer may be compressed: not what holds a secret.
pub(crate) fn may_be_packed() -> impl tower_http::compression::predicate::Predicate {
    let holds_no_secret = |_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions| {
        headers.get(CACHE_CONTROL).is_none_or(|value| value != "no-store")
    };
    DefaultPredicate::new().and(holds_no_secret)
}
