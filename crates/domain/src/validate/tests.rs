use serde_json::{Value, json};

use super::{Around, Finding, References, Severity, validate};
use crate::config::{Api, Document};
use crate::key::{ApiKey, Mode};

mod values;

/// A document without any finding that uses most of what there is.
fn sound() -> Value {
    json!({
        "apis": [{
            "name": "petstore",
            "base_path": "/petstore",
            "hosts": ["api.example.com"],
            "upstream": {
                "targets": [{"url": "http://127.0.0.1:9001"}],
                "sandbox": [{"url": "https://[::1]:9002/v1"}],
                "auth": {"header": "X-Gateway-Secret", "value_env": "PETSTORE_SECRET"}
            },
            "auth": ["api_key"],
            "anonymous": {"product": "petstore", "plan": "free"}
        }],
        "meters": [
            {"name": "requests", "aggregate": "count"},
            {"name": "tokens", "aggregate": "sum", "value": {"response_json": "/usage/total_tokens"}, "filter": {"status": ["2xx", "404"], "operations": ["search"]}}
        ],
        "products": [{
            "name": "petstore",
            "apis": ["petstore"],
            "visibility": "private",
            "audience": ["acme"],
            "plans": [
                {"name": "free", "limits": [{"requests": 10, "per": "second"}, {"requests": 5, "per": "second", "operations": ["search"]}]},
                {"name": "pro", "limits": [{"meter": "tokens", "per": "period"}, {"requests": 1000, "per": "period", "overage": {"allow": "15%", "price": "prorated"}}],
                 "price": {"currency": "USD", "recurring": {"amount": "49.00"}, "usage": [{"meter": "tokens", "model": "unit", "unit": "0.002", "included": 100}]}}
            ]
        }],
        "accounts": [{"name": "acme", "email": "a@example.com", "currency": "EUR", "timezone": "Europe/Berlin", "country": "DE"}],
        "consumers": [{
            "name": "acme-backend",
            "account": "acme",
            "subscriptions": [{"product": "petstore", "plan": "pro", "anchor": "calendar"}],
            "credentials": [{"type": "api_key", "secret_env": "ACME_KEY", "products": ["petstore"]}]
        }]
    })
}

fn operations(api: &Api) -> Option<Vec<String>> {
    (!api.name.is_empty()).then(|| vec!["search".to_owned(), "getPet".to_owned()])
}

fn findings(value: Value, references: References<'_>) -> Vec<Finding> {
    let document: Document = serde_json::from_value(value).unwrap();
    validate(
        &document,
        &Around {
            references,
            operations: &operations,
        },
    )
}

/// The sound document with one value replaced or added.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = sound();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.insert(key.replace("~1", "/"), value)),
        Some(Value::Array(items)) if key == "-" => items.push(value),
        Some(Value::Array(items)) => items[key.parse::<usize>().unwrap()] = value,
        other => panic!("{parent}: {other:?}"),
    }
    document
}

/// Each row: what is written where, and where a finding of which severity with which words is expected.
fn check(rows: &[(&str, Value, &str, Severity, &str)]) {
    for (pointer, value, at, severity, words) in rows {
        let found = findings(with(pointer, value.clone()), References::Within);
        let right = |finding: &&Finding| {
            finding.pointer == *at && finding.severity == *severity && finding.to_string().contains(words)
        };
        assert!(
            found.iter().any(|finding| right(&finding)),
            "{pointer} = {value}: {at}: {words}: {found:#?}"
        );
    }
}

fn check_errors(rows: &[(&str, Value, &str, &str)]) {
    let rows: Vec<_> = rows
        .iter()
        .map(|(pointer, value, at, words)| (*pointer, value.clone(), *at, Severity::Error, *words))
        .collect();
    check(&rows);
}

#[test]
fn a_sound_document_has_no_findings() {
    assert_eq!(findings(sound(), References::Within), []);
    assert_eq!(findings(json!({}), References::Within), []);
}

