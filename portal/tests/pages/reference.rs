//! The pages of references: what they show of a document, and what they never let through.

use serde_json::{Value, json};
use store::AccountRole;

use crate::browser::Browser;
use crate::support::{Reply, Server, Tenant, petstore};

const BASE: &str = "/products/petstore/petstore/1.0";

/// The small configuration with this document.
fn serving(openapi: Value) -> Value {
    let mut document = petstore();
    document["apis"][0]["openapi"] = openapi;
    document
}

fn shop() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1", "description": "Sells **things**."},
        "tags": [{"name": "Orders", "description": "What was bought."}],
        "paths": {
            "/orders": {
                "get": {"operationId": "listOrders", "summary": "List orders", "tags": ["Orders"],
                    "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}}],
                    "responses": {"200": {"description": "Orders", "content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Order"}}}}}}},
                "post": {"operationId": "createOrder", "summary": "Create an order", "tags": ["Orders"], "deprecated": true,
                    "requestBody": {"required": true, "content": {"application/json": {
                        "schema": {"$ref": "#/components/schemas/Order"},
                        "examples": {"small": {"value": {"id": "o_1", "pay": {"kind": "card", "number": "4111"}}}}}}},
                    "responses": {"201": {"description": "Created", "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}},
                        "422": {"description": "Wrong"}}}
            },
            "/orders/{id}": {"get": {"operationId": "getOrder", "summary": "Read an order", "tags": ["Orders"],
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}, "example": "o_1"}],
                "responses": {"200": {"description": "The order"}}}}
        },
        "webhooks": {"order.paid": {"post": {"summary": "An order was paid", "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}}}, "responses": {"200": {"description": "ok"}}}}},
        "components": {"schemas": {
            "Order": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "string", "description": "Begins with `o_`."},
                "parent": {"$ref": "#/components/schemas/Order"},
                "state": {"enum": ["open", "paid"]},
                "pay": {"oneOf": [{"$ref": "#/components/schemas/Card"}, {"$ref": "#/components/schemas/Transfer"}],
                    "discriminator": {"propertyName": "kind", "mapping": {"card": "#/components/schemas/Card", "transfer": "#/components/schemas/Transfer"}}}}},
            "Card": {"type": "object", "properties": {"kind": {"type": "string"}, "number": {"type": "string"}}},
            "Transfer": {"type": "object", "properties": {"kind": {"type": "string"}, "iban": {"type": "string"}}}
        }}
    })
}

async fn a_shop() -> Server {
    let server = Server::start().await;
    server.running.gateway_at("https://api.fernpost.example");
    server.apply(serving(shop())).await.expect(200);
    server
}

#[tokio::test]
async fn an_operation_page_has_everything_that_a_caller_needs() {
    let server = a_shop().await;
    let mut nobody = Browser::new(&server);
    let page = nobody.get(&format!("{BASE}/operations/post-orders")).await;
    assert_eq!(page.status, 200, "{}", page.text);
    for part in [
        "Create an order</h1>",
        "Deprecated",
        "https://api.fernpost.example/petstore/orders",
        "Authorization: Bearer",
        "id=\"field-id\"",
        "value=\"python\"",
        "value=\"rust\"",
        "> card</label>",
        "> transfer</label>",
        "/schemas/Order\">Order</a>; it contains itself",
        "Example: small",
        "(generated)",
        "rel=\"next\"",
        "data-key=\"try\"",
        "TOLLGATE_KEY",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    for path in [
        "reference",
        "reference/orders",
        "schemas",
        "schemas/Order",
        "webhooks/order-paid",
        "auth",
        "operations/get-orders-id",
    ] {
        let page = nobody.get(&format!("{BASE}/{path}")).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}");
    }
    for path in [
        "reference.md",
        "reference/orders.md",
        "schemas/Order.md",
        "webhooks/order-paid.md",
        "auth.md",
        "operations/post-orders.md",
    ] {
        let page = nobody.get(&format!("{BASE}/{path}")).await;
        assert_eq!(
            page.header("content-type").as_deref(),
            Some("text/markdown; charset=utf-8"),
            "{path}"
        );
        assert!(
            page.status == 200 && page.text.starts_with("# "),
            "{path}: {}",
            page.text
        );
    }
    for path in [
        "operations/nothing",
        "schemas/nothing",
        "webhooks/nothing",
        "reference/nothing",
        "operations/nothing.md",
    ] {
        assert_eq!(nobody.get(&format!("{BASE}/{path}")).await.status, 404, "{path}");
    }
    assert_eq!(
        nobody.get("/products/petstore/petstore/9.9/reference").await.status,
        404
    );
}

#[tokio::test]
async fn the_document_leads_tools_to_the_gateway() {
    let server = a_shop().await;
    let mut nobody = Browser::new(&server);
    let json = nobody.get(&format!("{BASE}/openapi.json")).await.expect(200);
    assert_eq!(
        json["servers"],
        json!([{"url": "https://api.fernpost.example/petstore"}])
    );
    assert_eq!(json["paths"]["/orders"]["get"]["operationId"], "listOrders");
    let yaml = nobody.get(&format!("{BASE}/openapi.yaml")).await;
    assert!(
        yaml.status == 200 && yaml.text.starts_with("openapi: \"3.1.0\"\n"),
        "{}",
        yaml.text
    );
}

