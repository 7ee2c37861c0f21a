//! A document, read once.

use std::collections::HashMap;
use std::sync::Arc;

use description::fault::Fault;
use description::openapi::references::{Broken, Part, lookup, resolve};
use description::openapi::{self, Version};
use description::pointer;
use serde_json::{Map, Value};

use crate::entry::{Entry, Kind, SchemaEntry};
use crate::groups::{self, Group};
use crate::html::{Html, clip};
use crate::limits::Limits;
use crate::prose::{self, Place};
use crate::schema::SchemaLink;
use crate::slug::{self, Names};
use crate::uses::{Counter, Uses, parents};

/// The document is no OpenAPI document.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no OpenAPI document: {}", faults.first().map_or_else(String::new, ToString::to_string))]
pub struct Refused {
    /// What is wrong; at least one.
    pub faults: Vec<Fault>,
}

/// An address under which a document says its API answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The address, variables replaced by their defaults.
    pub url: String,
    /// What it is for.
    pub prose: Html,
    /// Variables: name, default, values that are allowed.
    pub variables: Vec<(String, String, Vec<String>)>,
}

/// A document that pages are made of. Cheap to share, never changed.
#[derive(Debug, Clone)]
pub struct Reference {
    pub(crate) document: Arc<Value>,
    pub(crate) limits: Limits,
    version: Version,
    title: String,
    document_version: String,
    base: Option<String>,
    entries: Vec<Entry>,
    slugs: Names,
    groups: Vec<Group>,
    group_slugs: Names,
    order: Vec<usize>,
    places: Vec<usize>,
    webhooks: Vec<Entry>,
    webhook_slugs: Names,
    schemas: Vec<SchemaEntry>,
    schema_slugs: Names,
    schema_pointers: HashMap<String, usize>,
    /// Schemas by the addresses of their values, which never move.
    schema_addresses: HashMap<usize, usize>,
    anchors: HashMap<String, String>,
    pub(crate) uses: Uses,
    pub(crate) notes: Vec<Fault>,
}

/// Schemas of one document that have pages.
const MOST_SCHEMAS: usize = 50_000;
/// Above this the index of a reference lists groups only.
const LONGEST_INDEX: usize = 200;

impl Reference {
    /// Reads a document.
    ///
    /// # Errors
    /// It is no OpenAPI document of a known version. Any other fault becomes one of the [notes](Self::notes).
    pub fn build(document: Arc<Value>, limits: Limits) -> Result<Self, Refused> {
        let description = openapi::read(&document);
        if description.version == Version::Unknown {
            return Err(Refused {
                faults: description.faults,
            });
        }
        let base = description
            .servers
            .first()
            .filter(|url| url.starts_with("https://") || url.starts_with("http://"));
        let mut reference = Self {
            limits,
            version: description.version,
            title: description
                .title
                .filter(|text| !text.trim().is_empty())
                .unwrap_or_else(|| "API".to_owned()),
            document_version: description.document_version.unwrap_or_default(),
            base: base.cloned(),
            entries: description
                .operations
                .into_iter()
                .map(|operation| Entry::new(Kind::Operation, operation))
                .collect(),
            slugs: Names::default(),
            groups: Vec::new(),
            group_slugs: Names::default(),
            order: Vec::new(),
            places: Vec::new(),
            webhooks: Vec::new(),
            webhook_slugs: Names::default(),
            schemas: Vec::new(),
            schema_slugs: Names::default(),
            schema_pointers: HashMap::new(),
            schema_addresses: HashMap::new(),
            anchors: HashMap::new(),
            uses: Uses::default(),
            notes: description.faults,
            document,
        };
        reference.read_webhooks();
        reference.read_schemas();
        reference.name_entries();
        reference.read_anchors();
        reference.count_uses();
        Ok(reference)
    }

