//! A portal to test and a client that hides nothing.

#[path = "support/rules.rs"]
pub(crate) mod rules;

use std::net::SocketAddr;

use domain::clock::{Clock, Timestamp};
use domain::sealed::MasterKey;
use portal::{AdminWish, Hooks, Parts, Portal, Running, Settings, TestClock, TrustedProxies, ensure_first_admin};
use serde_json::{Value, json};
use snapshot::{Feed, Snapshot};
use store::{Location, Store};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// When the clock of the tests starts: 2026-06-15T10:00:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_781_517_600_000);

pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) admin: String,
    pub(crate) store: Store,
    pub(crate) analytics: analytics::Analytics,
    pub(crate) clock: Clock,
    pub(crate) feed: Feed,
    pub(crate) running: Running,
    pub(crate) mailer: mail::Mailer,
    pub(crate) data: tempfile::TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    }

    /// The last part of the problem's type.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(
            self.header("content-type").as_deref(),
            Some("application/problem+json"),
            "{} {}",
            self.head,
            self.text
        );
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["title"].is_string() && body["instance"].as_str().unwrap().starts_with("urn:tollgate:request:"));
        body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("https://tollgate.dev/problems/")
            .unwrap()
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Hooks::none()).await
    }

    pub(crate) async fn with(hooks: Hooks) -> Self {
        Self::under(hooks, None).await
    }

    /// A server that browsers reach under this address.
    pub(crate) async fn under(hooks: Hooks, public_url: Option<&str>) -> Self {
        Self::behind(hooks, public_url, TrustedProxies::default()).await
    }

    /// A server behind these proxies.
    pub(crate) async fn behind(hooks: Hooks, public_url: Option<&str>, trusted_proxies: TrustedProxies) -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = Store::open(&Location::Directory(data.path().join("data")))
            .await
            .unwrap();
        let clock = Clock::frozen(START);
        store.migrate(clock.now()).await.unwrap();
        let admin = "tgt_admin_token_of_the_tests".to_owned();
        let wish = AdminWish {
            token: Some(admin.clone()),
            password: Some("correct horse".to_owned()),
            ..AdminWish::default()
        };
        ensure_first_admin(&store, &clock, wish).await.unwrap();
        let analytics = analytics::Analytics::embedded(&data.path().join("analytics.db"))
            .await
            .unwrap();
        let mailer = mailer(&data.path().join("outbox"));
        let (publisher, feed) = Feed::new(Snapshot::default());
        let settings = Settings {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_url: public_url.map(str::to_owned),
            tls: None,
            trusted_proxies,
            test_clock: TestClock::On,
        };
        let parts = Parts {
            store: store.clone(),
            analytics: analytics.clone(),
            clock: clock.clone(),
            master_key: MasterKey::new([7; 32]),
            feed: publisher,
            hooks,
            mailer: mailer.clone(),
        };
        let running = Portal::start(settings, parts).await.unwrap();
        Self {
            addr: running.addr,
            admin,
            store,
            analytics,
            clock,
            feed,
            running,
            mailer,
            data,
        }
    }

    /// Where mails become files.
    pub(crate) fn outbox(&self) -> std::path::PathBuf {
        self.data.path().join("outbox")
    }

    /// Sends bytes as they are and reads until the server closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Reply {
        raw_to(self.addr, bytes).await
    }

    pub(crate) async fn send(
        &self,
        token: Option<&str>,
        request: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let mut text = format!("{request} HTTP/1.1\r\nHost: portal.test\r\nConnection: close\r\n");
        if let Some(token) = token {
            text += &["Authorization: Bearer ", token, "\r\n"].concat();
        }
        for (name, value) in headers {
            text += &[name, ": ", value, "\r\n"].concat();
        }
        if let Some(body) = body {
            text += &[
                "Content-Type: application/json\r\nContent-Length: ",
                &body.len().to_string(),
                "\r\n\r\n",
                body,
            ]
            .concat();
        } else {
            text += "\r\n";
        }
        self.raw(text.as_bytes()).await
    }

    /// `method path` below `/api/v1`.
    pub(crate) async fn call(&self, token: &str, (method, path): (&str, &str), body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string());
        self.send(Some(token), &format!("{method} /api/v1{path}"), &[], body.as_deref())
            .await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(&self.admin, ("GET", path), None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.call(&self.admin, ("POST", path), Some(body)).await
    }

    pub(crate) async fn apply(&self, document: Value) -> Reply {
        self.call(&self.admin, ("PUT", "/config"), Some(document)).await
    }

    /// A token with these scopes.
    pub(crate) async fn token(&self, scopes: &[&str], account: Option<&str>) -> String {
        let body = json!({"name": "test", "scopes": scopes, "account_id": account});
        text(&self.post("/tokens", body).await.expect(201), "secret")
    }
}

