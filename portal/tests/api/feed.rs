//! A gateway in another process: fed over HTTP with the token of a gateway, seen in the list of gateways.

use std::time::{Duration, Instant};

use domain::clock::Clock;
use domain::key::hash;
use domain::sealed::MasterKey;
use serde_json::{Value, json};
use snapshot::control::{Control, Settings};
use snapshot::{Feed, Identity, Remote, Snapshot, remote};

use crate::support::{Server, Tenant, petstore};

struct Node {
    feed: Feed,
    remote: Remote,
    clock: Clock,
}

fn node(server: &Server, token: &str, file: &std::path::Path) -> Node {
    let control = Control::new(&Settings {
        url: format!("http://{}", server.addr),
        token: token.to_owned(),
        ca: None,
        identity: None,
    })
    .unwrap();
    let (publisher, feed) = Feed::new(Snapshot::default());
    let clock = Clock::system();
    let remote = Remote::start(remote::Parts {
        control,
        master_key: MasterKey::new([7; 32]),
        publisher,
        file: file.to_owned(),
        clock: clock.clone(),
    })
    .unwrap();
    Node { feed, remote, clock }
}

async fn until(feed: &Feed, what: impl Fn(&Snapshot) -> bool) -> Duration {
    let start = Instant::now();
    let mut waiter = feed.changes();
    while !what(&feed.current()) {
        let changed = tokio::time::timeout(Duration::from_secs(10), waiter.changed()).await;
        assert!(changed.is_ok(), "the node never gets it");
    }
    start.elapsed()
}

