//! What is known of one request, for people: the same as `GET /requests/{id}` of the Admin API.

use askama::Template;
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use crate::api::requests::{Admitted, Refused, StepTimes, Story};
use crate::pages::web::{Html, show};

/// The story as HTML, to be put into a template as it is.
#[derive(Template)]
#[template(path = "parts/request.html")]
pub(crate) struct StoryView {
    requests: Vec<Told>,
    refused: Vec<Turned>,
}

struct Told {
    at: Html,
    call: String,
    status: u16,
    billed: &'static str,
    facts: Vec<(&'static str, String)>,
    counters: Vec<CounterRow>,
    prices: Vec<String>,
    steps: Vec<(&'static str, String)>,
}

struct CounterRow {
    limit: String,
    before: String,
    after: String,
    max: String,
}

struct Turned {
    at: Html,
    call: String,
    status: u16,
    reason: String,
    facts: Vec<(&'static str, String)>,
}

impl StoryView {
    /// What is known, with times in the reader's zone.
    pub(crate) fn new(story: &Story, zone: &TimeZone) -> Self {
        Self {
            requests: story.requests.iter().map(|one| told(one, zone)).collect(),
            refused: story.refused.iter().map(|one| turned(one, zone)).collect(),
        }
    }

    /// As HTML.
    pub(crate) fn html(&self) -> Html {
        Html(self.render().unwrap_or_default())
    }
}

/// A JSON value as people read it.
fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => show::decimal(text),
        Json::Number(number) => show::decimal(&number.to_string()),
        Json::Null => show::NOTHING.to_owned(),
        other => other.to_string(),
    }
}

/// A word of an enumeration as it is written in JSON.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(text)) => text,
        _ => String::new(),
    }
}

fn told(one: &Admitted, zone: &TimeZone) -> Told {
    let event = &one.event;
    let mut facts = vec![
        ("Answered by", word(&event.source)),
        ("Operation", event.operation.clone()),
        ("API", event.api.clone()),
        ("Product and plan", format!("{}, {}", event.product, event.plan)),
    ];
    if let Some(consumer) = &one.consumer {
        facts.push(("App", consumer.clone()));
    }
    if let Some(credential) = &one.credential {
        let name = credential
            .name
            .as_ref()
            .map_or_else(String::new, |name| format!("{name}, "));
        facts.push(("Key", format!("{name}{}…", credential.prefix)));
    }
    for (meter, quantity) in &event.quantities {
        if meter != domain::limit::REQUESTS {
            facts.push(("Took", format!("{} {meter}", plain(quantity))));
        }
    }
    facts.push((
        "Bytes in and out",
        format!("{} and {}", show::bytes(event.bytes_in), show::bytes(event.bytes_out)),
    ));
    facts.push(("Mode", word(&event.mode)));
    facts.push(("Configuration", format!("revision {}", event.revision)));
    facts.push((
        "In the books",
        format!(
            "record {} of gateway worker {}, ledger commit {}",
            event.seq, event.producer, event.ledger_commit
        ),
    ));
    Told {
        at: show::exact(event.event_time, zone),
        call: format!("{} {}", event.method, event.path),
        status: event.status,
        billed: if event.billable { "Billed" } else { "Not billed" },
        facts,
        counters: one
            .counters
            .iter()
            .map(|counter| CounterRow {
                limit: counter.limit.clone(),
                before: plain(&counter.before),
                after: plain(&counter.after),
                max: counter.max.as_ref().map_or_else(|| "no limit".to_owned(), plain),
            })
            .collect(),
        prices: prices(one.price.as_ref()),
        steps: steps(&one.steps_ms),
    }
}

/// The prices of the plan version for this request, a line each.
fn prices(price: Option<&Json>) -> Vec<String> {
    let Some(price) = price else { return Vec::new() };
    let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let currency = text(price, "currency");
    let entries = price
        .get("usage")
        .and_then(Json::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let line = |entry: &Json| {
        let model = text(entry, "model");
        let included = entry
            .get("included")
            .filter(|included| !included.is_null())
            .map_or_else(String::new, |included| format!(", {} included", plain(included)));
        let tiers = entry.get("tiers").and_then(Json::as_array).map_or(0, Vec::len);
        let how = match text(entry, "unit").as_str() {
            "" if tiers > 0 => format!("{model} in {tiers} tiers"),
            "" => model,
            unit => format!("{unit} {currency} each"),
        };
        format!("{}: {how}{included}", text(entry, "meter"))
    };
    entries.iter().map(line).collect()
}

fn steps(steps: &StepTimes) -> Vec<(&'static str, String)> {
    let at = |value: Option<f64>| value.map_or_else(|| show::NOTHING.to_owned(), |value| format!("{value:.3}\u{a0}ms"));
    vec![
        ("Route found", at(steps.routed)),
        ("Key known", at(steps.identified)),
        ("Limits passed", at(steps.admitted)),
        ("Upstream connected", at(steps.connected)),
        ("Upstream answered", at(steps.answered)),
        ("Ended", at(Some(steps.ended))),
    ]
}

fn turned(one: &Refused, zone: &TimeZone) -> Turned {
    Turned {
        at: show::exact(one.event_time, zone),
        call: format!("{} {}", one.method, one.path),
        status: one.status,
        reason: one.reason.clone(),
        facts: vec![
            ("Operation", one.operation.clone()),
            ("API", one.api.clone()),
            ("Configuration", format!("revision {}", one.revision)),
        ],
    }
}
