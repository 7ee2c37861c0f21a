//! Usage that comes late, and interim invoices.

use serde_json::{Value as Json, json};

use crate::world::{Customer, World, at, calls, order};

async fn billed_in_march(entry: Json, used: u64) -> (World, Customer) {
    billed_in(World::new().await, entry, used).await
}

async fn billed_in(world: World, entry: Json, used: u64) -> (World, Customer) {
    let mut entry = entry;
    entry["meter"] = json!("requests");
    let plan = world
        .plan(json!({ "currency": "USD", "usage": [entry] }), json!([]))
        .await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(used)]).await;
    world.run("2026-04-01T00:00:00Z").await;
    (world, customer)
}

#[tokio::test]
async fn row_46_interim_invoices_add_up_to_the_rounded_total() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "0.001" }] });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    for day in ["2026-03-10T00:00:00Z", "2026-03-20T00:00:00Z", "2026-03-30T00:00:00Z"] {
        world.uses(customer, day, &[calls(5)]).await;
        world.interim(customer, day).await;
        world.interim(customer, day).await;
    }
    world.run("2026-04-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [1, 0, 1]);
    let quantities: Vec<_> = world
        .invoices(customer)
        .await
        .iter()
        .map(|invoice| invoice.lines[0].quantity.clone())
        .collect();
    assert_eq!(quantities, ["5", "5", "5"]);
}

#[tokio::test]
async fn row_47_late_calls_are_a_line_of_the_next_invoice_with_their_own_time() {
    let tiers = json!([{ "up_to": 1000, "unit": "0.10" }, { "up_to": 10000, "unit": "0.05" }, { "unit": "0.01" }]);
    let (world, customer) = billed_in_march(json!({ "model": "graduated", "tiers": tiers }), 999).await;
    assert_eq!(world.amounts(customer).await, [9_990]);
    world.uses(customer, "2026-03-20T00:00:00Z", &[calls(2)]).await;
    world.run("2026-04-02T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [9_990], "it waits for the next invoice");
    world.uses(customer, "2026-04-10T00:00:00Z", &[calls(1)]).await;
    world.run("2026-05-01T00:00:00Z").await;
    let invoices = world.invoices(customer).await;
    assert_eq!(invoices.len(), 2);
    let amounts: Vec<_> = invoices[1]
        .lines
        .iter()
        .map(|line| (line.amount, line.quantity.as_str(), line.period_start.to_string()))
        .collect();
    assert_eq!(
        amounts,
        [
            (15, "2", "2026-03-01T00:00:00.000Z".to_owned()),
            (10, "1", "2026-04-01T00:00:00.000Z".to_owned())
        ]
    );
    world.books_balance(customer).await;
}

#[tokio::test]
async fn row_48_a_lower_price_for_all_is_a_credit_note_against_the_original() {
    store::testing::on_both(async |store| {
        let tiers = json!([{ "up_to": 15, "unit": "10" }, { "unit": "5" }]);
        let entry = json!({ "model": "volume", "tiers": tiers });
        let (world, customer) = billed_in(World::on(store).await, entry, 15).await;
        assert_eq!(world.amounts(customer).await, [15_000]);
        world.uses(customer, "2026-03-20T00:00:00Z", &[calls(1)]).await;
        world.run("2026-04-02T00:00:00Z").await;
        world.run("2026-04-03T00:00:00Z").await;
        let invoice = world.invoices(customer).await.remove(0);
        assert_eq!((invoice.credited, invoice.amount_due), (7_000, 8_000));
        assert_eq!(invoice.credit_notes[0].lines, [(1, 7_000)]);
        world.books_balance(customer).await;
    })
    .await;
}

#[tokio::test]
async fn row_49_a_late_call_within_the_included_units_makes_no_document() {
    let (world, customer) =
        billed_in_march(json!({ "model": "unit", "unit": "0.001", "included": 10000 }), 9_999).await;
    let invoice = world.invoices(customer).await.remove(0);
    assert_eq!((invoice.total, invoice.status.as_str()), (0, "paid"));
    world.uses(customer, "2026-03-20T00:00:00Z", &[calls(1)]).await;
    world.run("2026-05-01T00:00:00Z").await;
    assert_eq!(world.invoices(customer).await.len(), 1);
}

#[tokio::test]
async fn row_50_what_comes_too_late_is_stored_and_written_off() {
    let (world, customer) = billed_in_march(json!({ "model": "unit", "unit": "1" }), 3).await;
    world.uses(customer, "2026-03-28T00:00:00Z", &[calls(1)]).await;
    world.run("2026-05-01T23:00:00Z").await;
    assert_eq!(
        world.store.written_off().await.unwrap(),
        0,
        "34 days and 23 hours are in time"
    );
    world.uses(customer, "2026-03-29T00:00:00Z", &[calls(1)]).await;
    world.cancel(customer, "over", "2026-05-01T00:00:00Z").await;
    world.run("2026-05-04T00:00:00Z").await;
    assert_eq!(world.store.written_off().await.unwrap(), 1);
    assert_eq!(world.amounts(customer).await, [300, 100]);
}

#[tokio::test]
async fn the_last_late_calls_of_a_subscription_that_is_over_get_an_invoice_of_their_own() {
    let (world, customer) = billed_in_march(json!({ "model": "unit", "unit": "1" }), 3).await;
    world.cancel(customer, "over", "2026-04-01T00:00:00Z").await;
    world.run("2026-04-01T00:00:00Z").await;
    world.uses(customer, "2026-03-31T00:00:00Z", &[calls(2)]).await;
    world.run("2026-04-02T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [300, 200]);
}

#[tokio::test]
async fn a_lower_price_waits_while_what_it_lowers_is_a_draft() {
    let world = World::new().await;
    let entry =
        json!({ "meter": "requests", "model": "volume", "tiers": [{ "up_to": 15, "unit": "10" }, { "unit": "5" }] });
    let plan = world
        .plan(json!({ "currency": "USD", "usage": [entry] }), json!([]))
        .await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(15)]).await;
    let bill = world.store.account_bill(customer.account).await.unwrap().unwrap();
    let draft = store::billing::BillOrder {
        finalize: false,
        ..order(at("2026-04-01T00:00:00Z"))
    };
    let made = world.store.bill_account(&bill, &draft).await.unwrap().invoices;
    world.uses(customer, "2026-03-20T00:00:00Z", &[calls(1)]).await;
    world.run("2026-04-02T00:00:00Z").await;
    assert_eq!(world.charged(customer).await, 15_000);
    let now = order(at("2026-04-03T00:00:00Z"));
    world
        .store
        .finalize_invoice(store::Scope::All, made[0], &now)
        .await
        .unwrap();
    world.run("2026-04-03T00:00:00Z").await;
    assert_eq!(world.charged(customer).await, 8_000);
    world.books_balance(customer).await;
}
