//! `…/schemas/{name}`: a schema, and what uses it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use reference::SchemaView;

use super::open::{Named, Nav, Opened, method_class};
use super::tree::{Tree, elements};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::{address, text};
use crate::pages::web::{self, Html, Shell, Visitor};

/// Bytes of markup for the fields.
const ROOM: usize = 90_000;
/// Links to what uses it.
const MOST_USES: usize = 100;

#[derive(Template)]
#[template(path = "reference/schema.html")]
struct Page {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    view: SchemaView,
    path: String,
    prose: Html,
    fields: Html,
    uses: Vec<Use>,
    more_uses: usize,
}

/// Something that uses a schema.
struct Use {
    href: String,
    title: String,
    method: String,
    class: &'static str,
}

/// `GET …/schemas/{name}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(named): Path<Named>,
    headers: HeaderMap,
) -> web::Page {
    let opened = named.open(&app, &visitor).await?;
    let known = |slug: &str| opened.reference.schema_entry(slug).is_some();
    let (slug, wants_text) = text::wanted(&named.name, &headers, known);
    if opened.reference.schema_entry(slug).is_none() {
        let moved = opened.reference.schema_moved(slug).map(|schema| schema.slug.as_str());
        return opened.moved("schemas", moved, text::is_twin(&named.name));
    }
    if wants_text {
        let base = app.links.page(&opened.base);
        let written = opened.reference.schema_markdown(slug, &base);
        return written.map(text::markdown).ok_or_else(|| Problem::missing("schema"));
    }
    let view = opened
        .reference
        .schema(slug)
        .ok_or_else(|| Problem::missing("schema"))?;
    let uses = uses(&opened, &view);
    let nav = opened.nav(None);
    let others = uses.len().min(MOST_USES) * 4 + elements(view.prose.as_str());
    let mut tree = Tree::new(&opened.base, nav.room(others));
    let fields = tree.within(ROOM, |tree| tree.root(&view.node));
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        nav,
        path: format!("{}/schemas/{}", opened.base, address::segment(&view.slug)),
        prose: view.prose.clone().into(),
        fields: Html(fields),
        more_uses: view.operations_more + view.schemas_more + uses.len().saturating_sub(MOST_USES),
        uses: uses.into_iter().take(MOST_USES).collect(),
        view,
        opened,
    })
}

fn uses(opened: &Opened, view: &SchemaView) -> Vec<Use> {
    let one = |kind: &str, used: &reference::schema::SchemaUse| Use {
        href: format!("{}/{kind}/{}", opened.base, address::segment(&used.slug)),
        title: used.title.clone(),
        class: method_class(&used.method),
        method: used.method.clone(),
    };
    let schemas = view.schemas.iter().map(|schema| Use {
        href: format!("{}/schemas/{}", opened.base, address::segment(&schema.slug)),
        title: schema.name.clone(),
        method: String::new(),
        class: "",
    });
    let operations = view.operations.iter().map(|used| one("operations", used));
    let webhooks = view.webhooks.iter().map(|used| one("webhooks", used));
    operations.chain(webhooks).chain(schemas).collect()
}
