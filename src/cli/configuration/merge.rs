//! Many documents as one, with the way back from a place in the whole to the file, line and column.

use std::collections::BTreeMap;

use description::located::{NoteKind, Position};
use description::pointer;
use domain::validate::Severity;
use serde_json::{Map, Value};

use super::gather::File;
use super::report::{Message, Report};
use crate::config::nearest;

/// Keys of a document that hold lists.
pub(crate) const LISTS: [&str; 9] = [
    "apis",
    "meters",
    "products",
    "accounts",
    "consumers",
    "billable_policies",
    "coupons",
    "tax_rates",
    "partners",
];
/// The key that holds a map.
pub(crate) const SETTINGS: &str = "settings";

/// Where a part of the whole was written.
#[derive(Debug, Clone)]
struct Origin {
    file: usize,
    document: usize,
    pointer: String,
}

/// Many documents as one.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    files: Vec<File>,
    /// Items of the lists, by key.
    pub(crate) lists: BTreeMap<&'static str, Vec<Value>>,
    pub(crate) settings: Map<String, Value>,
    items: BTreeMap<&'static str, Vec<Origin>>,
    setting_origins: BTreeMap<String, Origin>,
}

/// Puts the documents of all files together.
pub(crate) fn merge(files: Vec<File>, report: &mut Report) -> Merged {
    let mut merged = Merged::default();
    for (file_at, file) in files.iter().enumerate() {
        for (document_at, document) in file.documents.iter().enumerate() {
            note(file, document, report);
            let origin = Origin {
                file: file_at,
                document: document_at,
                pointer: String::new(),
            };
            match document.value() {
                Value::Object(map) => merged.take(map, &origin, (file, report)),
                Value::Null => {}
                _ => report.push(message(
                    (file, &origin),
                    "a configuration is a map with keys such as `apis` and `products`".to_owned(),
                    "write apis: and a list below it",
                )),
            }
        }
    }
    merged.files = files;
    merged
}

/// What the reading noted. The configuration of a platform has no room for doubt.
fn note(file: &File, document: &description::located::Document, report: &mut Report) {
    for note in document.notes() {
        let severity = match note.kind {
            NoteKind::DuplicateKey { .. } | NoteKind::EntrySkipped | NoteKind::NumberTooLarge => Severity::Error,
            NoteKind::KeyNotText => Severity::Warning,
        };
        let remedy = match note.kind {
            NoteKind::DuplicateKey { .. } => "keep one of the two".to_owned(),
            NoteKind::EntrySkipped | NoteKind::NumberTooLarge | NoteKind::KeyNotText => note.remedy.clone(),
        };
        let position = Some(note.position);
        report.push(Message {
            position,
            severity,
            ..Message::of_file(file.shown.as_str(), note.reason.as_str(), remedy)
        });
    }
}

fn message((file, origin): (&File, &Origin), reason: String, remedy: impl Into<String>) -> Message {
    let position = file
        .documents
        .get(origin.document)
        .map(|document| document.nearest(&origin.pointer).shown());
    Message {
        position,
        ..Message::of_file(file.shown.as_str(), reason, remedy)
    }
}

impl Origin {
    fn below(&self, segment: &str) -> Self {
        Self {
            pointer: pointer::join(&self.pointer, segment),
            ..self.clone()
        }
    }
}

impl Merged {
    fn take(&mut self, map: &Map<String, Value>, root: &Origin, (file, report): (&File, &mut Report)) {
        for (key, value) in map {
            let origin = root.below(key);
            let list = LISTS.into_iter().find(|list| list == key);
            match (list, value) {
                (_, Value::Null) if list.is_some() || key == SETTINGS => {}
                (Some(list), Value::Array(items)) => self.take_items(list, items, &origin),
                (Some(_), _) => {
                    let reason = format!("`{key}` is a list");
                    report.push(message((file, &origin), reason, "begin each entry with `- `"));
                }
                (None, Value::Object(settings)) if key == SETTINGS => {
                    self.take_settings(settings, &origin, (file, report));
                }
                (None, _) if key == SETTINGS => {
                    report.push(message(
                        (file, &origin),
                        "`settings` is a map".to_owned(),
                        "write settings: { signup: open }",
                    ));
                }
                (None, _) => report.push(message((file, &origin), format!("unknown key `{key}`"), hint(key))),
            }
        }
    }

    fn take_items(&mut self, list: &'static str, items: &[Value], origin: &Origin) {
        self.lists.entry(list).or_default().extend(items.iter().cloned());
        let origins = (0..items.len()).map(|index| origin.below(&index.to_string()));
        self.items.entry(list).or_default().extend(origins);
    }

    fn take_settings(&mut self, settings: &Map<String, Value>, origin: &Origin, (file, report): (&File, &mut Report)) {
        for (key, value) in settings {
            let origin = origin.below(key);
            if self.setting_origins.contains_key(key) {
                let reason = format!("the setting `{key}` stands in another document already");
                report.push(message((file, &origin), reason, "keep one of the two"));
                continue;
            }
            self.settings.insert(key.clone(), value.clone());
            self.setting_origins.insert(key.clone(), origin);
        }
    }

    fn origin(&self, pointer: &str) -> Option<Origin> {
        let mut segments = pointer::segments(pointer);
        let first = segments.next()?;
        // A list may stand in many files: what is said of it as a whole is said where its first entry stands.
        let Some(second) = segments.next() else {
            return self.items.get(&*first)?.first().cloned();
        };
        let known = if first == SETTINGS {
            self.setting_origins.get(&*second)
        } else {
            self.items.get(&*first)?.get(second.parse::<usize>().ok()?)
        };
        Some(segments.fold(known?.clone(), |origin, segment| origin.below(&segment)))
    }

    /// The file and the place in it of a pointer into the whole, or of the nearest part that exists.
    pub(crate) fn place(&self, pointer: &str) -> (&str, Option<Position>) {
        let first = || self.files.first().map_or("", |file| file.shown.as_str());
        let Some(origin) = self.origin(pointer) else {
            return (first(), None);
        };
        let Some(file) = self.files.get(origin.file) else {
            return (first(), None);
        };
        let position = file
            .documents
            .get(origin.document)
            .map(|document| document.nearest(&origin.pointer).shown());
        (&file.shown, position)
    }

    /// The text of a scalar as it was written.
    pub(crate) fn written(&self, pointer: &str) -> Option<&str> {
        let origin = self.origin(pointer)?;
        self.files
            .get(origin.file)?
            .documents
            .get(origin.document)?
            .written(&origin.pointer)
    }

    /// The folder of the file in which a part stands.
    pub(crate) fn folder(&self, pointer: &str) -> Option<&std::path::Path> {
        let origin = self.origin(pointer)?;
        self.files.get(origin.file).map(|file| file.folder.as_path())
    }

    /// A message about a place in the whole.
    pub(crate) fn message(&self, severity: Severity, pointer: &str, (reason, remedy): (String, String)) -> Message {
        let (file, position) = self.place(pointer);
        Message {
            file: file.to_owned(),
            position,
            severity,
            pointer: pointer.to_owned(),
            reason,
            remedy,
        }
    }
}

fn hint(key: &str) -> String {
    match nearest(key, LISTS.into_iter().chain([SETTINGS])) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("remove it; known are {} and {SETTINGS}", LISTS.join(", ")),
    }
}
