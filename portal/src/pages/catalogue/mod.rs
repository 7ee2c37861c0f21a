//! What every visitor reads of what is on offer: the start page, products, prices, guides, and the doors for machines.

pub(crate) mod address;
pub(crate) mod compare;
pub(crate) mod curl;
pub(crate) mod guides;
mod list;
mod machine;
pub(crate) mod offers;
pub(crate) mod price;
mod pricing;
mod product;
pub(crate) mod search;
mod start;
mod subscribe;
pub(crate) mod text;

use super::web::Access::Public;
use super::web::PageRoute;
use super::web::route::get;

pub(crate) fn table() -> Vec<PageRoute> {
    vec![
        get("/", Public, start::show),
        get("/products", Public, list::show),
        get("/products/{product}", Public, product::show),
        get("/products/{product}/subscribe", Public, subscribe::show),
        get("/pricing", Public, pricing::show),
        get("/search", Public, search::show),
        get("/docs", Public, guides::list),
        get("/docs/{*path}", Public, guides::show),
        get("/llms.txt", Public, machine::llms),
        get("/llms-full.txt", Public, machine::llms_full),
        get("/sitemap.xml", Public, machine::sitemap),
        get("/robots.txt", Public, machine::robots),
    ]
}
