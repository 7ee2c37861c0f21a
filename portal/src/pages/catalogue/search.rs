//! `GET /search`: operations, schemas, guides and products, found together. What people look for is recorded without who
//! they are, so that product managers see what is missing.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use askama::Template;
use axum::extract::State;
use domain::clock::Timestamp;
use domain::subscription::Visibility;
use reference::SearchIndex;
use reference::search::{Found, Guide, Hit, Source};

use super::address;
use super::offers::{self, Catalogue, Reader};
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::Section;
use crate::pages::reference::open::method_class;
use crate::pages::web::{self, Asked, Html, Shell, Visitor, show};

/// Results of all kinds that are looked at.
const MOST: usize = 200;
/// Results of a kind beside other kinds, and alone.
const FEW: usize = 8;
const MANY: usize = 60;
/// Characters of a query.
const LONGEST: usize = 200;
/// Searches that are recorded within a minute: the rest is someone's program.
const RECORDED: u32 = 120;
const GUIDES: &str = "guides";

/// The index and what it was made of.
#[derive(Debug)]
struct Indexed {
    revision: i64,
    guides: (i64, i64),
    index: SearchIndex,
    /// What stands before the pages of each source, by its key.
    bases: HashMap<String, Place>,
}

/// Where a source is.
#[derive(Debug, Clone)]
struct Place {
    base: String,
    product: String,
    label: String,
}

/// The newest index.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    newest: Mutex<Option<Arc<Indexed>>>,
    /// One index is made at a time.
    turn: tokio::sync::Mutex<()>,
    recorded: AtomicU32,
    minute: AtomicI64,
}

impl Kept {
    fn current(&self, state: (i64, (i64, i64))) -> Option<Arc<Indexed>> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        newest.filter(|newest| (newest.revision, newest.guides) == state)
    }

    /// Whether one more search may be recorded now.
    fn may_record(&self, now: Timestamp) -> bool {
        let minute = now.as_millis() / 60_000;
        if self.minute.swap(minute, Ordering::Relaxed) != minute {
            self.recorded.store(0, Ordering::Relaxed);
        }
        self.recorded.fetch_add(1, Ordering::Relaxed) < RECORDED
    }
}

/// Makes the index anew where documents or guides have changed.
pub(crate) async fn refresh(app: &App) -> Result<(), Problem> {
    indexed(app).await.map(drop)
}

async fn indexed(app: &App) -> Result<Arc<Indexed>, Problem> {
    let kept = &app.reading.search;
    let catalogue = offers::catalogue(app).await?;
    let state = (catalogue.revision, app.store.guides_state().await?);
    if let Some(current) = kept.current(state) {
        return Ok(current);
    }
    let _turn = kept.turn.lock().await;
    if let Some(current) = kept.current(state) {
        return Ok(current);
    }
    let made = Arc::new(make(app, &catalogue, state.1).await?);
    *kept.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&made));
    Ok(made)
}

async fn make(app: &App, catalogue: &Catalogue, state: (i64, i64)) -> Result<Indexed, Problem> {
    let mut sources = Vec::new();
    let mut bases = HashMap::new();
    // What is unlisted is found by its address alone.
    let listed = catalogue
        .all()
        .iter()
        .filter(|offer| offer.product.visibility != Visibility::Unlisted);
    for offer in listed {
        for offered in &offer.apis {
            let Some(document) = offered.document else { continue };
            let Ok(reference) = app.reading.references.of(app, document).await else {
                continue;
            };
            let base = address::api(&offer.product.name, &offered.api.name, &offered.api.version);
            let place = Place {
                label: format!("{} {}", offer.title, offered.api.version),
                product: offer.product.name.clone(),
                base: base.clone(),
            };
            bases.insert(base.clone(), place);
            sources.push((base, reference));
        }
    }
    let mut texts = Vec::new();
    for guide in app
        .store
        .guides()
        .await?
        .into_iter()
        .filter(|guide| guide.fields.published)
    {
        texts.extend(app.store.guide(&guide.fields.path).await?);
    }
    let built = tokio::task::spawn_blocking(move || {
        let sources: Vec<Source<'_>> = sources
            .iter()
            .map(|(key, reference)| Source { key, reference })
            .collect();
        let guides: Vec<Guide<'_>> = texts
            .iter()
            .map(|guide| Guide {
                key: GUIDES,
                path: &guide.fields.path,
                title: &guide.fields.title,
                text: &guide.fields.body,
            })
            .collect();
        SearchIndex::build(&sources, &guides)
    });
    let index = built.await.map_err(|_| Problem::internal())?.map_err(|error| {
        tracing::error!(%error, "the search index cannot be made");
        Problem::internal()
    })?;
    Ok(Indexed {
        revision: catalogue.revision,
        guides: state,
        index,
        bases,
    })
}

/// Kinds of results, with their names in addresses and their headings.
const KINDS: [(&str, &str); 4] = [
    ("operations", "Operations"),
    ("schemas", "Schemas"),
    ("guides", "Guides"),
    ("products", "Products"),
];

