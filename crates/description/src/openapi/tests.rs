use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::fault::Severity;
use crate::located::Position;

fn text(text: &str) -> Description {
    load(text.as_bytes(), &Limits::DESCRIPTION).description
}

fn keys(description: &Description) -> Vec<&str> {
    description
        .operations
        .iter()
        .map(|operation| operation.key.as_str())
        .collect()
}

fn fault<'a>(description: &'a Description, words: &str) -> &'a Fault {
    let found = description.faults.iter().find(|fault| fault.reason.contains(words));
    found.unwrap_or_else(|| panic!("no fault with {words:?} in {:#?}", description.faults))
}

#[test]
fn operations_carry_what_routing_and_documentation_need() {
    let description = text(
        r"
openapi: 3.0.3
info: {title: Shop, version: 1.10, description: Sells.}
servers: [{url: 'https://{host}/v1', variables: {host: {default: shop.example}}}]
security: [{key: []}]
paths:
  /items/{id}/:
    parameters:
      - {name: id, in: path, required: true, description: path}
      - $ref: '#/components/parameters/Trace'
    get:
      operationId: getItem
      summary: One item
      description: Long
      tags: [items]
      deprecated: true
      security: [{}, {oauth: [read]}]
      parameters: [{name: id, in: path, required: true, description: own}, {name: q, in: query}]
      responses: {}
    delete: {responses: {}}
components:
  parameters: {Trace: {name: trace, in: header}}
  securitySchemes: {key: {type: apiKey}, oauth: {type: oauth2}}
",
    );
    assert_eq!(description.faults.len(), 1, "{:#?}", description.faults);
    assert_eq!(
        fault(&description, "version is a number").position,
        Some(Position { line: 3, column: 21 })
    );
    assert_eq!(description.document_version.as_deref(), Some("1.10"));
    assert_eq!(
        (description.version, description.title.as_deref()),
        (Version::V3_0, Some("Shop"))
    );
    assert_eq!(description.servers, ["https://shop.example/v1"]);
    assert_eq!(keys(&description), ["getItem", "DELETE /items/{id}/"]);
    let get = &description.operations[0];
    assert_eq!(
        (get.method.as_str(), get.path_key.as_str(), get.deprecated),
        ("GET", "/items/{id}/", true)
    );
    assert_eq!(get.pointer, "/paths/~1items~1{id}~1/get");
    let parameters: Vec<_> = get
        .parameters
        .iter()
        .map(|p| (p.name.as_str(), p.location, p.pointer.as_str()))
        .collect();
    assert_eq!(
        parameters,
        [
            ("trace", Location::Header, "/components/parameters/Trace"),
            ("id", Location::Path, "/paths/~1items~1{id}~1/get/parameters/0"),
            ("q", Location::Query, "/paths/~1items~1{id}~1/get/parameters/1"),
        ]
    );
    assert_eq!(
        get.security,
        [
            vec![],
            vec![SecurityUse {
                scheme: "oauth".to_owned(),
                scopes: vec!["read".to_owned()]
            }]
        ]
    );
    assert_eq!(description.operations[1].security[0][0].scheme, "key");
}

#[test]
fn versions_are_told_apart() {
    let version = |document: Value| read(&document).version;
    assert_eq!(version(json!({"swagger": "2.0"})), Version::V2);
    assert_eq!(version(json!({"swagger": 2.0})), Version::V2);
    assert_eq!(version(json!({"swagger": "1.2"})), Version::Unknown);
    assert_eq!(version(json!({"openapi": "3.0"})), Version::V3_0);
    assert_eq!(version(json!({"openapi": 3.1})), Version::V3_1);
    assert_eq!(version(json!({"openapi": "3.2.0"})), Version::V3_2);
    assert_eq!(version(json!({"openapi": "3.7.0"})), Version::V3_2);
    assert_eq!(version(json!({"openapi": "4.0.0"})), Version::Unknown);
    assert_eq!(version(json!({"openapi": null})), Version::Unknown);
    assert_eq!(version(json!([1])), Version::Unknown);
    assert!(fault(&read(&json!({"asyncapi": "2.0"})), "asyncapi").severity == Severity::Error);
}

#[test]
fn a_repeated_operation_id_names_none_of_its_operations() {
    let description = read(
        &json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {
            "/a": {"get": {"operationId": "x"}, "put": {"operationId": "x"}},
            "/b": {"get": {"operationId": "GET /c"}},
            "/c": {"get": {}, "post": {"operationId": ""}, "put": {"operationId": 7}}
        }}),
    );
    assert_eq!(
        keys(&description),
        ["GET /a", "PUT /a", "GET /b", "GET /c", "POST /c", "7"]
    );
    assert_eq!(description.operations[1].operation_id.as_deref(), Some("x"));
    assert_eq!(
        fault(&description, "stands already at /paths/~1a/get").pointer,
        "/paths/~1a/put/operationId"
    );
}

