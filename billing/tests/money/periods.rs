//! Boundaries of periods, as invoices show them, and when they close.

use domain::clock::Timestamp;
use domain::usage::ProducerId;
use serde_json::json;
use store::ledger::{Claim, Gap, LedgerBatch, ProducerBatch, ProducerRow};

use crate::world::{World, at, calls};

async fn starts(zone: &str, anchor: &str, every: &str, until: &str) -> Vec<String> {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "recurring": { "amount": "10", "every": every, "in": "advance" } });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", zone, anchor).await;
    world.run(until).await;
    let invoices = world.invoices(customer).await;
    assert!(invoices.iter().all(|invoice| invoice.total == 1_000));
    let mut starts: Vec<Timestamp> = invoices.iter().map(|invoice| invoice.lines[0].period_start).collect();
    starts.sort();
    starts
        .iter()
        .map(|start| start.to_string().replace(".000Z", "Z").replace("T00:00:00Z", ""))
        .collect()
}

#[tokio::test]
async fn rows_30_and_31_periods_are_counted_from_the_original_anchor() {
    assert_eq!(
        starts("UTC", "2027-01-31T00:00:00Z", "month", "2027-06-30T00:00:00Z").await,
        [
            "2027-01-31",
            "2027-02-28",
            "2027-03-31",
            "2027-04-30",
            "2027-05-31",
            "2027-06-30"
        ]
    );
    assert_eq!(
        starts("UTC", "2028-01-31T00:00:00Z", "month", "2028-03-31T00:00:00Z").await,
        ["2028-01-31", "2028-02-29", "2028-03-31"]
    );
    assert_eq!(
        starts("UTC", "2027-01-30T00:00:00Z", "month", "2027-03-30T00:00:00Z").await,
        ["2027-01-30", "2027-02-28", "2027-03-30"]
    );
    assert_eq!(
        starts("UTC", "2028-02-29T00:00:00Z", "year", "2032-02-29T00:00:00Z").await,
        ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]
    );
}

#[tokio::test]
async fn row_37_a_local_time_that_clocks_skip_is_the_later_one() {
    assert_eq!(
        starts(
            "America/New_York",
            "2026-02-08T07:30:00Z",
            "month",
            "2026-04-08T12:00:00Z"
        )
        .await,
        ["2026-02-08T07:30:00Z", "2026-03-08T07:30:00Z", "2026-04-08T06:30:00Z"]
    );
}

#[tokio::test]
async fn rows_34_and_35_each_request_is_billed_in_the_period_of_its_zone() {
    for (zone, anchor, before, after, end) in [
        (
            "America/New_York",
            "2026-10-01T04:00:00Z",
            "2026-11-01T03:59:59.999Z",
            "2026-11-01T04:00:00.000Z",
            "2026-12-01T05:00:00Z",
        ),
        (
            "Asia/Kolkata",
            "2026-03-31T18:30:00Z",
            "2026-04-30T18:29:59Z",
            "2026-04-30T18:30:00Z",
            "2026-05-31T18:30:00Z",
        ),
        (
            "Asia/Kathmandu",
            "2026-03-31T18:15:00Z",
            "2026-04-30T18:14:59Z",
            "2026-04-30T18:15:00Z",
            "2026-05-31T18:15:00Z",
        ),
    ] {
        let world = World::new().await;
        let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
        let plan = world.plan(price, json!([])).await;
        let customer = world.subscribe(plan, "USD", zone, anchor).await;
        world.uses(customer, before, &[calls(2)]).await;
        world.uses(customer, after, &[calls(5)]).await;
        world.run(end).await;
        let invoices = world.invoices(customer).await;
        let shown: Vec<_> = invoices
            .iter()
            .map(|invoice| {
                (
                    invoice.total,
                    invoice.lines[0].period_start,
                    invoice.lines[0].period_end,
                )
            })
            .collect();
        let mut shown = shown;
        shown.sort_by_key(|(_, start, _)| *start);
        let boundary = Timestamp::from_millis((at(after).as_millis() / 900_000) * 900_000);
        assert_eq!(shown, [(200, at(anchor), boundary), (500, boundary, at(end))], "{zone}");
    }
}