    fn read_webhooks(&mut self) {
        let root = Arc::clone(&self.document);
        for field in ["webhooks", "x-webhooks"] {
            let items = root.get(field).and_then(Value::as_object).into_iter().flatten();
            for (name, _) in items.take(MOST_SCHEMAS) {
                let at = pointer::join(&format!("/{field}"), name);
                let (operations, faults) = openapi::read_item(&root, name, &at);
                self.notes.extend(faults);
                self.webhooks.extend(
                    operations
                        .into_iter()
                        .map(|operation| Entry::new(Kind::Webhook, operation)),
                );
            }
        }
    }

    /// Pointer of the map of schemas.
    fn schema_base(&self) -> &'static str {
        match self.version {
            Version::V2 => "/definitions",
            Version::Unknown | Version::V3_0 | Version::V3_1 | Version::V3_2 => "/components/schemas",
        }
    }

    fn read_schemas(&mut self) {
        let base = self.schema_base();
        let names: Vec<String> = lookup(&self.document, base)
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .take(MOST_SCHEMAS)
            .cloned()
            .collect();
        let items: Vec<_> = names.iter().map(|name| (slug::schema(name), name.clone())).collect();
        let (slugs, given) = Names::assign(&items);
        self.schema_slugs = slugs;
        for (name, slug) in names.into_iter().zip(given) {
            let pointer = pointer::join(base, &name);
            self.schema_pointers.insert(pointer.clone(), self.schemas.len());
            if let Some(value) = lookup(&self.document, &pointer) {
                self.schema_addresses
                    .insert(std::ptr::from_ref(value).addr(), self.schemas.len());
            }
            self.schemas.push(SchemaEntry { name, slug, pointer });
        }
    }

    fn name_entries(&mut self) {
        let said = |entry: &Entry| {
            let whole = format!("{} {} {}", entry.method, entry.path, entry.pointer);
            let plain = match entry.kind {
                Kind::Operation => slug::operation(&entry.method, &entry.path),
                Kind::Webhook => slug::plain(&entry.path),
            };
            (plain, whole)
        };
        for (entries, slugs) in [
            (&mut self.entries, &mut self.slugs),
            (&mut self.webhooks, &mut self.webhook_slugs),
        ] {
            let items: Vec<_> = entries.iter().map(said).collect();
            let (names, given) = Names::assign(&items);
            *slugs = names;
            for (entry, slug) in entries.iter_mut().zip(given) {
                entry.slug = slug;
            }
        }
        let grouped = groups::group(&self.document, &mut self.entries, self.base.as_deref());
        self.groups = grouped.groups;
        self.group_slugs = grouped.slugs;
        self.places = vec![0; self.entries.len()];
        for (place, index) in grouped.order.iter().enumerate() {
            if let Some(slot) = self.places.get_mut(*index) {
                *slot = place;
            }
        }
        self.order = grouped.order;
    }

    fn read_anchors(&mut self) {
        if self.version < Version::V3_1 {
            return;
        }
        // Only anchors of whole schemas: others are too rare to pay for a walk that keeps its path.
        for entry in &self.schemas {
            let schema = lookup(&self.document, &entry.pointer);
            for field in ["$anchor", "$dynamicAnchor", "$id"] {
                if let Some(name) = schema.and_then(|schema| schema.get(field)).and_then(Value::as_str) {
                    self.anchors
                        .entry(name.to_owned())
                        .or_insert_with(|| entry.pointer.clone());
                }
            }
        }
    }

    fn count_uses(&mut self) {
        let mut uses = Uses {
            operations: vec![Vec::new(); self.schemas.len()],
            webhooks: vec![Vec::new(); self.schemas.len()],
            schemas: vec![Vec::new(); self.schemas.len()],
            heirs: vec![Vec::new(); self.schemas.len()],
        };
        let document = Arc::clone(&self.document);
        let mut counter = Counter::new(&document, &self.schema_pointers, self.schema_base());
        let put = |lists: &mut Vec<Vec<usize>>, found: Vec<usize>, user: usize| {
            for schema in found {
                if let Some(list) = lists.get_mut(schema) {
                    list.push(user);
                }
            }
        };
        for (lists, entries) in [
            (&mut uses.operations, &self.entries),
            (&mut uses.webhooks, &self.webhooks),
        ] {
            for (user, entry) in entries.iter().enumerate() {
                let parts = entry.parameters.iter().map(|parameter| parameter.pointer.as_str());
                let mut found: Vec<usize> = parts
                    .chain([entry.pointer.as_str()])
                    .filter_map(|pointer| lookup(&document, pointer))
                    .flat_map(|value| counter.of(value))
                    .collect();
                found.sort_unstable();
                found.dedup();
                put(lists, found, user);
            }
        }
        for (user, entry) in self.schemas.iter().enumerate() {
            let Some(schema) = lookup(&document, &entry.pointer) else {
                continue;
            };
            put(&mut uses.schemas, counter.of(schema), user);
            let heirs = parents(schema)
                .filter_map(|reference| resolve(&document, reference).ok())
                .filter_map(|(_, pointer)| self.schema_pointers.get(&pointer).copied());
            put(&mut uses.heirs, heirs.collect(), user);
        }
        self.uses = uses;
    }

    /// Which specification the document follows.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Title of the API; `API` where the document has none.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Version of the API, as the document calls it; may be empty.
    #[must_use]
    pub fn document_version(&self) -> &str {
        &self.document_version
    }

    /// What the document says about the API as a whole.
    #[must_use]
    pub fn introduction(&self) -> Html {
        let text = lookup(&self.document, "/info/description").or_else(|| lookup(&self.document, "/info/summary"));
        self.prose(text, Place::Page(2))
    }

    /// What is wrong with the document, with JSON pointers. [`description::fault::locate`] adds lines.
    #[must_use]
    pub fn notes(&self) -> &[Fault] {
        &self.notes
    }

    /// Groups in the order of navigation; one below another follows it.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The group with this name in addresses.
    #[must_use]
    pub fn group(&self, slug: &str) -> Option<&Group> {
        self.groups.get(self.group_slugs.find(slug)?)
    }

    /// Operations in the order of the document.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The operation with this name in addresses, as navigation shows it.
    #[must_use]
    pub fn entry(&self, slug: &str) -> Option<&Entry> {
        self.entries.get(self.slugs.find(slug)?)
    }

    /// The operation with this key in routing and metering.
    #[must_use]
    pub fn entry_by_key(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// Operations of a group, in order.
    pub fn operations_of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Entry> {
        group.operations.iter().filter_map(|index| self.entries.get(*index))
    }

    /// Webhooks in the order of the document.
    #[must_use]
    pub fn webhooks(&self) -> &[Entry] {
        &self.webhooks
    }

    /// The webhook with this name in addresses.
    #[must_use]
    pub fn webhook_entry(&self, slug: &str) -> Option<&Entry> {
        self.webhooks.get(self.webhook_slugs.find(slug)?)
    }

    /// Schemas in the order of the document.
    #[must_use]
    pub fn schemas(&self) -> &[SchemaEntry] {
        &self.schemas
    }

    /// The schema with this name in addresses.
    #[must_use]
    pub fn schema_entry(&self, slug: &str) -> Option<&SchemaEntry> {
        self.schemas.get(self.schema_slugs.find(slug)?)
    }

    /// The schema with this name in the document.
    #[must_use]
    pub fn schema_named(&self, name: &str) -> Option<&SchemaEntry> {
        let pointer = pointer::join(self.schema_base(), name);
        self.schemas.get(*self.schema_pointers.get(&pointer)?)
    }

    /// Whether the index lists operations, and not only groups: it would be too long otherwise.
    #[must_use]
    pub fn index_lists_operations(&self) -> bool {
        self.entries.len() <= LONGEST_INDEX
    }

    /// The operations before and after one in the order of navigation.
    #[must_use]
    pub fn neighbours(&self, entry: &Entry) -> (Option<&Entry>, Option<&Entry>) {
        let place = self.slugs.find(&entry.slug).and_then(|index| self.places.get(index));
        let Some(place) = place.filter(|_| entry.kind == Kind::Operation) else {
            return (None, None);
        };
        let at = |place: usize| self.entries.get(*self.order.get(place)?);
        (place.checked_sub(1).and_then(at), at(place + 1))
    }

    /// Addresses that the document names.
    #[must_use]
    pub fn servers(&self) -> Vec<Server> {
        self.servers_of(self.document.get("servers"))
    }

    pub(crate) fn servers_of(&self, list: Option<&Value>) -> Vec<Server> {
        const MOST: usize = 50;
        let listed = list.and_then(Value::as_array).into_iter().flatten().take(MOST);
        let servers: Vec<Server> = listed.filter_map(|server| self.server(server)).collect();
        let own = self.base.iter().filter(|_| servers.is_empty()).map(|url| Server {
            url: url.clone(),
            prose: Html::default(),
            variables: Vec::new(),
        });
        own.chain(servers.clone()).collect()
    }

    fn server(&self, server: &Value) -> Option<Server> {
        const MOST: usize = 50;
        let mut url = clip(server.get("url")?.as_str()?, 2_000);
        let listed = server.get("variables").and_then(Value::as_object).into_iter().flatten();
        let mut variables = Vec::new();
        for (name, variable) in listed.take(MOST) {
            let default = variable.get("default").map(text_of).unwrap_or_default();
            url = clip(&url.replacen(&format!("{{{name}}}"), &default, 1), 2_000);
            let allowed = variable.get("enum").and_then(Value::as_array).into_iter().flatten();
            let allowed = allowed.take(self.limits.allowed).map(text_of).collect();
            variables.push((clip(name, 200), clip(&default, 200), allowed));
        }
        Some(Server {
            url,
            prose: self.prose(server.get("description"), Place::Field),
            variables,
        })
    }

    /// The part that a reference leads to.
    pub(crate) fn resolve(&self, reference: &str) -> Result<Part<'_>, Broken> {
        let anchor = reference.strip_prefix('#').and_then(|name| self.anchors.get(name));
        match anchor.or_else(|| self.anchors.get(reference)) {
            Some(pointer) => match lookup(&self.document, pointer) {
                Some(value) => Ok((value, pointer.clone())),
                None => Err(Broken::Missing(reference.to_owned())),
            },
            None => resolve(&self.document, reference),
        }
    }

    /// The page of a schema.
    pub(crate) fn link(&self, index: usize) -> Option<SchemaLink> {
        self.schemas.get(index).map(|entry| SchemaLink {
            name: entry.name.clone(),
            slug: entry.slug.clone(),
        })
    }

    pub(crate) fn schema_index(&self, slug: &str) -> Option<usize> {
        self.schema_slugs.find(slug)
    }

    pub(crate) fn schema_index_of(&self, value: &Value) -> Option<usize> {
        self.schema_addresses.get(&std::ptr::from_ref(value).addr()).copied()
    }

    pub(crate) fn schema_index_at(&self, pointer: &str) -> Option<usize> {
        self.schema_pointers.get(pointer).copied()
    }

    pub(crate) fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    pub(crate) fn prose(&self, text: Option<&Value>, place: Place<'_>) -> Html {
        match text.and_then(Value::as_str) {
            Some(text) => prose::render(text, place, self.base(), self.limits.prose).html,
            None => Html::default(),
        }
    }
}

/// A value on one line: texts as they are, everything else as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    const LONGEST: usize = 200;
    match value {
        Value::String(text) => clip(text, LONGEST),
        Value::Array(items) if items.len() > LONGEST => format!("a list of {}", items.len()),
        Value::Object(map) if map.len() > LONGEST => format!("a map of {}", map.len()),
        other => clip(&other.to_string(), LONGEST),
    }
}
