//! Documents that were made to hurt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use reference::search::Source;
use reference::{Inputs, Limits, Reference, SearchIndex, compare};
use serde_json::{Map, Value, json};

/// A second is the aim; without optimisation everything takes many times as long.
fn assert_quick(start: Instant, what: &str) {
    let spent = start.elapsed();
    assert!(spent < Duration::from_secs(5), "{spent:?} {what}");
}

/// Pages of a document, and everything else that is made of it.
fn visit(value: Value) {
    let start = Instant::now();
    let Ok(reference) = Reference::build(Arc::new(value), Limits::default()) else {
        return;
    };
    assert_quick(start, "to build");
    let entries: Vec<_> = reference.entries().iter().chain(reference.webhooks()).take(5).collect();
    for entry in entries {
        let start = Instant::now();
        let view = reference.view(entry);
        assert_quick(start, "for an operation");
        let nodes: usize = view
            .body
            .iter()
            .flat_map(|body| &body.media)
            .chain(view.responses.iter().flat_map(|response| &response.media))
            .filter_map(|media| media.node.as_ref())
            .map(reference::Node::size)
            .sum();
        assert!(nodes <= 2_000, "{nodes}");
        let inputs = Inputs::sample("https://api.example");
        for language in reference::samples::Language::ALL {
            let code = reference::samples::print(&reference.request(entry, &inputs), language);
            assert!(code.html().as_str().len() < 10_000_000);
        }
        assert!(reference.operation_markdown(entry, "", &inputs).len() < 1_000_000);
    }
    for entry in reference.schemas().iter().take(5) {
        let start = Instant::now();
        let view = reference.schema(&entry.slug).unwrap();
        assert_quick(start, "for a schema");
        assert!(view.node.size() <= 2_000);
        assert!(reference.schema_markdown(&entry.slug, "").is_some());
    }
    assert!(reference.index_markdown("").len() < 50_000_000);
    assert!(!reference.schemes().iter().any(|scheme| scheme.words.is_empty()));
    assert_eq!(compare(&reference, &reference), []);
}

fn with(schemas: Value) -> Value {
    let body = json!({"application/json": {"schema": {"$ref": "#/components/schemas/A"}}});
    json!({
        "openapi": "3.1.0", "info": {"title": "T", "version": "1"},
        "paths": {"/a": {"post": {"requestBody": {"content": body}, "responses": {"200": {"description": "d", "content": body}}}}},
        "components": {"schemas": schemas},
    })
}

fn nested(depth: usize, word: &str) -> Value {
    let mut value = json!({"type": "string"});
    for _ in 0..depth {
        value = match word {
            "properties" => json!({"type": "object", "required": ["a"], "properties": {"a": value}}),
            "allOf" | "oneOf" => json!({word: [value, {"type": "object"}]}),
            _ => json!({"type": "array", "minItems": 1, word: value}),
        };
    }
    value
}

fn laughs(word: &str) -> Value {
    let mut schemas = Map::new();
    for level in 0..30 {
        let next = json!({"$ref": format!("#/components/schemas/{}", if level == 29 { "End".to_owned() } else { format!("L{}", level + 1) })});
        let name = if level == 0 {
            "A".to_owned()
        } else {
            format!("L{level}")
        };
        let many: Vec<Value> = vec![next.clone(); 10];
        let fields: Map<String, Value> = (0..10).map(|at| (format!("f{at}"), next.clone())).collect();
        let required: Vec<&String> = fields.keys().collect();
        schemas.insert(
            name,
            match word {
                "properties" => json!({"type": "object", "required": required, "properties": fields}),
                _ => json!({word: many}),
            },
        );
    }
    schemas.insert("End".to_owned(), json!({"type": "string"}));
    with(Value::Object(schemas))
}

fn clique(size: usize) -> Value {
    let name = |at: usize| if at == 0 { "A".to_owned() } else { format!("S{at}") };
    let mut schemas = Map::new();
    for at in 0..size {
        let fields: Map<String, Value> = (0..size)
            .map(|to| {
                (
                    format!("f{to}"),
                    json!({"$ref": format!("#/components/schemas/{}", name(to))}),
                )
            })
            .collect();
        schemas.insert(name(at), json!({"type": "object", "properties": fields}));
    }
    with(Value::Object(schemas))
}

