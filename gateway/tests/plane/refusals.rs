//! Every way in which a request is refused before it is forwarded.

use domain::clock::Timestamp;
use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use domain::usage::Record;
use serde_json::json;
use snapshot::source::Change;

use crate::client::Reply;
use crate::world::{Wish, World, consumer, eventually, key, key_record, subscription, world};

fn refused(reply: &Reply, status: u16, name: &str) {
    assert_eq!((reply.status, &*reply.problem()), (status, name), "{reply:?}");
}

#[test]
fn credentials_that_are_missing_wrong_or_doubled_are_told_apart() {
    let world = world(&Wish::default());
    let (good, unknown) = (key(1), key(2));
    let bearer = format!("Bearer {}", good.reveal());
    let none = world.get_with("/petstore/pets/1", &[]);
    refused(&none, 401, "missing-credentials");
    assert!(none.header("www-authenticate").is_some());
    for fields in [
        vec![("X-API-Key", unknown.reveal())],
        vec![("X-API-Key", "tg_live_nonsense")],
        vec![("Authorization", "Bearer x")],
        vec![("X-API-Key", good.reveal()), ("X-API-Key", good.reveal())],
        vec![("X-API-Key", good.reveal()), ("Authorization", "Bearer other")],
        vec![("Authorization", &*bearer), ("Authorization", &*bearer)],
    ] {
        let reply = world.get_with("/petstore/pets/1", &fields);
        refused(&reply, 401, "invalid-credentials");
        assert!(reply.header("www-authenticate").is_some());
    }
    assert_eq!(world.upstream.count(), 0);
    assert_eq!(
        world.get_with("/petstore/pets/1", &[("Authorization", &bearer)]).status,
        200
    );
    assert_eq!(
        world
            .get_with(&format!("/petstore/pets/1?x=1&api_key={}", good.reveal()), &[])
            .status,
        200
    );
    assert_eq!(world.upstream.last().target, "/v1/pets/1?x=1");
}

