//! Accounts, consumers, keys and subscriptions through the API.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::quantity::Quantity;
use portal::{Freshness, Hooks, QuotaUse};
use serde_json::{Value, json};

use crate::support::{Server, Tenant, petstore, text};

async fn petstore_server() -> Server {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    server
}

#[tokio::test]
async fn a_key_is_shown_once_and_a_replay_names_it() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let request = format!("POST /api/v1/consumers/{}/credentials", tenant.consumer);
    let send = || {
        server.send(
            Some(&server.admin),
            &request,
            &[("Idempotency-Key", "k")],
            Some(r#"{"type": "api_key", "mode": "test"}"#),
        )
    };
    let first = send().await.expect(201);
    assert!(
        text(&first, "secret").starts_with("tg_test_") && text(&first, "secret").starts_with(&text(&first, "prefix"))
    );
    let again = send().await;
    assert_eq!((again.status, again.problem().as_str()), (409, "secret-already-shown"));
    assert_eq!(again.json()["id"], first["id"]);
    assert!(!again.text.contains(&text(&first, "secret")));
}

#[tokio::test]
async fn a_rotated_key_lives_on_for_its_grace() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let path = format!("/consumers/{}/credentials", tenant.consumer);
    let new = server
        .post(&format!("{path}/{}/rotate", tenant.credential), json!({"grace": "1h"}))
        .await
        .expect(201);
    assert_eq!(new["rotated_from"], json!(tenant.credential));
    let listed = server.get(&path).await.expect(200);
    let mut items = listed["items"].as_array().unwrap().iter();
    let old = items.find(|item| item["id"] == json!(tenant.credential)).unwrap();
    assert_eq!(old["revoked_at"], "2026-06-15T11:00:00.000Z");
    let twice = server
        .post(&format!("{path}/{}/rotate", tenant.credential), json!({}))
        .await;
    assert_eq!(twice.status, 409);
    assert_eq!(
        server.post(&path, json!({"type": "jwt"})).await.json()["errors"][0]["pointer"],
        "/type"
    );
    assert_eq!(
        server
            .post(&path, json!({"type": "api_key", "products": ["gone"]}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn a_subscription_goes_through_its_states() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let path = format!("/subscriptions/{}", tenant.subscription);
    let shown = server.get(&path).await.expect(200);
    assert_eq!(shown["status"], "active");
    assert_eq!(
        shown["current_period"],
        json!({"start": "2026-06-15T10:00:00.000Z", "end": "2026-07-15T10:00:00.000Z"})
    );
    let second = json!({"consumer_id": tenant.consumer, "product": "petstore", "plan": "free"});
    assert_eq!(server.post("/subscriptions", second).await.status, 409);
    assert_eq!(
        server.post(&format!("{path}/pause"), json!({})).await.expect(200)["status"],
        "paused"
    );
    assert_eq!(server.post(&format!("{path}/pause"), json!({})).await.status, 409);
    assert_eq!(
        server.post(&format!("{path}/resume"), json!({})).await.expect(200)["status"],
        "active"
    );
    let cancelling = server
        .post(&format!("{path}/cancel"), json!({"at": "period_end"}))
        .await
        .expect(200);
    assert_eq!(
        (&cancelling["status"], &cancelling["cancel_at"]),
        (&json!("active"), &json!("2026-07-15T10:00:00.000Z"))
    );
    assert_eq!(
        server.post(&format!("{path}/uncancel"), json!({})).await.expect(200)["cancel_at"],
        Value::Null
    );
    server
        .post(&format!("{path}/cancel"), json!({"at": "period_end"}))
        .await
        .expect(200);
    server
        .post(
            "/test-clock/advance",
            json!({"to": "2026-07-15T10:00:00Z", "freeze": true}),
        )
        .await
        .expect(200);
    let ended = server.get(&path).await.expect(200);
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&json!("cancelled"), &json!("2026-07-15T10:00:00.000Z"))
    );
    assert_eq!(
        server
            .post(&format!("{path}/cancel"), json!({"at": "now"}))
            .await
            .status,
        409
    );
}

