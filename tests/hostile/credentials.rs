//! What is no valid credential never reaches the upstream, however it is dressed.

use serde_json::json;

use crate::world::World;

fn fields(lines: &[&str]) -> String {
    lines.iter().flat_map(|line| [*line, "\r\n"]).collect()
}

/// Field lines without any valid credential for `/vault`; `other` is a key without a subscription to it.
fn invalid(good: &str, other: &str) -> Vec<String> {
    let typo = format!(
        "{}{}",
        &good[..good.len() - 1],
        if good.ends_with('a') { 'b' } else { 'a' }
    );
    let test = good.replace("tg_live_", "tg_test_");
    let one = |line: String| fields(&[&line]);
    vec![
        String::new(),
        one("Authorization:".to_owned()),
        one("Authorization: Bearer".to_owned()),
        one("Authorization: Bearer ".to_owned()),
        one("Authorization: Bearer null".to_owned()),
        one("Authorization: Bearer undefined".to_owned()),
        one("Authorization: Bearer garbage".to_owned()),
        one("Authorization: Bearer \u{e9}\u{e9}".to_owned()),
        one("Authorization: Basic YWRtaW46YWRtaW4=".to_owned()),
        one(format!("Authorization: Basic {good}")),
        one(format!("Authorization: {good}")),
        one(format!("Authorization: Bearer{good}")),
        one(format!("Authorization: Bearer {good} x")),
        one(format!("Authorization: Bearer {good},{good}")),
        one(format!("Authorization: Bearer {good}, Bearer {good}")),
        one(format!("Authorization: Bearer \"{good}\"")),
        one(format!("Authorization: Bearer {typo}")),
        one(format!("Authorization: Bearer {test}")),
        one(format!("Authorization: Bearer {other}")),
        one(format!("Authorization: Bearer {}", good.to_uppercase())),
        one(format!("Authorization: Bearer {}", &good[..12])),
        one("Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.".to_owned()),
        one("X-API-Key:".to_owned()),
        one("X-API-Key: ' OR 1=1 --".to_owned()),
        one(format!("X-API-Key: {good},{good}")),
        one(format!("X-API-Key: {good};{good}")),
        one(format!("X-API-Key: {typo}")),
        one(format!("X-API-Key: {other}")),
        one(format!("X_API_Key: {good}")),
        one(format!("X-Api_Key: {good}")),
        one(format!("Api-Key: {good}")),
        one(format!("Cookie: X-API-Key={good}; Authorization={good}")),
        one(format!("Proxy-Authorization: Bearer {good}")),
        fields(&[&format!("X-API-Key: {good}"), &format!("X-API-Key: {good}")]),
        fields(&[&format!("X-API-Key: {good}"), &format!("X-API-Key: {other}")]),
        fields(&["X-API-Key:", &format!("X-API-Key: {good}")]),
        fields(&[
            &format!("Authorization: Bearer {good}"),
            &format!("Authorization: Bearer {good}"),
        ]),
        fields(&["Authorization: Basic dTpw", &format!("Authorization: Bearer {good}")]),
        fields(&[&format!("Authorization: Bearer {good}"), &format!("X-API-Key: {other}")]),
        fields(&[&format!("Authorization: Bearer {good}"), "X-API-Key: garbage"]),
        fields(&[&format!("X-API-Key: {good}"), "Authorization: Bearer garbage"]),
        fields(&["X-Consumer-Id: con_1", "X-Subscription-Id: sub_1", "X-Plan: plan"]),
        one(format!("X-Gateway-Secret: {}", crate::world::UPSTREAM_SECRET)),
        fields(&["Connection: Authorization", &format!("Authorization: Bearer {other}")]),
    ]
}

const OVERRIDES: &[&str] = &[
    "",
    "X-HTTP-Method-Override: OPTIONS\r\n",
    "X-HTTP-Method: HEAD\r\n",
    "X-Method-Override: OPTIONS\r\n",
    "X-Original-URL: /x\r\n",
    "X-Rewrite-URL: /x\r\n",
    "X-Envoy-Original-Path: /x\r\n",
    "X-Forwarded-Uri: /x\r\n",
    "X-Forwarded-Prefix: /x\r\n",
];

#[test]
fn what_is_no_valid_credential_never_arrives() {
    let world = World::new();
    let (good, other) = (world.subscriber("vault").key, world.subscriber("open").key);
    for credentials in invalid(&good, &other) {
        for further in OVERRIDES {
            for method in ["GET", "OPTIONS", "HEAD", "PROPFIND"] {
                let head = format!(
                    "{method} /vault/secret HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{credentials}{further}\r\n"
                );
                let wire = world.once(head.as_bytes());
                let arrived = world.upstream.new_requests();
                assert!(arrived.is_empty(), "{head}: {arrived:?}");
                assert!(
                    matches!(wire.statuses()[..], [400 | 401 | 403]),
                    "{head}: {}",
                    wire.text()
                );
                assert!(
                    !wire.text().contains(&good) && !wire.text().contains(&other),
                    "{head}: {}",
                    wire.text()
                );
            }
        }
    }
    // The control: the same requests with the right key arrive.
    for (further, place) in OVERRIDES
        .iter()
        .zip(["X-API-Key: ", "Authorization: Bearer ", "x-api-key:"].iter().cycle())
    {
        world.get("/vault/secret", &format!("{place}{good}\r\n{further}"));
        assert_eq!(world.upstream.new_requests().len(), 1, "{place} {further}");
    }
}

#[test]
fn a_query_or_a_body_is_no_place_for_a_key_unless_the_api_says_so() {
    let world = World::new();
    let key = world.subscriber("vault").key;
    for name in ["key", "api_key", "apikey", "X-API-Key", "access_token", "Authorization"] {
        assert_eq!(
            world.get(&format!("/vault/secret?{name}={key}"), "").statuses(),
            [401],
            "{name}"
        );
    }
    let body = format!("access_token={key}");
    let head = format!(
        "POST /vault HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(world.once(head.as_bytes()).statuses(), [401]);
    assert!(world.upstream.new_requests().is_empty());
}

#[test]
fn revoked_expired_and_suspended_never_arrive_again() {
    let world = World::new();
    let subscriber = world.subscriber("vault");
    let credentials = format!("/consumers/{}/credentials", subscriber.consumer);
    let fresh = || crate::support::api::text(&world.api().post(&credentials, json!({ "type": "api_key" }))["secret"]);
    let second = fresh();
    let call = |key: &str| world.get("/vault/x", &format!("X-API-Key: {key}\r\n")).statuses();
    let becomes = |key: &str, status: u16| {
        let settled = (0..200).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            call(key) == [status]
        });
        assert!(settled, "{status} was never answered: {:?}", call(key));
    };
    becomes(&second, 200);
    world.api().delete(&format!("{credentials}/{}", subscriber.credential));
    becomes(&subscriber.key, 401);
    world.api().post(
        &format!("/consumers/{}/suspend", subscriber.consumer),
        json!({ "reason": "test" }),
    );
    becomes(&second, 403);
    world.upstream.new_requests();
    for key in [&subscriber.key, &second] {
        for _ in 0..20 {
            call(key);
        }
    }
    assert!(world.upstream.new_requests().is_empty());
}
