//! What is known of one request, for people: the same as `GET /requests/{id}` of the Admin API, for its customer and for
//! finance.

use askama::Template;
use domain::ids::ConsumerId;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::requests::{class, took};
use crate::api::requests::{Admitted, Refused, StepTimes, Story};
use crate::pages::web::Html;
use crate::pages::web::show::{self, Moment};

/// The story as HTML, to be put into a template as it is.
#[derive(Template)]
#[template(path = "parts/request.html")]
pub(crate) struct StoryView {
    served: Vec<Served>,
    refused: Vec<RefusedRow>,
}

struct Served {
    at: Moment,
    method: String,
    path: String,
    status: u16,
    class: &'static str,
    outcome: String,
    facts: Vec<(&'static str, String)>,
    /// The app, and where its page is.
    app: Option<(Option<String>, String)>,
    billed: &'static str,
    billing: String,
    counters: Vec<CounterRow>,
    price: Vec<String>,
    steps: Vec<StepRow>,
}

struct CounterRow {
    limit: String,
    before: String,
    after: String,
    max: String,
}

struct StepRow {
    name: &'static str,
    at: String,
    took: String,
}

struct RefusedRow {
    at: Moment,
    method: String,
    path: String,
    status: u16,
    class: &'static str,
    reason: String,
    why: &'static str,
    operation: String,
    api: String,
}

impl StoryView {
    /// What is known, with times in the reader's zone; `page_of` is where the reader finds an app, `title_of` what a product
    /// and its plan are called.
    pub(crate) fn new(
        story: Story,
        zone: &TimeZone,
        page_of: impl Fn(ConsumerId) -> Option<String>,
        title_of: impl Fn(&str, &str) -> String,
    ) -> Self {
        let refused = |one: Refused| RefusedRow {
            at: show::exact(one.event_time, zone),
            ..refused(one)
        };
        let served = |one: &Admitted| Served {
            at: show::exact(one.event.event_time, zone),
            app: one
                .consumer
                .clone()
                .map(|name| (one.event.consumer_id.and_then(&page_of), name)),
            ..served(one, title_of(&one.event.product, &one.event.plan))
        };
        Self {
            served: story.requests.iter().map(served).collect(),
            refused: story.refused.into_iter().map(refused).collect(),
        }
    }

