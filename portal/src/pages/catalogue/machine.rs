//! Doors for machines: `/llms.txt`, `/llms-full.txt`, `/sitemap.xml`, `/robots.txt`. They lead to what the visitor may see
//! and to nothing else.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use reference::{Inputs, Reference};

use super::offers::{self, Offer, OfferedApi, Reader};
use super::{address, guides, text};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{self, Visitor, escape};

/// Bytes of `/llms-full.txt` at most.
const LONGEST: usize = 1 << 20;
/// Addresses of a sitemap at most (sitemaps.org).
const MOST_ADDRESSES: usize = 50_000;
/// Operations of an API that `/llms.txt` lists; its reference lists the rest.
const MOST_OPERATIONS: usize = 200;

fn summary(offer: &Offer) -> String {
    let summary = offer.summary();
    if summary.is_empty() {
        String::new()
    } else {
        format!(": {}", text::line(&summary))
    }
}

async fn reference(app: &App, offered: &OfferedApi) -> Option<Arc<Reference>> {
    app.reading.references.of(app, offered.document?).await.ok()
}

/// `GET /llms.txt`
pub(crate) async fn llms(State(app): State<App>, visitor: Visitor) -> web::Page {
    let shell = visitor.shell(&app).await?;
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let mut out = format!(
        "# {}\n\n> APIs with plans and keys. Send the key of an app as `Authorization: Bearer $TOLLGATE_KEY`. Every page has a Markdown twin: add `.md` to its address.\n\n## Products\n\n",
        text::line(&shell.seller)
    );
    let listed: Vec<&Offer> = catalogue.listed(&reader).collect();
    for offer in &listed {
        let link = app.links.page(&address::product(&offer.product.name));
        out.push_str(&format!(
            "- [{}]({link}.md){}\n",
            text::line(&offer.title),
            summary(offer)
        ));
    }
    for offer in &listed {
        for offered in &offer.apis {
            let Some(reference) = reference(&app, offered).await else {
                continue;
            };
            let base = app.links.page(&address::api(
                &offer.product.name,
                &offered.api.name,
                &offered.api.version,
            ));
            out.push_str(&format!(
                "\n## {} {}\n\n- [Reference]({base}/reference.md)\n- [OpenAPI document]({base}/openapi.json)\n",
                text::line(reference.title()),
                text::line(&offered.api.version)
            ));
            for entry in reference.entries().iter().take(MOST_OPERATIONS) {
                out.push_str(&format!(
                    "- [{}]({base}/operations/{}.md): {} {}\n",
                    text::line(&entry.title),
                    address::segment(&entry.slug),
                    entry.method,
                    text::line(&entry.path)
                ));
            }
        }
    }
    let guides = guides::visible(&app, &visitor).await?;
    if !guides.is_empty() {
        out.push_str("\n## Guides\n\n");
    }
    for guide in &guides {
        let link = app.links.page(&address::guide(&guide.fields.path));
        out.push_str(&format!(
            "- [{}]({link}.md): {}\n",
            text::line(&guide.fields.title),
            text::line(&guide.fields.summary)
        ));
    }
    Ok(text::plain(out))
}

/// `GET /llms-full.txt`
pub(crate) async fn llms_full(State(app): State<App>, visitor: Visitor) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let mut out = String::new();
    for guide in guides::visible(&app, &visitor).await? {
        if out.len() >= LONGEST {
            break;
        }
        if let Some(guide) = app.store.guide(&guide.fields.path).await? {
            out.push_str(&format!(
                "# {}\n\n{}\n\n",
                text::line(&guide.fields.title),
                guide.fields.body.trim()
            ));
        }
    }
    for offer in catalogue.listed(&reader) {
        out.push_str(&format!("# {}\n\n", text::line(&offer.title)));
        out.push_str(offer.product.description.as_deref().unwrap_or_default().trim());
        out.push_str("\n\n");
        for offered in &offer.apis {
            if out.len() >= LONGEST {
                break;
            }
            if let Some(reference) = reference(&app, offered).await {
                let room = LONGEST - out.len();
                let address = address::api(&offer.product.name, &offered.api.name, &offered.api.version);
                let address = app.links.page(&address);
                let inputs = super::curl::inputs(&app, offered);
                out.push_str(&whole(reference, (address, inputs), room).await?);
            }
        }
    }
    if out.len() >= LONGEST {
        out.push_str("\n\nThis file ends here because it is long. /llms.txt leads to everything.\n");
    }
    Ok(text::plain(out))
}

/// The operations of a reference as Markdown, until the room is taken.
async fn whole(reference: Arc<Reference>, (base, inputs): (String, Inputs), room: usize) -> Result<String, Problem> {
    let written = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        for entry in reference.entries() {
            if out.len() >= room {
                break;
            }
            out.push_str(&reference.operation_markdown(entry, &base, &inputs));
            out.push_str("\n\n");
        }
        out
    });
    written.await.map_err(|_| Problem::internal())
}

/// `GET /sitemap.xml`
pub(crate) async fn sitemap(State(app): State<App>, visitor: Visitor) -> web::Page {
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let mut paths: Vec<String> = ["/", "/products", "/pricing", "/docs"].map(str::to_owned).to_vec();
    for guide in guides::visible(&app, &visitor).await? {
        paths.push(address::guide(&guide.fields.path));
    }
    for offer in catalogue.listed(&reader) {
        paths.push(address::product(&offer.product.name));
        for offered in &offer.apis {
            if let Some(reference) = reference(&app, offered).await {
                let base = address::api(&offer.product.name, &offered.api.name, &offered.api.version);
                add_pages(&mut paths, &reference, &base);
            }
        }
    }
    let mut out = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for path in paths.iter().take(MOST_ADDRESSES) {
        out.push_str(&format!("<url><loc>{}</loc></url>\n", escape(&app.links.page(path))));
    }
    out.push_str("</urlset>\n");
    Ok(text::respond("application/xml; charset=utf-8", out))
}

fn add_pages(paths: &mut Vec<String>, reference: &Reference, base: &str) {
    paths.push(format!("{base}/reference"));
    let groups = reference.groups().iter().map(|group| ("reference", &group.slug));
    let operations = reference.entries().iter().map(|entry| ("operations", &entry.slug));
    let webhooks = reference.webhooks().iter().map(|entry| ("webhooks", &entry.slug));
    let schemas = reference.schemas().iter().map(|schema| ("schemas", &schema.slug));
    for (kind, slug) in groups
        .chain(operations)
        .chain(webhooks)
        .chain(schemas)
        .take(MOST_ADDRESSES)
    {
        paths.push(format!("{base}/{kind}/{}", address::segment(slug)));
    }
}

/// `GET /robots.txt`
pub(crate) async fn robots(State(app): State<App>) -> Response {
    text::plain(format!(
        "User-agent: *\nDisallow: /app\nDisallow: /manage\nDisallow: /finance\nDisallow: /admin\nDisallow: /search\nSitemap: {}\n",
        app.links.page("/sitemap.xml")
    ))
}
