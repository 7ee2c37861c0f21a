//! The configuration through `PUT /config`: all or nothing, twice is once, nothing secret comes back.

use domain::key::{ApiKey, Mode};
use serde_json::{Value, json};

use crate::support::{SECRET, Server, Tenant, petstore, text};

fn actions(applied: &Value) -> Vec<(String, String, String)> {
    let items = applied["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| (text(item, "action"), text(item, "kind"), text(item, "name")))
        .collect()
}

fn is(action: &str, kind: &str, name: &str) -> (String, String, String) {
    (action.to_owned(), kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn the_same_document_twice_changes_nothing() {
    let server = Server::start().await;
    let first = server.apply(petstore()).await.expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 6);
    let events = server.store.verify_audit().await.unwrap().verified;
    let again = server.apply(petstore()).await.expect(200);
    assert_eq!((&again["changed"], &again["items"]), (&json!(false), &json!([])));
    assert_eq!(again["revision"], first["revision"]);
    let chain = server.store.verify_audit().await.unwrap();
    assert_eq!((chain.verified, chain.broken_at), (events, None));
    assert_eq!(
        server.get("/config/revisions").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_dry_run_tells_what_an_apply_does() {
    let server = Server::start().await;
    let dry = server
        .call(&server.admin, ("PUT", "/config?dry_run=true"), Some(petstore()))
        .await
        .expect(200);
    assert_eq!(dry["dry_run"], true);
    assert_eq!(server.get("/config").await.expect(200), json!({}));
    let real = server.apply(petstore()).await.expect(200);
    assert_eq!(actions(&dry), actions(&real));
}

#[tokio::test]
async fn an_export_applied_again_changes_nothing() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    Tenant::new(&server, "acme").await;
    let document = server.get("/config").await.expect(200);
    assert!(document.get("accounts").is_none());
    for path in ["/config", "/config?prune=true"] {
        let applied = server
            .call(&server.admin, ("PUT", path), Some(document.clone()))
            .await
            .expect(200);
        assert_eq!(applied["items"], json!([]), "{path}");
    }
    let whole = server.get("/config?with_consumers=true").await.expect(200);
    assert_eq!(
        whole["consumers"][0]["subscriptions"],
        json!([{"product": "petstore", "plan": "pro"}])
    );
    assert!(whole["consumers"][0]["credentials"][0]["hash"].is_string());
    let applied = server
        .call(&server.admin, ("PUT", "/config?prune=true"), Some(whole))
        .await
        .expect(200);
    assert_eq!(applied["items"], json!([]));
}

#[tokio::test]
async fn prune_takes_what_came_from_files_and_archives_what_has_subscribers() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let without_prune = server.apply(json!({})).await.expect(200);
    assert_eq!(without_prune["items"], json!([]));
    let mut document = petstore();
    document["products"][0]["plans"].as_array_mut().unwrap().remove(1);
    document["products"][0]["plans"].as_array_mut().unwrap().remove(1);
    let pruned = server
        .call(&server.admin, ("PUT", "/config?prune=true"), Some(document))
        .await
        .expect(200);
    assert_eq!(
        actions(&pruned),
        [
            is("archive", "plan", "petstore/pro"),
            is("delete", "plan", "petstore/gold")
        ]
    );
    assert_eq!(pruned["items"][0]["subscribers_affected"], 1);
    let subscription = server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    assert_eq!(
        (&subscription["status"], &subscription["plan"]),
        (&json!("active"), &json!("pro"))
    );
    let late = json!({"consumer_id": tenant.consumer, "product": "petstore", "plan": "pro"});
    assert_eq!(server.post("/subscriptions", late).await.status, 400);
}

#[tokio::test]
async fn editing_a_plan_makes_a_version_and_other_words_do_not() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut document = petstore();
    document["products"][0]["plans"][1]["title"] = json!("Professional");
    server.apply(document.clone()).await.expect(200);
    let versions = server.get("/plans/petstore/pro/versions").await.expect(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 1);
    document["products"][0]["plans"][1]["limits"][1]["requests"] = json!(60000);
    let applied = server.apply(document.clone()).await.expect(200);
    assert_eq!(applied["items"][0]["subscribers_affected"], 1);
    let versions = server.get("/plans/petstore/pro/versions").await.expect(200);
    assert_eq!(versions["items"][0]["version"], 2);
    assert_eq!(versions["items"][1]["content"]["limits"][1]["requests"], 50000);
    let path = format!("/subscriptions/{}", tenant.subscription);
    assert_eq!(server.get(&path).await.expect(200)["plan_version"], 1, "migrate: never");
    document["products"][0]["plans"][1]["migrate"] = json!("now");
    document["products"][0]["plans"][1]["limits"][1]["requests"] = json!(70000);
    server.apply(document.clone()).await.expect(200);
    assert_eq!(server.get(&path).await.expect(200)["plan_version"], 3, "migrate: now");
    document["products"][0]["plans"][1]["migrate"] = json!("period_end");
    document["products"][0]["plans"][1]["limits"][1]["requests"] = json!(80000);
    server.apply(document).await.expect(200);
    let waiting = server.get(&path).await.expect(200);
    assert_eq!(
        (&waiting["plan_version"], &waiting["pending_change"]["at"]),
        (&json!(3), &waiting["current_period"]["end"])
    );
    let to = text(&waiting["pending_change"], "at");
    server
        .post("/test-clock/advance", json!({"to": to, "freeze": true}))
        .await
        .expect(200);
    let moved = server.get(&path).await.expect(200);
    assert_eq!(
        (&moved["plan_version"], &moved["pending_change"]),
        (&json!(4), &Value::Null)
    );
    let segments = server
        .store
        .segments(store::Scope::All, tenant.subscription.parse().unwrap())
        .await
        .unwrap();
    assert_eq!(
        segments.last().unwrap().from.to_string(),
        to,
        "the change holds from its own instant"
    );
}

#[tokio::test]
async fn a_bad_thing_in_the_middle_leaves_nothing_behind() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let revoke = format!("/consumers/{}/credentials/{}", tenant.consumer, tenant.credential);
    server.call(&server.admin, ("DELETE", &revoke), None).await.expect(204);
    let (revision, events) = (
        server.store.revision().await.unwrap(),
        server.store.verify_audit().await.unwrap().verified,
    );
    let before = server.get("/config?with_consumers=true").await.expect(200);
    let mut document = petstore();
    document["meters"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "bytes", "aggregate": "count"}));
    document["accounts"] = json!([{"name": "globex"}]);
    // The key is well formed and was revoked: only the database can refuse it, after much has been written.
    document["consumers"] = json!([{"name": "web", "account": "globex",
        "credentials": [{"type": "api_key", "secret": tenant.secret}]}]);
    let reply = server.apply(document.clone()).await;
    assert_eq!(
        (reply.status, reply.problem().as_str()),
        (409, "conflict"),
        "{}",
        reply.text
    );
    assert!(!reply.text.contains(&tenant.secret));
    assert_eq!(server.get("/config?with_consumers=true").await.expect(200), before);
    assert_eq!(server.store.revision().await.unwrap(), revision);
    assert_eq!(server.store.verify_audit().await.unwrap().verified, events);
    // The control: with another key the same document is written whole.
    document["consumers"][0]["credentials"][0]["secret"] = json!(ApiKey::new(Mode::Live, [9; 32]).reveal());
    assert_eq!(
        server.apply(document).await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        4
    );
}

