//! Keys: who hears of them, when they end for the gateways, and what an address that nobody confirmed may not do.

use std::time::Duration;

use domain::key::hash;
use domain::subscription::ConsumerStatus;
use serde_json::json;
use snapshot::{Identity, Snapshot};
use store::AccountRole;

use crate::app::{fact, served};
use crate::browser::{Browser, hidden};
use crate::support::{Reply, Server, Tenant, petstore};

const HOUR: i64 = 3_600_000;

/// The key on the one page that has it.
#[track_caller]
fn shown(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let rest = reply.text.split("id=\"secret\" readonly value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// A mail as its reader sees it: soft line ends taken out.
fn plain(mail: &str) -> String {
    mail.replace("=\r\n", "")
        .replace("\r\n ", " ")
        .replace("=E2=80=A6", "…")
}

async fn shop() -> (Server, Tenant) {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    (server, tenant)
}

#[tokio::test]
async fn every_member_hears_of_keys_that_are_new_replaced_and_revoked() {
    let (server, tenant) = shop().await;
    let mut developer = Browser::member(&server, &tenant, AccountRole::Developer).await;
    Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let to = |role: &str| format!("{role}-{}@portal.test", tenant.account.to_lowercase());
    let keys = format!("/app/apps/{}/keys", tenant.consumer);
    developer.get(&keys).await;
    let secret = shown(&developer.post(&keys, &[("name", "Production")]).await);
    for role in ["developer", "viewer"] {
        let mail = plain(&server.mail("key-made", &to(role)).await);
        for part in [
            "New key for backend: Production",
            "Mia Member has made a key",
            &secret[..12],
        ] {
            assert!(mail.contains(part), "{part} in {mail}");
        }
        assert!(!mail.contains(&secret), "a key in a mail");
    }
    let rotate = format!("{keys}/{}/rotate", tenant.credential);
    developer.get(&rotate).await;
    let new = shown(&developer.post(&rotate, &[("grace", "24h")]).await);
    let mail = plain(&server.mail("key-rotated", &to("viewer")).await);
    for part in [
        "Key replaced for backend",
        "works until 16 Jun 2026, 10:00 (UTC)",
        &new[..12],
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    let revoke = format!("{keys}/{}/revoke", tenant.credential);
    developer.get(&revoke).await;
    let reply = developer.post(&revoke, &[("confirm", &tenant.secret[..12])]).await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    let mail = plain(&server.mail("key-revoked", &to("viewer")).await);
    assert!(mail.contains("The gateway refuses it from now on"), "{mail}");
    // Through the API the members hear of it too; what was over before is no news.
    let path = format!("/consumers/{}/credentials/{}", tenant.consumer, tenant.credential);
    server.call(&server.admin, ("DELETE", &path), None).await.expect(204);
    let body = json!({"type": "api_key", "name": "By a program"});
    let made = format!("/consumers/{}/credentials", tenant.consumer);
    server.post(&made, body).await.expect(201);
    for _ in 0..200 {
        if server.mails("key-made", &to("viewer")).await.len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mails = server.mails("key-made", &to("viewer")).await;
    assert_eq!(mails.len(), 2);
    assert!(
        mails
            .iter()
            .any(|mail| plain(mail).contains("a program with an API token"))
    );
    assert_eq!(server.mails("key-revoked", &to("viewer")).await.len(), 1);
}

#[tokio::test]
async fn whoever_still_uses_a_replaced_key_is_warned_once_an_hour_before_it_ends() {
    let (server, tenant) = shop().await;
    let mut owner = Browser::member(&server, &tenant, AccountRole::Owner).await;
    let address = format!("owner-{}@portal.test", tenant.account.to_lowercase());
    let rotate = format!("/app/apps/{}/keys/{}/rotate", tenant.consumer, tenant.credential);
    owner.get(&rotate).await;
    shown(&owner.post(&rotate, &[("grace", "24h")]).await);
    // Used right before and right after it was replaced.
    served(
        &server,
        1,
        vec![fact(&tenant, 1, -60_000, 200), fact(&tenant, 2, 5 * HOUR, 200)],
    )
    .await;
    server.later(22 * HOUR);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(server.mails("key-ends", &address).await.is_empty(), "too early");
    server.later(HOUR + 60_000);
    let mail = plain(&server.mail_within("key-ends", &address, 30).await);
    for part in [
        "is still used",
        "ends at 16 Jun 2026, 10:00 (UTC)",
        "used for 1 call since",
    ] {
        assert!(mail.contains(part), "{part} in {mail}");
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(server.mails("key-ends", &address).await.len(), 1, "once for each key");
}

/// Waits until the gateways' snapshot says so.
async fn until(server: &Server, what: impl Fn(&Snapshot) -> bool) {
    let mut waiter = server.feed.changes();
    while !what(&server.feed.current()) {
        let changed = tokio::time::timeout(Duration::from_secs(5), waiter.changed()).await;
        assert!(changed.is_ok(), "the gateways never hear of it");
    }
}

fn is_known(snapshot: &Snapshot, secret: &str, server: &Server) -> bool {
    let found = snapshot.identify(&hash(secret.as_bytes()), server.clock.now());
    matches!(found, Identity::Known { .. })
}

#[tokio::test]
async fn both_keys_work_through_the_overlap_and_the_old_one_never_after() {
    let (server, tenant) = shop().await;
    let mut browser = Browser::member(&server, &tenant, AccountRole::Developer).await;
    let keys = format!("/app/apps/{}/keys", tenant.consumer);
    let rotate = format!("{keys}/{}/rotate", tenant.credential);
    let page = browser.get(&rotate).await;
    let once = hidden(&page.text, "_once").unwrap();
    let form = [("grace", "1h"), ("_once", once.as_str())];
    let new = shown(&browser.post(&rotate, &form).await);
    // Sent twice, it makes one key.
    assert_eq!(browser.post(&rotate, &form).await.status, 409);
    let list = server
        .get(&format!("/consumers/{}/credentials", tenant.consumer))
        .await
        .expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    until(&server, |now| {
        is_known(now, &new, &server) && is_known(now, &tenant.secret, &server)
    })
    .await;
    server.later(HOUR - 1);
    assert!(
        is_known(&server.feed.current(), &tenant.secret, &server),
        "to the last moment"
    );
    server.later(1);
    assert!(!is_known(&server.feed.current(), &tenant.secret, &server));
    assert!(is_known(&server.feed.current(), &new, &server));
    // Without an overlap the old one ends at once, and the page says within which time.
    let made = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["id"] != tenant.credential.as_str());
    let rotate = format!("{keys}/{}/rotate", made.unwrap()["id"].as_str().unwrap());
    browser.get(&rotate).await;
    let page = browser.post(&rotate, &[("grace", "0s")]).await;
    assert!(
        page.text.contains("no gateway takes any more after a second"),
        "{}",
        page.text
    );
    let newest = shown(&page);
    until(&server, |now| {
        !is_known(now, &new, &server) && is_known(now, &newest, &server)
    })
    .await;
}

#[tokio::test]
async fn revocation_expiry_and_suspension_each_turn_what_gateways_answer() {
    let (server, tenant) = shop().await;
    let mut browser = Browser::member(&server, &tenant, AccountRole::Developer).await;
    let keys = format!("/app/apps/{}/keys", tenant.consumer);
    browser.get(&keys).await;
    let form = [("name", "Short"), ("expires_at", "2026-06-15T11:00:00Z")];
    let short = shown(&browser.post(&keys, &form).await);
    until(&server, |now| is_known(now, &short, &server)).await;
    server.later(HOUR);
    let now = server.feed.current();
    let found = now.identify(&hash(short.as_bytes()), server.clock.now());
    assert!(
        matches!(found, Identity::Expired { .. }),
        "an expired key has an answer of its own"
    );
    assert!(browser.get(&keys).await.text.contains("Expired 15 Jun 2026"));
    let suspended = |now: &Snapshot| match now.identify(&hash(tenant.secret.as_bytes()), server.clock.now()) {
        Identity::Known { consumer, .. } => consumer.status == ConsumerStatus::Suspended,
        Identity::Expired { .. } | Identity::Unknown => false,
    };
    let suspend = format!("/consumers/{}/suspend", tenant.consumer);
    server.post(&suspend, json!({"reason": "test"})).await.expect(200);
    until(&server, suspended).await;
    assert!(browser.get(&keys).await.text.contains("suspended"), "the page says so");
    server
        .post(&format!("/consumers/{}/resume", tenant.consumer), json!({}))
        .await
        .expect(200);
    until(&server, |now| !suspended(now)).await;
    let revoke = format!("{keys}/{}/revoke", tenant.credential);
    browser.get(&revoke).await;
    assert_eq!(
        browser.post(&revoke, &[("confirm", &tenant.secret[..12])]).await.status,
        303
    );
    until(&server, |now| !is_known(now, &tenant.secret, &server)).await;
}

#[tokio::test]
async fn an_address_that_is_not_confirmed_makes_no_app_key_or_subscription() {
    let (server, tenant) = shop().await;
    let mut browser = Browser::new(&server);
    browser.get("/signup").await;
    let email = "new@portal.test";
    let form = [
        ("email", email),
        ("name", "Nina New"),
        ("password", "violet tractor sings at noon"),
        ("organisation", "Newcomers"),
    ];
    browser.post("/signup", &form).await;
    let user = server.store.user_by_email(email).await.unwrap().unwrap();
    let mut tx = server
        .store
        .change(store::Actor::system("test"), server.clock.now())
        .await
        .unwrap();
    tx.set_member(tenant.account.parse().unwrap(), user.id, AccountRole::Owner)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let reply = browser.log_in(email, "violet tractor sings at noon").await;
    assert_eq!(reply.status, 303, "{}", reply.text);
    let own = format!("/app/apps/{}", tenant.consumer);
    let wish = [("product", "petstore"), ("plan", "free")];
    let (subscriptions, keys) = (format!("{own}/subscriptions"), format!("{own}/keys"));
    let rotate = format!("{keys}/{}/rotate", tenant.credential);
    let change = format!("{own}/subscriptions/{}/change", tenant.subscription);
    let forms: [(&str, &[(&str, &str)]); 5] = [
        ("/app/apps", &[("name", "x")]),
        (&keys, &[("name", "x")]),
        (&rotate, &[("grace", "0s")]),
        (&subscriptions, &wish),
        (&change, &[("plan", "free"), ("at", "now")]),
    ];
    let switched = browser.post("/app/switch", &[("organisation", &tenant.account)]).await;
    assert_eq!(switched.status, 303, "{}", switched.text);
    for (path, fields) in forms {
        let reply = browser.post(path, fields).await;
        assert_eq!(reply.status, 403, "{path} {}", reply.text);
        for part in [
            "Confirm your address first",
            email,
            "action=\"/verify\"",
            "Send the link again",
        ] {
            assert!(reply.text.contains(part), "{path}: no {part} in {}", reply.text);
        }
    }
    for path in ["/app/apps/new", &format!("{subscriptions}/new")] {
        assert_eq!(browser.get(path).await.status, 403, "{path}");
    }
    assert!(
        !browser.get(&keys).await.text.contains("name=\"expires_at\""),
        "no form that would be refused"
    );
    let list = server
        .get(&format!("/consumers/{}/credentials", tenant.consumer))
        .await
        .expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    // The button works, and with the link everything does.
    assert_eq!(browser.post("/verify", &[]).await.status, 303);
    let link = server.link("verify", email, "/verify/").await;
    browser.open(&link).await;
    assert_eq!(browser.post("/app/apps", &[("name", "x")]).await.status, 303);
}
