//! The Admin API as a script would call it.

use serde_json::{Value, json};

use super::client::{Answer, Client};

/// Calls with one token.
pub struct Api {
    address: std::net::SocketAddr,
    token: String,
}

impl Api {
    pub fn new(address: std::net::SocketAddr, token: &str) -> Self {
        Self {
            address,
            token: token.to_owned(),
        }
    }

    /// Sends JSON and returns the whole answer.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let bytes = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let headers = [
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
            ("Connection", "close"),
        ];
        let mut client = Client::new(self.address);
        client.timeout = std::time::Duration::from_secs(120);
        client
            .send(method, &format!("/api/v1{path}"), &headers, &bytes)
            .unwrap()
    }

    fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let mut answer = self.call(method, path, body);
        // Reading again is always right, and what a platform under faults says it cannot do now it can do later.
        while method == "GET" && answer.status == 503 && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(200));
            answer = self.call(method, path, body);
        }
        assert!(
            answer.status < 300,
            "{method} {path}: {} {}",
            answer.status,
            answer.text()
        );
        if answer.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&answer.body).unwrap()
        }
    }

    pub fn get(&self, path: &str) -> Value {
        self.json("GET", path, None)
    }

    pub fn post(&self, path: &str, body: Value) -> Value {
        self.json("POST", path, Some(&body))
    }

    pub fn put(&self, path: &str, body: Value) -> Value {
        self.json("PUT", path, Some(&body))
    }

    pub fn delete(&self, path: &str) {
        self.json("DELETE", path, None);
    }

    /// Every item of a list, page by page.
    pub fn all(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{separator}limit=1000{cursor}"));
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// An account, a consumer of it, a subscription and a live key.
    pub fn subscriber(&self, name: &str, product: &str, plan: &str, account: Value) -> Subscriber {
        let mut fields = json!({ "name": name, "email": format!("{name}@example.com") });
        for (key, value) in account.as_object().into_iter().flatten() {
            fields[key] = value.clone();
        }
        let account = text(&self.post("/accounts", fields)["id"]);
        let consumer = text(&self.post("/consumers", json!({ "account_id": account, "name": name }))["id"]);
        let subscription = text(
            &self.post(
                "/subscriptions",
                json!({ "consumer_id": consumer, "product": product, "plan": plan }),
            )["id"],
        );
        let credential = self.post(
            &format!("/consumers/{consumer}/credentials"),
            json!({ "type": "api_key" }),
        );
        Subscriber {
            account,
            consumer,
            subscription,
            credential: text(&credential["id"]),
            key: text(&credential["secret"]),
        }
    }
}

/// Ids of one subscriber and its key.
#[derive(Debug, Clone)]
pub struct Subscriber {
    pub account: String,
    pub consumer: String,
    pub subscription: String,
    pub credential: String,
    pub key: String,
}

pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}