fn documents() -> Vec<(&'static str, Value)> {
    let me = json!({"$ref": "#/components/schemas/A"});
    let huge: Vec<Value> = (0..200_000).map(|at| json!(format!("value {at}"))).collect();
    let responses: Map<String, Value> = (0..3_000)
        .map(|at| {
            (
                at.to_string(),
                json!({"description": "x", "content": {"a/b": {"schema": me}}}),
            )
        })
        .collect();
    let mut many_responses = with(json!({"A": {"properties": {"a": me}}}));
    many_responses["paths"]["/a"]["post"]["responses"] = Value::Object(responses);
    let mut looped = with(json!({"A": {}}));
    looped["paths"]["/b"] = json!({"$ref": "#/paths/~1b"});
    looped["paths"]["/c"] = json!({"get": {"parameters": [{"$ref": "#/paths/~1c/get/parameters/0"}], "callbacks": {"x": {"$ref": "#/paths/~1c/get/callbacks/x"}}, "responses": {"200": {"$ref": "#/paths/~1c/get/responses/200"}}}});
    let heirs: Map<String, Value> = (0..400)
        .map(|at| (format!("H{at}"), json!({"allOf": [me, {"properties": {"x": me}}]})))
        .chain([(
            "A".to_owned(),
            json!({"discriminator": {"propertyName": "t"}, "properties": {"t": {"type": "string"}}}),
        )])
        .collect();
    let wide: Map<String, Value> = (0..20_000)
        .map(|at| (format!("f{at}"), json!({"type": "string", "description": "*x*"})))
        .collect();
    let nulls = json!({"openapi": "3.0.0", "info": null, "paths": {"/a": {"get": {"parameters": [null], "requestBody": null, "responses": {"200": null}, "tags": null, "security": [null], "callbacks": null, "servers": null}, "parameters": null}}, "components": {"schemas": {"A": null}, "securitySchemes": null}, "tags": [null], "servers": [null], "webhooks": {"x": null}});
    let wrong = json!({"openapi": "3.0.0", "info": [], "tags": {"a": 1}, "servers": "x", "paths": {"/a": {"get": {"parameters": "x", "requestBody": {"content": [1]}, "responses": {"200": {"content": {"application/json": {"schema": {"type": {"a": 1}, "properties": [1], "enum": {"x": 1}, "required": 5, "items": "x", "oneOf": "y", "allOf": {"a": 1}, "minLength": "z", "pattern": 7, "discriminator": []}, "examples": [1]}}, "headers": 7, "links": [1]}}}}}, "components": {"schemas": {"A": [1], "B": "x", "C": {"properties": {"a": 1}}}}});
    vec![
        ("deep fields", with(json!({"A": nested(100, "properties")}))),
        ("deep lists", with(json!({"A": nested(100, "items")}))),
        ("deep allOf", with(json!({"A": nested(100, "allOf")}))),
        ("deep oneOf", with(json!({"A": nested(100, "oneOf")}))),
        (
            "allOf in a circle",
            with(
                json!({"A": {"allOf": [{"$ref": "#/components/schemas/B"}, me]}, "B": {"allOf": [me, {"properties": {"x": me}}]}}),
            ),
        ),
        ("laughs of fields", laughs("properties")),
        ("laughs of allOf", laughs("allOf")),
        ("laughs of oneOf", laughs("oneOf")),
        ("laughs of anyOf", laughs("anyOf")),
        ("everything with everything", clique(60)),
        (
            "a huge enumeration",
            with(json!({"A": {"type": "string", "enum": huge}})),
        ),
        ("many responses", many_responses),
        ("references to themselves", looped),
        ("many heirs", with(Value::Object(heirs))),
        (
            "a wide object",
            with(json!({"A": {"type": "object", "properties": wide}})),
        ),
        ("null everywhere", nulls),
        ("wrong types everywhere", wrong),
        (
            "huge bounds",
            with(
                json!({"A": {"type": "array", "minItems": 18_446_744_073_709_551_615_u64, "items": {"type": "string", "minLength": 4_000_000_000_u64, "pattern": "^(a{1000}){1000}$"}}}),
            ),
        ),
        (
            "extreme numbers",
            with(
                json!({"A": {"type": "number", "minimum": 1e308, "exclusiveMinimum": 1e308, "multipleOf": 5e-324, "maximum": -1e308}}),
            ),
        ),
    ]
}

#[test]
fn hostile_documents_cost_little() {
    for (name, document) in documents() {
        let start = Instant::now();
        visit(document);
        println!("{:>8.1?} {name}", start.elapsed());
    }
}

