//! Changes of plan, cancellations.

use domain::ids::SubscriptionId;
use serde_json::{Value as Json, json};

use crate::world::{Customer, World, at, calls};

fn flat(amount: &str) -> Json {
    json!({ "currency": "USD", "recurring": { "amount": amount, "every": "month", "in": "advance" } })
}

#[tokio::test]
async fn rows_22_and_23_an_upgrade_gives_back_the_old_and_charges_the_new_plan_by_the_second() {
    for (when, amounts, total) in [
        ("2026-04-16T00:00:00Z", [-1_500, 4_500], 3_000),
        ("2026-04-11T08:30:00Z", [-1_965, 5_894], 3_929),
    ] {
        let world = World::new().await;
        let (old, new) = (
            world.plan(flat("30"), json!([])).await,
            world.plan(flat("90"), json!([])).await,
        );
        let customer = world.subscribe(old, "USD", "UTC", "2026-04-01T00:00:00Z").await;
        world.run("2026-04-01T00:00:00Z").await;
        world.change(customer, new, when).await;
        world.run(when).await;
        let invoices = world.invoices(customer).await;
        assert_eq!(invoices.len(), 2);
        assert_eq!(
            invoices[1].lines.iter().map(|line| line.amount).collect::<Vec<_>>(),
            amounts
        );
        assert_eq!(invoices[1].total, total);
        world.run("2026-05-01T00:00:00Z").await;
        assert_eq!(world.invoices(customer).await[2].total, 9_000);
        world.books_balance(customer).await;
    }
}

#[tokio::test]
async fn row_24_a_downgrade_gives_the_difference_to_the_balance_and_the_next_invoice_takes_it() {
    let world = World::new().await;
    let (old, new) = (
        world.plan(flat("90"), json!([])).await,
        world.plan(flat("30"), json!([])).await,
    );
    let customer = world.subscribe(old, "USD", "UTC", "2026-04-01T00:00:00Z").await;
    world.run("2026-04-01T00:00:00Z").await;
    let first = world.invoices(customer).await.remove(0);
    pay(&world, &first, 9_000).await;
    world.change(customer, new, "2026-04-16T00:00:00Z").await;
    world.run("2026-04-16T00:00:00Z").await;
    world.run("2026-04-17T00:00:00Z").await;
    let first = world.invoice(first.id).await;
    assert_eq!(
        first.credit_notes.iter().map(|note| note.total).collect::<Vec<_>>(),
        [3_000]
    );
    let balance = world.store.balances(store::Scope::All, customer.account).await.unwrap();
    assert_eq!((balance[0].receivable, balance[0].credit), (0, 3_000));
    world.run("2026-05-01T00:00:00Z").await;
    let next = world.invoices(customer).await.remove(1);
    assert_eq!((next.total, next.amount_due, next.status.as_str()), (3_000, 0, "paid"));
    world.books_balance(customer).await;
}

pub(crate) async fn pay(world: &World, invoice: &domain::invoice::InvoiceView, amount: i64) {
    let payment = store::billing::NewPayment {
        amount,
        method: "bank_transfer".to_owned(),
        reference: None,
        received_at: None,
    };
    let order = crate::world::order(invoice.created_at);
    world
        .store
        .record_payment(store::Scope::All, invoice.id, &payment, &order)
        .await
        .unwrap();
}