fn producer(n: u128, first_seen: &str) -> ProducerRow {
    ProducerRow {
        id: ProducerId(n),
        node: "node".to_owned(),
        worker: 0,
        first_seen: at(first_seen),
        next_seq: 0,
        alive_through: None,
        ended: None,
        owner_epoch: 1,
    }
}

fn step(n: u128, seq: u64, through: Option<&str>) -> ProducerBatch {
    ProducerBatch {
        claim: Claim {
            producer: ProducerId(n),
            next_seq: seq,
            owner_epoch: 1,
        },
        next_seq: seq + 1,
        alive_through: through.map(at),
        opened: std::collections::BTreeMap::new(),
        closed: Vec::new(),
        gaps: Vec::new(),
        poison: Vec::new(),
        ended: None,
    }
}

async fn commit(world: &World, producer: ProducerBatch) -> Option<u64> {
    let batch = LedgerBatch {
        totals: std::collections::BTreeMap::new(),
        producers: vec![producer],
        log: None,
    };
    world
        .store
        .commit_usage(&batch, at("2026-03-01T00:00:00Z"))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_period_closes_when_every_producer_has_passed_its_end_and_advance_amounts_do_not_wait() {
    let world = World::new().await;
    let price = json!({
        "currency": "USD", "recurring": { "amount": "10", "every": "month", "in": "advance" },
        "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }],
    });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world
        .store
        .register_producer(&producer(1, "2026-03-01T00:00:00Z"))
        .await
        .unwrap();
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(2)]).await;
    commit(&world, step(1, 0, Some("2026-03-31T23:59:59Z"))).await.unwrap();
    let report = world.run("2026-04-01T00:00:01Z").await;
    assert_eq!(report.waiting, 1);
    assert_eq!(world.amounts(customer).await, [1_000, 1_000]);
    world.uses(customer, "2026-03-31T23:59:59.500Z", &[calls(1)]).await;
    commit(&world, step(1, 1, Some("2026-04-01T00:00:00Z"))).await.unwrap();
    assert_eq!(world.run("2026-04-01T00:00:02Z").await.waiting, 0);
    assert_eq!(world.amounts(customer).await, [1_000, 1_000, 300]);
    assert!(world.invoices(customer).await[2].notes.is_empty());
}

#[tokio::test]
async fn with_combine_what_is_due_in_advance_waits_for_the_usage_and_stands_on_one_invoice() {
    let world = World::new().await;
    world.settings(json!({ "combine": true })).await;
    let price = json!({
        "currency": "USD", "recurring": { "amount": "10", "every": "month", "in": "advance" },
        "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }],
    });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world
        .store
        .register_producer(&producer(1, "2026-03-01T00:00:00Z"))
        .await
        .unwrap();
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(2)]).await;
    world.run("2026-04-01T00:00:01Z").await;
    assert_eq!(world.amounts(customer).await, [1_000]);
    commit(&world, step(1, 0, Some("2026-04-01T00:00:00Z"))).await.unwrap();
    world.run("2026-04-01T00:00:02Z").await;
    let invoices = world.invoices(customer).await;
    assert_eq!(invoices.len(), 2);
    assert_eq!(invoices[1].total, 1_200);
}

#[tokio::test]
async fn after_the_grace_the_invoice_says_what_was_missing() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world
        .store
        .register_producer(&producer(1, "2026-03-01T00:00:00Z"))
        .await
        .unwrap();
    let mut gapped = step(1, 0, Some("2026-03-20T00:00:00Z"));
    gapped.gaps.push(Gap {
        producer: ProducerId(1),
        from_seq: 0,
        to_seq: Some(4),
        kind: "power_loss".to_owned(),
        since: Some(at("2026-03-10T00:00:00Z")),
    });
    commit(&world, gapped).await.unwrap();
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(2)]).await;
    world.run("2026-04-01T00:59:59.999Z").await;
    assert!(world.invoices(customer).await.is_empty());
    world.run("2026-04-01T01:00:00Z").await;
    let invoice = world.invoices(customer).await.remove(0);
    assert_eq!(invoice.total, 200);
    assert!(invoice.notes[0].contains("1 gateway worker"), "{:?}", invoice.notes);
    assert!(invoice.notes[1].contains("1 gap"), "{:?}", invoice.notes);
}