struct Results {
    kind: &'static str,
    title: &'static str,
    total: String,
    rows: Vec<Row>,
    /// Address of all results of this kind.
    all: Option<String>,
}

struct Row {
    href: String,
    title: String,
    method: Option<(String, &'static str)>,
    path: Option<String>,
    place: String,
    fragment: Html,
}

#[derive(Template)]
#[template(path = "catalogue/search.html")]
struct Page {
    shell: Shell,
    query: String,
    kind: &'static str,
    results: Vec<Results>,
    total: usize,
    products: Vec<(String, String)>,
}

/// `GET /search`
pub(crate) async fn show(State(app): State<App>, visitor: Visitor, asked: Asked) -> web::Page {
    let query: String = asked.get("q").unwrap_or_default().chars().take(LONGEST).collect();
    let kind = asked
        .get("type")
        .and_then(|asked| KINDS.iter().find(|(kind, _)| *kind == asked));
    let kind = kind.map_or("", |(kind, _)| *kind);
    let catalogue = offers::catalogue(&app).await?;
    let reader = Reader::of(&visitor);
    let mut found: HashMap<&'static str, Vec<Row>> = HashMap::new();
    if !query.is_empty() {
        for (kind, row) in hits(&app, (&catalogue, &reader), &query).await? {
            found.entry(kind).or_default().push(row);
        }
        found.insert("products", products(&catalogue, &reader, &query));
    }
    let total: usize = found.values().map(Vec::len).sum();
    if kind.is_empty() {
        record(&app, &visitor, &query, total).await;
    }
    let results = KINDS
        .into_iter()
        .filter(|(known, _)| kind.is_empty() || *known == kind)
        .filter_map(|(known, title)| {
            let rows = found.remove(known).filter(|rows| !rows.is_empty())?;
            let most = if kind.is_empty() { FEW } else { MANY };
            Some(Results {
                kind: known,
                title,
                total: show::number(rows.len() as u64),
                all: (rows.len() > most && kind.is_empty()).then(|| asked.with("type", known)),
                rows: rows.into_iter().take(most).collect(),
            })
        });
    let results: Vec<Results> = results.collect();
    let suggested = catalogue.listed(&reader).take(FEW);
    web::page(&Page {
        shell: visitor.shell(&app).await?,
        products: suggested
            .map(|offer| (address::product(&offer.product.name), offer.title.clone()))
            .collect(),
        query,
        kind,
        results,
        total,
    })
}

async fn hits(
    app: &App,
    (catalogue, reader): (&Catalogue, &Reader),
    query: &str,
) -> Result<Vec<(&'static str, Row)>, Problem> {
    let indexed = indexed(app).await?;
    let visible: Vec<&str> = catalogue
        .listed(reader)
        .map(|offer| offer.product.name.as_str())
        .collect();
    let is_visible = |key: &str| {
        key == GUIDES
            || indexed
                .bases
                .get(key)
                .is_some_and(|place| visible.contains(&place.product.as_str()))
    };
    let hits = indexed.index.search(query, &is_visible, MOST);
    Ok(hits.into_iter().filter_map(|hit| row(hit, &indexed)).collect())
}

fn row(hit: Hit, indexed: &Indexed) -> Option<(&'static str, Row)> {
    let (kind, folder) = match hit.kind {
        Found::Operation => ("operations", "operations"),
        Found::Webhook => ("operations", "webhooks"),
        Found::Schema => ("schemas", "schemas"),
        Found::Guide => ("guides", ""),
    };
    let place = indexed.bases.get(&hit.key);
    let href = match (hit.kind, place) {
        (Found::Guide, _) => address::guide(&hit.slug),
        (Found::Operation | Found::Webhook | Found::Schema, place) => {
            format!("{}/{folder}/{}", place?.base, address::segment(&hit.slug))
        }
    };
    let row = Row {
        href,
        title: hit.title,
        method: hit.method.map(|method| {
            let class = method_class(&method);
            (method, class)
        }),
        path: hit.path,
        place: place.map(|place| place.label.clone()).unwrap_or_default(),
        fragment: hit.fragment.into(),
    };
    Some((kind, row))
}

fn products(catalogue: &Catalogue, reader: &Reader, query: &str) -> Vec<Row> {
    let found = catalogue
        .listed(reader)
        .filter(|offer| super::list::matches_query(offer, query));
    let row = |offer: &offers::Offer| Row {
        href: address::product(&offer.product.name),
        title: offer.title.clone(),
        method: None,
        path: None,
        place: String::new(),
        fragment: Html(web::escape(&offer.summary())),
    };
    found.take(MANY).map(row).collect()
}

/// Records what was searched for. What looks like a key is nobody's business, and staff look for other reasons.
async fn record(app: &App, visitor: &Visitor, query: &str, found: usize) {
    let term = query.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    let is_secret = term.contains("tg_live_") || term.contains("tg_test_") || term.contains("tgt_");
    let is_staff = visitor.reads(Section::Manage);
    let now = app.clock.now();
    if term.is_empty() || is_secret || is_staff || !app.reading.search.may_record(now) {
        return;
    }
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    if let Err(error) = app.store.record_search(&term, found, now).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a search was not recorded");
    }
}
