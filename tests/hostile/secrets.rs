//! Secrets that must be nowhere: canaries in every secret field, then a search of all that the platform wrote and said.

use std::path::Path;

use serde_json::json;

use crate::support::platform::{ADMIN_TOKEN, Settings};
use crate::world::{UPSTREAM_SECRET, World};

/// Files below a folder, with their bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).unwrap_or_default()));
        }
    }
    found
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
}

/// Sends a secret in each place for credentials and gives back all that was answered. A path or a query is no such
/// place, and cookies and other schemes are the upstream's business where they are forwarded.
fn use_everywhere(world: &World, secret: &str) -> Vec<u8> {
    let mut said = Vec::new();
    for place in [
        "X-API-Key: ",
        "Authorization: Bearer ",
        "Authorization: Basic ",
        "Cookie: session=",
    ] {
        for target in ["/vault/x", "/x", "/.tollgate/usage", "/vault//x"] {
            let is_theirs = target == "/x" && !place.starts_with("X-API") && !place.contains("Bearer");
            if !is_theirs {
                said.extend(world.get(target, &format!("{place}{secret}\r\n")).heard);
            }
        }
    }
    let twice = format!("X-API-Key: {secret}\r\nX-API-Key: {secret}\r\n");
    let broken = format!("GET /vault HTTP/1.1\r\nHost: h\r\n{twice}Bad Field\r\n\r\n");
    said.extend(world.once(broken.as_bytes()).heard);
    said
}

/// What the Admin API, health and metrics tell an administrator, wrong requests included.
fn ask_everything(world: &World, credentials: &str) -> Vec<u8> {
    let mut said: Vec<u8> = Vec::new();
    let api = world.api();
    for path in [
        "/config",
        "/accounts",
        "/consumers",
        credentials,
        "/tokens",
        "/audit-events",
        "/apis",
        "/gateways",
        "/openapi.json",
        "/nowhere",
    ] {
        said.extend(api.call("GET", path, None).body);
    }
    for (name, body) in [
        ("/config", json!({ "apis": UPSTREAM_SECRET })),
        ("/tokens", json!({ "name": UPSTREAM_SECRET, "scopes": 7 })),
    ] {
        // What the caller sent in a wrong place may be told back to him, but not a secret of another.
        said.extend(
            api.call("PUT", name, Some(&body))
                .headers
                .iter()
                .flat_map(|(_, value)| value.bytes().collect::<Vec<_>>()),
        );
    }
    for path in ["/metrics", "/readyz", "/healthz"] {
        said.extend(
            crate::support::client::Client::new(world.platform.ops())
                .get(path, &[])
                .unwrap()
                .body,
        );
    }
    said
}

#[test]
fn no_secret_is_in_logs_metrics_answers_or_data() {
    let talkative = |settings: Settings| {
        settings
            .with("TOLLGATE_LOG_FILTER", "trace")
            .with("TOLLGATE_LOG_FORMAT", "json")
    };
    let mut world = World::with(talkative, &json!([{ "requests": 1_000_000, "per": "minute" }]));
    let live = world.subscriber("vault");
    let credentials = format!("/consumers/{}/credentials", live.consumer);
    let test_key = crate::support::api::text(
        &world
            .api()
            .post(&credentials, json!({ "type": "api_key", "mode": "test" }))["secret"],
    );
    let scoped = world
        .api()
        .post("/tokens", json!({ "name": "ci", "scopes": ["usage:read"] }));
    let token = crate::support::api::text(&scoped["secret"]);
    let wrong = "tg_live_wrongwrongwrongwrongwrongwrongwrongwrongwro123456";
    let secrets = [
        live.key.as_str(),
        &test_key,
        &token,
        ADMIN_TOKEN,
        UPSTREAM_SECRET,
        wrong,
    ];
    let mut said: Vec<u8> = secrets
        .iter()
        .flat_map(|secret| use_everywhere(&world, secret))
        .collect();
    said.extend(ask_everything(&world, &credentials));
    let data = world.platform.settings.data_dir.clone();
    let running = files(&data);
    assert!(world.platform.stop().success());
    let mut places = running;
    places.extend(files(&data));
    places.push(("the log".to_owned(), world.platform.log().into_bytes()));
    places.push(("the answers".to_owned(), said));
    let mut found = Vec::new();
    for secret in secrets {
        for (place, bytes) in &places {
            if holds(bytes, secret) {
                found.push(format!("{secret} in {place}"));
            }
        }
    }
    // The control: the search finds what is there.
    assert!(places.iter().any(|(_, bytes)| holds(bytes, "vault-caller")) && world.platform.log().len() > 1000);
    let allowed = |line: &&String| !(line.starts_with(ADMIN_TOKEN) && line.ends_with("first-admin"));
    let found: Vec<_> = found.iter().filter(allowed).collect();
    assert!(found.is_empty(), "{found:#?}");
    // The upstream alone got its secret, and no key.
    let raw = world.upstream.raw();
    assert!(holds(&raw, UPSTREAM_SECRET));
    assert!(!holds(&raw, &live.key) && !holds(&raw, ADMIN_TOKEN) && !holds(&raw, &token));
}

#[test]
fn what_holds_secrets_is_private_to_its_user() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let data = &world.platform.settings.data_dir;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(data), 0o700);
    assert_eq!(mode(&data.join("master.key")), 0o600);
}
