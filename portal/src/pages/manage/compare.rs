//! What another document of an API means for those who call it, as rows of a page.

use std::sync::Arc;

use reference::compare::ChangeKind;
use reference::{Change, Limits, Reference};
use serde_json::Value as Json;

const SHOWN: usize = 300;

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

/// What happened to an operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangeRow {
    pub(super) breaking: bool,
    pub(super) what: &'static str,
    pub(super) operation: String,
    /// What changed, and whether that breaks callers.
    pub(super) details: Vec<(bool, String)>,
    pub(super) more: usize,
}

/// Compares two documents; nothing where one of them is none.
pub(super) fn compare(old: Json, new: Json) -> Comparison {
    let read = |document: Json| Reference::build(Arc::new(document), Limits::default()).ok();
    let (Some(old), Some(new)) = (read(old), read(new)) else {
        return Comparison::default();
    };
    let changes = reference::compare(&old, &new);
    let count = |kind: ChangeKind| changes.iter().filter(|change| change.kind == kind).count();
    let mut found = Comparison {
        added: count(ChangeKind::Added),
        removed: count(ChangeKind::Removed),
        changed: count(ChangeKind::Changed) + count(ChangeKind::Deprecated),
        breaking: changes.iter().filter(|change| change.is_breaking()).count(),
        ..Comparison::default()
    };
    found.rows = changes.into_iter().map(row).collect();
    found.rows.sort_by_key(|row| !row.breaking);
    found.more = found.rows.len().saturating_sub(SHOWN);
    found.rows.truncate(SHOWN);
    found
}

fn row(change: Change) -> ChangeRow {
    let breaking = change.is_breaking();
    let what = match change.kind {
        ChangeKind::Added => "Added",
        ChangeKind::Removed => "Removed",
        ChangeKind::Changed => "Changed",
        ChangeKind::Deprecated => "Deprecated",
    };
    let mut details: Vec<(bool, String)> = change
        .details
        .into_iter()
        .map(|detail| (detail.is_breaking, detail.text))
        .collect();
    if details.is_empty() {
        details.push(match change.kind {
            ChangeKind::Removed => (true, "callers get what unlisted operations get".to_owned()),
            _ => (false, change.title),
        });
    }
    ChangeRow {
        breaking,
        what,
        operation: format!("{} {}", change.method, change.path),
        details,
        more: change.more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_breaks_callers_stands_first() {
        let old = json!({"openapi": "3.1.0", "paths": {
            "/a/{id}": {"get": {"responses": {"200": {"description": "ok"}}}},
            "/gone": {"post": {"responses": {}}}
        }});
        let new = json!({"openapi": "3.1.0", "paths": {
            "/a/{key}": {"get": {"parameters": [{"name": "q", "in": "query", "required": true, "schema": {}}], "responses": {"200": {"description": "ok"}}}},
            "/b": {"get": {"summary": "List b", "responses": {}}}
        }});
        let found = compare(old.clone(), new);
        assert_eq!(
            (found.added, found.removed, found.changed, found.breaking),
            (1, 1, 1, 2)
        );
        assert!(found.rows[0].breaking && found.rows[1].breaking && !found.rows[2].breaking);
        assert!(compare(old.clone(), old).rows.is_empty());
        assert!(compare(json!(1), json!({})).rows.is_empty());
    }
}
