//! The fields by which an upstream learns who calls are the gateway's alone.

use crate::support::raw::Seen;
use crate::world::{UPSTREAM_SECRET, World};

const SPOOF: &str = "spoofed-by-the-client";

/// Names that no client may set.
const OWNED: &[&str] = &[
    "X-Consumer-Id",
    "X-Consumer-Name",
    "X-Consumer-Groups",
    "X-Consumer-Custom-Id",
    "X-Subscription-Id",
    "X-Plan",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "Forwarded",
    "X-Real-IP",
    "X-Request-Start",
    "X-Gateway-Secret",
    "traceparent",
];

/// Spellings of a name that some upstream takes for it.
fn spellings(name: &str) -> Vec<String> {
    let mixed = name.chars().enumerate().map(|(at, c)| {
        if at % 2 == 0 {
            c.to_ascii_uppercase()
        } else {
            c.to_ascii_lowercase()
        }
    });
    let first_only = name.replacen('-', "_", 1);
    vec![
        name.to_owned(),
        name.to_lowercase(),
        name.to_uppercase(),
        mixed.collect(),
        name.replace('-', "_"),
        first_only,
        name.to_lowercase().replace('-', "_"),
    ]
}

fn check(seen: &Seen, what: &str) {
    for (name, value) in &seen.headers {
        assert!(!value.contains(SPOOF), "{what}: {name}: {value} arrived");
    }
    assert_eq!(seen.values("x-gateway-secret"), [UPSTREAM_SECRET], "{what}");
    assert_eq!(seen.values("x-forwarded-for"), ["127.0.0.1"], "{what}");
    assert_eq!(seen.values("x-forwarded-host"), ["h"], "{what}");
    assert_eq!(seen.values("x-forwarded-proto"), ["http"], "{what}");
    assert_eq!(seen.values("x-plan"), ["plan"], "{what}");
    assert_eq!(seen.values("x-request-id").len(), 1, "{what}");
    assert!(
        seen.headers.iter().all(|(name, _)| !name.contains('_')),
        "{what}: {seen:?}"
    );
}

#[test]
fn no_spelling_of_an_identity_field_arrives() {
    let world = World::new();
    let subscriber = world.subscriber("vault");
    for name in OWNED {
        for spelling in spellings(name) {
            let spoof = format!("{spelling}: {SPOOF}\r\n");
            let variants = [
                spoof.clone(),
                format!("{spoof}{spoof}"),
                format!("{spoof}Keep-Alive: {spelling}\r\n"),
                format!("{spoof}TE: trailers\r\nTrailer: {spelling}\r\n"),
            ];
            for fields in variants {
                world.get("/x", &fields);
                world.get("/vault/x", &format!("{fields}X-API-Key: {}\r\n", subscriber.key));
                let seen = world.upstream.new_requests();
                assert_eq!(seen.len(), 2, "{fields}");
                check(&seen[0], &fields);
                assert!(
                    seen[0].values("x-consumer-id").is_empty() && seen[0].values("x-subscription-id").is_empty(),
                    "{fields}"
                );
                check(&seen[1], &fields);
                assert_eq!(
                    seen[1].values("x-consumer-id"),
                    [subscriber.consumer.as_str()],
                    "{fields}"
                );
                assert_eq!(
                    seen[1].values("x-subscription-id"),
                    [subscriber.subscription.as_str()],
                    "{fields}"
                );
                assert!(seen[1].values("x-api-key").is_empty(), "{fields}");
            }
        }
    }
}

#[test]
fn connection_takes_none_of_the_gateways_fields_away() {
    let world = World::new();
    let subscriber = world.subscriber("vault");
    for name in OWNED {
        for spelling in spellings(name) {
            let head = format!(
                "GET /vault/x HTTP/1.1\r\nHost: h\r\nConnection: close, {spelling}\r\n{spelling}: {SPOOF}\r\nX-API-Key: {}\r\n\r\n",
                subscriber.key
            );
            let wire = world.once(head.as_bytes());
            let seen = world.upstream.new_requests();
            assert_eq!(seen.len(), 1, "{head}: {}", wire.text());
            check(&seen[0], &head);
            assert_eq!(
                seen[0].values("x-consumer-id"),
                [subscriber.consumer.as_str()],
                "{head}"
            );
            assert!(seen[0].values("connection").is_empty(), "{head}");
        }
    }
}

#[test]
fn trailers_carry_no_identity() {
    let world = World::new();
    for name in OWNED {
        let body = format!("3\r\nabc\r\n0\r\n{name}: {SPOOF}\r\nX-Checksum: 1\r\n\r\n");
        let head = format!(
            "POST /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTE: trailers\r\nTrailer: {name}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let mut wire = world.connect();
        // The trailer comes on its own, when the request is under way.
        let (first, second) = head.split_at(head.len() - 12);
        wire.say(first.as_bytes());
        std::thread::sleep(std::time::Duration::from_millis(5));
        wire.say(second.as_bytes());
        wire.ends(std::time::Duration::from_secs(5));
    }
    // Refused or dropped: the upstream, which takes any trailer for a fault, saw none.
    for seen in world.upstream.new_requests() {
        check(&seen, "trailer");
        assert_eq!(seen.body, b"abc");
    }
    let raw = world.upstream.raw();
    assert!(!String::from_utf8_lossy(&raw).contains(SPOOF));
}

#[test]
fn a_request_id_is_taken_over_only_if_it_is_one() {
    let world = World::new();
    for (given, taken) in [
        ("abc-123", true),
        ("", false),
        ("a b", false),
        ("a\"b", false),
        (&"x".repeat(500), false),
        ("<script>", false),
    ] {
        let wire = world.get("/x", &format!("X-Request-Id: {given}\r\n"));
        let seen = world.upstream.new_requests();
        let forwarded = seen[0].values("x-request-id");
        assert_eq!(forwarded.len(), 1, "{given}");
        assert_eq!(forwarded == [given], taken, "{given}: {forwarded:?}");
        assert!(wire.text().contains(forwarded[0]), "{given}");
    }
}