#[tokio::test]
async fn what_the_gateways_could_not_serve_is_not_written() {
    let server = Server::start().await;
    let mut document = petstore();
    document["apis"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "twin", "base_path": "/petstore",
        "upstream": {"targets": [{"url": "http://127.0.0.1:9002"}]}}));
    let reply = server.apply(document).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    assert!(reply.text.contains("same host and base path"));
    assert_eq!(server.get("/config").await.expect(200), json!({}));
}

#[tokio::test]
async fn a_rollback_brings_back_what_was_and_keeps_customers() {
    let server = Server::start().await;
    let first = server.apply(petstore()).await.expect(200);
    let before = server.get("/config").await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut document = petstore();
    document["products"][0]["title"] = json!("Other");
    document["meters"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "bytes", "aggregate": "count"}));
    document["settings"] = json!({"signup": "invitation"});
    server.apply(document).await.expect(200);
    let back = server
        .post("/config/rollback", json!({"revision": first["revision"]}))
        .await
        .expect(200);
    assert!(back["revision"].as_i64() > first["revision"].as_i64());
    let after = server.get("/config").await.expect(200);
    assert_eq!(
        (&after["apis"], &after["products"], &after["meters"]),
        (&before["apis"], &before["products"], &before["meters"])
    );
    server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    assert_eq!(
        server.post("/config/rollback", json!({"revision": 999})).await.status,
        400
    );
}

