//! Whatever a client says about its address, the socket decides which anonymous bucket it empties.

use serde_json::json;

use crate::world::World;

const NAMES: &[&str] = &[
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "Fastly-Client-IP",
    "X-Originating-IP",
    "X-Remote-IP",
    "X-Remote-Addr",
    "X-Azure-ClientIP",
    "X-ProxyUser-Ip",
];

/// Field lines that claim a new address each time.
fn claims(number: usize) -> String {
    let (high, low) = (number / 250, number % 250 + 1);
    let v4 = format!("203.{high}.113.{low}");
    let v6 = format!("2001:db8:{number:x}::{low:x}");
    match number % (NAMES.len() + 4) {
        at if at < NAMES.len() => format!("{}: {v4}\r\n", NAMES[at]),
        at if at == NAMES.len() => format!("Forwarded: for={v4};proto=https\r\n"),
        at if at == NAMES.len() + 1 => format!("Forwarded: for=\"[{v6}]:4711\"\r\n"),
        at if at == NAMES.len() + 2 => format!("X-Forwarded-For: {v6}, 127.0.0.1, {v4}\r\nX-Forwarded-For: {v4}\r\n"),
        _ => NAMES.iter().flat_map(|name| [name, ": ", &v6, "\r\n"]).collect(),
    }
}

#[test]
fn rotating_claims_about_the_address_do_not_refill_the_bucket() {
    const LIMIT: usize = 7;
    let world = World::with(|settings| settings, &json!([{ "requests": LIMIT, "per": "day" }]));
    for number in 0..200 {
        let status = world.get("/x", &claims(number)).statuses();
        assert_eq!(
            status,
            [if number < LIMIT { 200 } else { 429 }],
            "{number}: {}",
            claims(number)
        );
    }
    let seen = world.upstream.new_requests();
    assert_eq!(seen.len(), LIMIT);
    for request in seen {
        assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
        assert!(
            request.values("x-real-ip").is_empty() && request.values("forwarded").is_empty(),
            "{request:?}"
        );
    }
}

#[test]
fn control_behind_a_trusted_proxy_each_address_has_a_bucket() {
    let trusting =
        |settings: crate::support::platform::Settings| settings.with("TOLLGATE_TRUSTED_PROXIES", "127.0.0.0/8");
    let world = World::with(trusting, &json!([{ "requests": 1, "per": "day" }]));
    for number in 1..20 {
        let address = format!("203.0.113.{number}");
        assert_eq!(
            world.get("/x", &format!("X-Forwarded-For: {address}\r\n")).statuses(),
            [200]
        );
        // The leftmost address is anybody's word; the last untrusted hop counts.
        assert_eq!(
            world
                .get("/x", &format!("X-Forwarded-For: 198.51.100.{number}, {address}\r\n"))
                .statuses(),
            [429]
        );
        assert_eq!(
            world
                .get(
                    "/x",
                    &format!("X-Forwarded-For: 198.51.100.{number}, {address}, 127.0.0.9\r\n")
                )
                .statuses(),
            [429]
        );
    }
}
