//! OpenAPI documents of any version, read leniently.
//!
//! [`read`] takes 2.0, 3.0, 3.1 and 3.2 (which adds `query` and `additionalOperations`) from a JSON value; [`load`] takes
//! text and gives each fault its line. Whatever is wrong becomes a [`Fault`] with a pointer, a reason and a remedy; a bad
//! part never costs a good one.
//!
//! Invariants: references are looked up one by one inside the document, never expanded, with bounded steps; keys of
//! operations are unique but for operations that share a route. Deliberately absent: schemas (they stay JSON), examples,
//! and references that lead outside (see [`crate::bundle`]).

mod fields;
mod keys;
mod operations;
mod parameters;
pub mod references;
mod security;
mod typed;
mod version;

use serde_json::{Map, Value};

use crate::fault::{Fault, Faults, Severity, locate};
use crate::located::{self, Document, Limits, NoteKind};
use crate::template::Template;

pub use typed::typed_check;
pub use version::Version;

/// What a document says that routing, metering and documentation need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// Which specification the document follows.
    pub version: Version,
    /// Title of the API.
    pub title: Option<String>,
    /// Version of the API, as the document calls it.
    pub document_version: Option<String>,
    /// What the API is for, in Markdown.
    pub summary: Option<String>,
    /// Addresses that the document names, as written; of 2.0 composed of scheme, host and base path. No route depends
    /// on them.
    pub servers: Vec<String>,
    /// Base path of a 2.0 document. No route depends on it.
    pub base_path: Option<String>,
    /// Operations in the order of the document.
    pub operations: Vec<Operation>,
    /// What is wrong; at most about 500.
    pub faults: Vec<Fault>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The operationId, or `GET /path` where that is absent or repeated. Operations that share a route may share it.
    pub key: String,
    /// The operationId as written, even when it is repeated.
    pub operation_id: Option<String>,
    /// Method as it stands in requests, such as `GET`.
    pub method: String,
    /// Path key of the document up to `?` or `#`, with its leading slash.
    pub path_key: String,
    /// The path key as segments.
    pub template: Template,
    /// Key of an earlier operation whose method and path fall together with this one: requests are counted there.
    pub shares_route_of: Option<String>,
    /// One line.
    pub summary: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether callers should move away from it.
    pub deprecated: bool,
    /// Parameters of the operation and of its path, references resolved.
    pub parameters: Vec<Parameter>,
    /// Alternatives, each a list of schemes that must all be given; an empty alternative needs none.
    pub security: Vec<Vec<SecurityUse>>,
    /// Where the operation stands in the document.
    pub pointer: String,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Name.
    pub name: String,
    /// Where it stands in a request.
    pub location: Location,
    /// Whether a request must have it.
    pub required: bool,
    /// Whether callers should stop sending it.
    pub deprecated: bool,
    /// Markdown.
    pub description: Option<String>,
    /// Where its definition stands in the document.
    pub pointer: String,
}

/// Where a parameter stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Location {
    /// In the query.
    Query,
    /// The query as a whole (3.2).
    QueryString,
    /// A header.
    Header,
    /// A placeholder of the path.
    Path,
    /// A cookie.
    Cookie,
    /// The body (2.0).
    Body,
    /// A field of a form (2.0).
    FormData,
}

/// A security scheme that an operation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityUse {
    /// Name of the scheme.
    pub scheme: String,
    /// Scopes or roles.
    pub scopes: Vec<String>,
}

/// What came of reading a text.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The document, unless the text could not be read.
    pub document: Option<Document>,
    /// The description; without operations when the text could not be read.
    pub description: Description,
}

/// What makes a document useless as a description: it is none, or one of a version that cannot be read.
#[must_use]
pub fn unreadable(root: &Value) -> Option<Fault> {
    let mut faults = Faults::default();
    let useless = version::detect(root, &mut faults) == Version::Unknown;
    let mut found = faults.into_list().into_iter();
    found.find(|fault| useless && fault.severity == Severity::Error)
}

