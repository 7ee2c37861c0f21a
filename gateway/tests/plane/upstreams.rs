//! Upstreams that fail, in every way that one can.

use std::net::TcpListener;

use domain::usage::Source;
use serde_json::json;

use crate::client::Reply;
use crate::world::{Wish, World, key, world};

fn failed(world: &World, reply: &Reply, status: u16, name: &str) {
    assert_eq!((reply.status, &*reply.problem()), (status, name), "{reply:?}");
    let fact = world.fact_of(reply);
    assert_eq!(
        (fact.outcome.source, fact.outcome.status, fact.outcome.upstream_answered),
        (Source::Gateway, status, false)
    );
}

fn limited(api: serde_json::Value) -> Wish {
    Wish {
        limits: json!([{ "requests": 100, "per": "period" }]),
        api,
        ..Wish::default()
    }
}

#[test]
fn each_failure_has_its_answer_its_fact_and_no_charge() {
    let world = world(&limited(json!({ "upstream": { "timeouts": { "response": "200ms" } } })));
    failed(&world, &world.get("/petstore/reset"), 502, "upstream-unreachable");
    failed(&world, &world.get("/petstore/garbage"), 502, "upstream-invalid");
    failed(&world, &world.get("/petstore/slow/1000"), 504, "upstream-timeout");
    assert_eq!(world.used("requests/period"), 0);
    assert_eq!(world.get("/petstore/pets/1").status, 200);
    assert_eq!(world.used("requests/period"), 1);
}

#[test]
fn an_upstream_that_nobody_listens_on_is_unreachable() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = world(&limited(
        json!({ "upstream": { "targets": [{ "url": format!("http://{nobody}") }] } }),
    ));
    failed(&world, &world.get("/petstore/pets/1"), 502, "upstream-unreachable");
    assert_eq!(world.used("requests/period"), 0);
}

#[test]
fn a_target_that_refuses_connections_is_passed_over() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let second = crate::upstream::Upstream::start();
    let targets = json!([{ "url": format!("http://{nobody}"), "weight": 100 }, { "url": second.url(), "weight": 1 }]);
    let world = world(&limited(json!({ "upstream": { "targets": targets } })));
    for _ in 0..20 {
        assert_eq!(world.get("/petstore/pets/1").status, 200);
    }
    assert_eq!(second.count(), 20);
    assert_eq!(world.used("requests/period"), 20);
}

#[test]
fn an_answer_that_the_upstream_cuts_is_cut_for_the_client_and_not_billed() {
    let world = world(&limited(json!({})));
    let reply = world.get("/petstore/cut");
    assert_eq!((reply.status, reply.whole), (200, false));
    let fact = world.fact_of(&reply);
    assert_eq!(
        (fact.outcome.source, fact.outcome.status, fact.outcome.upstream_answered),
        (Source::Gateway, 502, true)
    );
    assert_eq!(world.used("requests/period"), 0);
}

#[test]
fn connections_are_kept_and_a_stale_one_is_replaced_without_a_second_charge() {
    let world = world(&Wish {
        settings: |settings| settings.threads = 1,
        ..limited(json!({}))
    });
    for _ in 0..10 {
        assert_eq!(world.get("/petstore/pets/1").status, 200);
    }
    assert_eq!(world.upstream.connections(), 1);
    // The upstream closes the kept connection after this answer; the next request finds it dead and goes out anew.
    for _ in 0..10 {
        assert_eq!(world.get("/petstore/stale").status, 200);
        let auth = key(1);
        let reply = world
            .connect()
            .request("POST", "/petstore/pets/1", &[("X-API-Key", auth.reveal())]);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert_eq!(world.used("requests/period"), 30);
    assert_eq!(world.upstream.count(), 30);
}

#[test]
fn a_request_that_the_upstream_has_seen_is_not_sent_again() {
    let world = world(&Wish {
        settings: |settings| settings.threads = 1,
        ..limited(json!({}))
    });
    let auth = key(1);
    let send = |method: &str| {
        world
            .connect()
            .request(method, "/petstore/reset", &[("X-API-Key", auth.reveal())])
    };
    // On a fresh connection nothing is repeated, not even what is idempotent.
    assert_eq!(send("GET").status, 502);
    assert_eq!(world.upstream.count(), 1);
    // On a kept connection silence may mean that it was stale: only what is idempotent goes out once more.
    world.get("/petstore/pets/1");
    assert_eq!(send("POST").status, 502);
    assert_eq!(world.upstream.count(), 3);
    world.get("/petstore/pets/1");
    assert_eq!(send("GET").status, 502);
    assert_eq!(world.upstream.count(), 6);
    assert_eq!(world.used("requests/period"), 2);
}

#[test]
fn the_bound_on_connections_holds_over_all_workers() {
    let world = world(&Wish {
        settings: |settings| settings.pools.per_upstream = 3,
        ..limited(json!({}))
    });
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| world.get("/petstore/slow/20").status))
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), 200);
        }
    });
    assert_eq!(world.used("requests/period"), 24);
    // Connections that were closed for another worker were opened again, but never more than three at once.
    assert!(world.upstream.connections() >= 3, "{}", world.upstream.connections());
}

#[test]
fn an_https_upstream_with_an_unknown_certificate_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // Whatever answers without a valid certificate must not get the request.
        for mut stream in listener.incoming().flatten() {
            let mut hello = [0; 512];
            let _read = std::io::Read::read(&mut stream, &mut hello);
            let _wrote = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let world = world(&limited(json!({ "upstream": { "targets": [{ "url": target }] } })));
    failed(&world, &world.get("/petstore/pets/1"), 502, "upstream-unreachable");
}
