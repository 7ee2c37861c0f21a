//! Finding what a page of a reference is about: product, API, document; and what stands beside each page.

use std::sync::Arc;

use reference::{Inputs, Reference};
use serde::Deserialize;

use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::offers::{self, Catalogue, Offer, OfferedApi, Reader};
use crate::pages::catalogue::{address, curl};
use crate::pages::web::{self, Visitor};

/// Groups and operations in the side navigation.
const MOST_GROUPS: usize = 80;
const MOST_LINKS: usize = 60;

/// Elements of a page that browsers keep quick, without those of the layout around it.
const MOST_ELEMENTS: usize = 2_700;
/// What the fields of a page get in any case.
const LEAST_ELEMENTS: usize = 300;

/// What every address below an API has.
#[derive(Debug, Deserialize)]
pub(crate) struct Api {
    product: String,
    api: String,
    version: String,
}

/// The same with the name of a thing of the reference.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    product: String,
    api: String,
    version: String,
    pub(crate) name: String,
}

/// A reference that the visitor may read.
pub(crate) struct Opened {
    pub(crate) reference: Arc<Reference>,
    /// Titles of product and API.
    pub(crate) product_title: String,
    pub(crate) title: String,
    pub(crate) product: String,
    pub(crate) product_id: String,
    pub(crate) version: String,
    /// Address of the product.
    pub(crate) product_path: String,
    /// What stands before every page of the API.
    pub(crate) base: String,
    /// Where the API answers.
    pub(crate) base_url: Option<String>,
    /// Whether keys of mode test reach a sandbox.
    pub(crate) has_sandbox: bool,
    /// Header of keys besides `Authorization`.
    pub(crate) key_header: String,
    pub(crate) document: [u8; 32],
    /// What samples send.
    pub(crate) inputs: Inputs,
}

impl Api {
    /// The reference at this address: 404 unless the visitor may see it.
    pub(crate) async fn open(&self, app: &App, visitor: &Visitor) -> Result<Opened, Problem> {
        let catalogue = offers::catalogue(app).await?;
        let (offer, offered) = self.find(&catalogue, visitor)?;
        let document = offered.document.ok_or_else(|| Problem::missing("reference"))?;
        let reference = app.reading.references.of(app, document).await?;
        let api = &offered.api;
        Ok(Opened {
            product_title: offer.title.clone(),
            title: api.title.clone().unwrap_or_else(|| reference.title().to_owned()),
            product: offer.product.name.clone(),
            product_id: offer.id.clone(),
            version: api.version.clone(),
            product_path: address::product(&offer.product.name),
            base: address::api(&offer.product.name, &api.name, &api.version),
            base_url: curl::base_url(app, api),
            has_sandbox: !api.upstream.sandbox.is_empty(),
            key_header: api.api_key.header.clone(),
            document,
            inputs: curl::inputs(app, offered),
            reference,
        })
    }

    fn find<'a>(&self, catalogue: &'a Catalogue, visitor: &Visitor) -> Result<(&'a Offer, &'a OfferedApi), Problem> {
        let offer = catalogue
            .open(&self.product, &Reader::of(visitor))
            .ok_or_else(|| Problem::missing("product"))?;
        let api = offer
            .api(&self.api, &self.version)
            .ok_or_else(|| Problem::missing("version of the API"))?;
        Ok((offer, api))
    }
}

impl Named {
    /// As [`Api::open`].
    pub(crate) async fn open(&self, app: &App, visitor: &Visitor) -> Result<Opened, Problem> {
        let api = Api {
            product: self.product.clone(),
            api: self.api.clone(),
            version: self.version.clone(),
        };
        api.open(app, visitor).await
    }
}

impl Opened {
    /// What the API is called in the title of a window: with its product where several may have it.
    pub(crate) fn name(&self) -> String {
        if self.product_title == self.title {
            format!("{} {}", self.title, self.version)
        } else {
            format!("{} {}, {}", self.title, self.version, self.product_title)
        }
    }

