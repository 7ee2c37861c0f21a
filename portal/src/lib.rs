//! The control plane: Admin API, pages, and the snapshots that the gateways serve from.
//!
//! - [`Portal::start`] listens, serves `/api/v1`, `/api/docs` and `/`, and publishes what is committed;
//! - [`ensure_first_admin`] makes the first token and person of a new deployment;
//! - [`openapi_document`] is the document of the Admin API as text;
//! - [`bind_allowed`] tells where the portal may listen;
//! - [`Hooks`] is what it asks of other services of the process.
//!
//! Deliberately absent: usage and money, which metering and billing add as resources of their own.

mod alerts;
mod api;
mod app;
mod bind;
mod configuration;
mod estimate;
mod first_admin;
mod hooks;
mod http;
mod key_letters;
mod letters;
mod pages;
mod people;
mod portal;
mod pricing;
mod publisher;
mod subscribing;

pub use api::{Access, Area, Need, RouteInfo, Scope, openapi_document, routes};
pub use app::TestClock;
pub use bind::{OpenBind, Tls, bind_allowed};
pub use first_admin::{AdminWish, FirstAdmin, ensure_first_admin};
pub use hooks::{BoxFuture, DueRun, DueRuns, Freshness, Gateways, HookError, Hooks, QuotaQuery, QuotaUse};
pub use pages::{Access as PageAccess, PageInfo, Section, page_routes};
pub use people::login::{LoginWish, ensure_login};
pub use portal::{Error, Parts, Portal, Running, Settings};
pub use serving::trust::TrustedProxies;
