//! Percentiles of days come from summed histograms and lie within 2 % of those of the single requests.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod support;

use serde_json::{Value, json};
use support::api::Subscriber;
use support::client::Client;
use support::platform::{Platform, Settings};
use support::upstream::Upstream;

#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}

fn send(platform: &Platform, subscriber: &Subscriber, count: usize, delay_ms: u32) {
    let authorization = format!("Bearer {}", subscriber.key);
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let (address, authorization) = (platform.gateway(), authorization.clone());
            std::thread::spawn(move || {
                let mut client = Client::new(address);
                let headers = [("Authorization", authorization.as_str())];
                for _ in 0..50 {
                    let answer = client.get(&format!("/things?delay={delay_ms}"), &headers).unwrap();
                    if answer.status == 200 {
                        return;
                    }
                    std::thread::sleep(std::time::Duration::from_millis(20));
                }
                panic!("never answered");
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// The nearest-rank quantile of exact values.
fn quantile(sorted: &[f64], per_mille: usize) -> f64 {
    sorted[(sorted.len() * per_mille).div_ceil(1000).max(1) - 1]
}

fn check(row: &Value, mut latencies: Vec<f64>) {
    latencies.sort_by(f64::total_cmp);
    for (name, per_mille) in [("p50_ms", 500), ("p95_ms", 950), ("p99_ms", 990)] {
        let (shown, exact) = (row[name].as_f64().unwrap(), quantile(&latencies, per_mille));
        assert!(
            (shown - exact).abs() <= exact * 0.02,
            "{name}: shown {shown}, exact {exact}"
        );
    }
}

#[test]
fn two_days_of_fast_and_slow_answers_show_their_true_percentiles() {
    let dir = tempfile::tempdir().unwrap();
    let upstream = Upstream::start(dir.path());
    let platform = Settings::new(&dir.path().join("data")).with_test_clock().start();
    let api = platform.api();
    api.put(
        "/config",
        json!({
            "apis": [{ "name": "things", "base_path": "/things", "upstream": { "targets": [{ "url": upstream.url }] } }],
            "products": [{ "name": "things", "apis": ["things"], "plans": [{ "name": "free" }] }],
        }),
    );
    let subscriber = api.subscriber("acme", "things", "free", json!({}));
    let days = ["2027-03-01", "2027-03-02"];
    for (day, (fast, slow)) in days.iter().zip([(48, 2), (47, 3)]) {
        api.post(
            "/test-clock/advance",
            json!({ "to": format!("{day}T12:00:00Z"), "freeze": true }),
        );
        for batch in 0..4 {
            send(&platform, &subscriber, fast / 4 + usize::from(batch < fast % 4), 10);
        }
        send(&platform, &subscriber, slow, 500);
    }
    let range = "from=2027-03-01T00:00:00Z&to=2027-03-03T00:00:00Z";
    let events = api.all(&format!("/usage/events?{range}"));
    assert_eq!(events.len(), 100);
    let latencies = |day: &str| -> Vec<f64> {
        let of_day = events
            .iter()
            .filter(|event| event["event_time"].as_str().unwrap().starts_with(day));
        of_day.map(|event| event["latency_ms"].as_f64().unwrap()).collect()
    };
    let by_day = api.get(&format!("/usage?{range}&interval=day"));
    let rows = by_day["items"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for (row, day) in rows.iter().zip(days) {
        check(row, latencies(day));
    }
    let whole = api.get(&format!("/usage?{range}"));
    let all = latencies("2027");
    assert!(all.iter().filter(|latency| **latency >= 500.0).count() == 5, "{all:?}");
    check(&whole["items"][0], all);
}
