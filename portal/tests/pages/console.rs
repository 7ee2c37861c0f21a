//! The console: requests with a key of the reader's own app, through the gateway and nowhere else.

use std::sync::{Arc, Mutex};

use store::{AccountRole, Page, Scope};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::browser::Browser;
use crate::support::{Server, Tenant, petstore};

const TRY: &str = "/products/petstore/petstore/1.0/try/get-pets-id";

/// A gateway that keeps what it was sent and answers with what it is told to.
async fn gateway(answer: String) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 64 << 10];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let key = request
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .starts_with("authorization:")
                        .then(|| line[15..].trim().to_owned())
                })
                .unwrap_or_default();
            kept.lock().unwrap().push(request);
            let body = answer.replace("KEY", &key);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Request-Id: req_42\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    (url, seen)
}

async fn played(answer: &str) -> (Server, Tenant, Browser, Arc<Mutex<Vec<String>>>) {
    let server = Server::start().await;
    let (url, seen) = gateway(answer.to_owned()).await;
    server.running.gateway_at(&url);
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut browser = Browser::member(&server, &tenant, AccountRole::Developer).await;
    browser.get(TRY).await;
    (server, tenant, browser, seen)
}

#[tokio::test]
async fn a_request_is_sent_with_a_key_that_nobody_sees_and_that_is_taken_back() {
    let (server, tenant, mut browser, seen) = played(r#"{"name":"<b>Rex</b>","you":"KEY"}"#).await;
    let form = browser.get(TRY).await.text;
    assert!(
        form.contains("name=\"p.path.id\"") && form.contains("backend"),
        "{form}"
    );
    let page = browser
        .post(TRY, &[("app", &tenant.consumer), ("p.path.id", "a/b 1")])
        .await;
    assert_eq!(page.status, 200, "{}", page.text);
    let request = seen.lock().unwrap().first().cloned().unwrap();
    assert!(
        request.starts_with("GET /petstore/pets/a%2Fb%201 HTTP/1.1\r\n"),
        "{request}"
    );
    let key = request
        .split("Bearer ")
        .nth(1)
        .unwrap()
        .split('\r')
        .next()
        .unwrap()
        .to_owned();
    assert!(key.starts_with("tg_live_"), "{request}");
    assert!(!page.text.contains(&key), "the key is on the page");
    for part in [
        "200 OK",
        "&lt;b&gt;Rex",
        "[key]",
        "/app/logs/req_42",
        "$TOLLGATE_KEY",
        "/pets/a%<span class=\"n\">2Fb</span>%<span class=\"n\">201</span>",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
    let consumer = tenant.consumer.parse().unwrap();
    let keys = server
        .store
        .credentials(Scope::All, consumer, &Page::first(10))
        .await
        .unwrap();
    let made = keys.iter().find(|key| key.name.as_deref() == Some("Try it")).unwrap();
    assert!(made.revoked_at.is_some() && made.products == ["petstore"]);
    assert_eq!(made.expires_at, Some(server.clock.now().plus_millis(300_000)));
    // The list of keys stays what it was, and nobody is told.
    let list = browser.get(&format!("/app/apps/{}/keys", tenant.consumer)).await.text;
    assert!(
        !list.contains("Try it") && list.contains(&tenant.secret[..12]),
        "{list}"
    );
    let reader = format!("developer-{}@portal.test", tenant.account.to_lowercase());
    assert!(server.mails("key-made", &reader).await.is_empty());
}

#[tokio::test]
async fn what_is_missing_is_said_before_anything_is_sent() {
    let (server, tenant, mut browser, seen) = played("{}").await;
    let page = browser.post(TRY, &[("app", &tenant.consumer)]).await;
    assert!(
        page.status == 422 && page.text.contains("the operation asks for one"),
        "{}",
        page.text
    );
    let other = Tenant::new(&server, "umbrella").await;
    let foreign = browser.post(TRY, &[("app", &other.consumer), ("p.path.id", "1")]).await;
    assert_eq!(foreign.status, 404, "{}", foreign.text);
    assert!(seen.lock().unwrap().is_empty());
    let nobody = Browser::new(&server).get(TRY).await.text;
    assert!(
        nobody.contains("/login?next=") && !nobody.contains("<textarea"),
        "{nobody}"
    );
    let viewer = Browser::member(&server, &tenant, AccountRole::Viewer)
        .await
        .get(TRY)
        .await
        .text;
    assert!(viewer.contains("Your role in acme is viewer"), "{viewer}");
    let fresh = Tenant::new(&server, "fresh").await;
    server
        .call(
            &server.admin.clone(),
            ("POST", &format!("/subscriptions/{}/cancel", fresh.subscription)),
            Some(serde_json::json!({"at": "now"})),
        )
        .await;
    let gone = Browser::member(&server, &fresh, AccountRole::Owner)
        .await
        .get(TRY)
        .await
        .text;
    assert!(gone.contains("No app with a subscription"), "{gone}");
}

#[tokio::test]
async fn a_long_answer_is_cut_and_says_so() {
    let (_server, tenant, mut browser, _) = played(&format!("\"{}\"", "x".repeat(5 << 20))).await;
    let page = browser
        .post(TRY, &[("app", &tenant.consumer), ("p.path.id", "1")])
        .await;
    assert!(
        page.text.contains("Truncated") && page.text.len() < 600_000,
        "{}",
        page.text.len()
    );
}

#[tokio::test]
async fn a_gateway_that_is_away_is_told_and_the_key_is_taken_back() {
    let server = Server::start().await;
    server.running.gateway_at("http://127.0.0.1:1");
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let mut browser = Browser::member(&server, &tenant, AccountRole::Owner).await;
    browser.get(TRY).await;
    let page = browser
        .post(TRY, &[("app", &tenant.consumer), ("p.path.id", "1")])
        .await;
    assert!(
        page.status == 502 && page.text.contains("The gateway does not answer")
            || page.text.contains("the gateway does not answer"),
        "{}",
        page.text
    );
    let keys = server
        .store
        .credentials(Scope::All, tenant.consumer.parse().unwrap(), &Page::first(10))
        .await
        .unwrap();
    assert!(
        keys.iter()
            .filter(|key| key.name.as_deref() == Some("Try it"))
            .all(|key| key.revoked_at.is_some())
    );
}
