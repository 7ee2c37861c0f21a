use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::Limits;

fn built(paths: Value, schemas: Value) -> Reference {
    let document = json!({
        "openapi": "3.0.3",
        "info": {"title": "T", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas},
    });
    Reference::build(Arc::new(document), Limits::default()).unwrap()
}

fn texts(change: &Change) -> Vec<(bool, &str)> {
    change
        .details
        .iter()
        .map(|detail| (detail.is_breaking, detail.text.as_str()))
        .collect()
}

#[test]
fn the_same_document_has_no_changes_whatever_placeholders_are_called() {
    let paths = |name: &str| json!({format!("/a/{{{name}}}"): {"get": {"parameters": [{"name": name, "in": "path", "required": true, "schema": {"type": "string"}}], "responses": {"200": {"description": "x"}}}}});
    assert_eq!(
        compare(&built(paths("id"), json!({})), &built(paths("key"), json!({}))),
        []
    );
}

#[test]
fn what_breaks_callers_is_told_from_what_does_not() {
    let operation = |parameters: Value| {
        let body = json!({"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}});
        let mut answer = body.clone();
        answer["description"] = json!("x");
        json!({"post": {"parameters": parameters, "requestBody": body, "responses": {"200": answer}}})
    };
    let old = built(
        json!({"/gone": {"get": {"responses": {}}}, "/pets": operation(json!([]))}),
        json!({"Pet": {"type": "object", "properties": {
            "id": {"type": "string"}, "kind": {"enum": ["a", "b"]}, "age": {"type": "integer"},
            "self": {"$ref": "#/components/schemas/Pet"}}}}),
    );
    let new = built(
        json!({"/new": {"get": {"responses": {}}},
               "/pets": operation(json!([{"name": "q", "in": "query", "required": true, "schema": {"type": "string"}}]))}),
        json!({"Pet": {"type": "object", "required": ["name"], "properties": {
            "kind": {"enum": ["a", "c"]}, "age": {"type": "string"}, "name": {"type": "string"},
            "self": {"$ref": "#/components/schemas/Pet"}}}}),
    );
    let changes = compare(&old, &new);
    let kinds: Vec<_> = changes
        .iter()
        .map(|change| (change.kind, change.path.as_str(), change.is_breaking()))
        .collect();
    assert_eq!(
        kinds,
        [
            (ChangeKind::Added, "/new", false),
            (ChangeKind::Changed, "/pets", true),
            (ChangeKind::Removed, "/gone", true)
        ]
    );
    let found = texts(&changes[1]);
    for expected in [
        (true, "the query parameter q is new and required"),
        (true, "the body lost the field id"),
        (true, "the body needs the new field name"),
        (true, "the body at kind no longer allows b"),
        (true, "the body at age was integer and is string"),
        (true, "the response 200 lost the field id"),
        (false, "the response 200 has the new field name"),
        (false, "the response 200 at kind allows c too"),
    ] {
        assert!(found.contains(&expected), "{expected:?} in {found:#?}");
    }
}
