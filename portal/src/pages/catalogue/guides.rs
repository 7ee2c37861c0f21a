//! `GET /docs` and `/docs/{path}`: guides. Those that are not published exist for product managers alone.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use reference::prose::{Heading, Shelf};
use store::Guide;

use super::{address, text};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::Section;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Html, Shell, Visitor};

#[derive(Template)]
#[template(path = "catalogue/guides.html")]
struct Page {
    shell: Shell,
    guides: Vec<Entry>,
    may_manage: bool,
}

/// A guide in a list.
pub(crate) struct Entry {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) summary: String,
    pub(crate) is_draft: bool,
}

/// The guides that a visitor may read, without their bodies.
pub(crate) async fn visible(app: &App, visitor: &Visitor) -> Result<Vec<Guide>, Problem> {
    let mut guides = app.store.guides().await?;
    if !visitor.reads(Section::Manage) {
        guides.retain(|guide| guide.fields.published);
    }
    Ok(guides)
}

fn entry(guide: &Guide) -> Entry {
    Entry {
        href: address::guide(&guide.fields.path),
        title: guide.fields.title.clone(),
        summary: guide.fields.summary.clone(),
        is_draft: !guide.fields.published,
    }
}

/// `GET /docs`
pub(crate) async fn list(State(app): State<App>, visitor: Visitor, headers: HeaderMap) -> web::Page {
    let guides = visible(&app, &visitor).await?;
    if text::accepts(&headers) {
        let line = |guide: &Guide| {
            let link = app.links.page(&address::guide(&guide.fields.path));
            format!(
                "- [{}]({link}.md): {}\n",
                text::line(&guide.fields.title),
                text::line(&guide.fields.summary)
            )
        };
        let list: String = guides.iter().map(line).collect();
        return Ok(text::markdown(format!("# Guides\n\n{list}")));
    }
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        guides: guides.iter().map(entry).collect(),
        may_manage: visitor.reads(Section::Manage),
    })
}

#[derive(Template)]
#[template(path = "catalogue/guide.html")]
struct GuidePage {
    shell: Shell,
    path: String,
    guide: Guide,
    html: Html,
    headings: Vec<Heading>,
    updated: Moment,
    others: Vec<Entry>,
    may_manage: bool,
}

#[derive(Template)]
#[template(path = "catalogue/no_guide.html")]
struct Missing {
    shell: Shell,
    path: String,
    near: Vec<Entry>,
}

/// `GET /docs/{path}`
pub(crate) async fn show(
    State(app): State<App>,
    visitor: Visitor,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> web::Page {
    let guides = visible(&app, &visitor).await?;
    let is_known = |path: &str| guides.iter().any(|guide| guide.fields.path == path);
    let (path, wants_text) = text::wanted(path.trim_end_matches('/'), &headers, is_known);
    let guide = if is_known(path) {
        app.store.guide(path).await?
    } else {
        None
    };
    let Some(guide) = guide else {
        let page = Missing {
            shell: visitor.shell(&app).await?,
            near: nearest(&guides, path),
            path: address::guide(path),
        };
        return web::with_status(StatusCode::NOT_FOUND, &page);
    };
    if wants_text {
        let title = text::line(&guide.fields.title);
        return Ok(text::markdown(format!("# {title}\n\n{}\n", guide.fields.body.trim())));
    }
    let href = address::guide(path);
    let (body, place) = (guide.fields.body.clone(), href.clone());
    let shelf = addresses(&guides);
    let write = move || {
        let (path, guides) = (place.as_str(), shelf.as_slice());
        reference::prose::guide(&body, Shelf { path, guides })
    };
    let rendered = tokio::task::spawn_blocking(write)
        .await
        .map_err(|_| Problem::internal())?;
    let others = guides.iter().filter(|other| other.fields.path != guide.fields.path);
    web::page(&GuidePage {
        shell: visitor.shell(&app).await?,
        others: others.take(50).map(entry).collect(),
        path: href,
        html: rendered.html.into(),
        headings: rendered
            .headings
            .into_iter()
            .filter(|heading| heading.level <= 3)
            .collect(),
        updated: show::day(guide.updated_at, visitor.zone()),
        guide,
        may_manage: visitor.reads(Section::Manage),
    })
}

/// The addresses of guides.
pub(crate) fn addresses(guides: &[Guide]) -> Vec<String> {
    guides.iter().map(|guide| address::guide(&guide.fields.path)).collect()
}

/// The guides whose address or title is nearest to what was asked for.
fn nearest(guides: &[Guide], wanted: &str) -> Vec<Entry> {
    const MOST: usize = 5;
    let wanted = wanted.to_lowercase();
    let last = wanted.rsplit('/').next().unwrap_or_default().to_owned();
    let words: Vec<&str> = wanted
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 2)
        .collect();
    let score = |guide: &Guide| {
        let (path, title) = (guide.fields.path.to_lowercase(), guide.fields.title.to_lowercase());
        let shared = words
            .iter()
            .filter(|word| path.contains(**word) || title.contains(**word))
            .count();
        let distance = strsim::osa_distance(&path, &wanted)
            .min(strsim::osa_distance(path.rsplit('/').next().unwrap_or_default(), &last));
        (usize::MAX - shared, distance)
    };
    let close = |guide: &&Guide| {
        let (inverse, distance) = score(guide);
        inverse < usize::MAX || distance <= last.chars().count() / 2
    };
    let mut near: Vec<&Guide> = guides.iter().filter(close).collect();
    near.sort_by_key(|guide| score(guide));
    near.into_iter().take(MOST).map(entry).collect()
}