    /// The navigation; the group of this name is unfolded.
    pub(crate) fn nav(&self, open: Option<&str>) -> Nav {
        let reference = &self.reference;
        let groups = reference.groups();
        // A window around the open group, so that the page stays short and its place is seen.
        let place = groups
            .iter()
            .position(|group| Some(group.slug.as_str()) == open)
            .unwrap_or(0);
        let from = place
            .saturating_sub(MOST_GROUPS / 2)
            .min(groups.len().saturating_sub(MOST_GROUPS));
        let shown = groups.iter().skip(from).take(MOST_GROUPS);
        let nav_group = |group: &reference::Group| {
            let is_open = Some(group.slug.as_str()) == open;
            let links = reference.operations_of(group).filter(|_| is_open).take(MOST_LINKS);
            NavGroup {
                href: format!("{}/reference/{}", self.base, address::segment(&group.slug)),
                title: group.title.clone(),
                is_open,
                links: links.map(|entry| self.nav_link(entry)).collect(),
                more: if is_open {
                    group.operations.len().saturating_sub(MOST_LINKS)
                } else {
                    0
                },
            }
        };
        Nav {
            label: format!("{} {}", self.title, self.version),
            product: self.product_path.clone(),
            base: self.base.clone(),
            groups: shown.map(nav_group).collect(),
            has_webhooks: !reference.webhooks().is_empty(),
            schemas: reference.schemas().len(),
            is_cut: groups.len() > MOST_GROUPS,
        }
    }

    fn nav_link(&self, entry: &reference::Entry) -> NavLink {
        NavLink {
            href: self.operation_path(&entry.slug),
            method: entry.method.clone(),
            title: entry.title.clone(),
        }
    }

    /// Where something is now that stood under another name: in the same form, below the same page.
    pub(crate) fn moved(&self, kind: &str, name: Option<&str>, twin: bool) -> web::Page {
        let Some(name) = name else {
            return Err(Problem::missing(match kind {
                "schemas" => "schema",
                "webhooks" => "webhook",
                _ => "operation",
            }));
        };
        let end = if twin { ".md" } else { "" };
        web::see_other(&format!("{}/{kind}/{}{end}", self.base, address::segment(name)))
    }

    /// The page of an operation.
    pub(crate) fn operation_path(&self, slug: &str) -> String {
        format!("{}/operations/{}", self.base, address::segment(slug))
    }
}

/// The side navigation of a reference.
pub(crate) struct Nav {
    pub(crate) label: String,
    pub(crate) product: String,
    pub(crate) base: String,
    pub(crate) groups: Vec<NavGroup>,
    pub(crate) has_webhooks: bool,
    pub(crate) schemas: usize,
    pub(crate) is_cut: bool,
}

impl Nav {
    /// Elements that a page with this navigation has left for fields, beside so many others.
    pub(crate) fn room(&self, others: usize) -> usize {
        let links: usize = self.groups.iter().map(|group| group.links.len()).sum();
        let own = self.groups.len() * 3 + links * 4;
        MOST_ELEMENTS.saturating_sub(own + others).max(LEAST_ELEMENTS)
    }

    /// Whether a path is that of a page right below the API.
    pub(crate) fn is_at(&self, path: &str, page: &str) -> bool {
        path.strip_prefix(self.base.as_str())
            .and_then(|rest| rest.strip_prefix('/'))
            == Some(page)
    }
}

/// A group of it.
pub(crate) struct NavGroup {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) is_open: bool,
    pub(crate) links: Vec<NavLink>,
    pub(crate) more: usize,
}

/// A link to an operation.
pub(crate) struct NavLink {
    pub(crate) href: String,
    pub(crate) method: String,
    pub(crate) title: String,
}

/// The class of a method's mark.
pub(crate) fn method_class(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" | "QUERY" => "get",
        "POST" => "post",
        "PUT" => "put",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "",
    }
}
