//! A platform with two APIs on one upstream: `open`, which serves everything to anybody, and `vault` below `/vault`,
//! which wants a key with a subscription. Two subscribers: one of each product.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::api::{Api, Subscriber};
use crate::support::platform::{Platform, Settings};
use crate::support::raw::RawUpstream;
use crate::support::wire::Wire;

/// What the gateway proves itself to the upstream with.
pub const UPSTREAM_SECRET: &str = "canary-upstream-secret-5d1f0a";

pub struct World {
    pub platform: Platform,
    pub upstream: RawUpstream,
    _dir: TempDir,
}

fn api(name: &str, base_path: &str, url: &str) -> Value {
    json!({
        "name": name,
        "base_path": base_path,
        "strip_base_path": false,
        "openapi": { "openapi": "3.0.3", "info": { "title": name, "version": "1" }, "paths": {} },
        "unknown_operations": "pass",
        "upstream": {
            "targets": [{ "url": url }],
            "auth": { "header": "X-Gateway-Secret", "value": UPSTREAM_SECRET },
        },
    })
}

fn product(name: &str, limits: &Value) -> Value {
    json!({
        "name": name, "title": name, "apis": [name],
        "plans": [{ "name": "plan", "title": "Plan", "limits": limits, "price": { "currency": "USD" } }],
    })
}

impl World {
    pub fn new() -> Self {
        Self::with(
            |settings| settings,
            &json!([{ "requests": 1_000_000, "per": "minute" }]),
        )
    }

    /// With settings of the process and limits of anonymous callers.
    pub fn with(set: impl FnOnce(Settings) -> Settings, limits: &Value) -> Self {
        let world = Self::set_up(set, limits);
        world.wait_served();
        world
    }

    /// The same without a look at whether the gateway serves it already, for those who cannot ask in the clear.
    pub fn set_up(set: impl FnOnce(Settings) -> Settings, limits: &Value) -> Self {
        let dir = TempDir::new().unwrap();
        let upstream = RawUpstream::start(dir.path());
        let platform = set(Settings::new(&dir.path().join("data"))).start();
        let mut open = api("open", "/", &upstream.url);
        open["anonymous"] = json!({ "product": "open", "plan": "plan", "by": "ip" });
        let vault = api("vault", "/vault", &upstream.url);
        let products = [
            product("open", limits),
            product("vault", &json!([{ "requests": 1_000_000, "per": "minute" }])),
        ];
        platform
            .api()
            .put("/config", json!({ "apis": [open, vault], "products": products }));
        Self {
            platform,
            upstream,
            _dir: dir,
        }
    }

    /// Waits until the gateway serves the configuration.
    fn wait_served(&self) {
        for _ in 0..500 {
            let wire = self.once(b"GET /.tollgate/none HTTP/1.1\r\nHost: h\r\n\r\nGET /vault HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
            if wire.statuses() == [404, 401] {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!(
            "the configuration is not served: {}",
            self.once(b"GET /vault HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                .text()
        );
    }

    pub fn api(&self) -> Api {
        self.platform.api()
    }

    pub fn subscriber(&self, product: &str) -> Subscriber {
        let subscriber = self
            .api()
            .subscriber(&format!("{product}-caller"), product, "plan", json!({}));
        self.wait_known(&subscriber.key);
        subscriber
    }

    /// Waits until the gateway knows a new key.
    pub fn wait_known(&self, key: &str) {
        let known = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            self.get("/.tollgate/usage", &format!("X-API-Key: {key}\r\n"))
                .statuses()
                == [200]
        });
        assert!(known, "a new key is never known");
    }

    pub fn connect(&self) -> Wire {
        Wire::open(self.platform.gateway())
    }

    /// Sends bytes that end their connection and gives back what was heard.
    pub fn once(&self, bytes: &[u8]) -> Wire {
        crate::support::wire::once(self.platform.gateway(), bytes)
    }

    /// A GET on a connection of its own with further field lines, each ended by CR LF.
    pub fn get(&self, target: &str, fields: &str) -> Wire {
        self.once(format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n").as_bytes())
    }
}