#[test]
fn names_are_slugs_and_stand_once() {
    check_errors(&[
        ("/apis/0/name", json!("Pet Store"), "/apis/0/name", "is not a name"),
        ("/apis/0/name", json!(""), "/apis/0/name", "is not a name"),
        ("/apis/0/name", json!("-a"), "/apis/0/name", "is not a name"),
        (
            "/apis/-",
            sound()["apis"][0].clone(),
            "/apis/1/name",
            "another API is called `petstore`",
        ),
        (
            "/meters/1/name",
            json!("requests"),
            "/meters/1/name",
            "another meter is called `requests`",
        ),
        (
            "/products/-",
            sound()["products"][0].clone(),
            "/products/1/name",
            "another product",
        ),
        (
            "/products/0/plans/1/name",
            json!("free"),
            "/products/0/plans/1/name",
            "another plan of the product",
        ),
        (
            "/accounts/-",
            json!({"name": "acme"}),
            "/accounts/1/name",
            "another account",
        ),
        ("/accounts/0/name", json!("a\nb"), "/accounts/0/name", "is not a name"),
        (
            "/consumers/-",
            json!({"name": "acme-backend", "account": "acme"}),
            "/consumers/1/name",
            "another consumer",
        ),
    ]);
}

#[test]
fn names_that_lead_nowhere_are_errors_that_name_the_nearest() {
    check_errors(&[
        (
            "/products/0/apis/0",
            json!("petstor"),
            "/products/0/apis/0",
            "no API is called `petstor`; write `petstore`",
        ),
        (
            "/products/0/audience/0",
            json!("nobody"),
            "/products/0/audience/0",
            "no account is called `nobody`; there is `acme`",
        ),
        (
            "/apis/0/anonymous/product",
            json!("x"),
            "/apis/0/anonymous/product",
            "no product",
        ),
        (
            "/apis/0/anonymous/plan",
            json!("fre"),
            "/apis/0/anonymous/plan",
            "has no plan `fre`; write `free`",
        ),
        (
            "/consumers/0/account",
            json!("acne"),
            "/consumers/0/account",
            "no account is called `acne`; write `acme`",
        ),
        (
            "/consumers/0/subscriptions/0/plan",
            json!("x"),
            "/consumers/0/subscriptions/0/plan",
            "there is `free`, `pro`",
        ),
        (
            "/consumers/0/subscriptions/0/product",
            json!("x"),
            "/consumers/0/subscriptions/0/product",
            "no product",
        ),
        (
            "/consumers/0/credentials/0/products/0",
            json!("x"),
            "/consumers/0/credentials/0/products/0",
            "no product",
        ),
        (
            "/products/0/plans/1/limits/0/meter",
            json!("tokns"),
            "/products/0/plans/1/limits/0/meter",
            "write `tokens`",
        ),
        (
            "/products/0/plans/1/price/usage/0/meter",
            json!("x"),
            "/products/0/plans/1/price/usage/0/meter",
            "no meter",
        ),
        (
            "/products/0/plans/0/limits/1/operations/0",
            json!("serch"),
            "/products/0/plans/0/limits/1/operations/0",
            "no API of the product has an operation `serch`; write `search`",
        ),
        (
            "/meters/1/filter/operations/0",
            json!("x"),
            "/meters/1/filter/operations/0",
            "no API has an operation",
        ),
        (
            "/apis/0/operations",
            json!({"GET /x": {}}),
            "/apis/0/operations/GET ~1x",
            "the API has no operation",
        ),
    ]);
}

#[test]
fn references_may_lead_into_what_is_in_force_or_stay_unchecked() {
    let part = json!({"consumers": sound()["consumers"]});
    let whole: Document = serde_json::from_value(sound()).unwrap();
    assert_ne!(findings(part.clone(), References::Within), []);
    assert_eq!(findings(part.clone(), References::Whole(&whole)), []);
    assert_eq!(findings(part, References::Unchecked), []);
}

#[test]
fn operations_that_are_not_known_are_not_checked() {
    let document: Document =
        serde_json::from_value(with("/products/0/plans/0/limits/1/operations/0", json!("x"))).unwrap();
    let around = Around {
        references: References::Within,
        operations: &|_| None,
    };
    assert_eq!(validate(&document, &around), []);
}