#[tokio::test]
async fn approval_waits_for_the_provider_and_keeps_the_wish_for_an_anchor() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let consumer = text(
        &server
            .post("/consumers", json!({"account_id": tenant.account, "name": "c"}))
            .await
            .expect(201),
        "id",
    );
    let wish = json!({"consumer_id": consumer, "product": "petstore", "plan": "gold", "anchor": "calendar"});
    let waiting = server.post("/subscriptions", wish.clone()).await.expect(201);
    assert_eq!(
        (&waiting["status"], &waiting["anchor"]),
        (&json!("pending_approval"), &Value::Null)
    );
    let path = format!("/subscriptions/{}", text(&waiting, "id"));
    let bound = server.token(&["subscriptions:write"], Some(&tenant.account)).await;
    assert_eq!(
        server
            .call(&bound, ("POST", &format!("{path}/approve")), None)
            .await
            .status,
        403
    );
    let active = server.post(&format!("{path}/approve"), json!({})).await.expect(200);
    assert_eq!(
        (&active["status"], &active["anchor"]),
        (&json!("active"), &json!("2026-06-01T00:00:00"))
    );
    server
        .post(&format!("{path}/cancel"), json!({"at": "now"}))
        .await
        .expect(200);
    let again = server.post("/subscriptions", wish).await.expect(201);
    let path = format!("/subscriptions/{}", text(&again, "id"));
    let rejected = server
        .post(&format!("{path}/reject"), json!({"reason": "no contract"}))
        .await
        .expect(200);
    assert_eq!(
        (&rejected["status"], &rejected["status_reason"]),
        (&json!("rejected"), &json!("no contract"))
    );
}

#[tokio::test]
async fn a_plan_changes_now_or_at_the_end_of_the_period() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let path = format!("/subscriptions/{}", tenant.subscription);
    let preview = server
        .post(&format!("{path}/change/preview"), json!({"plan": "free"}))
        .await
        .expect(200);
    assert_eq!(preview["limits_after"], json!([{"requests": 1000, "per": "period"}]));
    let later = server
        .post(&format!("{path}/change"), json!({"plan": "free", "at": "period_end"}))
        .await
        .expect(200);
    assert_eq!(
        later["pending_change"],
        json!({"plan": "free", "at": "2026-07-15T10:00:00.000Z"})
    );
    assert_eq!(later["plan"], "pro");
    let now = server
        .post(&format!("{path}/change"), json!({"plan": "free"}))
        .await
        .expect(200);
    assert_eq!((&now["plan"], &now["pending_change"]), (&json!("free"), &Value::Null));
    assert_eq!(
        server
            .post(&format!("{path}/change"), json!({"plan": "free"}))
            .await
            .status,
        409
    );
    assert_eq!(
        server
            .post(&format!("{path}/change"), json!({"plan": "gone"}))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn subscribing_into_an_overlap_says_which_wins() {
    let server = petstore_server().await;
    let mut document = petstore();
    document["products"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "premium", "apis": ["petstore"], "priority": 10,
        "plans": [{"name": "all"}]}));
    server.apply(document).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let wish = json!({"consumer_id": tenant.consumer, "product": "premium", "plan": "all"});
    let made = server.post("/subscriptions", wish).await.expect(201);
    let overlap = json!([{"subscription_id": tenant.subscription, "product": "petstore", "apis": ["petstore"], "wins": "premium"}]);
    assert_eq!(made["overlaps"], overlap);
}

