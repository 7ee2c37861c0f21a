//! What one period costs, by price.

use serde_json::{Value as Json, json};

use crate::world::{Used, World, at, calls};

fn tiers() -> Json {
    json!([{ "up_to": 1000, "unit": "0.10" }, { "up_to": 10000, "unit": "0.05" }, { "unit": "0.01" }])
}

fn usage(entry: Json) -> Json {
    usage_in("USD", entry)
}

fn usage_in(currency: &str, mut entry: Json) -> Json {
    entry["meter"] = json!("tokens");
    json!({ "currency": currency, "usage": [entry] })
}

/// Row of the table of examples, price, and what quantities cost in minor units.
#[expect(
    clippy::too_many_lines,
    clippy::type_complexity,
    reason = "a table of rows is read as one thing"
)]
fn rows() -> Vec<(&'static str, Json, Vec<(&'static str, i64)>)> {
    let unit = |unit: &str| usage(json!({ "model": "unit", "unit": unit }));
    let fees = json!([{ "up_to": 100, "flat": "5", "unit": "0" }, { "up_to": 1000, "flat": "10", "unit": "0.02" }, { "unit": "0.01" }]);
    let steps = json!([{ "up_to": 100, "amount": "75" }, { "up_to": 200, "amount": "100" }, { "amount": "130" }]);
    vec![
        (
            "1",
            json!({ "currency": "USD", "recurring": { "amount": "49.00", "every": "month", "in": "arrears" } }),
            vec![("0", 4_900)],
        ),
        ("2", unit("0.0005"), vec![("123457", 6_173)]),
        ("3", unit("0.005"), vec![("1", 1), ("3", 2), ("5", 3)]),
        (
            "4",
            usage(json!({ "model": "unit", "unit": "0.001", "included": 10000 })),
            vec![("10000", 0), ("10001", 0), ("10005", 1), ("25500", 1_550)],
        ),
        (
            "5",
            usage(json!({ "model": "graduated", "tiers": tiers() })),
            vec![
                ("0", 0),
                ("1000", 10_000),
                ("1001", 10_005),
                ("10000", 55_000),
                ("10001", 55_001),
                ("15000", 60_000),
            ],
        ),
        (
            "6",
            usage(json!({ "model": "graduated", "tiers": fees })),
            vec![
                ("0", 0),
                ("1", 500),
                ("100", 500),
                ("101", 1_502),
                ("250", 1_800),
                ("1500", 3_800),
            ],
        ),
        (
            "7",
            usage(json!({ "model": "volume", "tiers": tiers() })),
            vec![
                ("1000", 10_000),
                ("1001", 5_005),
                ("10000", 50_000),
                ("10001", 10_001),
                ("15000", 15_000),
            ],
        ),
        (
            "8",
            usage(json!({ "model": "package", "size": 1000, "amount": "5.00", "included": 1000 })),
            vec![
                ("1000", 0),
                ("1000.5", 500),
                ("1001", 500),
                ("2000", 500),
                ("2001", 1_000),
            ],
        ),
        (
            "9",
            usage(json!({ "model": "stairstep", "tiers": steps })),
            vec![("0", 0), ("1", 7_500), ("100", 7_500), ("101", 10_000), ("201", 13_000)],
        ),
        (
            "45 yen",
            usage_in("JPY", json!({ "model": "unit", "unit": "0.5" })),
            vec![("3", 2)],
        ),
        (
            "45 fils",
            usage_in("KWD", json!({ "model": "unit", "unit": "0.0005" })),
            vec![("1", 1)],
        ),
        (
            "45 dinar",
            usage_in("KWD", json!({ "model": "unit", "unit": "1.2345" })),
            vec![("3", 3_704)],
        ),
        (
            "61",
            usage(
                json!({ "model": "graduated", "included": 1000, "tiers": [{ "up_to": 1000, "unit": "0.10" }, { "unit": "0.05" }] }),
            ),
            vec![("1500", 5_000)],
        ),
    ]
}

#[tokio::test]
async fn rows_1_to_9_45_and_61_every_price_charges_what_its_example_says() {
    let world = World::new().await;
    let mut expected = Vec::new();
    for (row, price, quantities) in rows() {
        let currency = price["currency"].as_str().unwrap().to_owned();
        let plan = world.plan(price, json!([])).await;
        for (quantity, amount) in quantities {
            let customer = world.subscribe(plan, &currency, "UTC", "2026-03-01T00:00:00Z").await;
            if quantity != "0" {
                let used = Used {
                    meter: "tokens",
                    outcome: "upstream/2xx",
                    quantity: quantity.parse().unwrap(),
                };
                world.uses(customer, "2026-03-15T12:00:00Z", &[used]).await;
            }
            expected.push((row, quantity, amount, customer));
        }
    }
    world.run("2026-04-01T00:00:00Z").await;
    for (row, quantity, amount, customer) in expected {
        let invoices = world.invoices(customer).await;
        let total: i64 = invoices.iter().map(|invoice| invoice.total).sum();
        assert_eq!(total, amount, "row {row}, quantity {quantity}");
        assert_eq!(
            invoices.is_empty(),
            quantity == "0" && row != "1",
            "row {row}, quantity {quantity}"
        );
        for invoice in &invoices {
            assert_eq!(
                invoice.status.as_str(),
                if amount == 0 { "paid" } else { "open" },
                "row {row}"
            );
        }
        world.books_balance(customer).await;
    }
}