    /// As HTML.
    pub(crate) fn html(&self) -> Html {
        Html(self.render().unwrap_or_default())
    }
}

/// A number of the API as people read it.
fn figure(value: &Json) -> String {
    match value {
        Json::Null => "no end".to_owned(),
        Json::String(text) => show::decimal(text),
        other => show::decimal(&other.to_string()),
    }
}

fn served(one: &Admitted, plan: String) -> Served {
    let event = &one.event;
    let key = one.credential.as_ref().map(|key| match &key.name {
        Some(name) => format!("{name}, {}…", key.prefix),
        None => format!("{}…", key.prefix),
    });
    let mut facts = vec![
        ("Operation", format!("{} of {}", event.operation, event.api)),
        ("Plan", plan),
        ("Key", key.unwrap_or_else(|| "none".to_owned())),
        (
            "Sent and received",
            format!("{} and {}", show::bytes(event.bytes_in), show::bytes(event.bytes_out)),
        ),
        ("Configuration", format!("revision {}", event.revision)),
        (
            "In the books",
            format!(
                "record {} of gateway worker {}, ledger commit {}",
                show::number(event.seq),
                event.producer,
                show::number(event.ledger_commit)
            ),
        ),
    ];
    for (meter, quantity) in &event.quantities {
        facts.push(("Counted", format!("{meter}: {}", figure(quantity))));
    }
    let counters = one.counters.iter().map(|counter| CounterRow {
        limit: limit_name(&counter.limit),
        before: figure(&counter.before),
        after: figure(&counter.after),
        max: counter.max.as_ref().map_or_else(|| "no end".to_owned(), figure),
    });
    Served {
        at: Moment::default(),
        method: event.method.clone(),
        path: event.path.clone(),
        status: event.status,
        class: class(event.status),
        outcome: outcome(one),
        billed: if event.billable { "Billed" } else { "Not billed" },
        billing: billing(one),
        counters: counters.collect(),
        price: one.price.as_ref().map(prices).unwrap_or_default(),
        steps: steps(&one.steps_ms),
        facts,
        app: None,
    }
}

fn outcome(one: &Admitted) -> String {
    let who = match one.event.source.as_str() {
        "upstream" => "The API answered",
        "cache" => "The gateway answered from its cache",
        _ => "The gateway answered",
    };
    let left = if one.event.client_aborted {
        " The client left before the end of the answer."
    } else {
        ""
    };
    format!("{who} with {}.{left}", one.event.status)
}

fn billing(one: &Admitted) -> String {
    if one.event.mode == domain::key::Mode::Test {
        return "Not billed: it was sent with a test key. It counts against the quota of test calls alone.".to_owned();
    }
    if one.event.billable {
        return "Billable: the answer is not an error of the server. It counts against the quota.".to_owned();
    }
    "Not billed: errors of the server and of the gateway cost nothing, and what was reserved of the quota has been given back.".to_owned()
}

/// `requests/period` as `Requests a period`.
fn limit_name(key: &str) -> String {
    let (base, operations) = key
        .split_once('@')
        .map_or((key, None), |(base, rest)| (base, Some(rest)));
    let base = base.split_once('/').map_or_else(
        || show::meter_name(base),
        |(meter, per)| format!("{} a {per}", show::meter_name(meter)),
    );
    operations.map_or_else(|| base.clone(), |names| format!("{base}, {}", names.replace(',', ", ")))
}

/// The price entries of the plan version for the meters of the request.
fn prices(price: &Json) -> Vec<String> {
    let currency = price.get("currency").and_then(Json::as_str).unwrap_or_default();
    let currency: domain::money::Currency = currency.parse().unwrap_or_default();
    let text = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
    let entries = price.get("usage").and_then(Json::as_array).cloned().unwrap_or_default();
    let word = |entry: &Json| {
        let meter = text(entry, "meter").unwrap_or_default();
        let included = entry.get("included").and_then(Json::as_u64);
        let included = included.map_or_else(String::new, |count| format!(", {} included", show::number(count)));
        let tiers = entry.get("tiers").and_then(Json::as_array).map_or(0, Vec::len);
        let rate = match (text(entry, "unit"), text(entry, "model")) {
            (Some(unit), _) => show::major(&unit, currency) + " each",
            (None, Some(model)) if tiers > 0 => format!("{model} in {tiers} tiers"),
            (None, model) => model.unwrap_or_default(),
        };
        format!("{}: {rate}{included}", show::meter_name(&meter))
    };
    entries.iter().map(word).collect()
}

/// When each step ended, and how long it took.
fn steps(times: &StepTimes) -> Vec<StepRow> {
    let named = [
        ("Route found", times.routed),
        ("Key identified", times.identified),
        ("Limits checked and counted", times.admitted),
        ("Connected to the API", times.connected),
        ("First byte of the answer", times.answered),
        ("End of the answer", Some(times.ended)),
    ];
    let mut before = 0_u64;
    named
        .into_iter()
        .filter_map(|(name, at)| Some((name, micros(at?))))
        .map(|(name, at)| {
            let row = StepRow {
                name,
                at: took(at),
                took: took(at.saturating_sub(before)),
            };
            before = at;
            row
        })
        .collect()
}

/// Milliseconds of the API back in microseconds.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a latency for display, no money and no count"
)]
fn micros(millis: f64) -> u64 {
    (millis * 1_000.0).round().max(0.0) as u64
}

fn refused(one: Refused) -> RefusedRow {
    RefusedRow {
        at: Moment::default(),
        method: one.method,
        path: one.path,
        status: one.status,
        class: class(one.status),
        why: advice(&one.reason),
        reason: one.reason.replace('-', " "),
        operation: one.operation,
        api: one.api,
    }
}

/// What to do about a refusal.
fn advice(reason: &str) -> &'static str {
    match reason {
        "rate-limited" => {
            "More calls than the rate limit of the plan lets through at once. Wait as long as Retry-After says."
        }
        "quota-exceeded" => {
            "The quota of the period is used up. It starts again with the next period, or with a larger plan."
        }
        "concurrency-limited" => "More calls at the same time than the plan lets through.",
        "invalid-credentials" => "The key is unknown or was revoked.",
        "expired-credentials" => "The key has expired.",
        "no-subscription" => "No subscription of the app covers this API.",
        "subscription-inactive" => "The subscription is not in force.",
        "consumer-suspended" => "The provider has suspended the app.",
        "payment-required" => "The subscription waits for a payment.",
        "sandbox-unavailable" => "The API has no sandbox for test keys.",
        _ => "The gateway refused it before it reached the API.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_words() {
        assert_eq!(limit_name("requests/period"), "Requests a period");
        assert_eq!(limit_name("concurrency"), "Concurrency");
        assert_eq!(limit_name("requests/second@a,b"), "Requests a second, a, b");
    }

    #[test]
    fn steps_say_when_and_how_long() {
        let times = StepTimes {
            routed: Some(0.1),
            identified: Some(0.3),
            admitted: None,
            connected: None,
            answered: Some(12.0),
            ended: 14.5,
        };
        let found: Vec<_> = steps(&times).into_iter().map(|row| (row.at, row.took)).collect();
        let ms = |text: &str| format!("{text}\u{a0}ms");
        assert_eq!(found[1], (ms("0.3"), ms("0.2")));
        assert_eq!(found[3], (ms("14"), ms("2.5")));
    }
}
