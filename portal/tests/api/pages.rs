//! Pages, documents, and the life of the server.

use std::path::Path;

use domain::clock::Clock;
use portal::{AdminWish, ensure_first_admin, openapi_document};
use serde_json::json;
use store::{Location, Store};

use crate::support::{START, Server, petstore};

#[test]
fn the_committed_document_is_the_one_that_the_table_makes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/admin.json");
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(
        committed == openapi_document(),
        "openapi/admin.json is old: cargo run -p tollgate-portal --example openapi > openapi/admin.json"
    );
}

#[tokio::test]
async fn the_start_page_lists_what_runs_and_escapes_it() {
    let server = Server::start().await;
    let empty = server.send(None, "GET /", &[], None).await;
    assert_eq!(empty.status, 200);
    assert!(empty.text.contains("Nothing is published yet"));
    let mut document = petstore();
    document["products"][0]["title"] = json!("<script>alert(1)</script>");
    document["products"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "backroom", "apis": ["petstore"], "visibility": "unlisted"}));
    server.apply(document).await.expect(200);
    let page = server.send(None, "GET /", &[], None).await;
    assert!(page.text.contains("Free plan"), "{}", page.text);
    assert!(page.text.contains("/api/docs") && !page.text.contains("<script>") && !page.text.contains("backroom"));
}

#[tokio::test]
async fn documents_are_public_and_the_style_sheet_is_there() {
    let server = Server::start().await;
    let document = server
        .send(None, "GET /api/v1/openapi.json", &[], None)
        .await
        .expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let docs = server.send(None, "GET /api/docs", &[], None).await;
    assert!(docs.status == 200 && docs.text.contains("/subscriptions/{id}/change"));
    let style = server.send(None, "GET /static/style.css", &[], None).await;
    assert!(style.status == 200 && style.text.contains("--accent"));
}

#[tokio::test]
async fn the_test_clock_never_goes_back() {
    let server = Server::start().await;
    let back = server
        .post("/test-clock/advance", json!({"to": "2020-01-01T00:00:00Z"}))
        .await;
    assert_eq!(
        (back.status, &back.json()["errors"][0]["pointer"]),
        (400, &json!("/to"))
    );
}

#[tokio::test]
async fn a_stopped_server_finishes_and_leaves_its_address() {
    let server = Server::start().await;
    server.get("/config").await.expect(200);
    let addr = server.addr;
    server.running.shutdown().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn the_first_admin_is_generated_once() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(&Location::Directory(data.path().join("data")))
        .await
        .unwrap();
    let clock = Clock::frozen(START);
    store.migrate(clock.now()).await.unwrap();
    let first = ensure_first_admin(&store, &clock, AdminWish::default()).await.unwrap();
    let token = first.token.clone().unwrap();
    assert!(token.starts_with("tgt_") && first.password.is_some() && first.email.as_deref() == Some("admin@localhost"));
    assert!(!format!("{first:?}").contains(&token));
    let again = ensure_first_admin(&store, &clock, AdminWish::default()).await.unwrap();
    assert!(again.token.is_none() && again.password.is_none());
    let given = AdminWish {
        token: Some("tgt_a_token_of_the_operator".to_owned()),
        ..AdminWish::default()
    };
    assert!(ensure_first_admin(&store, &clock, given).await.unwrap().token.is_none());
    let hash = domain::key::hash(b"tgt_a_token_of_the_operator");
    assert!(store.valid_token(hash, clock.now()).await.unwrap().is_some());
    let weak = AdminWish {
        token: Some("admin".to_owned()),
        ..AdminWish::default()
    };
    assert!(ensure_first_admin(&store, &clock, weak).await.is_err());
}
