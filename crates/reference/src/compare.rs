//! What changed between two documents.
//!
//! Operations are the same where method and path are, whatever their parameters are called. Schemas are compared where
//! operations use them, each pair of shared schemas once.
//!
//! Invariants: bounded changes and work; circles end, for a pair that is being compared is taken as equal.

mod schemas;

use std::collections::{HashMap, HashSet};

use description::openapi::Location;
use description::openapi::references::{follow, lookup};
use serde_json::Value;

use crate::entry::Entry;
use crate::html::clip;
use crate::operation::media::{self, Media, Schema};
use crate::operation::parameters::{self, Writing};
use crate::reference::Reference;
use schemas::{Schemas, Way};

/// What happened to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is not what it was.
    Changed,
    /// Callers should move away from it now.
    Deprecated,
}

/// A change of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Method.
    pub method: String,
    /// Path; as the newer document writes it, unless it is gone.
    pub path: String,
    /// Title.
    pub title: String,
    /// Name in addresses: of the newer document, unless the operation is gone.
    pub slug: String,
    /// What changed, in words, those that break callers first.
    pub details: Vec<Detail>,
    /// Further details that are not listed.
    pub more: usize,
}

impl Change {
    /// Whether callers of the older document may fail.
    #[must_use]
    pub fn is_breaking(&self) -> bool {
        self.kind == ChangeKind::Removed || self.details.iter().any(|detail| detail.is_breaking)
    }
}

/// One thing that changed about an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Detail {
    /// Whether callers of the older document may fail.
    pub is_breaking: bool,
    /// In words, such as `the response 200 lost the field data.id`.
    pub text: String,
}

/// Details of one operation.
const MOST: usize = 50;

/// Changes from an older document to a newer one, in the order of the newer one; what is gone comes last.
#[must_use]
pub fn compare(old: &Reference, new: &Reference) -> Vec<Change> {
    let mut before: HashMap<(String, String), &Entry> = HashMap::new();
    for entry in old.entries() {
        before.entry(key(entry)).or_insert(entry);
    }
    let mut comparer = Comparer {
        old,
        new,
        schemas: Schemas::new(old, new),
    };
    let mut changes = Vec::new();
    let mut kept = HashSet::new();
    for entry in new.entries() {
        let key = key(entry);
        if !kept.insert(key.clone()) {
            continue;
        }
        match before.get(&key) {
            None => changes.push(change(ChangeKind::Added, entry, Vec::new())),
            Some(earlier) => changes.extend(comparer.operation(earlier, entry)),
        }
    }
    let gone = old.entries().iter().filter(|entry| kept.insert(key(entry)));
    changes.extend(gone.map(|entry| change(ChangeKind::Removed, entry, Vec::new())));
    changes
}

fn key(entry: &Entry) -> (String, String) {
    let mut shape = String::new();
    let mut inside = false;
    for character in entry.path.chars() {
        match character {
            '{' => {
                inside = true;
                shape.push('{');
            }
            '}' => inside = false,
            _ if inside => {}
            other => shape.push(other),
        }
    }
    (entry.method.clone(), shape)
}

fn change(kind: ChangeKind, entry: &Entry, mut details: Vec<Detail>) -> Change {
    let mut seen = HashSet::new();
    details.retain(|detail| seen.insert(detail.clone()));
    details.sort_by_key(|detail| !detail.is_breaking);
    let more = details.len().saturating_sub(MOST);
    details.truncate(MOST);
    Change {
        kind,
        method: entry.method.clone(),
        path: entry.path.clone(),
        title: entry.title.clone(),
        slug: entry.slug.clone(),
        details,
        more,
    }
}

struct Comparer<'r> {
    old: &'r Reference,
    new: &'r Reference,
    schemas: Schemas<'r>,
}

