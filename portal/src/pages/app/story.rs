//! `/app/logs/{request_id}`: why one request ended as it did, in words.

use askama::Template;
use axum::extract::{Path, State};
use serde_json::Value as Json;

use super::bars::meter_name;
use super::logs::{class, took};
use super::{consumers, held, shell};
use crate::api::requests::{self, Admitted, Refused, StepTimes};
use crate::app::App;
use crate::pages::web::show::{self, Moment};
use crate::pages::web::{self, Member, Shell};

#[derive(Template)]
#[template(path = "app/story.html")]
struct Page {
    shell: Shell,
    id: String,
    zone: String,
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
    /// Where the app's page is: address and name.
    app: Option<(String, String)>,
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

/// `GET /app/logs/{request_id}`
pub(crate) async fn show(State(app): State<App>, member: Member, Path(id): Path<String>) -> web::Page {
    let story = requests::story(&app, &member.caller, &id).await?;
    let own = consumers(&app, &member).await?;
    let zone = member.visitor.zone();
    let subscriptions = held::subscriptions(&app, &member, None).await?;
    let mut all = Vec::new();
    for one in &story.requests {
        let of = one.event.consumer_id;
        let titles = held::titles(&app, &subscriptions, (&one.event.product, &one.event.plan)).await?;
        all.push(Served {
            at: show::exact(one.event.event_time, zone),
            app: own
                .iter()
                .find(|consumer| Some(consumer.id) == of)
                .map(|consumer| (format!("/app/apps/{}", consumer.id), consumer.name.clone())),
            ..served(one, titles)
        });
    }
    let refused = story.refused.into_iter().map(|one| RefusedRow {
        at: show::exact(one.event_time, zone),
        ..refused(one)
    });
    web::page(&Page {
        shell: shell(&app, &member).await?,
        id,
        zone: show::zone_name(zone),
        served: all,
        refused: refused.collect(),
    })
}

/// A number of the API as people read it.
fn figure(value: &Json) -> String {
    match value {
        Json::Null => "no end".to_owned(),
        Json::String(text) => show::decimal(text),
        other => show::decimal(&other.to_string()),
    }
}

fn served(one: &Admitted, (product, plan): (String, String)) -> Served {
    let event = &one.event;
    let key = one.credential.as_ref().map(|key| match &key.name {
        Some(name) => format!("{name}, {}…", key.prefix),
        None => format!("{}…", key.prefix),
    });
    let mut facts = vec![
        ("Operation", format!("{} of {}", event.operation, event.api)),
        ("Plan", format!("{product}, {plan}")),
        ("Key", key.unwrap_or_else(|| "none".to_owned())),
        (
            "Sent and received",
            format!("{} and {}", show::bytes(event.bytes_in), show::bytes(event.bytes_out)),
        ),
        ("Configuration", format!("revision {}", event.revision)),
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
        || meter_name(base),
        |(meter, per)| format!("{} a {per}", meter_name(meter)),
    );
    operations.map_or_else(|| base.clone(), |names| format!("{base}, {}", names.replace(',', ", ")))
}

/// The price entries of the plan version for the meters of the request.
fn prices(price: &Json) -> Vec<String> {
    let currency = price.get("currency").and_then(Json::as_str).unwrap_or_default();
    let text = |entry: &Json, name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
    let entries = price.get("usage").and_then(Json::as_array).cloned().unwrap_or_default();
    let word = |entry: &Json| {
        let meter = text(entry, "meter").unwrap_or_default();
        let included = entry.get("included").and_then(Json::as_u64);
        let included = included.map_or_else(String::new, |count| format!(", {} included", show::number(count)));
        let rate = match (text(entry, "unit"), text(entry, "model")) {
            (Some(unit), _) => format!("{unit} {currency} each"),
            (None, Some(model)) => format!("{model} tiers in {currency}"),
            (None, None) => String::new(),
        };
        format!("{}: {rate}{included}", meter_name(&meter))
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
