//! The books of a run: what clients saw, what the upstream served, what the platform says it counted. [`differences`]
//! compares them; every test of a fault also shows that it reports what is wrong when the fault is let through.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::api::{Api, Subscriber, text};
use super::load::{Call, Fate};

/// A fact as `GET /usage/events` tells it.
#[derive(Debug, Clone)]
pub struct Event {
    pub request_id: String,
    pub status: u16,
    pub billable: bool,
    pub kind: String,
    pub producer: String,
    pub period_start: String,
    pub client_aborted: bool,
}

/// What was seen from three sides.
#[derive(Debug, Clone)]
pub struct Books {
    pub calls: Vec<Call>,
    /// Ids in the upstream's own log.
    pub served: Vec<String>,
    pub events: Vec<Event>,
    /// `used` of the quota.
    pub used: u64,
    /// `billable` of `GET /usage`.
    pub usage: u64,
    /// `requests` of `GET /usage`.
    pub requests: u64,
    /// The billed quantity, where there is an invoice.
    pub invoiced: Option<u64>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A client has the whole answer and no fact tells of it.
    NotCounted(String),
    /// Several facts of one request.
    CountedTwice(String),
    /// A fact of a request that nobody sent.
    NeverSent(String),
    /// A fact that says something else than the client saw.
    ToldOtherwise(String),
    /// The gateway refused it, and there is a fact.
    RefusedAndCounted(String),
    /// The upstream served it, it was not in flight at a kill, and no fact tells of it.
    ServedInVain(String),
    /// More requests of a round were served and not counted than there were connections.
    TooManyInVain { round: u64, requests: usize },
    /// The upstream served one request more than once.
    ServedTwice(String),
    /// Quota, usage, facts and invoice do not agree.
    Totals {
        used: u64,
        usage: u64,
        requests: u64,
        events: u64,
        billed_events: u64,
        invoiced: Option<u64>,
    },
}

const ALWAYS: &str = "from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z";

/// The facts of a subscription.
pub fn events(api: &Api, subscription: &str) -> Vec<Event> {
    let items = api.all(&format!("/usage/events?subscription={subscription}&{ALWAYS}"));
    items.iter().map(Event::of).collect()
}

impl Event {
    fn of(item: &Value) -> Self {
        Self {
            request_id: text(&item["request_id"]),
            status: u16::try_from(item["status"].as_u64().unwrap()).unwrap(),
            billable: item["billable"].as_bool().unwrap(),
            kind: text(&item["kind"]),
            producer: text(&item["producer"]),
            period_start: text(&item["period_start"]),
            client_aborted: item["client_aborted"].as_bool().unwrap(),
        }
    }
}

/// The first quota of a subscription: used and remaining.
pub fn quota(api: &Api, subscription: &str) -> (u64, u64) {
    let subscription = api.get(&format!("/subscriptions/{subscription}"));
    let quota = &subscription["quota"][0];
    (quota["used"].as_u64().unwrap(), quota["remaining"].as_u64().unwrap())
}

impl Books {
    /// Reads what the platform says of a subscription.
    pub fn read(api: &Api, subscriber: &Subscriber, calls: Vec<Call>, served: Vec<String>) -> Self {
        let usage = api.get(&format!("/usage?subscription={}&{ALWAYS}", subscriber.subscription));
        let sum = |name: &str| -> u64 {
            let rows = usage["items"].as_array().unwrap().iter();
            rows.map(|row| row[name].as_u64().unwrap_or_else(|| panic!("{name} of {row}")))
                .sum()
        };
        Self {
            calls,
            served,
            events: events(api, &subscriber.subscription),
            used: quota(api, &subscriber.subscription).0,
            usage: sum("billable"),
            requests: sum("requests"),
            invoiced: None,
        }
    }

    pub fn billed(&self) -> u64 {
        self.events.iter().filter(|event| event.billable).count() as u64
    }

    /// Requests that the upstream served and nobody pays for.
    pub fn served_in_vain(&self) -> usize {
        let counted: HashSet<&str> = self.events.iter().map(|event| event.request_id.as_str()).collect();
        self.served.iter().filter(|id| !counted.contains(id.as_str())).count()
    }
}

/// Everything that is wrong; nothing is right only when this is empty.
pub fn differences(books: &Books) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut facts: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in &books.events {
        facts.entry(&event.request_id).or_default().push(event);
    }
    let calls: HashMap<&str, &Call> = books.calls.iter().map(|call| (call.id.as_str(), call)).collect();
    assert_eq!(calls.len(), books.calls.len(), "the test used an id twice");
    for (id, facts) in &facts {
        if facts.len() > 1 {
            found.push(Difference::CountedTwice((*id).to_owned()));
        }
        if !calls.contains_key(id) {
            found.push(Difference::NeverSent((*id).to_owned()));
        }
    }
    for call in &books.calls {
        found.extend(of_call(
            call,
            facts.get(call.id.as_str()).and_then(|facts| facts.first().copied()),
        ));
    }
    found.extend(in_vain(books, &calls, &facts));
    found.extend(totals(books));
    found
}

fn of_call(call: &Call, fact: Option<&Event>) -> Option<Difference> {
    let id = || call.id.clone();
    let Fate::Whole { status, problem } = &call.fate else {
        return None;
    };
    match fact {
        None if problem.is_empty() => Some(Difference::NotCounted(id())),
        Some(_) if matches!(*status, 401..=429) && !problem.is_empty() => Some(Difference::RefusedAndCounted(id())),
        Some(fact) if fact.status != *status || fact.kind != "request" => Some(Difference::ToldOtherwise(id())),
        _ => None,
    }
}

fn in_vain(books: &Books, calls: &HashMap<&str, &Call>, facts: &HashMap<&str, Vec<&Event>>) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut rounds: HashMap<u64, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for id in &books.served {
        if !seen.insert(id) {
            found.push(Difference::ServedTwice(id.clone()));
        }
        if facts.contains_key(id.as_str()) {
            continue;
        }
        match calls.get(id.as_str()) {
            Some(call) if call.fate == Fate::Broken => *rounds.entry(call.round).or_default() += 1,
            _ => found.push(Difference::ServedInVain(id.clone())),
        }
    }
    let connections = books.calls.iter().map(|call| call.connection + 1).max().unwrap_or(0);
    let too_many = rounds.into_iter().filter(|(_, requests)| *requests > connections);
    found.extend(too_many.map(|(round, requests)| Difference::TooManyInVain { round, requests }));
    found
}

fn totals(books: &Books) -> Option<Difference> {
    let (events, billed_events) = (books.events.len() as u64, books.billed());
    let (used, usage, requests, invoiced) = (books.used, books.usage, books.requests, books.invoiced);
    let agree = [Some(used), Some(usage), invoiced.or(Some(used))]
        .iter()
        .all(|number| *number == Some(billed_events));
    (!agree || requests != events).then_some(Difference::Totals {
        used,
        usage,
        requests,
        events,
        billed_events,
        invoiced,
    })
}

/// Fails with the first differences where there are any.
pub fn assert_balanced(books: &Books) {
    let found = differences(books);
    assert!(
        found.is_empty(),
        "{} differences, such as {:#?}",
        found.len(),
        &found[..found.len().min(5)]
    );
}
