//! What another document of an API means for those who call it.

use std::collections::BTreeMap;

use description::openapi::{self, Description, Operation, references};
use serde_json::Value as Json;

const SHOWN: usize = 500;

/// What changes between two documents.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) changed: usize,
    pub(super) breaking: usize,
    /// Breaking changes first.
    pub(super) rows: Vec<ChangeRow>,
    pub(super) more: usize,
}

/// One change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangeRow {
    pub(super) breaking: bool,
    pub(super) what: &'static str,
    pub(super) operation: String,
    pub(super) text: String,
}

type Key<'a> = (&'a str, String);

/// Operations by method and path, whatever their parameters are called.
fn keyed(description: &Description) -> BTreeMap<Key<'_>, &Operation> {
    let own = description.operations.iter();
    own.map(|one| ((one.method.as_str(), shape(&one.path_key)), one)).collect()
}

/// A path with its parameters' names left out.
fn shape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for letter in path.chars() {
        match letter {
            '{' => {
                inside = true;
                out.push_str("{}");
            }
            '}' => inside = false,
            letter if !inside => out.push(letter),
            _ => {}
        }
    }
    out
}

/// Compares two documents by their operations.
pub(super) fn compare(old: &Json, new: &Json) -> Comparison {
    let (before, after) = (openapi::read(old), openapi::read(new));
    let (before, after) = (keyed(&before), keyed(&after));
    let mut found = Comparison::default();
    for (key, operation) in &before {
        let Some(now) = after.get(key) else {
            found.removed += 1;
            found.add(true, "Removed", operation, "callers get 404");
            continue;
        };
        found.operation((operation, old), (now, new));
    }
    for (_, operation) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        found.added += 1;
        let summary = operation.summary.clone().unwrap_or_default();
        found.add(false, "Added", operation, summary);
    }
    found.breaking = found.rows.iter().filter(|row| row.breaking).count();
    found.rows.sort_by_key(|row| !row.breaking);
    found.more = found.rows.len().saturating_sub(SHOWN);
    found.rows.truncate(SHOWN);
    found
}

impl Comparison {
    fn add(&mut self, breaking: bool, what: &'static str, operation: &Operation, text: impl Into<String>) {
        self.rows.push(ChangeRow {
            breaking,
            what,
            operation: format!("{} {}", operation.method, operation.path_key),
            text: text.into(),
        });
    }

    fn operation(&mut self, (before, old): (&Operation, &Json), (now, new): (&Operation, &Json)) {
        let rows = self.rows.len();
        for parameter in &now.parameters {
            let known = before
                .parameters
                .iter()
                .find(|one| one.name == parameter.name && one.location == parameter.location);
            let place = parameter.location.as_str();
            match known {
                None if parameter.required => {
                    let text = format!("needs a new {place} parameter `{}`", parameter.name);
                    self.add(true, "Changed", now, text);
                }
                None => self.add(false, "Changed", now, format!("takes a new {place} parameter `{}`", parameter.name)),
                Some(known) if parameter.required && !known.required => {
                    self.add(true, "Changed", now, format!("the {place} parameter `{}` is required now", parameter.name));
                }
                Some(_) => {}
            }
        }
        for gone in before.parameters.iter().filter(|one| {
            !now.parameters
                .iter()
                .any(|known| known.name == one.name && known.location == one.location)
        }) {
            let text = format!("the {} parameter `{}` is gone", gone.location.as_str(), gone.name);
            self.add(true, "Changed", now, text);
        }
        if now.deprecated && !before.deprecated {
            self.add(false, "Deprecated", now, "callers should move away from it");
        }
        let (left, right) = (part(old, before), part(new, now));
        self.body(now, (left, right));
        if self.rows.len() == rows && left != right {
            self.add(false, "Changed", now, "its description, body or answers are written differently");
        }
        if self.rows.len() > rows {
            self.changed += 1;
        }
    }

    fn body(&mut self, now: &Operation, (old, new): (Option<&Json>, Option<&Json>)) {
        let required = |part: Option<&Json>| {
            part.and_then(|part| part.pointer("/requestBody/required")?.as_bool()).unwrap_or(false)
        };
        if required(new) && !required(old) {
            self.add(true, "Changed", now, "a request body is required now");
        }
        let answers = |part: Option<&Json>| -> Vec<String> {
            let map = part.and_then(|part| part.get("responses")?.as_object());
            map.into_iter().flat_map(serde_json::Map::keys).cloned().collect()
        };
        let known = answers(new);
        for gone in answers(old).into_iter().filter(|status| status.starts_with('2') && !known.contains(status)) {
            self.add(true, "Changed", now, format!("it answers {gone} no more"));
        }
    }
}

fn part<'a>(root: &'a Json, operation: &Operation) -> Option<&'a Json> {
    references::lookup(root, &operation.pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_breaks_callers_stands_first() {
        let old = json!({"openapi": "3.1.0", "paths": {
            "/a/{id}": {"get": {"responses": {"200": {}, "201": {}}}},
            "/gone": {"post": {"responses": {}}}
        }});
        let new = json!({"openapi": "3.1.0", "paths": {
            "/a/{key}": {"get": {"parameters": [{"name": "q", "in": "query", "required": true}], "responses": {"200": {}}}},
            "/b": {"get": {"summary": "List b", "responses": {}}}
        }});
        let found = compare(&old, &new);
        assert_eq!((found.added, found.removed, found.changed), (1, 1, 1));
        assert!(found.rows.iter().any(|row| row.breaking && row.text.contains("new query parameter `q`")));
        assert!(found.rows.iter().any(|row| row.breaking && row.text == "it answers 201 no more"));
        assert!(!found.rows.last().unwrap().breaking);
        assert!(compare(&old, &old).rows.is_empty());
    }
}
