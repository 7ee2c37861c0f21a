//! What the upstream is told of a caller, and what no client can say in its place.

use crate::client::head;
use crate::world::{CONSUMER, SUBSCRIPTION, Wish, key, world};

#[test]
fn the_upstream_is_told_who_calls_and_never_sees_the_key() {
    let world = world(&Wish::default());
    let auth = key(1);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reply = world.get_with(
        "/petstore/pets/1",
        &[
            ("X-API-Key", auth.reveal()),
            ("X-Request-Id", "mine-1"),
            ("traceparent", trace),
            ("tracestate", "a=b"),
        ],
    );
    assert_eq!(reply.header("x-request-id"), Some("mine-1"));
    let seen = world.upstream.last();
    assert_eq!(seen.one("x-request-id"), "mine-1");
    assert_eq!(seen.one("x-consumer-id"), CONSUMER.to_string());
    assert_eq!(seen.one("x-consumer-name"), "acme-6");
    assert_eq!(seen.one("x-subscription-id"), SUBSCRIPTION.to_string());
    assert_eq!(seen.one("x-plan"), "pro");
    assert_eq!(seen.one("x-forwarded-for"), "127.0.0.1");
    assert_eq!(seen.one("x-forwarded-proto"), "http");
    assert_eq!(seen.one("x-forwarded-host"), "api.example.com");
    assert_eq!(seen.one("via"), "1.1 tollgate");
    assert_eq!(seen.one("x-gateway-secret"), "s3cret");
    assert_eq!(seen.one("tracestate"), "a=b");
    let parent = seen.one("traceparent");
    assert!(
        parent.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && parent != trace,
        "{parent}"
    );
    assert!(!format!("{seen:?}").contains(auth.reveal()));
    assert!(seen.all("authorization").is_empty() && seen.all("x-api-key").is_empty());
}

#[test]
fn no_client_can_speak_in_the_gateways_name() {
    let world = world(&Wish::default());
    let auth = key(1);
    for name in [
        "X-Consumer-Id",
        "x-consumer-id",
        "X_Consumer_Id",
        "X-Consumer_Name",
        "X-CONSUMER-NAME",
        "X-Consumer-Groups",
        "X-Subscription-Id",
        "X_Subscription_Id",
        "X-Plan",
        "X_Plan",
        "X-Forwarded-For",
        "X_Forwarded_For",
        "X-Forwarded-Proto",
        "X_Forwarded_Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Prefix",
        "Forwarded",
        "X-Real-IP",
        "X_Real_IP",
        "X-Request-Start",
        "X_Request_Id",
        "X-Gateway-Secret",
        "X_Gateway_Secret",
        "X_API_Key",
    ] {
        for connection in [None, Some(name)] {
            let mut fields = vec![("X-API-Key", auth.reveal()), (name, "spoofed")];
            fields.extend(connection.map(|named| ("Connection", named)));
            let reply = world.get_with("/petstore/pets/1", &fields);
            assert_eq!(reply.status, 200, "{name}");
            let seen = world.upstream.last();
            assert!(!format!("{:?}", seen.headers).contains("spoofed"), "{name}: {seen:?}");
            assert_eq!(seen.one("x-consumer-id"), CONSUMER.to_string(), "{name}");
            assert_eq!(seen.one("x-gateway-secret"), "s3cret", "{name}");
            assert_eq!(seen.one("x-forwarded-for"), "127.0.0.1", "{name}");
        }
    }
}

#[test]
fn anonymous_requests_carry_no_identity() {
    let world = world(&Wish {
        anonymous: true,
        ..Wish::default()
    });
    let reply = world.get_with("/petstore/pets/1", &[("X-Consumer-Id", "con_1")]);
    assert_eq!(reply.status, 200);
    let seen = world.upstream.last();
    assert!(
        seen.headers.iter().all(|(name, _)| !name.starts_with("x-consumer")),
        "{seen:?}"
    );
}

#[test]
fn hop_by_hop_fields_and_trailers_end_at_the_gateway() {
    let world = world(&Wish::default());
    let auth = key(1);
    let mut conn = world.connect();
    let fields = [
        ("X-API-Key", auth.reveal()),
        ("Connection", "X-Hop, keep-alive"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=9"),
        ("TE", "trailers"),
        ("Transfer-Encoding", "chunked"),
    ];
    conn.send(head("POST", "/petstore/pets/1", &fields).as_bytes());
    conn.send(b"3\r\nabc\r\n0\r\nX-Consumer-Id: spoofed\r\n\r\n");
    assert_eq!(conn.read(false).status, 200);
    let seen = world.upstream.last();
    assert_eq!(seen.body, b"abc");
    for name in ["x-hop", "keep-alive", "te", "trailer"] {
        assert!(seen.all(name).is_empty(), "{name}: {seen:?}");
    }
    assert_eq!(seen.one("x-consumer-id"), CONSUMER.to_string());
}

#[test]
fn the_host_of_the_upstream_is_the_targets_whatever_the_client_says() {
    let world = world(&Wish::default());
    let auth = key(1);
    let reply = world.connect().request(
        "GET",
        "http://evil.example/petstore/pets/1",
        &[
            ("X-API-Key", auth.reveal()),
            ("Host", "evil.example"),
            ("X-Forwarded-Host", "worse.example"),
        ],
    );
    assert_eq!(reply.status, 200, "{reply:?}");
    let seen = world.upstream.last();
    assert_eq!(seen.one("host"), world.upstream.address.to_string());
    assert_eq!(seen.one("x-forwarded-host"), "evil.example");
}
