use domain::path::canonical;
use proptest::prelude::*;
use snapshot::{Route, Snapshot};

use crate::support::{api, scratch, upsert_api};

/// What a request comes to: `API/OPERATION UPSTREAM-PATH`, `405 METHODS` or `404`.
fn find(snapshot: &Snapshot, host: &str, path: &str, method: &str) -> String {
    let Ok(path) = canonical(path) else {
        return "400".to_owned();
    };
    match snapshot.routes().find(host, &path, method) {
        Route::Found(found) => format!("{}/{} {}", found.api.name, found.operation.key, found.upstream_path),
        Route::MethodNotAllowed { allow, .. } => format!("405 {}", allow.join(",")),
        Route::NoRoute { .. } => "404".to_owned(),
    }
}

fn one(place: &str, operations: &[&str]) -> Snapshot {
    scratch([upsert_api(api(1, place, operations))]).unwrap()
}

const REJECT: &str = r#""unknown_operations":"reject""#;

#[test]
fn literal_goes_before_mixed_before_parameter_with_backtracking() {
    let snapshot = one(
        REJECT,
        &[
            "literal GET /pets/mine",
            "mixed GET /pets/{name}.json",
            "long GET /pets/{name}.tar.json",
            "param GET /pets/{id}",
            "deep GET /pets/{id}/toys/{toy}",
            "mineFood GET /pets/mine/food",
            "create POST /pets/{id}",
        ],
    );
    for (method, path, expected) in [
        ("GET", "/pets/mine", "api1/literal /pets/mine"),
        ("GET", "/pets/a.json", "api1/mixed /pets/a.json"),
        ("GET", "/pets/a.tar.json", "api1/long /pets/a.tar.json"),
        ("GET", "/pets/7", "api1/param /pets/7"),
        ("GET", "/pets/mine/food", "api1/mineFood /pets/mine/food"),
        ("GET", "/pets/mine/toys/3", "api1/deep /pets/mine/toys/3"),
        ("GET", "/pets/a.json/toys/3", "api1/deep /pets/a.json/toys/3"),
        ("POST", "/pets/mine", "api1/create /pets/mine"),
        ("DELETE", "/pets/mine", "405 GET,HEAD,POST"),
        ("HEAD", "/pets/mine", "api1/literal /pets/mine"),
        ("OPTIONS", "/pets/mine", "405 GET,HEAD,POST"),
        ("GET", "/pets/", "404"),
        ("GET", "/pets/7/", "404"),
        ("GET", "/Pets/7", "404"),
        ("get", "/pets/7", "405 GET,HEAD,POST"),
        ("GET", "/pets//7", "400"),
    ] {
        assert_eq!(find(&snapshot, "", path, method), expected, "{method} {path}");
    }
}

#[test]
fn every_spelling_of_a_literal_is_the_same_operation() {
    let snapshot = one(
        REJECT,
        &["me GET /users/@me", "kaese GET /käse (alt)", "other GET /users/{id}"],
    );
    for path in ["/users/@me", "/users/%40me", "/users/%40%6de"] {
        assert!(find(&snapshot, "", path, "GET").starts_with("api1/me "), "{path}");
    }
    assert!(find(&snapshot, "", "/k%c3%a4se%20%28alt%29", "GET").starts_with("api1/kaese "));
    assert!(find(&snapshot, "", "/users/%2540me", "GET").starts_with("api1/other "));
}

#[test]
fn what_is_not_listed_passes_as_unlisted() {
    let snapshot = one("", &["a GET /a"]);
    assert_eq!(find(&snapshot, "", "/a", "OPTIONS"), "api1/unlisted /a");
    assert_eq!(find(&snapshot, "", "/a", "POST"), "api1/unlisted /a");
    assert_eq!(find(&snapshot, "", "/b/c", "GET"), "api1/unlisted /b/c");
    assert_eq!(find(&snapshot, "", "/a", "HEAD"), "api1/a /a");
}