#[test]
fn operations_that_fall_together_share_the_first_route() {
    let description = read(
        &json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {
            "/a/{x}": {"get": {}, "post": {}},
            "/a/{y}": {"get": {"operationId": "second"}},
            "/a/{x}/": {"get": {}},
            "/r": {"post": {"operationId": "one"}},
            "/r?kind=two": {"post": {"operationId": "two"}},
            "/r#three": {"post": {}}
        }}),
    );
    let shares: Vec<_> = description
        .operations
        .iter()
        .map(|o| (o.key.as_str(), o.shares_route_of.as_deref()))
        .collect();
    assert_eq!(
        shares,
        [
            ("GET /a/{x}", None),
            ("POST /a/{x}", None),
            ("second", Some("GET /a/{x}")),
            ("GET /a/{x}/", None),
            ("one", None),
            ("two", Some("one")),
            ("POST /r", Some("one")),
        ]
    );
    assert_eq!(
        fault(&description, "/a/{y} is the same route as /a/{x}").severity,
        Severity::Warning
    );
}

#[test]
fn other_methods_are_read_from_three_on() {
    let document = |version: &str| {
        json!({"openapi": version, "paths": {"/a": {
            "query": {}, "GET": {}, "additionalOperations": {"COPY": {}, "post": {}, "b ad": {}}
        }}})
    };
    let methods = |version| {
        let description = read(&document(version));
        description
            .operations
            .iter()
            .map(|operation| operation.method.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(methods("3.2.0"), ["QUERY", "GET", "COPY", "POST"]);
    assert_eq!(methods("3.1.0"), ["QUERY", "GET", "COPY", "POST"]);
    let description = read(&document("3.2.0"));
    assert_eq!(fault(&description, "\"b ad\" is no method").severity, Severity::Error);
    assert_eq!(fault(&description, "capitals").remedy, "write get");
}

#[test]
fn a_bad_part_never_costs_a_good_one() {
    let description = text(
        r##"{
  "openapi": "3.1.0",
  "info": {"title": ["t"], "version": 2},
  "servers": [7, {}],
  "tags": "x",
  "paths": {
    "/a": {
      "get": {"parameters": [
        7, {"name": "p"}, {"name": "q", "in": "quer"},
        {"$ref": "#/components/parameters/None"}, {"$ref": "#/components/parameters/Loop"},
        {"$ref": "http://169.254.169.254/latest"}, {"name": "ok", "in": "query"}, {"name": "ok", "in": "query"}
      ], "tags": [[], "t"], "deprecated": "true", "security": 5},
      "post": null,
      "put": "x"
    },
    "/b": [],
    "c": {"get": {}},
    "/d": {"$ref": "#/paths/~1d"},
    "/e": {"$ref": "#/paths/~1a"},
    "/f": {"$ref": "file:///etc/passwd"}
  },
  "components": {"parameters": {"Loop": {"$ref": "#/components/parameters/Pool"}, "Pool": {"$ref": "#/components/parameters/Loop"}}}
}"##,
    );
    assert_eq!(keys(&description), ["GET /a", "GET /c", "GET /e"]);
    let get = &description.operations[0];
    assert_eq!(
        (get.parameters.len(), get.tags.as_slice(), get.deprecated),
        (1, ["t".to_owned()].as_slice(), true)
    );
    let table = [
        ("title is a list", "/info/title", 3),
        ("a server is not a map", "/servers/0", 4),
        ("a server has no url", "/servers/1", 4),
        ("a parameter is not a map", "/paths/~1a/get/parameters/0", 9),
        ("lacks its name or its place", "/paths/~1a/get/parameters/1", 9),
        ("stands in \"quer\"", "/paths/~1a/get/parameters/2/in", 9),
        (
            "parameters/None\" leads to nothing",
            "/paths/~1a/get/parameters/3/$ref",
            10,
        ),
        ("leads in a circle", "/paths/~1a/get/parameters/4", 10),
        (
            "169.254.169.254/latest\" leads outside",
            "/paths/~1a/get/parameters/5/$ref",
            11,
        ),
        ("stands twice", "/paths/~1a/get/parameters/7", 11),
        ("an operation is not a map", "/paths/~1a/post", 13),
        ("a path is not a map", "/paths/~1b", 16),
        ("does not begin with a slash", "/paths/c", 17),
        ("\"file:///etc/passwd\" leads outside", "/paths/~1f/$ref", 20),
    ];
    for (words, pointer, line) in table {
        let fault = fault(&description, words);
        assert_eq!(
            (fault.pointer.as_str(), fault.position.map(|at| at.line)),
            (pointer, Some(line)),
            "{fault}"
        );
    }
    assert!(
        description.faults.iter().any(|fault| fault.pointer == "/paths/~1d"),
        "{:#?}",
        description.faults
    );
}

#[test]
fn references_in_examples_and_names_like_words_are_no_references() {
    let description = read(
        &json!({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": {}, "components": {
            "schemas": {
                "example": {"properties": {"$ref": {"type": "string"}, "default": {"$ref": "#/none1"}}},
                "b": {"example": {"$ref": "#/no"}, "default": {"$ref": "#/no"}, "enum": [{"$ref": "#/no"}], "examples": [{"$ref": "#/no"}]},
                "c": {"x-any": {"$ref": "#/no"}, "items": {"$ref": "#named"}, "$defs": {"d": {"$anchor": "named"}}}
            },
            "examples": {"e": {"$ref": "#/none2"}, "f": {"value": {"$ref": "#/no"}}},
            "callbacks": {"cb": {"$ref": ""}}
        }}),
    );
    let reported: Vec<&str> = description.faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(
        reported,
        [
            "/components/schemas/example/properties/default/$ref",
            "/components/examples/e/$ref",
            "/components/callbacks/cb/$ref",
        ]
    );
}