impl<'r> Comparer<'r> {
    fn operation(&mut self, old: &'r Entry, new: &'r Entry) -> Option<Change> {
        static NOTHING: Value = Value::Null;
        let before = lookup(&self.old.document, &old.pointer).unwrap_or(&NOTHING);
        let after = lookup(&self.new.document, &new.pointer).unwrap_or(&NOTHING);
        let mut details = Vec::new();
        self.parameters(old, new, &mut details);
        self.bodies(
            media::request(self.old, old, before),
            media::request(self.new, new, after),
            &mut details,
        );
        self.responses(before, after, &mut details);
        self.security(old, new, &mut details);
        for (field, what) in [("summary", "summary"), ("description", "description")] {
            let text = |operation: &Value| {
                operation
                    .get(field)
                    .and_then(Value::as_str)
                    .map(|text| text.trim().to_owned())
            };
            if text(before) != text(after) {
                details.push(note(format!("the {what} is different")));
            }
        }
        let kind = if new.deprecated && !old.deprecated {
            ChangeKind::Deprecated
        } else {
            ChangeKind::Changed
        };
        if details.is_empty() && kind == ChangeKind::Changed && new.deprecated == old.deprecated {
            return None;
        }
        if old.deprecated && !new.deprecated {
            details.push(note("it is no longer deprecated".to_owned()));
        }
        Some(change(kind, new, details))
    }

    fn parameters(&mut self, old: &'r Entry, new: &'r Entry, details: &mut Vec<Detail>) {
        let shown = |location: Location| !matches!(location, Location::Body | Location::FormData);
        let before: Vec<_> = parameters::all(self.old, old)
            .into_iter()
            .filter(|(one, _)| shown(one.location))
            .collect();
        let after: Vec<_> = parameters::all(self.new, new)
            .into_iter()
            .filter(|(one, _)| shown(one.location))
            .collect();
        for (parameter, value) in &after {
            let what = format!(
                "the {} parameter {}",
                parameter.location.as_str(),
                clip(&parameter.name, 80)
            );
            // Names of placeholders may change as they like.
            let same = before
                .iter()
                .find(|(one, _)| one.location == parameter.location && one.name == parameter.name);
            match same {
                None if parameter.location == Location::Path => {}
                None if parameter.required => details.push(breaking(format!("{what} is new and required"))),
                None => details.push(note(format!("{what} is new"))),
                Some((earlier, old_value)) => {
                    if parameter.required && !earlier.required {
                        details.push(breaking(format!("{what} is required now")));
                    } else if earlier.required && !parameter.required {
                        details.push(note(format!("{what} is optional now")));
                    }
                    if parameter.deprecated && !earlier.deprecated {
                        details.push(note(format!("{what} is deprecated")));
                    }
                    if let (Some(old_value), Some(value)) = (old_value, value) {
                        let schemas = (
                            Writing::of(old_value, parameter.location).schema,
                            Writing::of(value, parameter.location).schema,
                        );
                        self.schemas.compare(schemas, Way::In, &what, details);
                    }
                }
            }
        }
        for (parameter, _) in before.iter().filter(|(one, _)| one.location != Location::Path) {
            let kept = after
                .iter()
                .any(|(one, _)| one.location == parameter.location && one.name == parameter.name);
            if !kept {
                let text = format!(
                    "the {} parameter {} is gone",
                    parameter.location.as_str(),
                    clip(&parameter.name, 80)
                );
                details.push(breaking(text));
            }
        }
    }

    fn bodies(&mut self, old: Option<media::Body<'r>>, new: Option<media::Body<'r>>, details: &mut Vec<Detail>) {
        match (old, new) {
            (None, None) => {}
            (None, Some(body)) if body.required => details.push(breaking("a body is required now".to_owned())),
            (None, Some(_)) => details.push(note("a body is possible now".to_owned())),
            (Some(_), None) => details.push(breaking("the body is gone".to_owned())),
            (Some(old), Some(new)) => {
                if new.required && !old.required {
                    details.push(breaking("the body is required now".to_owned()));
                }
                self.media((&old.media, &new.media), Way::In, "the body", details);
            }
        }
    }

