//! The reference of each API: operations, schemas, webhooks, authentication, the document itself, and a console.

pub(crate) mod auth;
mod console;
mod document;
mod index;
pub(crate) mod open;
mod operation;
mod parts;
mod rail;
mod schema;
mod tree;
mod yaml;

use super::web::Access::{self, Public};
use super::web::PageRoute;
use super::web::access::BUILDERS;
use super::web::route::{get, post};

pub(crate) fn table() -> Vec<PageRoute> {
    vec![
        get("/products/{product}/{api}/{version}/reference", Public, index::show),
        get("/products/{product}/{api}/{version}/reference.md", Public, index::show),
        get(
            "/products/{product}/{api}/{version}/reference/{name}",
            Public,
            index::show_group,
        ),
        get(
            "/products/{product}/{api}/{version}/operations/{name}",
            Public,
            operation::show,
        ),
        get(
            "/products/{product}/{api}/{version}/webhooks/{name}",
            Public,
            operation::show_webhook,
        ),
        get("/products/{product}/{api}/{version}/try/{name}", Public, console::show),
        post(
            "/products/{product}/{api}/{version}/try/{name}",
            Access::Member(BUILDERS),
            console::send,
        ),
        get(
            "/products/{product}/{api}/{version}/schemas",
            Public,
            index::show_schemas,
        ),
        get(
            "/products/{product}/{api}/{version}/schemas/{name}",
            Public,
            schema::show,
        ),
        get("/products/{product}/{api}/{version}/auth", Public, auth::show),
        get("/products/{product}/{api}/{version}/auth.md", Public, auth::show),
        get(
            "/products/{product}/{api}/{version}/openapi.json",
            Public,
            document::json,
        ),
        get(
            "/products/{product}/{api}/{version}/openapi.yaml",
            Public,
            document::yaml,
        ),
    ]
}
