//! What one request gets, and what is written of it.

use domain::key::Mode;
use domain::quantity::Quantity;
use domain::usage::{Kind, Source};
use serde_json::json;

use crate::client::Reply;
use crate::client::head;
use crate::world::{SUBSCRIPTION, Wish, key, world};

#[test]
fn a_request_is_forwarded_counted_and_recorded() {
    let world = world(&Wish {
        limits: json!([{ "requests": 100, "per": "second" }, { "requests": 1000, "per": "period" }]),
        ..Wish::default()
    });
    let reply = world.get("/petstore/pets/7?b=2&a=1");
    // The record is in the journal before the last byte of the answer arrived here.
    let fact = world.fact_of(&reply);
    assert_eq!((reply.status, &*reply.text()), (200, "hello"));
    assert_eq!(
        reply.header("ratelimit-policy"),
        Some("\"requests/second\";q=100;w=1, \"requests/period\";q=1000")
    );
    assert_eq!(reply.header("ratelimit"), Some("\"requests/second\";r=99;t=1"));
    assert_eq!(reply.header("x-ratelimit-limit"), Some("100"));
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("99"));
    assert_eq!(reply.header("x-ratelimit-reset"), Some("1"));
    let seen = world.upstream.last();
    assert_eq!(seen.target, "/v1/pets/7?b=2&a=1");
    assert_eq!(seen.one("host"), world.upstream.address.to_string());
    assert_eq!(fact.subscription, Some(SUBSCRIPTION));
    assert_eq!(
        (&*fact.api, &*fact.operation, &*fact.path),
        ("petstore", "getPet", "/petstore/pets/7")
    );
    assert_eq!(
        (&*fact.product, &*fact.plan, fact.mode, fact.revision),
        ("petstore", "pro", Mode::Live, 1)
    );
    assert_eq!(
        (fact.outcome.source, fact.outcome.status, fact.outcome.kind),
        (Source::Upstream, 200, Kind::Request)
    );
    assert!(fact.outcome.upstream_answered && !fact.outcome.client_aborted);
    assert_eq!((fact.bytes_in, fact.bytes_out), (0, 5));
    let steps = [
        fact.steps.routed_us,
        fact.steps.identified_us,
        fact.steps.admitted_us,
        fact.steps.connected_us,
        fact.steps.answered_us,
    ];
    assert!(steps.is_sorted() && steps[4] > 0, "{steps:?}");
    let period = fact
        .limits
        .iter()
        .find(|touch| touch.limit == "requests/period")
        .unwrap();
    assert_eq!((period.before, period.after), (Quantity::ZERO, Quantity::from_units(1)));
    assert_eq!(world.used("requests/period"), 1);
}

#[test]
fn answers_without_a_body_are_recorded_before_their_head_is_sent() {
    let world = world(&Wish::default());
    let auth = ("X-API-Key", key(1).reveal().to_owned());
    let auth = [(auth.0, auth.1.as_str())];
    for (method, path) in [
        ("HEAD", "/petstore/pets/1"),
        ("GET", "/petstore/status/204"),
        ("GET", "/petstore/status/304"),
    ] {
        let reply = world.connect().request(method, path, &auth);
        assert_eq!(world.fact_of(&reply).outcome.status, reply.status, "{method} {path}");
    }
}

#[test]
fn chunked_answers_are_recorded_before_their_last_chunk() {
    let world = world(&Wish::default());
    let reply = world.get("/petstore/chunks/20/1");
    assert!(reply.whole);
    assert_eq!(world.fact_of(&reply).bytes_out, 100);
}

