//! A page: method, path, who may open it, handler.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::access::Access;
use crate::app::App;
use crate::http::body::{BodyLimit, DEFAULT_LIMIT};

/// A page.
pub(crate) struct PageRoute {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    handler: MethodRouter<App>,
    max_body: usize,
}

/// A page that is read.
pub(crate) fn get<H, T>(path: &'static str, access: Access, handler: H) -> PageRoute
where
    H: Handler<T, App>,
    T: 'static,
{
    PageRoute {
        method: Method::GET,
        path,
        access,
        handler: on(MethodFilter::GET, handler),
        max_body: DEFAULT_LIMIT,
    }
}

/// A form that is sent.
pub(crate) fn post<H, T>(path: &'static str, access: Access, handler: H) -> PageRoute
where
    H: Handler<T, App>,
    T: 'static,
{
    PageRoute {
        method: Method::POST,
        path,
        access,
        handler: on(MethodFilter::POST, handler),
        max_body: DEFAULT_LIMIT,
    }
}

impl PageRoute {
    /// The same page for forms of up to so many bytes.
    pub(crate) fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// The handler alone.
    pub(crate) fn handler(&self) -> MethodRouter<App> {
        self.handler.clone()
    }

    /// The limit of its body, as a layer.
    pub(crate) fn limit(&self) -> axum::Extension<BodyLimit> {
        axum::Extension(BodyLimit(self.max_body))
    }
}