/// Reads the text of a description. Never fails: what is wrong stands in the faults, with line and column.
#[must_use]
pub fn load(bytes: &[u8], limits: &Limits) -> Loaded {
    match located::parse_one(bytes, limits) {
        Ok(document) => {
            let mut description = read(document.value());
            // A version such as 1.10 would lose its zero as a number.
            if document.value().pointer("/info/version").is_some_and(Value::is_number) {
                description.document_version = document.written("/info/version").map(str::to_owned);
            }
            let mut faults = notes(&document);
            faults.append(&mut description.faults);
            locate(&mut faults, &document);
            faults.sort_by_key(|fault| fault.position);
            Loaded {
                description: Description { faults, ..description },
                document: Some(document),
            }
        }
        Err(error) => {
            let mut fault = Fault::error("", error.reason, error.remedy);
            fault.position = Some(error.position);
            Loaded {
                description: Description {
                    faults: vec![fault],
                    ..read(&Value::Null)
                },
                document: None,
            }
        }
    }
}

/// What the loader noted, as faults: all forgivable in a description.
fn notes(document: &Document) -> Vec<Fault> {
    let notes = document.notes().iter().map(|note| {
        let (pointer, reason, remedy) = (note.pointer.clone(), note.reason.clone(), note.remedy.clone());
        let fault = match note.kind {
            NoteKind::EntrySkipped => Fault::error(pointer, reason, remedy),
            NoteKind::DuplicateKey { .. } | NoteKind::KeyNotText | NoteKind::NumberTooLarge => {
                Fault::warning(pointer, reason, remedy)
            }
        };
        Fault {
            position: Some(note.position),
            ..fault
        }
    });
    notes.collect()
}

/// Reads a document that was parsed before; faults have pointers and no lines (see [`crate::fault::locate`]).
#[must_use]
pub fn read(root: &Value) -> Description {
    let mut reader = Reader::new(root);
    reader.version = version::detect(root, &mut reader.faults);
    let mut description = Description {
        version: reader.version,
        title: None,
        document_version: None,
        summary: None,
        servers: Vec::new(),
        base_path: None,
        operations: Vec::new(),
        faults: Vec::new(),
    };
    if let (Some(object), false) = (root.as_object(), reader.version == Version::Unknown) {
        reader.header(object, &mut description);
        reader.paths(object);
        references::check(root, &mut reader.faults);
        keys::assign(&mut reader.operations, &mut reader.faults);
    }
    description.operations = reader.operations;
    description.faults = reader.faults.into_list();
    description
}

/// Operations of a path item that stands at no path: a webhook (by its name) or a callback (by its expression). Faults
/// have pointers only; references are not checked again.
#[must_use]
pub fn read_item(root: &Value, name: &str, at: &str) -> (Vec<Operation>, Vec<Fault>) {
    let mut reader = Reader::new(root);
    reader.version = version::detect(root, &mut Faults::default());
    if let Some(item) = references::lookup(root, at) {
        reader.named_item(name, item, at);
    }
    (reader.operations, reader.faults.into_list())
}

/// The state of one reading.
struct Reader<'a> {
    root: &'a Value,
    version: Version,
    faults: Faults,
    operations: Vec<Operation>,
    /// Bytes that operations may still take; references could multiply a small document.
    budget: usize,
}

impl<'a> Reader<'a> {
    const BUDGET: usize = 64 << 20;

    fn new(root: &'a Value) -> Self {
        let (faults, operations) = (Faults::default(), Vec::new());
        Self {
            root,
            version: Version::Unknown,
            faults,
            operations,
            budget: Self::BUDGET,
        }
    }

    /// Takes what a part costs from the budget; the first time that it does not suffice is reported.
    fn spend(&mut self, bytes: usize, at: &str) -> bool {
        match self.budget.checked_sub(bytes) {
            Some(rest) => {
                self.budget = rest;
                true
            }
            None if self.budget == 0 => false,
            None => {
                self.budget = 0;
                let reason = "the operations from here on take too much room and are left out";
                self.faults.push(Fault::error(at, reason, "split the document"));
                false
            }
        }
    }