#[test]
fn bodies_stream_both_ways_without_being_held() {
    let world = world(&Wish::default());
    let mut conn = world.connect();
    let auth = key(1);
    conn.send(
        head(
            "POST",
            "/petstore/echo",
            &[("X-API-Key", auth.reveal()), ("Transfer-Encoding", "chunked")],
        )
        .as_bytes(),
    );
    // The answer's head is here before the request's body has begun; each piece comes back before the next one leaves.
    let reply = conn.read_head();
    assert_eq!(reply.status, 200);
    for piece in ["one", "two", "three"] {
        conn.send(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
        assert_eq!(conn.read_chunk().unwrap().unwrap(), piece.as_bytes());
    }
    conn.send(b"0\r\n\r\n");
    assert_eq!(conn.read_chunk().unwrap(), None);
    let fact = world.fact_of(&reply);
    assert_eq!((fact.bytes_in, fact.bytes_out, &*fact.operation), (11, 11, "unlisted"));
}

#[test]
fn meters_take_their_values_from_answers() {
    let world = world(&Wish {
        limits: json!([{ "meter": "tokens", "max": 40, "per": "period" }, { "meter": "cost", "max": 10, "per": "period" },
                       { "meter": "calls", "max": 1000, "per": "period" }]),
        meters: json!([
            { "name": "tokens", "aggregate": "sum", "value": { "response_json": "/usage/total" }, "filter": { "status": ["2xx"] } },
            { "name": "cost", "aggregate": "sum", "value": { "response_header": "X-Cost" } },
            { "name": "calls", "aggregate": "count", "filter": { "operations": ["search"] } },
        ]),
        ..Wish::default()
    });
    let auth = key(1);
    let reply = world.get_with(
        "/petstore/tokens/17.5",
        &[("X-API-Key", auth.reveal()), ("Accept-Encoding", "gzip")],
    );
    let fact = world.fact_of(&reply);
    let values: Vec<_> = fact
        .quantities
        .iter()
        .map(|value| (&*value.meter, value.quantity.to_string(), value.missing))
        .collect();
    assert_eq!(
        values,
        [("tokens", "17.5".to_owned(), false), ("cost", "0.25".to_owned(), false)]
    );
    assert_eq!(world.upstream.last().one("accept-encoding"), "identity");
    assert_eq!(world.used("tokens/period"), "17.5");
    assert_eq!(world.used("cost/period"), "0.25");
    let missing = world.fact_of(&world.get("/petstore/search"));
    let values: Vec<_> = missing
        .quantities
        .iter()
        .map(|value| (&*value.meter, value.quantity.to_string(), value.missing))
        .collect();
    assert_eq!(
        values,
        [
            ("tokens", "0".to_owned(), true),
            ("cost", "0".to_owned(), true),
            ("calls", "1".to_owned(), false)
        ]
    );
    assert_eq!(world.get("/petstore/tokens/22.5").status, 200);
    let full = world.get("/petstore/tokens/1");
    assert_eq!((full.status, full.problem()), (429, "quota-exceeded".to_owned()));
}

#[test]
fn answers_that_are_not_billed_return_what_they_reserved() {
    let world = world(&Wish {
        limits: json!([{ "requests": 10, "per": "period" }]),
        ..Wish::default()
    });
    for status in [500, 503, 503, 502, 200, 404, 304] {
        assert_eq!(world.get(&format!("/petstore/status/{status}")).status, status);
    }
    assert_eq!(world.used("requests/period"), 3);
    let facts = world.facts();
    assert_eq!(facts.len(), 7);
    assert!(facts.iter().all(|fact| fact.outcome.source == Source::Upstream));
}

#[test]
fn test_keys_go_to_the_sandbox_with_counters_of_their_own() {
    let world = world(&Wish {
        limits: json!([{ "requests": 2, "per": "period" }]),
        ..Wish::default()
    });
    let test = key(129);
    let auth = [("X-API-Key", test.reveal())];
    for _ in 0..2 {
        assert_eq!(world.get_with("/petstore/pets/1", &auth).status, 200);
    }
    assert_eq!(world.get_with("/petstore/pets/1", &auth).problem(), "quota-exceeded");
    assert_eq!((world.sandbox.count(), world.upstream.count()), (2, 0));
    assert!(world.facts().iter().all(|fact| fact.mode == Mode::Test));
    assert_eq!(world.get("/petstore/pets/1").status, 200);
    assert_eq!(world.upstream.count(), 1);
}

#[test]
fn the_usage_endpoint_tells_of_the_callers_own_plan_and_counts_nothing() {
    let world = world(&Wish {
        limits: json!([{ "requests": 10, "per": "period" }, { "concurrency": 5 }]),
        ..Wish::default()
    });
    world.get("/petstore/pets/1");
    let usage = world.get("/.tollgate/usage");
    let told = |reply: &Reply| {
        assert_eq!(reply.header("x-ratelimit-limit"), Some("10"), "{reply:?}");
        assert_eq!(reply.header("x-ratelimit-remaining"), Some("9"), "{reply:?}");
        assert!(
            reply
                .header("ratelimit")
                .unwrap()
                .starts_with("\"requests/period\";r=9;t=")
        );
        assert!(
            reply
                .header("ratelimit-policy")
                .unwrap()
                .starts_with("\"requests/period\";q=10")
        );
    };
    told(&usage);
    let document = usage.json();
    let subscription = &document["subscriptions"][0];
    assert_eq!(
        (&subscription["plan"], &subscription["product"]),
        (&json!("pro"), &json!("petstore"))
    );
    let quota = &subscription["limits"][0];
    assert_eq!(
        (&quota["max"], &quota["used"], &quota["remaining"]),
        (&json!(10), &json!(1), &json!(9))
    );
    assert!(
        quota["resets_at"].as_str().unwrap().ends_with("-01T00:00:00.000Z"),
        "{quota}"
    );
    assert_eq!(subscription["limits"][1]["kind"], "concurrency");
    assert_eq!(world.used("requests/period"), 1);
    assert_eq!(world.facts().len(), 1);
    assert_eq!(world.get_with("/.tollgate/usage", &[]).problem(), "missing-credentials");
    assert_eq!(world.get("/.tollgate/other").problem(), "no-route");
    let mut limited = 0;
    for _ in 0..60 {
        let again = world.get("/.tollgate/usage");
        told(&again);
        limited += u32::from(again.status == 429);
    }
    assert!(limited > 0);
    assert_eq!(world.upstream.count(), 1);
}

#[test]
fn a_long_request_is_listed_open_and_the_watermark_waits_for_short_ones() {
    let world = world(&Wish::default());
    let reply = world.get("/petstore/chunks/30/100");
    assert!(reply.whole);
    let records = world.records();
    let id = reply.header("x-request-id").unwrap();
    let open = records
        .iter()
        .filter(|record| matches!(record, domain::usage::Record::Open(open) if open.so_far.request_id == id));
    assert_eq!(open.count(), 1);
    let alive = records
        .iter()
        .filter(|record| matches!(record, domain::usage::Record::Alive { .. }))
        .count();
    assert!(alive >= 4, "{alive} alive records of two workers in three seconds");
    assert_eq!(world.fact_of(&reply).bytes_out, 150);
}