    fn media(&mut self, (old, new): (&[Media<'r>], &[Media<'r>]), way: Way, what: &str, details: &mut Vec<Detail>) {
        for earlier in old {
            let Some(later) = new.iter().find(|media| media.media_type == earlier.media_type) else {
                details.push(breaking(format!(
                    "{what} is no longer offered as {}",
                    earlier.media_type
                )));
                continue;
            };
            match (&earlier.schema, &later.schema) {
                (Some(Schema::Own(old)), Some(Schema::Own(new))) => {
                    self.schemas.compare((old, new), way, what, details);
                }
                (Some(Schema::Fields(old)), Some(Schema::Fields(new))) => fields(old, new, what, details),
                _ => {}
            }
        }
        for later in new
            .iter()
            .filter(|media| !old.iter().any(|one| one.media_type == media.media_type))
        {
            details.push(note(format!("{what} is offered as {} too", later.media_type)));
        }
    }

    fn responses(&mut self, old: &'r Value, new: &'r Value, details: &mut Vec<Detail>) {
        let list = |operation: &'r Value| operation.get("responses").and_then(Value::as_object);
        for (status, value) in list(old).into_iter().flatten().take(100) {
            let what = format!("the response {}", clip(status, 20));
            let Some(later) = list(new).and_then(|responses| responses.get(status)) else {
                let success = status.starts_with('2');
                details.push(Detail {
                    is_breaking: success,
                    text: format!("{what} is gone"),
                });
                continue;
            };
            let before = follow(&self.old.document, value, "").map_or(value, |(value, _)| value);
            let after = follow(&self.new.document, later, "").map_or(later, |(value, _)| value);
            let media = (
                media::response(self.old, old, before),
                media::response(self.new, new, after),
            );
            self.media((&media.0, &media.1), Way::Out, &what, details);
        }
        for status in list(new).into_iter().flatten().map(|(status, _)| status).take(100) {
            if list(old).is_none_or(|responses| !responses.contains_key(status)) {
                details.push(note(format!("the response {} is new", clip(status, 20))));
            }
        }
    }

    fn security(&self, old: &Entry, new: &Entry, details: &mut Vec<Detail>) {
        let words = |reference: &Reference, entry: &Entry| -> Vec<Vec<String>> {
            let alternatives = reference.auth(&entry.security).into_iter();
            alternatives
                .map(|uses| {
                    let scopes = uses.into_iter().flat_map(|used| {
                        std::iter::once(used.words).chain(used.scopes.into_iter().map(|scope| scope.name))
                    });
                    scopes.collect()
                })
                .collect()
        };
        let (before, after) = (words(self.old, old), words(self.new, new));
        if before != after {
            let lost = before.iter().any(|one| !after.contains(one)) || before.is_empty();
            details.push(Detail {
                is_breaking: lost && !after.is_empty(),
                text: "what callers must present is different".to_owned(),
            });
        }
    }
}

fn fields(old: &[(&str, &Value, bool)], new: &[(&str, &Value, bool)], what: &str, details: &mut Vec<Detail>) {
    for (name, _, required) in new {
        let earlier = old.iter().find(|(one, _, _)| one == name);
        match earlier {
            None if *required => details.push(breaking(format!("{what} needs the new field {}", clip(name, 80)))),
            None => details.push(note(format!("{what} has the new field {}", clip(name, 80)))),
            Some((_, _, false)) if *required => {
                details.push(breaking(format!("{what} needs the field {} now", clip(name, 80))));
            }
            Some(_) => {}
        }
    }
    for (name, _, _) in old
        .iter()
        .filter(|(name, _, _)| !new.iter().any(|(one, _, _)| one == name))
    {
        details.push(breaking(format!("{what} lost the field {}", clip(name, 80))));
    }
}

pub(crate) fn breaking(text: String) -> Detail {
    Detail {
        is_breaking: true,
        text,
    }
}

pub(crate) fn note(text: String) -> Detail {
    Detail {
        is_breaking: false,
        text,
    }
}

#[cfg(test)]
mod tests;
