//! An uploaded document: what is wrong with it, what it would give. Any bytes make a report, never an error.

use description::fault::{Fault, Severity};
use description::located::Limits;
use description::openapi::{self, Description};
use domain::clock::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::NewDraft;

use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::web::{Posted, show};

/// The kind of drafts of uploads.
pub(super) const KIND: &str = "upload";
const MOST_OPERATIONS: usize = 30_000;
const SHOWN_FAULTS: usize = 200;
const SHOWN_ROUTES: usize = 300;
/// How long an upload that nobody finishes is kept.
const KEPT_MS: i64 = 7 * 86_400_000;

/// What was typed beside a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) base_path: String,
    pub(super) upstream: String,
    pub(super) visibility: String,
    /// The name of the file.
    pub(super) file: String,
    /// Of a new document of an API: its product and name.
    pub(super) product: String,
    pub(super) api: String,
}

impl Upload {
    /// What a draft holds.
    pub(super) fn of(fields: &Json) -> Self {
        serde_json::from_value(fields.clone()).unwrap_or_default()
    }

    /// What lists call it.
    pub(super) fn label(&self) -> String {
        let named = [&self.title, &self.name, &self.api, &self.file];
        named
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(|| "A document without a name".to_owned(), Clone::clone)
    }

    /// What becomes of it.
    pub(super) const fn what(&self) -> &'static str {
        if self.api.is_empty() {
            "New product"
        } else {
            "New document"
        }
    }

    /// Where it is looked at.
    pub(super) fn href(&self, id: &str) -> String {
        if self.api.is_empty() {
            format!("/manage/products/new/{id}")
        } else {
            format!("/manage/products/{}/apis/{}/document/{id}", self.product, self.api)
        }
    }
}

/// A fault in words.
pub(super) struct FaultRow {
    pub(super) is_error: bool,
    /// Line and column.
    pub(super) place: String,
    pub(super) pointer: String,
    pub(super) reason: String,
    pub(super) remedy: String,
}

/// A route that would exist.
pub(super) struct RouteRow {
    pub(super) method: String,
    pub(super) class: String,
    pub(super) path: String,
    pub(super) key: String,
    pub(super) summary: String,
}

/// What a document gives.
pub(super) struct Report {
    /// Whether it can be published.
    pub(super) usable: bool,
    pub(super) format: &'static str,
    pub(super) title: String,
    pub(super) version: String,
    pub(super) operations: String,
    pub(super) schemas: String,
    pub(super) errors: usize,
    pub(super) warnings: usize,
    pub(super) faults: Vec<FaultRow>,
    pub(super) more_faults: usize,
    pub(super) routes: Vec<RouteRow>,
    pub(super) more_routes: usize,
}

/// A document that was read.
pub(super) struct Read {
    pub(super) report: Report,
    pub(super) description: Description,
    /// The document, where it can be published.
    pub(super) root: Option<Json>,
}

/// The bytes of the document that a form brings: a file, else what was pasted.
pub(super) fn sent(posted: &Posted) -> Option<(Vec<u8>, String)> {
    if let Some(file) = posted.file("document") {
        return Some((file.content.to_vec(), file.name.clone()));
    }
    let pasted = posted.raw("pasted");
    (!pasted.trim().is_empty()).then(|| (pasted.as_bytes().to_vec(), String::new()))
}

/// Reads a document, on a thread for such work: large ones take a while.
pub(super) async fn read(bytes: Vec<u8>, base_path: &str) -> Result<Read, Problem> {
    let base = base_path.trim_end_matches('/').to_owned();
    let read = tokio::task::spawn_blocking(move || read_now(&bytes, &base)).await;
    read.map_err(|error| {
        tracing::error!(%error, "a document could not be read");
        Problem::internal()
    })
}

fn read_now(bytes: &[u8], base: &str) -> Read {
    let loaded = openapi::load(bytes, &Limits::DESCRIPTION);
    let mut description = loaded.description;
    let root = loaded.document.map(description::located::Document::into_value);
    let count = description.operations.len();
    let mut usable = root.as_ref().is_some_and(Json::is_object);
    if let Some(fault) = root
        .as_ref()
        .filter(|root| root.is_object())
        .and_then(openapi::unreadable)
    {
        usable = false;
        if !description.faults.iter().any(|known| known.reason == fault.reason) {
            description.faults.insert(0, fault);
        }
    }
    if root.as_ref().is_some_and(|root| !root.is_object()) {
        let text = "an OpenAPI document is an object that begins with `openapi` or `swagger`";
        description
            .faults
            .insert(0, Fault::error("", "the text is not an OpenAPI document", text));
    }
    if count > MOST_OPERATIONS {
        usable = false;
        let reason = format!("the document has {count} operations, more than {MOST_OPERATIONS}");
        description
            .faults
            .insert(0, Fault::error("/paths", reason, "split it into several APIs"));
    }
    Read {
        report: report(&description, root.as_ref(), usable, base),
        description,
        root: root.filter(|_| usable),
    }
}