    fn header(&mut self, object: &'a Map<String, Value>, description: &mut Description) {
        self.fields(fields::ROOT, object, "");
        match object.get("info").map(Value::as_object) {
            Some(Some(info)) => {
                self.fields(fields::INFO, info, "/info");
                description.title = self.text(info, "title", "/info");
                description.document_version = self.text(info, "version", "/info");
                description.summary = self
                    .text(info, "summary", "/info")
                    .or_else(|| self.text(info, "description", "/info"));
            }
            Some(None) => self.faults.push(Fault::warning(
                "/info",
                "info is not a map",
                "write info with title and version",
            )),
            None => self
                .faults
                .push(Fault::warning("", "info is missing", "add info with title and version")),
        }
        if self.version == Version::V2 {
            description.base_path = self.text(object, "basePath", "");
            description
                .servers
                .extend(self.swagger_server(object, description.base_path.as_deref()));
        } else {
            self.servers(object, description);
        }
        for (at, tag) in list(object.get("tags")).iter().enumerate() {
            if let Some(tag) = tag.as_object() {
                self.fields(fields::TAG, tag, &format!("/tags/{at}"));
            }
        }
        self.component_names(object);
    }

    fn servers(&mut self, object: &'a Map<String, Value>, description: &mut Description) {
        for (at, server) in list(object.get("servers")).iter().enumerate() {
            let pointer = format!("/servers/{at}");
            let Some(server) = server.as_object() else {
                self.faults
                    .push(Fault::warning(pointer, "a server is not a map", "write it as {url: …}"));
                continue;
            };
            self.fields(fields::SERVER, server, &pointer);
            match self.text(server, "url", &pointer) {
                Some(url) => description.servers.push(with_variables(&url, server)),
                None => self
                    .faults
                    .push(Fault::warning(pointer, "a server has no url", "add its url")),
            }
        }
    }

    fn swagger_server(&mut self, object: &'a Map<String, Value>, base_path: Option<&str>) -> Option<String> {
        let host = self.text(object, "host", "")?;
        let schemes = list(object.get("schemes"));
        let named = |name: &str| schemes.iter().any(|scheme| scheme == name);
        let scheme = if named("http") && !named("https") {
            "http"
        } else {
            "https"
        };
        Some(format!("{scheme}://{host}{}", base_path.unwrap_or_default()))
    }

    /// Names of components are part of references and of page addresses.
    fn component_names(&mut self, object: &'a Map<String, Value>) {
        let Some(components) = object.get("components").and_then(Value::as_object) else {
            return;
        };
        for (kind, entries) in components.iter().filter(|(kind, _)| !kind.starts_with("x-")) {
            for name in entries.as_object().into_iter().flat_map(Map::keys) {
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
                if name.is_empty() || !name.chars().all(plain) {
                    let reason = format!(
                        "the component name {:?} has characters that names may not have",
                        located::shorten(name)
                    );
                    let pointer = crate::pointer::join(&format!("/components/{kind}"), name);
                    self.faults.push(Fault::warning(
                        pointer,
                        reason,
                        "use letters, digits, dots, hyphens and underscores",
                    ));
                }
            }
        }
    }

    /// A text field. Numbers and truth values are taken as text with a warning, anything else as absent.
    fn text(&mut self, object: &Map<String, Value>, field: &str, pointer: &str) -> Option<String> {
        let value = object.get(field)?;
        let (kept, what) = match value {
            Value::String(text) => return Some(text.clone()),
            Value::Number(number) => (Some(number.to_string()), "a number"),
            Value::Bool(truth) => (Some(truth.to_string()), "a truth value"),
            Value::Null => (None, "nothing"),
            Value::Array(_) => (None, "a list"),
            Value::Object(_) => (None, "a map"),
        };
        let reason = format!("{field} is {what} where text is expected");
        self.faults.push(Fault::warning(
            crate::pointer::join(pointer, field),
            reason,
            "write it as text, in quotes",
        ));
        kept
    }

    fn flag(&mut self, object: &Map<String, Value>, field: &str, pointer: &str) -> bool {
        match object.get(field) {
            None => false,
            Some(Value::Bool(truth)) => *truth,
            Some(other) => {
                let pointer = crate::pointer::join(pointer, field);
                let reason = format!("{field} is neither true nor false");
                self.faults
                    .push(Fault::warning(pointer, reason, "write true or false without quotes"));
                other == "true"
            }
        }
    }
}

/// Puts the defaults of server variables into an address.
fn with_variables(url: &str, server: &Map<String, Value>) -> String {
    let mut filled = url.to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        if let Some(default) = variable.get("default").and_then(Value::as_str) {
            filled = filled.replacen(&format!("{{{name}}}"), default, 1);
        }
    }
    filled
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests;