#[test]
fn references_are_decoded_and_bounded() {
    let root = json!({"a b": {"c/d": [{"$ref": "#/e"}]}, "e": {"$ref": "#/f"}, "f": 1, "g": {"$ref": "#/h"}, "h": {"$ref": "#/g"}, "i": {"$ref": "#/i"}});
    assert_eq!(
        references::resolve(&root, "#/a%20b/c~1d/0"),
        Ok((&json!({"$ref": "#/e"}), "/a b/c~1d/0".to_owned()))
    );
    assert_eq!(
        references::follow(&root, &root["a b"]["c/d"][0], "/x"),
        Ok((&json!(1), "/f".to_owned()))
    );
    assert_eq!(references::resolve(&root, "#").unwrap().0, &root);
    for circle in ["g", "h", "i"] {
        assert!(matches!(
            references::follow(&root, &root[circle], "/x"),
            Err(references::Broken::Circle(_))
        ));
    }
    for missing in ["#/zz", "#/a%20b/c~1d/00", "#/a%20b/c~1d/+0", "#x", "#/%ff", ""] {
        assert!(
            matches!(references::resolve(&root, missing), Err(references::Broken::Missing(_))),
            "{missing}"
        );
    }
    for external in ["x.yaml", "/x", "http://a/b#/c", "file:///etc/passwd"] {
        assert!(
            matches!(
                references::resolve(&root, external),
                Err(references::Broken::External(_))
            ),
            "{external}"
        );
    }
}

#[test]
fn a_duplicate_key_is_a_warning_with_its_line() {
    let description =
        text("openapi: 3.1.0\ninfo: {title: a, version: '1'}\npaths:\n  /a: {get: {}}\n  /a: {put: {}}\n");
    assert_eq!(keys(&description), ["PUT /a"]);
    let fault = fault(&description, "stands here again");
    assert_eq!(
        (fault.severity, fault.position, fault.pointer.as_str()),
        (Severity::Warning, Some(Position { line: 5, column: 3 }), "/paths/~1a")
    );
}

#[test]
fn text_that_is_no_document_gives_one_fault_with_a_place() {
    for bytes in [
        b"<html>".as_slice(),
        b"a: b: c",
        b"",
        b"\xff\xfe",
        b"{\"openapi\": ",
        b"\0",
        b"--- a\n--- b\n",
    ] {
        let loaded = load(bytes, &Limits::DESCRIPTION);
        assert_eq!(loaded.description.faults.len(), 1, "{bytes:?}");
        assert!(loaded.description.faults[0].position.is_some());
        assert!(loaded.document.is_none());
    }
    assert_eq!(
        text("just text").faults[0].reason,
        "this is a plain text, not an OpenAPI document"
    );
}

#[test]
fn the_strict_reading_names_the_part() {
    let document = |kind: &str| {
        json!({"openapi": "3.0.0", "info": {"title": "t", "version": "1"}, "paths": {"/a": {"get": {
            "responses": {"200": {"description": "d"}}, "parameters": [{"name": "q", "in": kind, "schema": {}}]
        }}}, "components": {"schemas": {"Good": {"type": "string"}}}})
    };
    assert_eq!(typed_check(&document("query")), []);
    let faults = typed_check(&document("quer"));
    assert_eq!(
        (faults.len(), faults[0].pointer.as_str(), faults[0].severity),
        (1, "/paths/~1a", Severity::Warning)
    );
    assert_eq!(typed_check(&json!({"openapi": "3.1.0", "paths": {"/a": 7}})), []);
    let deep = (0..40).fold(json!({"type": 7}), |inner, _| json!({"properties": {"a": inner}}));
    let faults = typed_check(&json!({"openapi": "3.0.0", "components": {"schemas": {"Deep": deep}}}));
    assert!(faults[0].reason.contains("deeply nested"), "{faults:?}");
}

