//! `…/reference`, `…/reference/{group}` and `…/schemas`: what there is, to look through.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use reference::{Entry, Group};

use super::open::{Api, Named, Nav, Opened, method_class};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::{address, text};
use crate::pages::web::{self, Asked, Html, Shell, Visitor};

/// Operations on one page of a group.
const PER_PAGE: usize = 100;
/// Groups on the index.
const MOST_GROUPS: usize = 500;
const MOST_WEBHOOKS: usize = 300;
const SCHEMAS_PER_PAGE: usize = 200;

/// An operation as a row.
struct Row {
    href: String,
    method: String,
    class: &'static str,
    path: String,
    title: String,
    deprecated: bool,
}

/// A group with its rows.
struct Listed {
    href: String,
    slug: String,
    title: String,
    prose: Html,
    count: usize,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "reference/index.html")]
struct Index {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    introduction: Html,
    groups: Vec<Listed>,
    more_groups: usize,
    operations: usize,
    webhooks: Vec<Row>,
    more_webhooks: usize,
    lists_operations: bool,
}

fn row(entry: &Entry, base: &str, kind: &str) -> Row {
    Row {
        href: format!("{base}/{kind}/{}", address::segment(&entry.slug)),
        class: method_class(&entry.method),
        method: entry.method.clone(),
        path: entry.path.clone(),
        title: entry.title.clone(),
        deprecated: entry.deprecated,
    }
}

fn listed(opened: &Opened, group: &Group, most: usize) -> Listed {
    let rows = opened.reference.operations_of(group).take(most);
    Listed {
        href: format!("{}/reference/{}", opened.base, address::segment(&group.slug)),
        slug: group.slug.clone(),
        title: group.title.clone(),
        prose: group.prose.clone().into(),
        count: group.operations.len(),
        rows: rows.map(|entry| row(entry, &opened.base, "operations")).collect(),
    }
}

/// `GET …/reference` and `…/reference.md`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(api): Path<Api>,
    headers: HeaderMap,
) -> web::Page {
    let opened = api.open(&app, &visitor).await?;
    if text::accepts(&headers) || text::is_twin(visitor.path()) {
        let base = app.links.page(&opened.base);
        return Ok(text::markdown(opened.reference.index_markdown(&base)));
    }
    let reference = &opened.reference;
    let lists_operations = reference.index_lists_operations();
    let most = if lists_operations { usize::MAX } else { 0 };
    let groups = reference.groups();
    let webhooks = reference.webhooks();
    web::page(&Index {
        shell: visitor.shell(&app).await?,
        nav: opened.nav(None),
        introduction: reference.introduction().into(),
        groups: groups
            .iter()
            .take(MOST_GROUPS)
            .map(|group| listed(&opened, group, most))
            .collect(),
        more_groups: groups.len().saturating_sub(MOST_GROUPS),
        operations: reference.entries().len(),
        webhooks: webhooks
            .iter()
            .take(MOST_WEBHOOKS)
            .map(|entry| row(entry, &opened.base, "webhooks"))
            .collect(),
        more_webhooks: webhooks.len().saturating_sub(MOST_WEBHOOKS),
        lists_operations,
        opened,
    })
}

#[derive(Template)]
#[template(path = "reference/group.html")]
struct GroupPage {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    group: Listed,
    pager: Pager,
}

/// Where a page of a list stands.
struct Pager {
    from: usize,
    to: usize,
    total: usize,
    previous: Option<String>,
    next: Option<String>,
}

impl Pager {
    /// The page that was asked for, and how many rows are before it.
    fn of(asked: &Asked, total: usize, per_page: usize) -> Self {
        let page = usize::try_from(asked.page_number()).unwrap_or(1);
        let before = (page - 1).saturating_mul(per_page);
        let to = before.saturating_add(per_page).min(total);
        Self {
            from: before + 1,
            to,
            total,
            previous: (page > 1).then(|| asked.with("page", &(page - 1).to_string())),
            next: (to < total).then(|| asked.with("page", &(page + 1).to_string())),
        }
    }

    fn is_needed(&self) -> bool {
        self.previous.is_some() || self.next.is_some()
    }
}

/// `GET …/reference/{group}`
pub(crate) async fn show_group(
    State(app): State<App>,
    visitor: Visitor,
    Path(named): Path<Named>,
    headers: HeaderMap,
    asked: Asked,
) -> web::Page {
    let opened = named.open(&app, &visitor).await?;
    let known = |slug: &str| opened.reference.group(slug).is_some();
    let (slug, wants_text) = text::wanted(&named.name, &headers, known);
    let found = opened
        .reference
        .group(slug)
        .ok_or_else(|| Problem::missing("group of operations"))?;
    if wants_text {
        return Ok(text::markdown(group_markdown(&app, &opened, found)));
    }
    let pager = Pager::of(&asked, found.operations.len(), PER_PAGE);
    if found.operations.len() < pager.from && pager.from > 1 {
        return Err(Problem::missing("page of this group"));
    }
    let mut group = listed(&opened, found, usize::MAX);
    group.rows = group.rows.into_iter().skip(pager.from - 1).take(PER_PAGE).collect();
    web::page(&GroupPage {
        shell: visitor.shell(&app).await?,
        nav: opened.nav(Some(&group.slug)),
        pager,
        group,
        opened,
    })
}

fn group_markdown(app: &App, opened: &Opened, group: &Group) -> String {
    let base = app.links.page(&opened.base);
    let mut out = format!("# {}\n\n", text::line(&group.title));
    for entry in opened.reference.operations_of(group) {
        let _ = writeln!(
            out,
            "- [{}]({base}/operations/{}.md): {} {}",
            text::line(&entry.title),
            address::segment(&entry.slug),
            entry.method,
            text::line(&entry.path)
        );
    }
    out
}

#[derive(Template)]
#[template(path = "reference/schemas.html")]
struct Schemas {
    shell: Shell,
    nav: Nav,
    opened: Opened,
    query: String,
    schemas: Vec<(String, String)>,
    pager: Pager,
}

/// `GET …/schemas`
pub(crate) async fn show_schemas(
    State(app): State<App>,
    visitor: Visitor,
    Path(api): Path<Api>,
    asked: Asked,
) -> web::Page {
    let opened = api.open(&app, &visitor).await?;
    let query = asked.get("q").unwrap_or_default().to_owned();
    let wanted = query.to_lowercase();
    let mut found: Vec<_> = opened
        .reference
        .schemas()
        .iter()
        .filter(|schema| wanted.is_empty() || schema.name.to_lowercase().contains(&wanted))
        .collect();
    found.sort_by_cached_key(|schema| schema.name.to_lowercase());
    let pager = Pager::of(&asked, found.len(), SCHEMAS_PER_PAGE);
    let link = |schema: &&reference::SchemaEntry| {
        let href = format!("{}/schemas/{}", opened.base, address::segment(&schema.slug));
        (href, schema.name.clone())
    };
    web::page(&Schemas {
        shell: visitor.shell(&app).await?,
        nav: opened.nav(None),
        schemas: found
            .iter()
            .skip(pager.from - 1)
            .take(SCHEMAS_PER_PAGE)
            .map(link)
            .collect(),
        pager,
        query,
        opened,
    })
}
