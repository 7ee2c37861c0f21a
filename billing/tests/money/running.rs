//! Passes that are repeated, cut off, or made by several workers at once.

use std::time::Duration;

use billing::{Billing, Freshness, Parts};
use domain::clock::Clock;
use domain::ids::RunId;
use serde_json::json;
use store::billing::{NewBillingRun, RunScope};

use crate::world::{Customer, World, at, calls};

async fn customers(world: &World, n: usize) -> Vec<Customer> {
    let price = json!({
        "currency": "USD", "recurring": { "amount": "10", "every": "month", "in": "advance" },
        "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }],
    });
    let plan = world.plan(price, json!([])).await;
    let mut all = Vec::new();
    for _ in 0..n {
        let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
        world.uses(customer, "2026-03-15T12:00:00Z", &[calls(3)]).await;
        all.push(customer);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_workers_at_once_bill_once() {
    store::testing::on_both(async |store| {
        let world = World::on(store).await;
        let all = customers(&world, 6).await;
        let now = at("2026-04-01T00:00:00Z");
        let (one, other) = tokio::join!(world.handle.run_due(now), world.handle.run_due(now));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(
            one.failures.is_empty() && other.failures.is_empty(),
            "{one:?} {other:?}"
        );
        for customer in all {
            assert_eq!(world.charged(customer).await, 2_300);
            world.books_balance(customer).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_pass_that_is_cut_off_anywhere_is_made_good_by_the_next() {
    let world = World::new().await;
    let all = customers(&world, 4).await;
    let now = at("2026-04-01T00:00:00Z");
    for micros in (0..40_u64).map(|step| step * 400) {
        let _ = tokio::time::timeout(Duration::from_micros(micros), world.handle.run_due(now)).await;
    }
    world.run("2026-04-01T00:00:00Z").await;
    for customer in all {
        assert_eq!(world.charged(customer).await, 2_300);
        world.books_balance(customer).await;
    }
}

#[tokio::test]
async fn one_account_that_cannot_be_billed_does_not_stop_the_others() {
    let world = World::new().await;
    let all = customers(&world, 2).await;
    let broken = world
        .plan(
            json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit" }] }),
            json!([]),
        )
        .await;
    world.subscribe(broken, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    let report = world.handle.run_due(at("2026-04-01T00:00:00Z")).await.unwrap();
    assert_eq!(report.failures.len(), 1);
    for customer in all {
        assert_eq!(world.charged(customer).await, 2_300);
    }
}

#[tokio::test]
async fn the_worker_carries_out_runs_and_says_how_far_they_are() {
    let world = World::new().await;
    let all = customers(&world, 3).await;
    let billing = Billing::start(Parts {
        store: world.store.clone(),
        clock: Clock::frozen(at("2026-03-20T00:00:00Z")),
        freshness: Freshness::none(),
        reconciliation: billing::Reconciliation::none(),
        changed: Box::new(|| {}),
    });
    let run = NewBillingRun {
        id: RunId::from_bits(1),
        scope: RunScope::Interim,
        account: Some(all[0].account),
        finalize: true,
        own_until: None,
    };
    world
        .store
        .enqueue_billing_run(&run, at("2026-03-20T00:00:00Z"))
        .await
        .unwrap();
    billing.handle().wake();
    let mut seen = world.store.billing_run(run.id).await.unwrap().unwrap();
    for _ in 0..500 {
        if seen.state == "done" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        seen = world.store.billing_run(run.id).await.unwrap().unwrap();
    }
    assert_eq!(
        (seen.state.as_str(), seen.total, seen.done, seen.failed),
        ("done", 1, 1, 0)
    );
    assert_eq!(world.charged(all[0]).await, 1_300);
    let started = billing.handle().start_due(at("2026-04-01T00:00:00Z")).await.unwrap();
    started.done.await.unwrap();
    assert_eq!(world.store.billing_run(started.id).await.unwrap().unwrap().done, 3);
    for customer in all {
        assert_eq!(world.charged(customer).await, 2_300);
    }
    billing.stop().await;
}