fn report(description: &Description, root: Option<&Json>, usable: bool, base: &str) -> Report {
    let errors = description
        .faults
        .iter()
        .filter(|fault| fault.severity == Severity::Error)
        .count();
    let mut faults: Vec<&Fault> = description.faults.iter().collect();
    faults.sort_by_key(|fault| std::cmp::Reverse(fault.severity));
    let routes = description
        .operations
        .iter()
        .filter(|one| one.shares_route_of.is_none());
    let routes: Vec<_> = routes.collect();
    Report {
        usable,
        format: description.version.as_str(),
        title: description.title.clone().unwrap_or_default(),
        version: description.document_version.clone().unwrap_or_default(),
        operations: show::number(description.operations.len() as u64),
        schemas: show::number(root.map_or(0, schemas) as u64),
        errors,
        warnings: description.faults.len() - errors,
        more_faults: faults.len().saturating_sub(SHOWN_FAULTS),
        faults: faults.into_iter().take(SHOWN_FAULTS).map(fault_row).collect(),
        more_routes: routes.len().saturating_sub(SHOWN_ROUTES),
        routes: routes
            .into_iter()
            .take(SHOWN_ROUTES)
            .map(|one| RouteRow {
                method: one.method.clone(),
                class: one.method.to_lowercase(),
                path: format!("{base}{}", one.path_key),
                key: one.key.clone(),
                summary: one.summary.clone().unwrap_or_default(),
            })
            .collect(),
    }
}

fn fault_row(fault: &Fault) -> FaultRow {
    FaultRow {
        is_error: fault.severity == Severity::Error,
        place: fault.position.map_or_else(
            || show::NOTHING.to_owned(),
            |place| format!("{}:{}", place.line, place.column),
        ),
        pointer: if fault.pointer.is_empty() {
            "the whole".to_owned()
        } else {
            fault.pointer.clone()
        },
        reason: fault.reason.clone(),
        remedy: fault.remedy.clone(),
    }
}

/// Named schemas of a document.
fn schemas(root: &Json) -> usize {
    let places = ["/components/schemas", "/definitions"];
    let maps = places.iter().filter_map(|place| root.pointer(place)?.as_object());
    maps.map(serde_json::Map::len).sum()
}

/// Keeps an upload until someone decides about it.
pub(super) async fn keep(app: &App, upload: &Upload, bytes: Vec<u8>, author: &str) -> Result<String, Problem> {
    let now: Timestamp = app.clock.now();
    app.store.prune_drafts(KIND, now.plus_millis(-KEPT_MS)).await?;
    let id = crate::http::problem::hex(&domain::random::bytes::<12>());
    let draft = NewDraft {
        id: id.clone(),
        kind: KIND.to_owned(),
        fields: serde_json::to_value(upload).map_err(|_| Problem::internal())?,
        body: Some(bytes),
    };
    app.store.put_draft(&draft, 0, author, now).await?;
    Ok(id)
}

/// An upload that was kept, and its bytes.
pub(super) async fn kept(app: &App, id: &str) -> Result<(Upload, Vec<u8>), Problem> {
    let missing = || Problem::missing("upload: it was finished, or it is older than a week");
    let draft = app
        .store
        .draft(id)
        .await?
        .filter(|draft| draft.kind == KIND)
        .ok_or_else(missing)?;
    let bytes = app.store.draft_body(id).await?.ok_or_else(missing)?;
    Ok((Upload::of(&draft.fields), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_make_a_report_with_places() {
        for bytes in [
            "",
            "\u{0}\u{1}",
            "[1, 2]",
            "openapi: [",
            "{\"openapi\": \"9.9\"}",
            "just text",
            "{\"swagger\": \"7\"}",
        ] {
            let read = read_now(bytes.as_bytes(), "/x");
            assert!(!read.report.usable && read.root.is_none(), "{bytes}");
            assert!(read.report.errors > 0, "{bytes}");
        }
        let broken = read_now(b"openapi: 3.0.0\ninfo: {title: T, version: 1}\npaths:\n  /a: 5\n", "/x");
        let fault = broken.report.faults.first().unwrap();
        assert_eq!(
            (fault.place.split(':').next(), fault.pointer.as_str()),
            (Some("4"), "/paths/~1a")
        );
    }

    #[test]
    fn routes_stand_below_the_base_path() {
        let text = b"{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"T\",\"version\":\"1\"},\"paths\":{\"/a\":{\"get\":{\"operationId\":\"getA\",\"responses\":{}}}}}";
        let read = read_now(text, "/base");
        assert!(read.report.usable && read.root.is_some());
        let route = read.report.routes.first().unwrap();
        assert_eq!(
            (route.method.as_str(), route.path.as_str(), route.key.as_str()),
            ("GET", "/base/a", "getA")
        );
    }
}