#[test]
fn references_cannot_multiply_a_document() {
    let long = "x".repeat(1 << 20);
    let path = json!({"parameters": [{"$ref": "#/components/parameters/P"}], "get": {}, "put": {}, "post": {}});
    let paths: Map<String, Value> = (0..1_000).map(|n| (format!("/{n}"), path.clone())).collect();
    let parameter = json!({"name": "p", "in": "query", "description": long});
    let description =
        read(&json!({"openapi": "3.1.0", "paths": paths, "components": {"parameters": {"P": parameter}}}));
    let held: usize = description
        .operations
        .iter()
        .flat_map(|o| &o.parameters)
        .filter_map(|p| p.description.as_ref())
        .map(String::len)
        .sum();
    assert!(held <= 64 << 20, "{held}");
    assert_eq!(fault(&description, "too much room").severity, Severity::Error);

    let many: Map<String, Value> = (0..40_000).map(|n| (format!("M{n}"), json!({}))).collect();
    let description = read(&json!({"openapi": "3.2.0", "paths": {"/a": {"additionalOperations": many}}}));
    assert_eq!(description.operations.len(), 30_000);
    assert!(fault(&description, "more than 30000 operations").severity == Severity::Error);
}

#[test]
fn faults_without_number_are_cut_off() {
    let paths: Map<String, Value> = (0..5_000).map(|n| (format!("/{n}"), json!({"get": 7}))).collect();
    let description = read(&json!({"openapi": "3.1.0", "paths": paths}));
    assert_eq!(description.faults.len(), 501);
    assert!(fault(&description, "further faults").reason.starts_with("4501 "));
}

const SEED: &str = r##"{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": [{"url": "/v1"}],
 "security": [{"k": ["s"]}], "tags": [{"name": "a"}], "paths": {"/a/{b}": {"parameters": [{"name": "b", "in": "path",
 "required": true}], "get": {"operationId": "g", "tags": ["a"], "parameters": [{"$ref": "#/components/parameters/P"}],
 "responses": {"200": {"description": "d"}}}}, "/c": {"$ref": "#/paths/~1a~1{b}"}}, "components": {"parameters": {"P":
 {"name": "q", "in": "query"}}, "securitySchemes": {"k": {"type": "apiKey"}}}}"##;

/// Replaces the value that a walk of `steps` ends at.
fn mutate(value: &mut Value, steps: &[usize], with: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = with;
        return;
    };
    let child = match value {
        Value::Object(map) if !map.is_empty() => {
            let index = step % map.len();
            map.values_mut().nth(index)
        }
        Value::Array(items) if !items.is_empty() => {
            let index = step % items.len();
            items.get_mut(index)
        }
        _ => None,
    };
    match child {
        Some(child) => mutate(child, rest, with),
        None => *value = with,
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!(7)),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/paths/~1c"})),
        Just(json!({"$ref": 7})),
        Just(json!([[{}]])),
        any::<String>().prop_map(Value::from),
        any::<String>().prop_map(|key| json!({key: {"get": {}}})),
    ]
}

fn check_promises(description: &Description) {
    for operation in &description.operations {
        assert!(!operation.key.is_empty() && operation.path_key.starts_with('/'));
    }
    let mut keys: Vec<_> = description
        .operations
        .iter()
        .filter(|o| o.shares_route_of.is_none())
        .map(|o| &o.key)
        .collect();
    let count = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), count, "two routes have one key");
}

proptest! {
    #[test]
    fn mutated_documents_give_a_description(
        changes in prop::collection::vec((prop::collection::vec(0_usize..8, 1..7), odd_value()), 1..6),
    ) {
        let mut document: Value = serde_json::from_str(SEED).unwrap();
        for (steps, with) in changes {
            mutate(&mut document, &steps, with);
        }
        check_promises(&read(&document));
        let _ = typed_check(&document);
        let _ = crate::import::import(&read(&document), "http://up", &crate::import::Options::default());
    }

    #[test]
    fn texts_with_holes_give_a_description(at in 0..SEED.len(), length in 0_usize..40, with in "[{}\\[\\],:\"a0 ]{0,3}") {
        let mut text = SEED.to_owned();
        let end = (at + length).min(text.len());
        text.replace_range(at..end, &with);
        let loaded = load(text.as_bytes(), &Limits::DESCRIPTION);
        check_promises(&loaded.description);
        prop_assert!(loaded.description.faults.iter().all(|fault| fault.position.is_some()));
    }
}