#[tokio::test]
async fn row_1_an_amount_in_advance_is_charged_at_the_start_of_every_period() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "recurring": { "amount": "49.00", "every": "month", "in": "advance" } });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world.run("2026-03-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [4_900]);
    world.run("2026-03-31T23:59:59.999Z").await;
    assert_eq!(world.amounts(customer).await, [4_900]);
    world.run("2026-04-01T00:00:00Z").await;
    world.run("2026-04-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [4_900, 4_900]);
    let line = &world.invoices(customer).await[1].lines[0];
    assert_eq!(
        (line.period_start, line.period_end),
        (at("2026-04-01T00:00:00Z"), at("2026-05-01T00:00:00Z"))
    );
    assert_eq!((line.quantity.as_str(), line.unit_price.as_deref()), ("1", Some("49")));
}

#[tokio::test]
async fn rows_15_52_and_53_outcomes_are_billed_as_the_policy_says() {
    let world = World::new().await;
    #[expect(clippy::type_complexity, reason = "a table of rows is read as one thing")]
    let cases: [(&str, &str, &[(&str, u64)], &str, i64); 3] = [
        (
            "15",
            "0.02",
            &[("upstream/2xx", 940), ("upstream/4xx", 40), ("upstream/5xx", 20)],
            "980",
            1_960,
        ),
        (
            "52",
            "0.01",
            &[("upstream/2xx", 600), ("cache/2xx", 400)],
            "1000",
            1_000,
        ),
        (
            "53",
            "0.01",
            &[
                ("upstream/2xx", 500),
                ("cache/2xx", 200),
                ("upstream/3xx", 50),
                ("upstream/4xx", 120),
                ("upstream/5xx", 60),
                ("gateway/5xx/unanswered", 20),
            ],
            "870",
            870,
        ),
    ];
    for (row, unit, outcomes, quantity, amount) in cases {
        let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": unit }] });
        let plan = world.plan(price, json!([])).await;
        let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
        let used: Vec<_> = outcomes
            .iter()
            .map(|(outcome, n)| Used { outcome, ..calls(*n) })
            .collect();
        world.uses(customer, "2026-03-15T12:00:00Z", &used).await;
        world.run("2026-04-01T00:00:00Z").await;
        let invoice = world.invoices(customer).await.remove(0);
        assert_eq!(
            (invoice.lines[0].quantity.as_str(), invoice.total),
            (quantity, amount),
            "row {row}"
        );
    }
}

#[tokio::test]
async fn usage_with_test_keys_is_never_rated() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    let mut batch = world.batch(customer, "2026-03-02T00:00:00Z", &[calls(5)]).await;
    batch.totals = batch
        .totals
        .into_iter()
        .map(|(mut key, total)| {
            key.mode = domain::key::Mode::Test;
            (key, total)
        })
        .collect();
    world
        .store
        .commit_usage(&batch, at("2026-03-02T00:00:00Z"))
        .await
        .unwrap();
    world.run("2026-04-01T00:00:00Z").await;
    assert!(world.invoices(customer).await.is_empty());
}

#[tokio::test]
async fn rows_38_and_39_what_exceeds_a_quota_has_its_price() {
    let world = World::new().await;
    let limits =
        |price: &str| json!([{ "requests": 100_000, "per": "period", "overage": { "allow": "20%", "price": price } }]);
    let flat = json!({ "currency": "USD", "recurring": { "amount": "99.00", "in": "arrears" } });
    for (price, used, over) in [
        ("0.002", 112_345, 2_469),
        ("prorated", 112_345, 1_222),
        ("prorated", 115_000, 1_485),
        ("prorated", 120_000, 1_980),
    ] {
        let plan = world.plan(flat.clone(), limits(price)).await;
        let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
        world.uses(customer, "2026-03-15T12:00:00Z", &[calls(used)]).await;
        world.run("2026-04-01T00:00:00Z").await;
        assert_eq!(world.amounts(customer).await, [9_900, over], "{price} {used}");
    }
}

#[tokio::test]
async fn row_60_a_year_in_advance_and_usage_by_the_month() {
    let world = World::new().await;
    let price = json!({
        "currency": "USD", "recurring": { "amount": "1200.00", "every": "year", "in": "advance" },
        "usage": [{ "meter": "requests", "model": "unit", "unit": "0.001" }],
    });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world.run("2026-03-01T00:00:00Z").await;
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(500)]).await;
    world.run("2026-04-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [120_000, 50]);
    world.run("2027-02-28T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [120_000, 50]);
    world.run("2027-03-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [120_000, 50, 120_000]);
}

#[tokio::test]
async fn row_63_included_units_follow_the_time_of_a_first_period_in_part() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1", "included": 10000 }] });
    let plan = world.plan(price, json!([])).await;
    let anchored = ("2026-01-01T00:00:00", "2026-01-18T00:00:00Z");
    let customer = world.subscribe_anchored(plan, ("USD", "UTC"), anchored).await;
    world.uses(customer, "2026-01-20T12:00:00Z", &[calls(4_518)]).await;
    world.run("2026-02-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [100]);
}
