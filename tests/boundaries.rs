//! Three billing periods across a daylight saving change with an anchor on the 31st: on either side of each boundary, to
//! the millisecond, quota, usage and invoice agree on each request.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use support::api::{Api, text};
use support::client::Client;
use support::platform::{Platform, Settings};
use support::upstream::Upstream;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

/// The periods of an anchor of 31 January 2027, midnight in New York: the last one begins in summer time.
const STARTS: [&str; 4] = [
    "2027-01-31T05:00:00.000Z",
    "2027-02-28T05:00:00.000Z",
    "2027-03-31T04:00:00.000Z",
    "2027-04-30T04:00:00.000Z",
];
const JUST_BEFORE: [&str; 3] = [
    "2027-02-28T04:59:59.999Z",
    "2027-03-31T03:59:59.999Z",
    "2027-04-30T03:59:59.999Z",
];

fn configuration(upstream: &str) -> Value {
    json!({
        "apis": [{ "name": "things", "base_path": "/things", "upstream": { "targets": [{ "url": upstream }] } }],
        "products": [{ "name": "things", "apis": ["things"], "plans": [{
            "name": "metered",
            "limits": [{ "requests": 100, "per": "period" }],
            "price": { "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "0.01" }] },
        }] }],
    })
}

fn advance(api: &Api, to: &str) {
    let answer = api.call(
        "POST",
        "/test-clock/advance",
        Some(&json!({ "to": to, "freeze": true })),
    );
    assert!(answer.status == 200 || answer.status == 202, "{}", answer.text());
    if answer.status == 202 {
        let run = text(&serde_json::from_str::<Value>(&answer.text()).unwrap()["run"]);
        while api.get(&format!("/billing/runs/{run}"))["done"] != api.get(&format!("/billing/runs/{run}"))["total"] {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

struct World {
    platform: Platform,
    _upstream: Upstream,
    _dir: tempfile::TempDir,
    client: Client,
    key: String,
    subscription: String,
    account: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let upstream = Upstream::start(dir.path());
        let platform = Settings::new(&dir.path().join("data")).with_test_clock().start();
        let api = platform.api();
        api.put("/config", configuration(&upstream.url));
        advance(&api, STARTS[0]);
        let subscriber = api.subscriber("acme", "things", "metered", json!({ "timezone": "America/New_York" }));
        let client = Client::new(platform.gateway());
        Self {
            client,
            key: subscriber.key,
            subscription: subscriber.subscription,
            account: subscriber.account,
            platform,
            _upstream: upstream,
            _dir: dir,
        }
    }

    /// Sends a request, and again while the gateway has not heard of the key yet.
    fn call(&mut self, id: &str) {
        let authorization = format!("Bearer {}", self.key);
        for _ in 0..100 {
            let headers = [("Authorization", authorization.as_str()), ("X-Request-Id", id)];
            let answer = self.client.get("/things/1", &headers).unwrap();
            if answer.status == 200 {
                return;
            }
            assert_eq!(answer.problem(), "invalid-credentials", "{}", answer.text());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the key never became valid");
    }

    fn quota_used(&self) -> u64 {
        let subscription = self
            .platform
            .api()
            .get(&format!("/subscriptions/{}", self.subscription));
        subscription["quota"][0]["used"].as_u64().unwrap()
    }

    fn period(&self) -> (String, String) {
        let subscription = self
            .platform
            .api()
            .get(&format!("/subscriptions/{}", self.subscription));
        (
            text(&subscription["current_period"]["start"]),
            text(&subscription["current_period"]["end"]),
        )
    }

    fn usage(&self, period: usize) -> (u64, u64) {
        let path = format!(
            "/usage?from={}&to={}&subscription={}",
            STARTS[period],
            STARTS[period + 1],
            self.subscription
        );
        let usage = self.platform.api().get(&path);
        let row = &usage["items"][0];
        (
            row["requests"].as_u64().unwrap_or(0),
            row["billable"].as_u64().unwrap_or(0),
        )
    }

    /// Request ids behind the usage line of the invoice of a period, and the line's quantity.
    fn billed(&self, period: usize) -> (String, Vec<String>) {
        let api = self.platform.api();
        for invoice in api.all(&format!("/invoices?account={}", self.account)) {
            let id = text(&invoice["id"]);
            let whole = api.get(&format!("/invoices/{id}"));
            for (n, line) in whole["lines"].as_array().unwrap().iter().enumerate() {
                if line["period"]["start"] == STARTS[period] {
                    assert_eq!(line["period"]["end"], STARTS[period + 1]);
                    let requests = api.all(&format!("/invoices/{id}/lines/{}/usage", n + 1));
                    return (
                        text(&line["quantity"]),
                        requests.iter().map(|one| text(&one["request_id"])).collect(),
                    );
                }
            }
        }
        panic!("no invoice line for the period from {}", STARTS[period]);
    }
}

#[test]
fn quota_usage_and_invoice_agree_on_each_request_at_each_boundary() {
    let mut world = World::new();
    let mut expected: Vec<Vec<String>> = Vec::new();
    for period in 0..3 {
        assert_eq!(
            world.period(),
            (STARTS[period].to_owned(), STARTS[period + 1].to_owned())
        );
        let first = format!("first-of-{period}");
        world.call(&first);
        assert_eq!(
            world.quota_used(),
            1,
            "the first millisecond of period {period} counts in it"
        );
        advance(&world.platform.api(), JUST_BEFORE[period]);
        let last = format!("last-of-{period}");
        world.call(&last);
        assert_eq!(
            world.quota_used(),
            2,
            "the last millisecond of period {period} counts in it"
        );
        advance(&world.platform.api(), STARTS[period + 1]);
        assert_eq!(world.quota_used(), 0, "period {} begins at zero", period + 1);
        assert_eq!(world.usage(period), (2, 2));
        expected.push(vec![first, last]);
    }
    for (period, ids) in expected.iter().enumerate() {
        let (quantity, mut billed) = world.billed(period);
        billed.sort();
        assert_eq!(quantity, "2");
        assert_eq!(&billed, ids);
        assert_eq!(world.usage(period), (2, 2));
    }
}