/// Sends bytes as they are and reads until the server closes.
pub(crate) async fn raw_to(addr: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    Reply {
        status,
        head: head.to_owned(),
        text: text.to_owned(),
    }
}

/// Mails become files of this directory.
pub(crate) fn mailer(outbox: &std::path::Path) -> mail::Mailer {
    let settings = mail::Settings {
        url: "outbox:".to_owned(),
        from: "Tollgate <no-reply@portal.test>".to_owned(),
        outbox: outbox.to_owned(),
        authority: None,
        retry: mail::Retry::default(),
    };
    mail::Mailer::start(&settings).unwrap()
}

/// A text field of an answer.
#[track_caller]
pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {value}"))
        .to_owned()
}

/// A small configuration: two plans, one with a quota and a price.
pub(crate) fn petstore() -> Value {
    json!({
        "apis": [{
            "name": "petstore", "base_path": "/petstore",
            "openapi": {"openapi": "3.1.0", "info": {"title": "Pets", "version": "1"}, "paths": {
                "/pets": {"get": {"operationId": "listPets", "responses": {"200": {"description": "ok"}}}},
                "/pets/{id}": {"get": {"operationId": "getPet", "responses": {"200": {"description": "ok"}}}}
            }},
            "upstream": {"targets": [{"url": "http://127.0.0.1:9001"}], "auth": {"header": "X-Gateway-Secret", "value": SECRET}}
        }],
        "meters": [{"name": "tokens", "aggregate": "sum", "value": {"response_header": "X-Tokens"}}],
        "products": [{
            "name": "petstore", "title": "Petstore", "apis": ["petstore"],
            "plans": [
                {"name": "free", "limits": [{"requests": 1000, "per": "period"}]},
                {"name": "pro", "limits": [{"requests": 100, "per": "second"}, {"requests": 50000, "per": "period"},
                    {"meter": "tokens", "max": 10, "per": "period"}],
                    "price": {"currency": "USD", "recurring": {"amount": "49.00", "every": "month", "in": "advance"}}},
                {"name": "gold", "approval": "manual"}
            ]
        }]
    })
}

/// The value of the upstream's header: it must never be seen again.
pub(crate) const SECRET: &str = "canary-upstream-secret";

/// An account with a consumer, a key and a subscription.
pub(crate) struct Tenant {
    pub(crate) account: String,
    pub(crate) consumer: String,
    pub(crate) credential: String,
    pub(crate) secret: String,
    pub(crate) subscription: String,
}

impl Tenant {
    pub(crate) async fn new(server: &Server, name: &str) -> Self {
        let account = server
            .post(
                "/accounts",
                json!({"name": name, "email": format!("{name}@example.com")}),
            )
            .await
            .expect(201);
        let account = text(&account, "id");
        let consumer = server
            .post("/consumers", json!({"account_id": account, "name": "backend"}))
            .await
            .expect(201);
        let consumer = text(&consumer, "id");
        let credential = server
            .post(
                &format!("/consumers/{consumer}/credentials"),
                json!({"type": "api_key"}),
            )
            .await
            .expect(201);
        let wish = json!({"consumer_id": consumer, "product": "petstore", "plan": "pro"});
        let subscription = server.post("/subscriptions", wish).await.expect(201);
        Self {
            account,
            consumer,
            credential: text(&credential, "id"),
            secret: text(&credential, "secret"),
            subscription: text(&subscription, "id"),
        }
    }
}
