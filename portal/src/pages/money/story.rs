//! What is known of one request, for people: the same as `GET /requests/{id}` of the Admin API, for its customer and for
//! finance.

use askama::Template;
use domain::charge::Terms;
use domain::config::Plan;
use domain::ids::ConsumerId;
use domain::limit::REQUESTS;
use jiff::tz::TimeZone;
use store::{Object, Scope};

use super::requests::class;
use super::story_limits::{self, Limits, Row};
use crate::api::requests::{Admitted, Refused, StepTimes, Story};
use crate::api::usage_events::EventBody;
use crate::app::App;
use crate::http::problem::Problem;
use crate::pages::catalogue::{address, offers, price};
use crate::pages::operations::{Called, Operations};
use crate::pages::web::Html;
use crate::pages::web::show::{self, Moment};
use crate::subscribing;

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
    operation: Called,
    api: String,
    /// What product and plan are called, and where they are read about.
    plan: (String, String),
    facts: Vec<(&'static str, String)>,
    /// The app, and where its page is.
    app: Option<(Option<String>, String)>,
    billed: &'static str,
    billing: String,
    counters: Vec<Row>,
    price: Vec<String>,
    steps: Vec<StepRow>,
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
    operation: Called,
    api: String,
}

/// The plan of a request as it was sold then.
struct Sold {
    /// `World Time, Pro`.
    title: String,
    /// The page of the product.
    href: String,
    plan: Option<Plan>,
    version: Option<i64>,
}

impl StoryView {
    /// What is known, with times in the reader's zone; `page_of` is where the reader finds an app.
    pub(crate) async fn of(
        app: &App,
        story: Story,
        zone: &TimeZone,
        page_of: impl Fn(ConsumerId) -> Option<String>,
    ) -> Result<Self, Problem> {
        let mut names = Operations::default();
        let mut view = Self {
            served: Vec::new(),
            refused: Vec::new(),
        };
        for one in &story.requests {
            let link = one.event.consumer_id.and_then(&page_of);
            let app_of = one.consumer.clone().map(|name| (link, name));
            view.served.push(Served {
                at: show::exact(one.event.event_time, zone),
                app: app_of,
                ..served(app, one, &mut names, zone).await?
            });
        }
        for one in story.refused {
            view.refused.push(RefusedRow {
                at: show::exact(one.event_time, zone),
                operation: names.called(app, Some(&one.api), &one.operation).await?,
                ..refused(one)
            });
        }
        Ok(view)
    }

    /// As HTML.
    pub(crate) fn html(&self) -> Html {
        Html(self.render().unwrap_or_default())
    }
}

/// What people call a thing that is configured.
fn titled(object: Option<&Object>, name: &str) -> String {
    let title = object.and_then(|object| object.fields.body.get("title")?.as_str());
    title.unwrap_or(name).to_owned()
}

async fn sold(app: &App, event: &EventBody) -> Result<Sold, Problem> {
    let version = app.store.plan_version(event.plan_version_id).await?;
    let plan = match &version {
        Some(version) => app.store.object(&version.plan_id.to_string()).await?,
        None => None,
    };
    let product = match &plan {
        Some(plan) => app.store.object(&plan.fields.parent).await?,
        None => None,
    };
    Ok(Sold {
        title: format!(
            "{}, {}",
            titled(product.as_ref(), &event.product),
            titled(plan.as_ref(), &event.plan)
        ),
        href: format!("{}#plans", address::product(&event.product)),
        version: version.as_ref().map(|version| version.n),
        plan: version.and_then(|version| serde_json::from_value(version.body).ok()),
    })
}

async fn limits(app: &App, event: &EventBody, plan: Option<&Plan>, zone: &TimeZone) -> Result<Limits, Problem> {
    let subscription = match event.subscription_id {
        Some(id) => app.store.subscription(Scope::All, id).await?,
        None => None,
    };
    let period = subscription
        .zip(event.period_start)
        .and_then(|(subscription, start)| subscribing::period_at(&subscription, start));
    let entries = plan.into_iter().flat_map(|plan| &plan.limits);
    Ok(Limits {
        rules: entries.filter_map(|entry| entry.understand().ok()).collect(),
        every: price::every(plan.map_or(domain::period::Every::MONTH, subscribing::every)),
        period,
        catalogue: offers::catalogue(app).await?,
        zone: zone.clone(),
    })
}

async fn served(app: &App, one: &Admitted, names: &mut Operations, zone: &TimeZone) -> Result<Served, Problem> {
    let event = &one.event;
    let sold = sold(app, event).await?;
    let limits = limits(app, event, sold.plan.as_ref(), zone).await?;
    let mut counters = Vec::new();
    for counter in &one.counters {
        let mut of = Vec::new();
        for key in story_limits::operations(&counter.limit) {
            of.push(names.called(app, Some(&event.api), key).await?.place);
        }
        counters.push(limits.row(counter, &of));
    }
    let version = sold.version.map_or_else(String::new, |n| format!(", version {n}"));
    Ok(Served {
        at: Moment::default(),
        method: event.method.clone(),
        path: event.path.clone(),
        status: event.status,
        class: class(event.status),
        outcome: outcome(one),
        operation: names.called(app, Some(&event.api), &event.operation).await?,
        api: event.api.clone(),
        plan: (sold.href, format!("{}{version}", sold.title)),
        facts: facts(one, &limits),
        app: None,
        billed: if event.billable { "Billed" } else { "Not billed" },
        billing: billing(one),
        counters,
        price: sold
            .plan
            .as_ref()
            .map(|plan| prices(plan, event, &limits))
            .unwrap_or_default(),
        steps: steps(&one.steps_ms),
    })
}

fn facts(one: &Admitted, limits: &Limits) -> Vec<(&'static str, String)> {
    let event = &one.event;
    let key = one.credential.as_ref().map(|key| match &key.name {
        Some(name) => format!("{name}, {}…", key.prefix),
        None => format!("{}…", key.prefix),
    });
    let mut facts = vec![
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
        facts.push(("Counted", story_limits::taken(&limits.catalogue, meter, quantity)));
    }
    facts
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

/// What the plan version asks for the meters of the request.
fn prices(plan: &Plan, event: &EventBody, limits: &Limits) -> Vec<String> {
    let currency = plan.price.as_ref().map(|price| price.currency).unwrap_or_default();
    let Ok(terms) = Terms::of(plan, currency) else {
        return Vec::new();
    };
    let takes = |meter: &str| meter == REQUESTS || event.quantities.contains_key(meter);
    let word = |term: &domain::charge::UsageTerm| {
        let unit = limits.catalogue.unit(&term.meter);
        let words = price::usage(&term.price, terms.currency, &unit);
        match (term.price.included, term.overage) {
            (_, true) => format!("{words} above the quota"),
            (0, false) => words,
            (included, false) => format!("{} included, then {words}", price::counted(included, &unit)),
        }
    };
    let own = terms.usage.iter().filter(|term| takes(&term.meter));
    own.map(word).collect()
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
                at: show::latency(at),
                took: show::latency(at.saturating_sub(before)),
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
        operation: Called::default(),
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