#[tokio::test]
async fn quotas_come_from_the_ledger_after_it_was_made_current() {
    let freshened = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&freshened);
    let hooks = Hooks {
        freshness: Freshness::new(move |()| {
            count.fetch_add(1, Ordering::SeqCst);
            async { Ok(()) }
        }),
        quota_use: QuotaUse::new(|query| async move {
            assert_eq!(query.meters, ["requests", "tokens"]);
            assert_eq!(query.window.end.to_string(), "2026-07-15T10:00:00.000Z");
            Ok(vec![Quantity::from_units(49_000), Quantity::from_nanos(10_500_000_000)])
        }),
        ..Hooks::none()
    };
    let server = Server::with(hooks).await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let shown = server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    let resets = "2026-07-15T10:00:00.000Z";
    let expected = json!([
        {"meter": "requests", "max": 50000, "used": 49000, "remaining": 1000, "resets_at": resets},
        {"meter": "tokens", "max": 10, "used": "10.5", "remaining": 0, "resets_at": resets}
    ]);
    assert_eq!(shown["quota"], expected);
    assert_eq!(freshened.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn suspension_is_the_providers_and_a_live_subscription_keeps_its_consumer() {
    let server = petstore_server().await;
    let tenant = Tenant::new(&server, "acme").await;
    let path = format!("/consumers/{}", tenant.consumer);
    let suspended = server
        .post(&format!("{path}/suspend"), json!({"reason": "abuse"}))
        .await
        .expect(200);
    assert_eq!(
        (&suspended["status"], &suspended["suspended_reason"]),
        (&json!("suspended"), &json!("abuse"))
    );
    let bound = server.token(&["consumers:write"], Some(&tenant.account)).await;
    assert_eq!(
        server
            .call(&bound, ("POST", &format!("{path}/resume")), None)
            .await
            .status,
        403
    );
    assert_eq!(
        server.post(&format!("{path}/resume"), json!({})).await.expect(200)["status"],
        "active"
    );
    assert_eq!(server.call(&server.admin, ("DELETE", &path), None).await.status, 409);
    let events = server
        .get(&format!("/audit-events?target={}", tenant.consumer))
        .await
        .expect(200);
    let actions: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| text(event, "action"))
        .collect();
    assert_eq!(actions, ["consumer.resume", "consumer.suspend", "consumer.create"]);
    assert_eq!(events["items"][1]["before"]["status"], "active");
    assert_eq!(events["items"][1]["after"]["status"], "suspended");
}

#[tokio::test]
async fn private_products_are_for_their_audience() {
    let server = Server::start().await;
    let mut document = petstore();
    document["products"][0]["visibility"] = json!("private");
    document["products"][0]["audience"] = json!(["acme"]);
    server.apply(petstore()).await.expect(200);
    let acme = Tenant::new(&server, "acme").await;
    let other = Tenant::new(&server, "other").await;
    server.apply(document).await.expect(200);
    let scopes = ["config:read", "subscriptions:write", "consumers:write"];
    for (tenant, sees) in [(&acme, 1), (&other, 0)] {
        let token = server.token(&scopes, Some(&tenant.account)).await;
        let products = server.call(&token, ("GET", "/products"), None).await.expect(200);
        assert_eq!(products["items"].as_array().unwrap().len(), sees);
        let consumer = server
            .call(
                &token,
                ("POST", "/consumers"),
                Some(json!({"account_id": tenant.account, "name": "x"})),
            )
            .await;
        let wish = json!({"consumer_id": text(&consumer.expect(201), "id"), "product": "petstore", "plan": "free"});
        let status = if sees == 1 { 201 } else { 400 };
        assert_eq!(
            server.call(&token, ("POST", "/subscriptions"), Some(wish)).await.status,
            status
        );
    }
}

#[tokio::test]
async fn invitations_show_their_secret_once() {
    let server = Server::start().await;
    let invited = server
        .post(
            "/users",
            json!({"email": "p@example.com", "roles": ["product_manager"]}),
        )
        .await
        .expect(201);
    assert!(text(&invited["invitation"], "secret").starts_with("tgi_"));
    assert_eq!(
        server
            .post("/users", json!({"email": "P@example.com", "roles": ["support"]}))
            .await
            .status,
        409
    );
    let path = format!("/users/{}", text(&invited, "id"));
    let changed = server
        .call(&server.admin, ("PATCH", &path), Some(json!({"roles": ["finance"]})))
        .await
        .expect(200);
    assert_eq!(changed["roles"], json!(["finance"]));
    assert!(!server.get("/users").await.text.contains("tgi_"));
    assert!(!server.get("/audit-events").await.text.contains("tgi_"));
}