#[test]
fn payloads_in_every_field_stay_text() {
    let bad = "\"><script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))";
    let schema = json!({"type": "object", "title": bad, "description": bad, "properties": {bad: {"type": "string", "description": bad, "enum": [bad], "default": bad, "example": bad, "pattern": bad, "format": bad}}});
    let document = json!({
        "openapi": "3.1.0", "info": {"title": bad, "version": bad, "description": bad},
        "servers": [{"url": "javascript:alert(1)", "description": bad}],
        "tags": [{"name": bad, "description": bad}],
        "paths": {"/{x}": {"post": {"operationId": bad, "summary": bad, "description": bad, "tags": [bad],
            "externalDocs": {"url": "javascript:alert(1)", "description": bad},
            "parameters": [{"name": bad, "in": "query", "description": bad, "schema": schema, "example": bad}, {"name": "x", "in": "path", "required": true, "example": bad}],
            "requestBody": {"description": bad, "content": {"application/json": {"schema": schema, "examples": {bad: {"summary": bad, "description": bad, "value": bad}}}}},
            "responses": {"200": {"description": bad, "headers": {bad: {"description": bad, "schema": schema}}, "content": {bad: {"schema": schema}}}}}}},
        "components": {"schemas": {bad: schema}}
    });
    let reference = Reference::build(Arc::new(document), Limits::default()).unwrap();
    let entry = &reference.entries()[0];
    let view = reference.view(entry);
    assert!(view.external_docs.is_none());
    let mut markup = vec![
        view.prose.to_string(),
        reference.introduction().to_string(),
        reference.groups()[0].prose.to_string(),
    ];
    markup.extend(view.parameters.iter().map(|parameter| parameter.prose.to_string()));
    for media in view
        .body
        .iter()
        .flat_map(|body| &body.media)
        .chain(view.responses.iter().flat_map(|one| &one.media))
    {
        for example in &media.examples {
            markup.extend([example.html.to_string(), example.prose.to_string()]);
        }
        for field in &media.node.as_ref().unwrap().fields {
            markup.push(field.prose.to_string());
            assert!(!field.anchor.contains(['<', '"', ' ', '>']));
        }
    }
    for language in reference::samples::Language::ALL {
        let request = reference.request(entry, &Inputs::sample("https://api.example"));
        markup.push(reference::samples::print(&request, language).html().to_string());
    }
    let index = SearchIndex::build(
        &[Source {
            key: "a",
            reference: &reference,
        }],
        &[],
    )
    .unwrap();
    markup.extend(
        index
            .search("script alert", &|_| true, 10)
            .into_iter()
            .map(|hit| hit.fragment.to_string()),
    );
    for html in markup {
        let lower = html.to_lowercase();
        assert!(
            !lower.contains("<script") && !lower.contains("<img") && !lower.contains("href=\"javascript"),
            "{html}"
        );
    }
    assert!(
        reference.schemas()[0]
            .slug
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    );
}

fn json_value() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "openapi",
        "swagger",
        "paths",
        "/a/{b}",
        "get",
        "post",
        "parameters",
        "name",
        "in",
        "query",
        "path",
        "schema",
        "type",
        "object",
        "array",
        "string",
        "items",
        "properties",
        "required",
        "allOf",
        "oneOf",
        "anyOf",
        "$ref",
        "#/components/schemas/A",
        "#/paths",
        "#",
        "components",
        "schemas",
        "A",
        "enum",
        "const",
        "discriminator",
        "mapping",
        "propertyName",
        "responses",
        "200",
        "content",
        "application/json",
        "requestBody",
        "headers",
        "examples",
        "example",
        "value",
        "default",
        "description",
        "summary",
        "tags",
        "security",
        "webhooks",
        "callbacks",
        "servers",
        "url",
        "pattern",
        "minLength",
        "minItems",
        "additionalProperties",
        "info",
        "title",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(7, 120, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..8).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn no_document_panics(paths in json_value(), schema in json_value(), operation in json_value(), version in prop::sample::select(vec!["2.0", "3.0.0", "3.1.0", "3.2.0"])) {
        let field = if version == "2.0" { "swagger" } else { "openapi" };
        let mut document = json!({field: version, "info": {"title": "t"}, "paths": {"/a/{b}": {"get": operation, "post": {"requestBody": {"content": {"application/json": {"schema": schema}}}, "parameters": [{"name": "p", "in": "query", "schema": schema}, {"name": "b", "in": "body", "schema": schema}], "responses": {"200": {"schema": schema, "content": {"x/y": {"schema": schema}}}}}}, "/b": paths}, "components": {"schemas": {"A": schema}}, "definitions": {"A": schema}});
        visit(document.clone());
        document["webhooks"] = json!({"x": {"post": operation}});
        visit(document);
    }

    #[test]
    fn no_query_panics(query in "\\PC{0,60}") {
        let reference = Reference::build(Arc::new(with(json!({"A": {"description": "some words"}}))), Limits::default()).unwrap();
        thread_local! { static INDEX: std::cell::OnceCell<SearchIndex> = const { std::cell::OnceCell::new() }; }
        INDEX.with(|index| {
            let index = index.get_or_init(|| SearchIndex::build(&[Source { key: "a", reference: &reference }], &[]).unwrap());
            drop(index.search(&query, &|_| true, 10));
        });
    }
}
