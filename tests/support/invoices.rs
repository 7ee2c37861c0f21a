//! What the platform bills, through its invoices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::api::{Api, Subscriber, text};

/// Closes the current period by the test clock and gives the billed quantity of the meter `requests`.
pub fn billed_requests(api: &Api, subscriber: &Subscriber) -> u64 {
    let subscription = api.get(&format!("/subscriptions/{}", subscriber.subscription));
    let (start, end) = (
        text(&subscription["current_period"]["start"]),
        text(&subscription["current_period"]["end"]),
    );
    // A day after its end the period is closed whatever a producer still had to say.
    let to = end.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(24);
    let advanced = api.call("POST", "/test-clock/advance", Some(&json!({ "to": to.to_string() })));
    assert!(matches!(advanced.status, 200 | 202), "{}", advanced.text());
    if advanced.status == 202 {
        wait_for_run(api, &serde_json::from_slice(&advanced.body).unwrap());
    }
    let invoices = api.all(&format!("/invoices?account={}", subscriber.account));
    let whole = invoices
        .iter()
        .map(|invoice| api.get(&format!("/invoices/{}", text(&invoice["id"]))));
    whole
        .map(|invoice| requests_of(&invoice, &subscriber.subscription, &start))
        .sum()
}

fn wait_for_run(api: &Api, advanced: &Value) {
    let run = text(&advanced["run"]);
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let state = api.get(&format!("/billing/runs/{run}"));
        let number = |name: &str| state[name].as_u64().unwrap();
        assert_eq!(number("failed"), 0, "{state}");
        if number("done") >= number("total") {
            return;
        }
        assert!(Instant::now() < deadline, "the billing run does not end: {state}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The quantity of the usage lines of one period.
fn requests_of(invoice: &Value, subscription: &str, period_start: &str) -> u64 {
    let lines = invoice["lines"].as_array().unwrap().iter().filter(|line| {
        line["meter"] == "requests"
            && line["subscription_id"] == *subscription
            && line["period"]["start"] == *period_start
    });
    lines.map(|line| text(&line["quantity"]).parse::<u64>().unwrap()).sum()
}