#[tokio::test]
async fn secrets_are_in_no_answer_no_event_and_no_revision() {
    let server = Server::start().await;
    let mut seen = server.apply(petstore()).await.text;
    let tenant = Tenant::new(&server, "acme").await;
    let mut document = petstore();
    document["apis"][0]["upstream"]["auth"]["value"] = json!("canary-upstream-secret-2");
    let changed = server.apply(document).await;
    assert_eq!(
        changed.json()["items"].as_array().unwrap().len(),
        1,
        "another secret is a change"
    );
    seen += &changed.text;
    for path in [
        "/config?with_consumers=true",
        "/audit-events?limit=1000",
        "/apis",
        "/tokens",
        "/products",
    ] {
        seen += &server.get(path).await.text;
    }
    seen += &server
        .get(&format!("/consumers/{}/credentials", tenant.consumer))
        .await
        .text;
    for revision in server.store.config_revisions(&store::Page::default()).await.unwrap() {
        seen += &server
            .store
            .config_document(revision.revision)
            .await
            .unwrap()
            .unwrap()
            .to_string();
    }
    for secret in [SECRET, &tenant.secret, &server.admin] {
        assert!(!seen.contains(secret), "{secret} was seen");
    }
    let events = server.get("/audit-events?kind=product").await.expect(200);
    assert_eq!(
        (&events["items"][0]["action"], &events["items"][0]["before"]),
        (&json!("product.create"), &Value::Null)
    );
    assert_eq!(events["items"][0]["after"]["name"], "petstore");
    assert_eq!(events["items"][0]["address"], "127.0.0.1");
}

#[tokio::test]
async fn what_is_not_built_is_refused_and_never_ignored() {
    let server = Server::start().await;
    let cases = [
        ("/coupons", json!({"coupons": [{}]})),
        ("/partners", json!({"partners": [{}]})),
        (
            "/meters/0/aggregate",
            json!({"meters": [{"name": "m", "aggregate": "unique"}]}),
        ),
        (
            "/meters/0/source",
            json!({"meters": [{"name": "m", "aggregate": "count", "source": "events"}]}),
        ),
        (
            "/apis/0/auth/0",
            json!({"apis": [{"name": "a", "upstream": {"targets": [{"url": "http://a"}]}, "auth": ["jwt"]}]}),
        ),
        (
            "/products/0/plans/0/trial",
            json!({"products": [{"name": "p", "apis": [], "plans": [{"name": "x", "trial": "14d"}]}]}),
        ),
        (
            "/products/0/plans/0/addons",
            json!({"products": [{"name": "p", "apis": [], "plans": [{"name": "x", "addons": [{}]}]}]}),
        ),
    ];
    for (pointer, document) in cases {
        let reply = server.apply(document).await;
        let fault = &reply.json()["errors"][0];
        assert_eq!(
            (reply.status, &fault["pointer"]),
            (400, &json!(pointer)),
            "{}",
            reply.text
        );
        assert!(fault["detail"].as_str().unwrap().contains("not supported yet"));
    }
}