fn knows(snapshot: &Snapshot, secret: &str, clock: &Clock) -> bool {
    matches!(
        snapshot.identify(&hash(secret.as_bytes()), clock.now()),
        Identity::Known { .. }
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gets_changes_at_once_and_starts_from_disk_without_the_control_plane() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let token = server.token(&["gateways:connect"], None).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot");
    let first = node(&server, &token, &file);
    first.remote.served().await;
    until(&first.feed, |snapshot| knows(snapshot, &tenant.secret, &server.clock)).await;
    assert_eq!(first.feed.current().checksum(), server.feed.current().checksum());
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let path = format!("/consumers/{}/credentials", tenant.consumer);
        let made = server.post(&path, json!({"type": "api_key"})).await.expect(201);
        let secret = made["secret"].as_str().unwrap().to_owned();
        until(&first.feed, |snapshot| knows(snapshot, &secret, &server.clock)).await;
        let gone = format!("{path}/{}", made["id"].as_str().unwrap());
        server.call(&server.admin, ("DELETE", &gone), None).await.expect(204);
        slowest = slowest.max(until(&first.feed, |snapshot| !knows(snapshot, &secret, &server.clock)).await);
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(first.feed.current().checksum(), server.feed.current().checksum());
    // A snapshot is on disk a moment after it is served.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (newest, served) = (server.feed.current().checksum(), first.feed.current().revision());
    drop(first);
    // The same disk, and a control plane that is not there.
    let away = Server {
        addr: "127.0.0.1:1".parse().unwrap(),
        ..server
    };
    let second = node(&away, &token, &file);
    second.remote.served().await;
    assert_eq!(
        (second.feed.current().checksum(), second.feed.current().revision()),
        (newest, served)
    );
    assert!(knows(&second.feed.current(), &tenant.secret, &away.clock));
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&tenant.secret) && text.contains(&hash(tenant.secret.as_bytes()).to_hex()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_follows_the_test_clock_of_the_deployment() {
    let server = Server::start().await;
    let token = server.token(&["gateways:connect"], None).await;
    let folder = tempfile::tempdir().unwrap();
    let node = node(&server, &token, &folder.path().join("snapshot"));
    node.remote.served().await;
    let to = "2031-01-01T00:00:00.000Z";
    server
        .post("/test-clock/advance", json!({"to": to, "freeze": true}))
        .await
        .expect(200);
    let start = Instant::now();
    while node.clock.now().to_string() != to {
        assert!(start.elapsed() < Duration::from_secs(10), "the clock of the node stays");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_node_that_reports_is_listed_with_its_lag_and_its_clock() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let token = server.token(&["gateways:connect"], None).await;
    let said = json!({
        "region": "eu", "version": "0.1.0", "revision": 0, "ready": true, "waiting_records": 12,
        "now": server.clock.now().plus_millis(700), "started_at": server.clock.now(),
    });
    let noted = server
        .call(&token, ("PUT", "/gateways/node%201"), Some(said.clone()))
        .await
        .expect(200);
    assert_eq!(noted["clock_offset_ms"], 700);
    let nodes = server.get("/gateways").await.expect(200);
    let node = &nodes["items"][0];
    assert_eq!((&node["node"], &node["region"]), (&json!("node 1"), &json!("eu")));
    assert_eq!(
        (&node["waiting_records"], &node["clock_offset_ms"]),
        (&json!(12), &json!(700))
    );
    assert!(node["lag"].as_i64().unwrap() >= 1, "{node}");
    let mut long = said;
    long["region"] = json!("x".repeat(200));
    server
        .call(&token, ("PUT", "/gateways/a"), Some(long))
        .await
        .expect(400);
}

#[tokio::test]
async fn a_gateway_that_shares_counters_is_waited_for_until_it_is_given_up() {
    let server = Server::start().await;
    let token = server.token(&["gateways:connect"], None).await;
    let id = "00112233445566778899aabbccddeeff";
    let said = |counters: Value| {
        json!({
            "version": "0.1.0", "revision": 0, "ready": true, "now": server.clock.now(), "started_at": server.clock.now(),
            "counters": counters,
        })
    };
    let runs = json!([{ "fence": 7, "producers": [id] }, { "fence": 9, "producers": [] }]);
    let noted = server
        .call(
            &token,
            ("PUT", "/gateways/a"),
            Some(said(json!({ "fence": 9, "runs": runs }))),
        )
        .await
        .expect(200);
    // The ledger knows nothing of the producer.
    assert_eq!(noted.get("producers"), None);
    let nodes =
        async |server: &Server| server.call(&token, ("GET", "/feed/use"), None).await.expect(200)["nodes"].clone();
    assert_eq!(
        nodes(&server).await,
        json!([{ "node": "a", "fence": 9, "has_left": false, "runs": runs }])
    );
    for wrong in [
        json!({ "fence": 9, "runs": [{ "fence": 9, "producers": ["not an id"] }] }),
        json!({ "fence": 9, "runs": [{ "fence": 10, "producers": [] }] }),
        json!({ "fence": u64::MAX, "runs": [] }),
    ] {
        let refused = server.call(&token, ("PUT", "/gateways/a"), Some(said(wrong))).await;
        refused.expect(400);
    }
    // An earlier run is not heard.
    let earlier = said(json!({ "fence": 8, "has_left": true, "runs": [] }));
    server
        .call(&token, ("PUT", "/gateways/a"), Some(earlier))
        .await
        .expect(200);
    assert_eq!(nodes(&server).await[0]["fence"], 9);
    let strange = "/feed/use?subscription=sub_nonsense";
    server.call(&token, ("GET", strange), None).await.expect(400);
    server.call(&token, ("DELETE", "/gateways/a"), None).await.expect(403);
    server
        .call(&server.admin, ("DELETE", "/gateways/a"), None)
        .await
        .expect(204);
    server
        .call(&server.admin, ("DELETE", "/gateways/a"), None)
        .await
        .expect(404);
    assert_eq!(nodes(&server).await, json!([]));
    let events = server.get("/audit-events").await.expect(200);
    assert_eq!(
        (&events["items"][0]["action"], &events["items"][0]["target"]),
        (&json!("node.forget"), &json!("a")),
        "{}",
        events["items"][0]
    );
}

#[tokio::test]
async fn a_feed_needs_the_token_of_a_gateway_and_readable_parameters() {
    let server = Server::start().await;
    let reader = server.token(&["config:read"], None).await;
    server.call(&reader, ("GET", "/feed"), None).await.expect(403);
    let token = server.token(&["gateways:connect"], None).await;
    for query in [
        "since=x&checksum=1",
        "since=1&checksum=zz",
        "wait=soon",
        "clock_offset_ms=1.5",
    ] {
        server
            .call(&token, ("GET", &format!("/feed?{query}")), None)
            .await
            .expect(400);
    }
    let whole = server.call(&token, ("GET", "/feed"), None).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.header("content-type").as_deref(), Some("application/x-ndjson"));
    let used = server
        .call(
            &token,
            (
                "GET",
                "/feed/use?since=2026-01-01T00:00:00Z&periods_since=2026-01-01T00:00:00Z",
            ),
            None,
        )
        .await
        .expect(200);
    assert_eq!(used["items"], json!([]));
}
