//! A platform with one API, one product with one plan, and the upstream behind it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{Api, Subscriber};
use super::client::Client;
use super::platform::{Platform, Settings};
use super::upstream::Upstream;

/// Everything of one test; its folder goes with it.
pub struct World {
    // Fields are dropped in this order: processes before their folder.
    pub platform: Platform,
    pub upstream: Upstream,
    pub dir: tempfile::TempDir,
}

/// A configuration with the API `echo` and the plan `echo/standard` with these limits.
pub fn configuration(upstream: &str, limits: &Value) -> Value {
    json!({
        "apis": [{
            "name": "echo",
            "base_path": "/echo",
            "upstream": { "targets": [{ "url": upstream }], "timeouts": { "connect": "5s", "response": "30s" } },
        }],
        "products": [{
            "name": "echo",
            "title": "Echo",
            "apis": ["echo"],
            "plans": [{
                "name": "standard",
                "title": "Standard",
                "migrate": "now",
                "limits": limits,
                "price": { "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "0.001" }] },
            }],
        }],
    })
}

impl World {
    /// Starts both and applies a plan with these limits.
    pub fn start(limits: &Value) -> Self {
        Self::start_with(limits, |settings| settings)
    }

    pub fn start_with(limits: &Value, adjust: impl FnOnce(Settings) -> Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(dir.path());
        let platform = adjust(Settings::new(&dir.path().join("data"))).start();
        let world = Self {
            platform,
            upstream,
            dir,
        };
        world.api().put("/config", world.configuration(limits));
        world
    }

    pub fn configuration(&self, limits: &Value) -> Value {
        configuration(&self.upstream.url, limits)
    }

    pub fn api(&self) -> Api {
        self.platform.api()
    }

    pub fn subscriber(&self, name: &str) -> Subscriber {
        self.subscriber_of("standard", name)
    }

    /// A subscriber whose key the gateway knows: a new key works milliseconds after the answer that shows it.
    pub fn subscriber_of(&self, plan: &str, name: &str) -> Subscriber {
        let subscriber = self.api().subscriber(name, "echo", plan, json!({}));
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut client = Client::new(self.platform.gateway());
        while client
            .get("/.tollgate/usage", &[("X-API-Key", &subscriber.key)])
            .unwrap()
            .status
            == 401
        {
            assert!(Instant::now() < deadline, "the gateway does not learn of a new key");
            std::thread::sleep(Duration::from_millis(2));
        }
        subscriber
    }

    /// The sum of a metric over its labels; 0 when it is not there.
    pub fn metric(&self, name: &str) -> u64 {
        self.platform.metric(name)
    }
}