#[tokio::test]
async fn references_and_names_are_checked_with_their_places() {
    let server = Server::start().await;
    let cases = [
        (
            "/products/0/apis/0",
            json!({"products": [{"name": "p", "apis": ["gone"]}]}),
        ),
        (
            "/products/0/name",
            json!({"products": [{"name": "Big Name", "apis": []}]}),
        ),
        (
            "/products/1/name",
            json!({"products": [{"name": "p", "apis": []}, {"name": "p", "apis": []}]}),
        ),
        (
            "/consumers/0/account",
            json!({"consumers": [{"name": "c", "account": "gone"}]}),
        ),
        (
            "/apis/0/upstream/targets/0/url",
            json!({"apis": [{"name": "a", "upstream": {"targets": [{"url": "ftp://a"}]}}]}),
        ),
        (
            "/apis/0/upstream/auth/value",
            json!({"apis": [{"name": "a", "upstream": {"targets": [{"url": "http://a"}],
            "auth": {"header": "X-Key", "value_env": "KEY"}}}]}),
        ),
        (
            "/products/0/plans/0/limits/0/per",
            json!({"products": [{"name": "p", "apis": [], "plans": [{"name": "x",
            "limits": [{"requests": 5, "per": "secnd"}]}]}]}),
        ),
        (
            "/products/0/plans/0/limits/0/meter",
            json!({"products": [{"name": "p", "apis": [], "plans": [{"name": "x",
            "limits": [{"meter": "gone", "max": 5, "per": "period"}]}]}]}),
        ),
    ];
    for (pointer, document) in cases {
        let reply = server.apply(document).await;
        assert_eq!(
            (reply.status, &reply.json()["errors"][0]["pointer"]),
            (400, &json!(pointer)),
            "{}",
            reply.text
        );
    }
    server.apply(petstore()).await.expect(200);
    let mut without_api = petstore();
    without_api["apis"] = json!([]);
    without_api["products"] = json!([]);
    let pruned = server
        .call(&server.admin, ("PUT", "/config?prune=true"), Some(without_api.clone()))
        .await
        .expect(200);
    assert_eq!(pruned["items"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn files_make_customers_whole_and_prune_takes_them_away() {
    let server = Server::start().await;
    let key = ApiKey::new(Mode::Test, [3; 32]);
    let mut document = petstore();
    document["accounts"] = json!([{"name": "globex", "timezone": "Europe/Berlin"}]);
    document["consumers"] = json!([{"name": "web", "account": "globex",
        "subscriptions": [{"product": "petstore", "plan": "free", "anchor": "calendar"}],
        "credentials": [{"type": "api_key", "secret": key.reveal()}]}]);
    server.apply(document.clone()).await.expect(200);
    assert_eq!(server.apply(document.clone()).await.expect(200)["items"], json!([]));
    let subscription = server.get("/subscriptions").await.expect(200)["items"][0].clone();
    assert_eq!(
        (&subscription["timezone"], &subscription["anchor"]),
        (&json!("Europe/Berlin"), &json!("2026-06-01T00:00:00"))
    );
    document["consumers"][0]["subscriptions"][0]["plan"] = json!("pro");
    let applied = server.apply(document).await.expect(200);
    assert_eq!(actions(&applied), [is("update", "subscription", "globex/web/petstore")]);
    let gone = server
        .call(&server.admin, ("PUT", "/config?prune=true"), Some(petstore()))
        .await
        .expect(200);
    assert_eq!(gone["items"].as_array().unwrap().len(), 4);
    assert_eq!(server.get("/accounts").await.expect(200)["items"], json!([]));
    assert_eq!(
        server.get("/subscriptions").await.expect(200)["items"][0]["status"],
        "cancelled"
    );
}

#[tokio::test]
async fn an_apply_needs_the_scopes_of_what_it_writes() {
    let server = Server::start().await;
    let token = server.token(&["config:write"], None).await;
    server
        .call(&token, ("PUT", "/config"), Some(petstore()))
        .await
        .expect(200);
    let accounts = json!({"accounts": [{"name": "globex"}]});
    assert_eq!(
        server.call(&token, ("PUT", "/config"), Some(accounts)).await.status,
        403
    );
    assert_eq!(
        server
            .call(&token, ("GET", "/config?with_consumers=true"), None)
            .await
            .status,
        403
    );
}

#[tokio::test]
async fn one_plan_can_be_published_by_itself() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let same = server.post("/plans/petstore/free/publish", json!({})).await.expect(200);
    assert_eq!(same["version"], 1);
    let wish = json!({"plan": {"limits": [{"requests": 2000, "per": "period"}]}});
    let next = server.post("/plans/petstore/free/publish", wish).await.expect(200);
    assert_eq!(
        (&next["version"], &next["content"]["limits"][0]["requests"]),
        (&json!(2), &json!(2000))
    );
    let faulty = json!({"plan": {"limits": [{"requests": 2000, "pr": "period"}]}});
    assert_eq!(
        server.post("/plans/petstore/free/publish", faulty).await.json()["errors"][0]["pointer"],
        "/plan/limits/0/pr"
    );
    let archived = server.post("/plans/petstore/free/archive", json!({})).await.expect(200);
    assert!(archived["archived_at"].is_string());
    assert_eq!(server.get("/plans/petstore/free/versions").await.status, 404);
}