#[tokio::test]
async fn the_limits_of_the_readers_own_plan_are_told() {
    let server = a_shop().await;
    let tenant = Tenant::new(&server, "acme").await;
    let mut viewer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let page = viewer.get(&format!("{BASE}/operations/get-orders")).await.text;
    assert!(
        page.contains("Your plan, pro, allows 100 a second, 50,000 requests a period"),
        "{page}"
    );
}

#[tokio::test]
async fn search_finds_what_the_reader_may_see_and_notes_what_nobody_found() {
    let server = a_shop().await;
    let mut nobody = Browser::new(&server);
    for (query, href) in [
        ("POST /orders", "operations/post-orders"),
        ("/orders/{number}", "operations/get-orders-id"),
        ("iban", "schemas/Transfer"),
        ("create ordr", "operations/post-orders"),
        ("petstore", "\"/products/petstore\""),
    ] {
        let page = nobody
            .get(&format!(
                "/search?q={}",
                query.replace(' ', "+").replace('{', "%7B").replace('}', "%7D")
            ))
            .await;
        assert!(page.text.contains(href), "{query}: {}", page.text);
    }
    let page = nobody.get("/search?q=POST+%2Forders&type=operations").await.text;
    let first = page.find("/operations/").unwrap();
    assert!(page[first..].starts_with("/operations/post-orders"), "{page}");
    nobody.get("/search?q=Giraffe++Licence").await;
    nobody.get("/search?q=tg_live_0123456789").await;
    let missing = server
        .store
        .fruitless_searches(domain::clock::Timestamp::from_millis(0), 10)
        .await
        .unwrap();
    let terms: Vec<&str> = missing.iter().map(|one| one.term.as_str()).collect();
    assert_eq!(terms, ["giraffe licence"]);
    // A private product is not found by those whom it is not for.
    let mut private = serving(shop());
    private["products"][0]["visibility"] = json!("private");
    private["products"][0]["audience"] = json!(["acme"]);
    Tenant::new(&server, "acme").await;
    server.apply(private).await.expect(200);
    let page = nobody.get("/search?q=orders").await.text;
    assert!(page.contains("Nothing has") && !page.contains("/operations/"), "{page}");
    assert_eq!(nobody.get(&format!("{BASE}/reference")).await.status, 404);
    assert_eq!(nobody.get(&format!("{BASE}/openapi.json")).await.status, 404);
}

/// Payloads that were found to work in other renderers.
const PAYLOADS: &[&str] = &[
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg/onload=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "javascript:alert(1)",
    "[x](javascript:alert(1))",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "{{ 7 * 7 }}<style>*{display:none}</style>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "`<script>alert(1)</script>`\n\n<form action=//evil><input name=x></form>",
];

/// A document in which every text is the payload.
fn hostile(payload: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": payload, "version": payload, "description": payload, "termsOfService": payload,
            "contact": {"url": payload, "name": payload}, "license": {"name": payload, "url": payload}},
        "servers": [{"url": payload, "description": payload}, {"url": format!("https://x.example/{payload}")}],
        "externalDocs": {"url": payload, "description": payload},
        "tags": [{"name": payload, "description": payload, "externalDocs": {"url": payload}}],
        "paths": {
            "/things/{id}": {"post": {
                "operationId": payload, "summary": payload, "description": payload, "tags": [payload],
                "externalDocs": {"url": payload, "description": payload},
                "security": [{payload: [payload]}],
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "description": payload, "schema": {"type": "string", "enum": [payload]}, "example": payload},
                    {"name": payload, "in": "query", "required": true, "description": payload, "schema": {"type": "string", "default": payload, "pattern": payload, "format": payload}},
                    {"name": payload, "in": "header", "schema": {"type": "string", "example": payload}}
                ],
                "requestBody": {"description": payload, "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}, "examples": {payload: {"summary": payload, "description": payload, "value": {payload: payload}}, "b": {"externalValue": payload}}},
                    payload: {"schema": {"type": "string"}, "example": payload}}},
                "responses": {"200": {"description": payload, "headers": {payload: {"description": payload, "schema": {"type": payload}}},
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}, "example": payload}},
                    "links": {payload: {"operationId": payload, "description": payload}}},
                    payload: {"description": payload}},
                "callbacks": {payload: {payload: {"post": {"summary": payload, "description": payload, "responses": {"200": {"description": payload}}}}}}
            }},
            "/plain": {"get": {"responses": {"200": {"description": "ok"}}}}
        },
        "webhooks": {payload: {"post": {"summary": payload, "description": payload, "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}, "responses": {"200": {"description": payload}}}}},
        "components": {
            "securitySchemes": {payload: {"type": "oauth2", "description": payload, "flows": {"implicit": {"authorizationUrl": payload, "scopes": {payload: payload}}}},
                "key": {"type": "apiKey", "in": "header", "name": payload}},
            "schemas": {"Thing": {"title": payload, "description": payload, "type": "object", "required": [payload],
                "properties": {payload: {"type": "string", "title": payload, "description": payload, "enum": [payload, "b"], "const": payload, "default": payload, "example": payload, "pattern": payload},
                    "self": {"$ref": "#/components/schemas/Thing"}, "gone": {"$ref": payload},
                    "either": {"oneOf": [{"title": payload, "type": "string"}, {"$ref": "#/components/schemas/Thing"}], "discriminator": {"propertyName": payload, "mapping": {payload: "#/components/schemas/Thing"}}}},
                "patternProperties": {payload: {"type": "string"}}}}
        }
    })
}

