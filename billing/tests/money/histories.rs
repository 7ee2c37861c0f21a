//! Random histories: whatever happens on the way, the documents add up to the rounded rate of the total.

use std::time::Duration;

use domain::price::UsageEntry;
use domain::quantity::Quantity;
use domain::rating::rate;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};

use crate::world::{Customer, World, calls};

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// Calls are counted in March, late where March is over.
    Calls(u64),
    /// The same batch is offered again under a claim that has moved.
    Again,
    /// An interim invoice, while March runs.
    Interim,
    /// A pass.
    Pass,
    /// A pass that is cut off after some microseconds.
    Cut(u64),
    /// March is over from here on.
    Over,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1..30_u64).prop_map(Event::Calls),
        1 => Just(Event::Again),
        2 => Just(Event::Interim),
        2 => Just(Event::Pass),
        2 => (0..6_000_u64).prop_map(Event::Cut),
        1 => Just(Event::Over),
    ]
}

fn entry() -> impl Strategy<Value = Json> {
    let tiers = json!([{ "up_to": 20, "unit": "0.333" }, { "up_to": 60, "unit": "0.0205" }, { "unit": "0.0049" }]);
    prop_oneof![
        Just(json!({ "meter": "requests", "model": "graduated", "tiers": tiers })),
        Just(json!({ "meter": "requests", "model": "volume", "tiers": tiers })),
        Just(json!({ "meter": "requests", "model": "unit", "unit": "0.0045", "included": 10 })),
        Just(json!({ "meter": "requests", "model": "package", "size": 7, "amount": "0.995" })),
    ]
}

async fn history(entry: Json, events: Vec<Event>) {
    let world = World::new().await;
    let plan = world
        .plan(json!({ "currency": "USD", "usage": [entry.clone()] }), json!([]))
        .await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    let (mut total, mut now) = (0, "2026-03-20T00:00:00Z");
    for event in events {
        match event {
            Event::Calls(n) => {
                total += n;
                world.uses(customer, "2026-03-15T00:00:00Z", &[calls(n)]).await;
            }
            Event::Again => again(&world, customer).await,
            Event::Interim if now.starts_with("2026-03") => world.interim(customer, now).await,
            Event::Interim | Event::Pass => drop(world.run(now).await),
            Event::Cut(micros) => {
                let pass = world.handle.run_due(crate::world::at(now));
                let _ = tokio::time::timeout(Duration::from_micros(micros), pass).await;
            }
            Event::Over => now = "2026-04-05T00:00:00Z",
        }
    }
    world.cancel(customer, "over", "2026-04-01T00:00:00Z").await;
    world.run("2026-04-10T00:00:00Z").await;
    world.run("2026-04-11T00:00:00Z").await;
    let price = serde_json::from_value::<UsageEntry>(entry)
        .unwrap()
        .understand()
        .unwrap();
    let exact = rate(&price, Quantity::from_units(total))
        .round("USD".parse().unwrap())
        .unwrap();
    assert_eq!(world.charged(customer).await, exact.total, "{total} calls");
    world.books_balance(customer).await;
}

/// A batch whose producer has moved on changes nothing.
async fn again(world: &World, customer: Customer) {
    let mut batch = world.batch(customer, "2026-03-15T00:00:00Z", &[calls(9)]).await;
    batch.producers.push(store::ledger::ProducerBatch {
        claim: store::ledger::Claim {
            producer: domain::usage::ProducerId(99),
            next_seq: 0,
            owner_epoch: 1,
        },
        next_seq: 1,
        alive_through: None,
        opened: std::collections::BTreeMap::new(),
        closed: Vec::new(),
        gaps: Vec::new(),
        poison: Vec::new(),
        ended: None,
    });
    let now = crate::world::at("2026-03-20T00:00:00Z");
    assert_eq!(world.store.commit_usage(&batch, now).await.unwrap(), None);
}

#[test]
fn the_documents_of_a_period_add_up_to_the_rounded_rate_of_its_total() {
    let mut runner = TestRunner::new(Config {
        cases: 48,
        ..Config::default()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let histories = (entry(), proptest::collection::vec(event(), 1..14));
    runner
        .run(&histories, |(entry, events)| {
            runtime.block_on(history(entry, events));
            Ok(())
        })
        .unwrap();
}