#[test]
fn revoked_and_unknown_keys_get_the_same_answer() {
    let world = world(&Wish::default());
    let mut revoked = key_record(1, 6);
    revoked.revoked = true;
    world.change([Change::UpsertKey(revoked)]);
    let body = |number| {
        let reply = world.get_with(
            "/petstore/pets/1",
            &[("X-API-Key", key(number).reveal()), ("X-Request-Id", "same")],
        );
        refused(&reply, 401, "invalid-credentials");
        (
            reply.text(),
            reply
                .headers
                .iter()
                .filter(|(name, _)| name != "date")
                .cloned()
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(body(1), body(2));
}

#[test]
fn each_state_of_key_consumer_and_subscription_has_its_answer() {
    let world = world(&Wish {
        limits: json!([{ "requests": 10, "per": "period" }]),
        ..Wish::default()
    });
    let mut expired = key_record(1, 6);
    expired.expires_at = Some(Timestamp::from_millis(1));
    world.change([Change::UpsertKey(expired)]);
    let unidentified = world.get("/petstore/pets/1");
    refused(&unidentified, 401, "expired-credentials");
    assert_eq!(stated(&unidentified), [None; 5]);
    world.change([Change::UpsertKey(key_record(1, 6))]);
    let with = |status, subscriptions| world.change([Change::UpsertConsumer(consumer(6, status, subscriptions))]);
    with(
        ConsumerStatus::Suspended,
        vec![subscription(SubscriptionStatus::Active)],
    );
    let suspended = world.get("/petstore/pets/1");
    refused(&suspended, 403, "consumer-suspended");
    assert!(told(&suspended, 10), "{suspended:?}");
    with(ConsumerStatus::Active, vec![]);
    let unsubscribed = world.get("/petstore/pets/1");
    refused(&unsubscribed, 403, "no-subscription");
    assert_eq!(stated(&unsubscribed), [None; 5], "there are no limits to tell of");
    for (status, code, name) in [
        (SubscriptionStatus::Paused, 403, "subscription-inactive"),
        (SubscriptionStatus::Cancelled, 403, "subscription-inactive"),
        (SubscriptionStatus::PendingApproval, 403, "subscription-inactive"),
        (SubscriptionStatus::PendingPayment, 402, "payment-required"),
        (SubscriptionStatus::PastDue, 402, "payment-required"),
    ] {
        with(ConsumerStatus::Active, vec![subscription(status)]);
        let reply = world.get("/petstore/pets/1");
        refused(&reply, code, name);
        assert!(told(&reply, 10), "{reply:?}");
    }
    let mut in_grace = subscription(SubscriptionStatus::PastDue);
    in_grace.grace_until = Some(world.clock.now().plus_millis(60_000));
    with(ConsumerStatus::Active, vec![in_grace]);
    let served = world.get("/petstore/pets/1");
    assert_eq!(served.status, 200);
    assert!(told(&served, 9), "refusals counted nothing: {served:?}");
    with(
        ConsumerStatus::Active,
        vec![subscription(SubscriptionStatus::PendingPayment)],
    );
    assert!(told(&world.get("/petstore/pets/1"), 9));
    assert_eq!(world.upstream.count(), 1);
}

/// The fields that tell how much is left.
fn stated(reply: &Reply) -> [Option<&str>; 5] {
    [
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ]
    .map(|name| reply.header(name))
}

/// Whether an answer tells of a quota of 10, and of so many that are left.
fn told(reply: &Reply, remaining: u64) -> bool {
    let [Some(policy), Some(state), Some("10"), Some(left), Some(_)] = stated(reply) else {
        return false;
    };
    policy.starts_with("\"requests/period\";q=10")
        && state.starts_with(&format!("\"requests/period\";r={remaining};t="))
        && left == remaining.to_string()
}

#[test]
fn a_test_key_without_a_sandbox_is_refused() {
    let world = world(&Wish {
        api: json!({ "upstream": { "sandbox": [] } }),
        limits: json!([{ "requests": 10, "per": "period" }]),
        ..Wish::default()
    });
    let reply = world.get_with("/petstore/pets/1", &[("X-API-Key", key(129).reveal())]);
    refused(&reply, 403, "sandbox-unavailable");
    assert!(told(&reply, 10), "{reply:?}");
}

#[test]
fn paths_and_methods_that_nobody_serves_are_refused() {
    let world = world(&Wish {
        api: json!({ "unknown_operations": "reject" }),
        ..Wish::default()
    });
    refused(&world.get("/elsewhere"), 404, "no-route");
    refused(&world.get("/petstore/unknown"), 404, "no-route");
    let auth = key(1);
    let reply = world
        .connect()
        .request("DELETE", "/petstore/pets/1", &[("X-API-Key", auth.reveal())]);
    refused(&reply, 405, "method-not-allowed");
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
    let trace = world
        .connect()
        .request("TRACE", "/petstore/pets/1", &[("X-API-Key", auth.reveal())]);
    assert_eq!(trace.status, 405);
    for path in [
        "/petstore/../petstore/pets/1",
        "/petstore//pets/1",
        "/petstore/%2e%2e/x",
        "/petstore/pets%2f1",
        "/petstore\\x",
    ] {
        let reply = world.get(path);
        assert_eq!((path, reply.status, &*reply.problem()), (path, 400, "request-invalid"));
    }
    for path in [
        "/.tollgate",
        "/.tollgate/admin",
        "/%2etollgate/usage/x",
        "/.tollgate/metrics",
    ] {
        refused(&world.get(path), 404, "no-route");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[test]
fn limits_refuse_with_the_time_to_wait_and_count_nothing() {
    let world = world(&Wish {
        limits: json!([
            { "requests": 3, "per": "hour" },
            { "requests": 2, "per": "hour", "operations": ["search"] },
            { "requests": 100, "per": "period" },
        ]),
        ..Wish::default()
    });
    for _ in 0..2 {
        assert_eq!(world.get("/petstore/search").status, 200);
    }
    let reply = world.get("/petstore/search");
    refused(&reply, 429, "rate-limited");
    assert_eq!(reply.json()["violated-policies"], json!(["requests/hour@search"]));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((3_590..=3_600).contains(&wait), "{wait}");
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
    assert!(
        reply
            .header("ratelimit-policy")
            .unwrap()
            .contains("requests/hour@search")
    );
    assert_eq!(world.get("/petstore/pets/1").status, 200);
    refused(&world.get("/petstore/pets/1"), 429, "rate-limited");
    assert_eq!(world.used("requests/period"), 3);
}

#[test]
fn concurrency_is_freed_when_requests_end() {
    let world = world(&Wish {
        limits: json!([{ "concurrency": 1 }]),
        ..Wish::default()
    });
    let slow = std::thread::scope(|scope| {
        let slow = scope.spawn(|| world.get("/petstore/slow/400"));
        eventually("the slow request", || world.upstream.count() == 1);
        let reply = world.get("/petstore/pets/1");
        refused(&reply, 429, "concurrency-limited");
        assert!(reply.header("retry-after").is_some());
        slow.join().unwrap()
    });
    assert_eq!(slow.status, 200);
    assert_eq!(world.get("/petstore/pets/1").status, 200);
}

#[test]
fn anonymous_callers_are_counted_by_address_whatever_they_claim() {
    let world = world(&Wish {
        limits: json!([{ "requests": 5, "per": "hour" }]),
        anonymous: true,
        ..Wish::default()
    });
    let mut served = 0;
    for number in 0..200 {
        let address = format!("198.51.100.{number}");
        let v6 = format!("2001:db8::{number:x}");
        let claims = [
            ("X-Forwarded-For", &*address),
            ("Forwarded", "for=192.0.2.60"),
            ("X-Real-IP", &*v6),
            ("CF-Connecting-IP", &*address),
        ];
        served += u32::from(world.get_with("/petstore/pets/1", &claims).status == 200);
    }
    assert_eq!(served, 5);
    let fact = world.facts().remove(0);
    assert_eq!((fact.consumer, fact.subscription), (None, None));
    refused(
        &world.get_with("/petstore/pets/1", &[("X-API-Key", key(2).reveal())]),
        401,
        "invalid-credentials",
    );
}

#[test]
fn behind_a_trusted_proxy_callers_are_told_apart_by_their_verified_address() {
    let world = world(&Wish {
        limits: json!([{ "requests": 2, "per": "hour" }]),
        anonymous: true,
        settings: |settings| settings.trusted_proxies.0.push("127.0.0.0/8".parse().unwrap()),
        ..Wish::default()
    });
    let status = |forwarded: &str| {
        world
            .get_with("/petstore/pets/1", &[("X-Forwarded-For", forwarded)])
            .status
    };
    for spoof in 0..2 {
        assert_eq!(status(&format!("192.0.2.{spoof}, 198.51.100.1")), 200);
    }
    assert_eq!(status("192.0.2.99, 198.51.100.1"), 429);
    assert_eq!(status("198.51.100.2"), 200);
    assert_eq!(world.upstream.last().one("x-forwarded-for"), "198.51.100.2, 127.0.0.1");
}

fn rejections(world: &World) -> (u64, usize, usize) {
    let (mut count, mut samples, mut facts) = (0, 0, 0);
    for record in world.records() {
        match record {
            Record::Rejections(counts) => count += counts.iter().map(|one| one.count).sum::<u64>(),
            Record::RejectionSamples(some) => samples += some.len(),
            Record::Fact(_) => facts += 1,
            _ => {}
        }
    }
    (count, samples, facts)
}

#[test]
fn refusals_are_counted_together_and_make_no_record_of_their_own() {
    let world = world(&Wish::default());
    let mut conn = world.connect();
    for _ in 0..500 {
        refused(&conn.get("/petstore/pets/1", &[]), 401, "missing-credentials");
    }
    eventually("the aggregate of refusals", || rejections(&world).0 == 500);
    let (_, samples, facts) = rejections(&world);
    assert!((1..=110).contains(&samples), "{samples} samples");
    assert_eq!(facts, 0);
    let kind = serving::problem::ProblemKind::MissingCredentials;
    assert_eq!(world.metrics.rejections(kind), 500);
}

#[test]
fn a_full_journal_sheds_and_recovers_nothing_counted() {
    let world = world(&Wish {
        limits: json!([{ "requests": 1_000_000, "per": "period" }]),
        journal: |settings| {
            settings.segment_bytes = 64 << 10;
            settings.max_bytes = 256 << 10;
        },
        ..Wish::default()
    });
    let mut conn = world.connect();
    let auth = key(1);
    let mut served = 0;
    let full = loop {
        let reply = conn.get("/petstore/pets/1", &[("X-API-Key", auth.reveal())]);
        if reply.status != 200 {
            break reply;
        }
        served += 1;
        assert!(served < 20_000, "the journal never filled");
    };
    refused(&full, 503, "overloaded");
    assert!(full.header("retry-after").is_some() && full.header("ratelimit").is_some());
    assert_eq!(world.used("requests/period"), served);
    assert_eq!(world.facts().len(), served);
    assert_eq!(world.upstream.count(), served);
}

#[test]
fn serving_unmetered_counts_and_shows_the_gap() {
    let world = world(&Wish {
        limits: json!([{ "requests": 1_000_000, "per": "period" }]),
        settings: |settings| settings.when_full = gateway::WhenFull::ServeUnmetered,
        journal: |settings| {
            settings.segment_bytes = 64 << 10;
            settings.max_bytes = 256 << 10;
        },
        ..Wish::default()
    });
    let mut conn = world.connect();
    let auth = key(1);
    let mut served = 0;
    while world.metrics.usage_gaps() < 5 {
        assert_eq!(
            conn.get("/petstore/pets/1", &[("X-API-Key", auth.reveal())]).status,
            200
        );
        served += 1;
        assert!(served < 20_000, "the journal never filled");
    }
    assert_eq!(world.used("requests/period"), served);
    assert_eq!(world.facts().len() as u64 + world.metrics.usage_gaps(), served);
}