#[tokio::test]
async fn a_gap_holds_the_invoice_of_its_period_until_the_grace_ends_and_is_named_on_it() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    let writer = producer(1, "2026-03-01T00:00:00Z");
    world.store.register_producer(&writer).await.unwrap();
    let mut gapped = step(1, 0, Some("2026-05-02T00:00:00Z"));
    gapped.gaps.push(Gap {
        producer: ProducerId(1),
        from_seq: 7,
        to_seq: Some(9),
        kind: "missing".to_owned(),
        since: Some(at("2026-03-10T00:00:00Z")),
    });
    commit(&world, gapped).await.unwrap();
    world.uses(customer, "2026-03-15T12:00:00Z", &[calls(2)]).await;
    world.uses(customer, "2026-04-15T12:00:00Z", &[calls(3)]).await;
    // Every producer is past the end: without the gap there would be an invoice, as there is for April.
    world.run("2026-04-01T00:59:59.999Z").await;
    assert!(world.invoices(customer).await.is_empty());
    world.run("2026-04-01T01:00:00Z").await;
    let invoice = world.invoices(customer).await.remove(0);
    assert_eq!(invoice.total, 200);
    let note = format!("records of {} from 7 on (missing)", writer.id);
    assert!(invoice.notes[0].contains(&note), "{:?}", invoice.notes);
    world.run("2026-05-01T00:00:01Z").await;
    let invoices = world.invoices(customer).await;
    assert_eq!((invoices.len(), invoices[1].total), (2, 300));
    assert!(invoices[1].notes.is_empty(), "{:?}", invoices[1].notes);
}

#[tokio::test]
async fn row_51_the_same_records_are_counted_and_billed_once_and_another_content_is_noted() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "usage": [{ "meter": "requests", "model": "unit", "unit": "1" }] });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-03-01T00:00:00Z").await;
    world
        .store
        .register_producer(&producer(1, "2026-03-01T00:00:00Z"))
        .await
        .unwrap();
    for attempt in 0..3 {
        let mut batch = world.batch(customer, "2026-03-15T12:00:00Z", &[calls(1)]).await;
        batch.producers.push(step(1, 0, Some("2026-04-01T00:00:00Z")));
        let committed = world
            .store
            .commit_usage(&batch, at("2026-03-15T12:00:00Z"))
            .await
            .unwrap();
        assert_eq!(committed.is_some(), attempt == 0);
    }
    world
        .store
        .note_conflict(ProducerId(1), 0, ["aa", "bb"], at("2026-03-15T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(world.store.conflicts().await.unwrap(), 1);
    world.run("2026-04-01T00:00:00Z").await;
    assert_eq!(world.amounts(customer).await, [100]);
}

#[tokio::test]
async fn row_36_a_change_of_the_zone_takes_effect_at_the_next_boundary_at_full_price() {
    let world = World::new().await;
    let price = json!({ "currency": "USD", "recurring": { "amount": "10", "every": "month", "in": "advance" } });
    let plan = world.plan(price, json!([])).await;
    let customer = world.subscribe(plan, "USD", "UTC", "2026-02-01T00:00:00Z").await;
    let mut bill = world.store.account_bill(customer.account).await.unwrap().unwrap();
    let contract = &mut bill.contracts[0];
    let zone = "America/New_York".parse().unwrap();
    contract.schedule = contract
        .schedule
        .clone()
        .with_zone_change(at("2026-03-10T00:00:00Z"), zone);
    world
        .store
        .bill_account(&bill, &crate::world::order(at("2026-05-01T04:00:00Z")))
        .await
        .unwrap();
    let mut lines: Vec<_> = world
        .invoices(customer)
        .await
        .iter()
        .map(|invoice| {
            (
                invoice.lines[0].period_start,
                invoice.lines[0].period_end,
                invoice.total,
            )
        })
        .collect();
    lines.sort();
    let boundaries = [
        "2026-02-01T00:00:00Z",
        "2026-03-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
        "2026-05-01T04:00:00Z",
        "2026-06-01T04:00:00Z",
    ];
    let expected: Vec<_> = boundaries
        .windows(2)
        .map(|pair| (at(pair[0]), at(pair[1]), 1_000))
        .collect();
    assert_eq!(lines, expected);
}