#[test]
fn base_paths_and_hosts_do_not_meet() {
    let mut other = sound()["apis"][0].clone();
    other["name"] = json!("other");
    other["base_path"] = json!("/petstore/");
    other["hosts"] = json!(["API.example.com"]);
    check_errors(&[
        (
            "/apis/-",
            other,
            "/apis/1/hosts/0",
            "the API `petstore` has the same host and base path",
        ),
        (
            "/apis/0/base_path",
            json!("petstore"),
            "/apis/0/base_path",
            "does not start with a slash",
        ),
        (
            "/apis/0/base_path",
            json!("/a//b"),
            "/apis/0/base_path",
            "empty segment",
        ),
        ("/apis/0/base_path", json!("/a%62"), "/apis/0/base_path", "write `/ab`"),
        (
            "/apis/0/base_path",
            json!("/.tollgate/x"),
            "/apis/0/base_path",
            "the gateway answers",
        ),
        (
            "/apis/0/hosts/0",
            json!("https://a.example"),
            "/apis/0/hosts/0",
            "is not a host name",
        ),
        (
            "/apis/0/hosts/0",
            json!("*.example.com"),
            "/apis/0/hosts/0",
            "is not a host name",
        ),
    ]);
}

#[test]
fn upstreams_are_whole_addresses() {
    let url = |text: &str, words: &'static str| {
        (
            "/apis/0/upstream/targets/0/url",
            json!(text),
            "/apis/0/upstream/targets/0/url",
            words,
        )
    };
    check_errors(&[
        url("127.0.0.1:9001", "no scheme"),
        url("ftp://a", "neither http nor https"),
        url(
            "http://u:secret@a",
            "`http://…@a` is not an upstream address: it has a user name",
        ),
        url("http://a?x=1", "query"),
        url("http://a/#x", "fragment"),
        url("http://a:0", "port"),
        url("http://", "host"),
        url("http://[::1", "host"),
        url("http://a/../b", "path"),
        (
            "/apis/0/upstream/targets",
            json!([]),
            "/apis/0/upstream/targets",
            "no upstream",
        ),
        (
            "/apis/0/upstream/targets/0/weight",
            json!(0),
            "/apis/0/upstream/targets/0/weight",
            "no target takes any traffic",
        ),
        (
            "/apis/0/upstream/timeouts",
            json!({"connect": "0s"}),
            "/apis/0/upstream/timeouts/connect",
            "zero",
        ),
    ]);
}

#[test]
fn an_api_of_the_server_is_in_the_way_as_well() {
    let mut taken = sound();
    taken["apis"][0]["name"] = json!("older");
    let mut whole = sound();
    whole["apis"].as_array_mut().unwrap().push(taken["apis"][0].clone());
    let whole: Document = serde_json::from_value(whole).unwrap();
    let found = findings(sound(), References::Whole(&whole));
    assert!(
        found
            .iter()
            .any(|finding| finding.pointer == "/apis/0/hosts/0" && finding.reason.contains("`older`")),
        "{found:#?}"
    );
}

#[test]
fn headers_that_are_the_gateways_own_are_refused() {
    for name in [
        "X-Consumer-Id",
        "x_plan",
        "Host",
        "Content-Length",
        "X-Forwarded-For",
        "traceparent",
        "Connection",
    ] {
        check_errors(&[
            (
                "/apis/0/upstream/auth/header",
                json!(name),
                "/apis/0/upstream/auth/header",
                "the gateway sets",
            ),
            (
                "/apis/0/api_key",
                json!({"header": name}),
                "/apis/0/api_key/header",
                "the gateway sets",
            ),
        ]);
    }
    check_errors(&[
        (
            "/apis/0/upstream/auth/header",
            json!("X Y"),
            "/apis/0/upstream/auth/header",
            "not the name of a header",
        ),
        (
            "/apis/0/upstream/auth",
            json!({"header": "X-A"}),
            "/apis/0/upstream/auth",
            "no value",
        ),
        (
            "/apis/0/upstream/auth/value_env",
            json!("A-B"),
            "/apis/0/upstream/auth/value_env",
            "environment variable",
        ),
        (
            "/apis/0/upstream/auth/value",
            json!("a\r\nb"),
            "/apis/0/upstream/auth/value",
            "cannot be sent",
        ),
        (
            "/apis/0/api_key",
            json!({"query": "a b"}),
            "/apis/0/api_key/query",
            "query parameter",
        ),
    ]);
}
