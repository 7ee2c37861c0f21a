//! Requests that no honest client sends, and ones that honest clients send by mistake.

use serde_json::json;

use crate::support::{Server, text};

async fn post_text(server: &Server, path: &str, body: &str) -> crate::support::Reply {
    server
        .send(Some(&server.admin), &format!("POST /api/v1{path}"), &[], Some(body))
        .await
}

#[tokio::test]
async fn faults_of_bodies_are_named_with_their_places() {
    let server = Server::start().await;
    let cases = [
        (r#"{"name": "a", "name": "b"}"#, "/name", "stands twice"),
        (
            r#"{"nam": "a", "email": "a@example.com"}"#,
            "/nam",
            "did you mean `name`",
        ),
        (r#"{"name": 7, "email": "a@example.com"}"#, "/name", "invalid type"),
        (r#"{"name": "a", "email": "nobody"}"#, "/email", "e-mail address"),
        (
            r#"{"name": "a", "email": "a@example.com", "timezone": "Mars/Olympus"}"#,
            "/timezone",
            "IANA",
        ),
        (
            r#"{"name": "a", "email": "a@example.com", "currency": "XXY"}"#,
            "/currency",
            "ISO 4217",
        ),
        (r#"{"name": "a"} x"#, "", "trailing"),
        ("{", "", "EOF"),
    ];
    for (body, pointer, part) in cases {
        let reply = post_text(&server, "/accounts", body).await;
        assert_eq!(
            (reply.status, reply.problem().as_str()),
            (400, "request-invalid"),
            "{body}"
        );
        let fault = &reply.json()["errors"][0];
        assert_eq!(fault["pointer"], pointer, "{body}");
        assert!(fault["detail"].as_str().unwrap().contains(part), "{body}: {fault}");
    }
}

#[tokio::test]
async fn deep_and_large_bodies_are_refused() {
    let server = Server::start().await;
    let deep = format!("{}1{}", "{\"a\":".repeat(66), "}".repeat(66));
    let reply = post_text(&server, "/accounts", &deep).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text.contains("nested deeper than 64"));
    let endless = post_text(&server, "/accounts", &"[".repeat(200_000)).await;
    assert_eq!(endless.status, 400);
    let large = format!("{{\"name\": \"{}\"}}", "a".repeat(300_000));
    let reply = post_text(&server, "/accounts", &large).await;
    assert_eq!((reply.status, reply.problem().as_str()), (413, "request-too-large"));
}

#[tokio::test]
async fn a_body_that_is_not_json_is_415() {
    let server = Server::start().await;
    let request = format!(
        "POST /api/v1/accounts HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {}\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{{}}",
        server.admin
    );
    assert_eq!(server.raw(request.as_bytes()).await.status, 415);
}

#[tokio::test]
async fn unknown_routes_methods_and_parameters_have_problem_form() {
    let server = Server::start().await;
    let unknown = server.get("/nothing").await;
    assert_eq!((unknown.status, unknown.problem().as_str()), (404, "not-found"));
    let outside = server.send(None, "GET /nothing", &[], None).await;
    assert_eq!((outside.status, outside.problem().as_str()), (404, "not-found"));
    let method = server.call(&server.admin, ("PATCH", "/config"), None).await;
    assert_eq!((method.status, method.problem().as_str()), (405, "method-not-allowed"));
    assert!(method.header("allow").unwrap().contains("PUT"));
    let parameter = server.get("/accounts?limt=3").await;
    assert_eq!(parameter.json()["errors"][0]["parameter"], "limt");
    assert!(parameter.text.contains("did you mean `limit`"));
    for query in ["limit=0", "limit=1001", "limit=x", "cursor=***", "limit=1&limit=2"] {
        assert_eq!(server.get(&format!("/accounts?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn ids_that_are_no_ids_are_unknown_things() {
    let server = Server::start().await;
    for id in [
        "1",
        "acc_",
        "../config",
        "con_00000000000000000000000000",
        "%2e%2e%2fconfig",
        "acc_zzzzzzzzzzzzzzzzzzzzzzzzzz",
    ] {
        assert_eq!(server.get(&format!("/accounts/{id}")).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn doubled_and_foreign_credentials_are_refused() {
    let server = Server::start().await;
    let admin = format!("Bearer {}", server.admin);
    let doubled = server
        .send(
            None,
            "GET /api/v1/config",
            &[("Authorization", &admin), ("Authorization", &admin)],
            None,
        )
        .await;
    assert_eq!(doubled.status, 401);
    let basic = server
        .send(None, "GET /api/v1/config", &[("Authorization", "Basic YTpi")], None)
        .await;
    assert_eq!(basic.status, 401);
    let expired = server
        .post(
            "/tokens",
            json!({"name": "x", "scopes": ["config:read"], "expires_at": "2026-06-15T11:00:00Z"}),
        )
        .await;
    let expired = text(&expired.expect(201), "secret");
    server.call(&expired, ("GET", "/config"), None).await.expect(200);
    server
        .post(
            "/test-clock/advance",
            json!({"to": "2026-06-15T11:00:00Z", "freeze": true}),
        )
        .await
        .expect(200);
    assert_eq!(server.call(&expired, ("GET", "/config"), None).await.status, 401);
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let server = Server::start().await;
    for request in [
        "GET /",
        "GET /api/docs",
        "GET /static/style.css",
        "GET /api/v1/config",
        "GET /nothing",
    ] {
        let reply = server.send(None, request, &[], None).await;
        assert_eq!(
            reply.header("x-content-type-options").as_deref(),
            Some("nosniff"),
            "{request}"
        );
        assert_eq!(reply.header("x-frame-options").as_deref(), Some("DENY"), "{request}");
        assert!(
            reply
                .header("content-security-policy")
                .unwrap()
                .contains("default-src 'none'"),
            "{request}"
        );
        assert!(reply.header("x-request-id").is_some(), "{request}");
        assert!(reply.header("server").is_none(), "{request}");
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed() {
    use tokio::io::AsyncReadExt as _;
    let server = Server::start().await;
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(std::time::Duration::from_secs(15), stream.read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "a connection that never says a word stays open");
}

#[tokio::test]
async fn lists_are_paged_by_cursors() {
    let server = Server::start().await;
    let mut made = Vec::new();
    for n in 0..7 {
        let account = server
            .post("/accounts", json!({"name": format!("a{n}"), "email": "a@example.com"}))
            .await
            .expect(201);
        made.push(text(&account, "id"));
    }
    made.sort();
    let mut seen = Vec::new();
    let mut path = "/accounts?limit=3".to_owned();
    loop {
        let page = server.get(&path).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "id")));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        assert!(
            cursor
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        );
        path = format!("/accounts?limit=3&cursor={cursor}");
    }
    assert_eq!(seen, made);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_answer_once() {
    let server = Server::start().await;
    let body = json!({"name": "a", "email": "a@example.com"}).to_string();
    let send = async |key: &str, body: &str| {
        server
            .send(
                Some(&server.admin),
                "POST /api/v1/accounts",
                &[("Idempotency-Key", key)],
                Some(body),
            )
            .await
    };
    let first = send("k1", &body).await;
    let again = send("k1", &body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.text, again.text);
    assert_eq!(again.header("idempotent-replayed").as_deref(), Some("true"));
    let other = send("k1", &body.replace('a', "b")).await;
    assert_eq!(
        (other.status, other.problem().as_str()),
        (422, "idempotency-key-reused")
    );
    assert_ne!(send("k2", &body).await.json()["id"], first.json()["id"]);
    let refused = send("k3", "{}").await;
    assert_eq!(refused.status, 400);
    assert_eq!(
        send("k3", &body).await.status,
        201,
        "a request that did nothing frees its key"
    );
    assert_eq!(
        server.get("/accounts").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn two_requests_with_one_key_do_the_work_once() {
    let server = Server::start().await;
    let body = json!({"name": "a", "email": "a@example.com"}).to_string();
    let send = || {
        server.send(
            Some(&server.admin),
            "POST /api/v1/accounts",
            &[("Idempotency-Key", "k")],
            Some(&body),
        )
    };
    let replies = tokio::join!(send(), send(), send(), send());
    for reply in [replies.0, replies.1, replies.2, replies.3] {
        assert!([201, 409].contains(&reply.status), "{}", reply.text);
    }
    assert_eq!(
        server.get("/accounts").await.expect(200)["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
