//! What is committed reaches the feed that gateways read.

use std::time::{Duration, Instant};

use domain::key::hash;
use serde_json::json;
use snapshot::{Feed, Identity};

use crate::support::{Server, Tenant, petstore};

/// Waits until the feed shows what is asked for, and says how long that took.
async fn until(feed: &Feed, what: impl Fn(&snapshot::Snapshot) -> bool) -> Duration {
    let start = Instant::now();
    let mut waiter = feed.changes();
    while !what(&feed.current()) {
        let changed = tokio::time::timeout(Duration::from_secs(5), waiter.changed()).await;
        assert!(changed.is_ok(), "the feed never shows it");
    }
    start.elapsed()
}

#[tokio::test]
async fn an_apply_and_a_key_are_published_and_a_revocation_within_milliseconds() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let (key, clock) = (hash(tenant.secret.as_bytes()), server.clock.clone());
    let known = |snapshot: &snapshot::Snapshot| match snapshot.identify(&key, clock.now()) {
        Identity::Known { consumer, .. } => !consumer.subscriptions.is_empty(),
        Identity::Expired { .. } | Identity::Unknown => false,
    };
    until(&server.feed, known).await;
    assert_eq!(server.feed.current().routes().apis().count(), 1);
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let path = format!("/consumers/{}/credentials", tenant.consumer);
        let made = server.post(&path, json!({"type": "api_key"})).await.expect(201);
        let key = hash(made["secret"].as_str().unwrap().as_bytes());
        until(&server.feed, |snapshot| {
            matches!(snapshot.identify(&key, clock.now()), Identity::Known { .. })
        })
        .await;
        let start = Instant::now();
        server
            .call(
                &server.admin,
                ("DELETE", &format!("{path}/{}", made["id"].as_str().unwrap())),
                None,
            )
            .await
            .expect(204);
        until(&server.feed, |snapshot| {
            matches!(snapshot.identify(&key, clock.now()), Identity::Unknown)
        })
        .await;
        slowest = slowest.max(start.elapsed());
    }
    assert!(slowest < Duration::from_millis(500), "{slowest:?}");
}

#[tokio::test]
async fn step_by_step_gives_what_a_restart_compiles_from_nothing() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    Tenant::new(&server, "other").await;
    let mut document = petstore();
    document["products"][0]["plans"][1]["limits"][1]["requests"] = json!(60000);
    document["products"][0]["plans"].as_array_mut().unwrap().remove(0);
    server
        .call(&server.admin, ("PUT", "/config?prune=true"), Some(document))
        .await
        .expect(200);
    server
        .post(
            &format!("/consumers/{}/suspend", tenant.consumer),
            json!({"reason": "x"}),
        )
        .await
        .expect(200);
    server
        .post(
            &format!("/subscriptions/{}/change", tenant.subscription),
            json!({"plan": "gold"}),
        )
        .await
        .expect(200);
    server
        .post(
            &format!(
                "/consumers/{}/credentials/{}/rotate",
                tenant.consumer, tenant.credential
            ),
            json!({"grace": "1h"}),
        )
        .await
        .expect(201);
    let revision = u64::try_from(server.store.revision().await.unwrap()).unwrap();
    until(&server.feed, |snapshot| snapshot.revision() == revision).await;
    let scratch = tempfile::tempdir().unwrap();
    let analytics = analytics::Analytics::embedded(&scratch.path().join("analytics.db"))
        .await
        .unwrap();
    let (store, clock, grown) = (
        server.store.clone(),
        server.clock.clone(),
        server.feed.current().checksum(),
    );
    let (publisher, feed) = Feed::new(snapshot::Snapshot::default());
    let settings = portal::Settings {
        listen: "127.0.0.1:0".parse().unwrap(),
        public_url: None,
        tls: None,
        trusted_proxies: portal::TrustedProxies::default(),
        test_clock: portal::TestClock::Off,
    };
    let parts = portal::Parts {
        store,
        analytics,
        clock,
        master_key: domain::sealed::MasterKey::new([7; 32]),
        feed: publisher,
        hooks: portal::Hooks::none(),
        mailer: crate::support::mailer(&scratch.path().join("outbox")),
    };
    let second = portal::Portal::start(settings, parts).await.unwrap();
    assert_eq!(feed.current().checksum(), grown);
    second.shutdown().await;
}

#[tokio::test]
async fn a_change_by_another_process_is_found_without_a_wake() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut tx = server
        .store
        .change(store::Actor::system("another process"), server.clock.now())
        .await
        .unwrap();
    tx.suspend_consumer(tenant.consumer.parse().unwrap(), "x")
        .await
        .unwrap();
    let revision = tx.commit().await.unwrap().unwrap();
    until(&server.feed, |snapshot| {
        snapshot.revision() == u64::try_from(revision).unwrap()
    })
    .await;
}