#[tokio::test]
async fn row_25_a_downgrade_at_the_end_of_the_period_starts_exactly_there() {
    let world = World::new().await;
    let (old, new) = (
        world.plan(flat("90"), json!([])).await,
        world.plan(flat("30"), json!([])).await,
    );
    let customer = world.subscribe(old, "USD", "UTC", "2026-04-01T00:00:00Z").await;
    world.run("2026-04-01T00:00:00Z").await;
    let mut tx = world
        .store
        .change(store::Actor::system("test"), at("2026-04-16T00:00:00Z"))
        .await
        .unwrap();
    let pending = store::PendingChange {
        plan_id: new.plan,
        plan_version_id: new.version,
        at: at("2026-05-01T00:00:00Z"),
    };
    tx.schedule_change(customer.subscription, Some(pending)).await.unwrap();
    tx.commit().await.unwrap();
    world.run("2026-04-16T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [9_000]);
    world.run("2026-05-03T07:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [9_000, 3_000]);
    let segments = world
        .store
        .segments(store::Scope::All, customer.subscription)
        .await
        .unwrap();
    assert_eq!(segments[1].from, at("2026-05-01T00:00:00Z"));
}

#[tokio::test]
async fn row_26_two_changes_in_one_period() {
    let world = World::new().await;
    let mut plans = Vec::new();
    for amount in ["30", "60", "90"] {
        plans.push(world.plan(flat(amount), json!([])).await);
    }
    let customer = world.subscribe(plans[0], "USD", "UTC", "2026-04-01T00:00:00Z").await;
    world.run("2026-04-01T00:00:00Z").await;
    world.change(customer, plans[1], "2026-04-11T00:00:00Z").await;
    world.run("2026-04-11T00:00:00Z").await;
    world.change(customer, plans[2], "2026-04-21T00:00:00Z").await;
    world.run("2026-04-21T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [3_000, -2_000, 4_000, -2_000, 3_000]);
    assert_eq!(world.charged(customer).await, 6_000);
}

#[tokio::test]
async fn row_32_a_cancellation_with_credit_gives_back_the_rest_of_a_short_period() {
    let world = World::new().await;
    let plan = world.plan(flat("30.00"), json!([])).await;
    for (reason, credited) in [("cancelled, credit: prorated", 1_500), ("cancelled, no credit", 0)] {
        let customer = world.subscribe(plan, "USD", "UTC", "2027-01-31T00:00:00Z").await;
        world.run("2027-01-31T00:00:00Z").await;
        world.cancel(customer, reason, "2027-02-14T00:00:00Z").await;
        world.run("2027-03-31T00:00:00Z").await;
        let invoices = world.invoices(customer).await;
        assert_eq!(invoices.len(), 1);
        assert_eq!(
            (invoices[0].credited, invoices[0].amount_due),
            (credited, 3_000 - credited),
            "{reason}"
        );
        world.books_balance(customer).await;
    }
}

#[tokio::test]
async fn row_33_a_change_in_the_month_of_a_clock_change_by_second_and_by_day() {
    for (unit, amounts) in [("second", [3_100, -1_602, 3_204]), ("day", [3_100, -1_600, 3_200])] {
        let world = World::new().await;
        world.settings(json!({ "proration": unit })).await;
        let (old, new) = (
            world.plan(flat("31"), json!([])).await,
            world.plan(flat("62"), json!([])).await,
        );
        let customer = world
            .subscribe(old, "USD", "America/New_York", "2026-03-01T05:00:00Z")
            .await;
        world.run("2026-03-01T05:00:00Z").await;
        world.change(customer, new, "2026-03-16T04:00:00Z").await;
        world.run("2026-03-16T04:00:00Z").await;
        assert_eq!(world.amounts(customer).await, amounts, "{unit}");
    }
}

async fn changed_at_half(entry: Json, calls_made: [u64; 2]) -> (World, Customer) {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [entry] });
    let (old, new) = (
        world.plan(price.clone(), json!([])).await,
        world.plan(price, json!([])).await,
    );
    let customer = world.subscribe(old, "USD", "UTC", "2026-06-01T00:00:00Z").await;
    world
        .uses(customer, "2026-06-10T00:00:00Z", &[calls(calls_made[0])])
        .await;
    world.change(customer, new, "2026-06-16T00:00:00Z").await;
    world
        .uses(customer, "2026-06-20T00:00:00Z", &[calls(calls_made[1])])
        .await;
    world.run("2026-07-01T00:00:00Z").await;
    (world, customer)
}

#[tokio::test]
async fn row_56_included_units_run_over_the_whole_period_or_start_again() {
    let entry = |on_change: &str| json!({ "meter": "requests", "model": "unit", "unit": "0.001", "included": 10000, "on_change": on_change });
    let (world, customer) = changed_at_half(entry("whole_period"), [7_000, 4_000]).await;
    assert_eq!(world.charged(customer).await, 100);
    let (world, customer) = changed_at_half(entry("per_segment"), [7_000, 4_000]).await;
    assert_eq!(world.amounts(customer).await, [200, 0]);
}

#[tokio::test]
async fn row_64_tiers_run_on_over_a_change() {
    let entry = json!({ "meter": "requests", "model": "graduated", "tiers": [{ "up_to": 1000, "unit": "0.10" }, { "unit": "0.05" }] });
    let (world, customer) = changed_at_half(entry, [800, 400]).await;
    assert_eq!(world.amounts(customer).await, [8_000, 3_000]);
    let invoice = world.invoices(customer).await.remove(0);
    let tiers = invoice.lines[1].tiers.as_array().unwrap().clone();
    assert_eq!(
        tiers
            .iter()
            .map(|tier| tier["amount"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>(),
        ["20", "10"]
    );
    assert_ne!(customer.subscription, SubscriptionId::from_bits(0));
}