#[test]
fn host_goes_before_base_path_and_the_longest_base_path_wins() {
    let snapshot = scratch([
        upsert_api(api(1, r#""base_path":"/""#, &["a GET /a"])),
        upsert_api(api(2, r#""base_path":"/v1/shop/""#, &["a GET /a", "root GET /"])),
        upsert_api(api(3, r#""base_path":"/v1","strip_base_path":false"#, &["a GET /a"])),
        upsert_api(api(
            4,
            r#""hosts":["Api.Example.com"],"base_path":"/v1""#,
            &["a GET /a"],
        )),
    ])
    .unwrap();
    for (host, path, expected) in [
        ("", "/a", "api1/a /a"),
        ("x", "/v1/shop/a", "api2/a /a"),
        ("x", "/v1/shop", "api2/root /"),
        ("x", "/v1/shop/", "api2/root /"),
        ("x", "/v1/shopping", "api3/unlisted /v1/shopping"),
        ("x", "/v1/a", "api3/a /v1/a"),
        ("x", "/%761/sh%6fp/%61", "api2/a /a"),
        ("api.example.com", "/v1/a", "api4/a /a"),
        ("API.example.COM.:8443", "/v1/shop/a", "api4/unlisted /shop/a"),
        ("api.example.com", "/a", "api1/a /a"),
        ("api.example.com.evil", "/v1/a", "api3/a /v1/a"),
    ] {
        assert_eq!(find(&snapshot, host, path, "GET"), expected, "{host} {path}");
    }
}

#[test]
fn parameters_lead_past_no_api_and_no_operation() {
    let snapshot = scratch([
        upsert_api(api(1, r#""base_path":"/""#, &["root GET /x"])),
        upsert_api(api(2, r#""base_path":"/vault""#, &["secret GET /secret"])),
    ])
    .unwrap();
    for (path, expected) in [
        ("/vault/secret", "api2/secret /secret"),
        ("/vault/secret;a=b", "api2/secret /secret;a=b"),
        ("/vault;a=b/secret", "404"),
        ("/vault;/secret", "404"),
        ("/vault%3ba/secret", "404"),
        ("/;/vault/secret", "400"),
        ("/x;a=b", "api1/root /x;a=b"),
    ] {
        assert_eq!(find(&snapshot, "", path, "GET"), expected, "{path}");
    }
}

#[test]
fn an_escaped_base_path_is_stripped_by_segments() {
    let snapshot = one(r#""base_path":"/a@b/c""#, &["x GET /x"]);
    assert_eq!(find(&snapshot, "", "/a%40b/c/x", "GET"), "api1/x /x");
    assert_eq!(find(&snapshot, "", "/a%40b/c", "GET"), "api1/unlisted /");
}

#[test]
fn operations_that_fall_together_are_the_first() {
    let snapshot = one("", &["first GET /a/{x}", "second GET /a/{y}", "third GET /%61/{z}"]);
    assert_eq!(find(&snapshot, "", "/a/1", "GET"), "api1/first /a/1");
}

fn key() -> impl Strategy<Value = String> {
    let piece = prop_oneof![Just("a"), Just("b"), Just("{p}"), Just("{p}x"), Just("a{p}"), Just("")];
    proptest::collection::vec(piece, 1..4).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

fn request() -> impl Strategy<Value = String> {
    let piece = prop_oneof![Just("a"), Just("b"), Just("ax"), Just("cx"), Just("ac"), Just("c")];
    (proptest::collection::vec(piece, 1..4), any::<bool>())
        .prop_map(|(pieces, slash)| format!("/{}{}", pieces.join("/"), if slash { "/" } else { "" }))
}

/// How specific a template is at each segment: literal, mixed by its text, parameter.
fn specificity(key: &str) -> Vec<(u8, std::cmp::Reverse<usize>)> {
    let class = |segment: &str| match segment.replace("{p}", "") {
        text if text.len() == segment.len() => (0, std::cmp::Reverse(0)),
        text if text.is_empty() => (2, std::cmp::Reverse(0)),
        text => (1, std::cmp::Reverse(text.len())),
    };
    key.split('/').map(class).collect()
}

proptest! {
    #[test]
    fn the_tree_finds_what_trying_every_template_finds(
        keys in proptest::collection::vec((key(), prop::sample::select(vec!["GET", "POST"])), 1..12),
        path in request(),
        method in prop::sample::select(vec!["GET", "POST", "HEAD"]),
    ) {
        let written: Vec<String> = keys.iter().enumerate().map(|(n, (key, method))| format!("{n} {method} {key}")).collect();
        let written: Vec<&str> = written.iter().map(String::as_str).collect();
        let snapshot = one(REJECT, &written);
        let serves = |of: &str| of == method || (method == "HEAD" && of == "GET");
        let matching = keys.iter().filter(|(key, _)| description::template::route_template(key).matches(&path));
        let best = matching.clone().filter(|(_, of)| serves(of)).map(|(key, _)| specificity(key)).min();
        match snapshot.routes().find("", &path, method) {
            Route::Found(found) => {
                let operation: usize = found.operation.key.parse().unwrap();
                prop_assert!(description::template::route_template(&keys[operation].0).matches(&path));
                prop_assert!(serves(keys[operation].1));
                prop_assert_eq!(Some(specificity(&keys[operation].0)), best);
            }
            Route::MethodNotAllowed { .. } => prop_assert!(best.is_none() && matching.count() > 0),
            Route::NoRoute { .. } => prop_assert_eq!(matching.count(), 0),
        }
    }
}