/// Elements and attributes that our templates never use, wherever they stand in real tags.
fn intruders(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let end = tag_end(rest);
        let tag = &rest[..end];
        let name: String = tag
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '/' || *c == '!')
            .collect();
        let bare = name.trim_start_matches('/').to_ascii_lowercase();
        let is_script = bare == "script" && !tag.starts_with("script src=\"/static/") && tag != "/script";
        let forbidden = [
            "style", "iframe", "object", "embed", "base", "img", "math", "audio", "video", "link ",
        ];
        if is_script || forbidden.contains(&bare.as_str()) {
            found.push(tag.to_owned());
        }
        if bare == "svg" && !tag.starts_with("svg class=\"icon\"") && tag != "/svg" {
            found.push(tag.to_owned());
        }
        let attributes = unquoted(tag).to_ascii_lowercase();
        for word in attributes.split_whitespace().skip(1) {
            if word.starts_with("on")
                || word.starts_with("srcdoc")
                || word.starts_with("style")
                || word.starts_with("autofocus")
                || word.starts_with("formaction=")
            {
                found.push(tag.to_owned());
            }
        }
        let lower = tag.to_ascii_lowercase();
        // Where an address is followed; the value of a field is text, whatever it reads like.
        for attribute in ["href", "src", "action", "formaction", "data", "poster", "ping"] {
            for scheme in ["javascript:", "data:text", "vbscript:"] {
                if lower.contains(&format!(" {attribute}=\"{scheme}")) {
                    found.push(tag.to_owned());
                }
            }
        }
        if attributes.contains("action=//") || lower.contains("action=\"//") {
            found.push(tag.to_owned());
        }
        rest = &rest[end..];
    }
    found
}

/// Where a tag ends: a `>` outside of quotes.
fn tag_end(text: &str) -> usize {
    let mut quote = None;
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (None, '>') => return at,
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), other) if open == other => quote = None,
            _ => {}
        }
    }
    text.len()
}

/// A tag without the values of its attributes.
fn unquoted(tag: &str) -> String {
    let mut out = String::new();
    let mut quote = None;
    for character in tag.chars() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), other) if open == other => quote = None,
            (None, other) => out.push(other),
            (Some(_), _) => {}
        }
    }
    out
}

/// Addresses of a page that lead to other pages here.
fn links(html: &str) -> Vec<String> {
    html.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|href| href.starts_with('/'))
        .map(|href| href.replace("&amp;", "&").split('#').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn nothing_in_a_document_becomes_an_element_or_an_attribute() {
    let server = Server::start().await;
    server.running.gateway_at("https://api.fernpost.example");
    let mut nobody = Browser::new(&server);
    for payload in PAYLOADS {
        let mut document = serving(hostile(payload));
        document["products"][0]["title"] = json!(payload);
        document["products"][0]["description"] = json!(payload);
        document["products"][0]["plans"][0]["title"] = json!(payload);
        document["products"][0]["plans"][0]["description"] = json!(payload);
        let applied = server.apply(document).await;
        assert_eq!(applied.status, 200, "{payload}: {}", applied.text);
        let mut seen: Vec<String> = [
            "/",
            "/products",
            "/pricing",
            "/products/petstore",
            "/search?q=things",
            "/search?q=script",
        ]
        .map(str::to_owned)
        .to_vec();
        seen.push(format!("/search?{}", form(payload)));
        for page in [
            "reference",
            "schemas",
            "auth",
            "operations/post-things-id",
            "schemas/Thing",
            "try/post-things-id",
        ] {
            seen.push(format!("{BASE}/{page}"));
        }
        let mut at = 0;
        while at < seen.len() && at < 60 {
            let path = seen[at].clone();
            at += 1;
            let page: Reply = nobody.get(&path).await;
            let elsewhere = ["/login", "/signup", "/app", "/static", "/manage", "/organisation"];
            assert!(page.status == 200, "{payload}: {path}: {}", page.status);
            if page
                .header("content-type")
                .is_none_or(|media| !media.starts_with("text/html"))
            {
                continue;
            }
            let found = intruders(&page.text);
            assert!(found.is_empty(), "{payload} on {path}: {found:?}");
            for link in links(&page.text) {
                if !seen.contains(&link) && !elsewhere.iter().any(|other| link.starts_with(other)) {
                    seen.push(link);
                }
            }
        }
        assert!(at > 15, "only {at} pages were found");
    }
}

fn form(text: &str) -> String {
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("q={encoded}")
}
