//! Invoices and everything around them, through the Admin API.

use serde_json::{Value, json};
use store::Actor;
use store::billing::{BillMode, BillOrder};

use crate::support::{START, Server, Tenant, petstore, text};

/// Bills what a tenant owes and returns the id of the invoice.
pub(crate) async fn billed(server: &Server, tenant: &Tenant) -> String {
    let bill = server
        .store
        .account_bill(tenant.account.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let order = BillOrder {
        mode: BillMode::Due,
        finalize: true,
        now: START,
        actor: Actor::system("test"),
    };
    server.store.bill_account(&bill, &order).await.unwrap().invoices[0].to_string()
}

async fn one_invoice() -> (Server, Tenant, String) {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "first").await;
    let invoice = billed(&server, &tenant).await;
    (server, tenant, invoice)
}

#[tokio::test]
async fn an_invoice_reads_as_json_csv_and_pdf() {
    let (server, tenant, id) = one_invoice().await;
    let list = server
        .get(&format!("/invoices?account={}&status=open", tenant.account))
        .await
        .expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(text(&list["items"][0], "id"), id);
    assert_eq!(
        server.get("/invoices?status=paid").await.expect(200)["items"],
        json!([])
    );
    assert_eq!(server.get("/invoices?status=late").await.status, 400);
    let invoice = server.get(&format!("/invoices/{id}")).await.expect(200);
    assert_eq!(
        (
            invoice["status"].as_str(),
            invoice["phase"].as_str(),
            invoice["overdue"].as_bool()
        ),
        (Some("open"), None, Some(false))
    );
    assert_eq!(
        (
            &invoice["subtotal"],
            &invoice["tax"],
            &invoice["total"],
            &invoice["amount_due"]
        ),
        (&json!(4900), &json!(0), &json!(4900), &json!(4900))
    );
    assert_eq!(text(&invoice, "number"), "INV-000001");
    let line = &invoice["lines"][0];
    assert_eq!(
        (
            &line["quantity"],
            &line["unit_price"],
            &line["amount"],
            &line["unit_label"]
        ),
        (&json!("1"), &json!("49"), &json!(4900), &json!("month"))
    );
    assert_eq!(text(&line["period"], "end"), "2026-07-15T10:00:00.000Z");
    let csv = server.get(&format!("/invoices/{id}.csv")).await;
    assert_eq!(csv.header("content-type").as_deref(), Some("text/csv; charset=utf-8"));
    assert!(csv.text.contains(",49.00,USD,"), "{}", csv.text);
    let pdf = server.get(&format!("/invoices/{id}.pdf")).await;
    assert_eq!(pdf.header("content-type").as_deref(), Some("application/pdf"));
    assert!(pdf.header("content-disposition").unwrap().contains("INV-000001.pdf"));
    assert!(pdf.text.starts_with("%PDF-"));
    assert_eq!(server.get(&format!("/invoices/{id}.xml")).await.status, 404);
    assert_eq!(
        server.get(&format!("/invoices/{id}/lines/1/usage")).await.expect(200)["items"],
        json!([])
    );
    assert_eq!(server.get(&format!("/invoices/{id}/lines/2/usage")).await.status, 404);
}

#[tokio::test]
async fn payments_and_credit_notes_change_what_is_due_and_are_audited() {
    let (server, tenant, id) = one_invoice().await;
    let post = async |path: &str, body: Value| server.post(&format!("/invoices/{id}/{path}"), body).await;
    assert_eq!(post("payments", json!({"amount": 4901})).await.status, 409);
    assert_eq!(post("payments", json!({"amount": "1"})).await.status, 400);
    let paid = post(
        "payments",
        json!({"amount": 900, "method": "bank_transfer", "reference": "r1"}),
    )
    .await
    .expect(201);
    assert_eq!((&paid["paid"], &paid["amount_due"]), (&json!(900), &json!(4000)));
    assert_eq!(
        post(
            "credit-notes",
            json!({"reason": "x", "lines": [{"line": 1, "amount": 4901}]})
        )
        .await
        .status,
        409
    );
    let credited = post(
        "credit-notes",
        json!({"reason": "an outage", "lines": [{"line": 1, "amount": 1000}]}),
    )
    .await
    .expect(201);
    assert_eq!(
        (&credited["credited"], &credited["amount_due"]),
        (&json!(1000), &json!(3000))
    );
    assert_eq!(post("void", json!({"reason": "x"})).await.status, 409);
    let done = post("payments", json!({"amount": 3000})).await.expect(201);
    assert_eq!(text(&done, "status"), "paid");
    let balance = server
        .get(&format!("/accounts/{}/balance", tenant.account))
        .await
        .expect(200);
    assert_eq!(
        balance["items"],
        json!([{"currency": "USD", "receivable": 0, "credit": 0}])
    );
    let revenue = server.get("/revenue").await.expect(200);
    assert_eq!(
        revenue["items"],
        json!([{"currency": "USD", "invoiced": 4900, "returned": 1000, "collected": 3900, "outstanding": 0}])
    );
    let events = server.get(&format!("/audit-events?target={id}")).await.expect(200);
    let actions: Vec<&str> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions.len(), 3);
    assert!(
        actions.contains(&"invoice.pay") && actions.contains(&"invoice.credit"),
        "{actions:?}"
    );
}

#[tokio::test]
async fn a_void_invoice_is_billed_again_by_a_reissue_alone() {
    let (server, _, id) = one_invoice().await;
    let post = async |path: &str, body: Value| server.post(&format!("/invoices/{id}/{path}"), body).await;
    assert_eq!(post("reissue", json!({})).await.status, 409);
    assert_eq!(post("void", json!({"reason": " "})).await.status, 400);
    assert_eq!(
        text(
            &post("void", json!({"reason": "wrong address"})).await.expect(200),
            "status"
        ),
        "void"
    );
    let new = post("reissue", json!({})).await.expect(201);
    assert_eq!(
        (text(&new, "number"), &new["total"]),
        ("INV-000002".to_owned(), &json!(4900))
    );
    assert_eq!(post("reissue", json!({})).await.status, 409);
}

#[tokio::test]
async fn a_run_is_queued_and_can_be_polled() {
    let (server, tenant, _) = one_invoice().await;
    let run = server
        .post(
            "/billing/run",
            json!({"account": tenant.account, "kind": "interim", "finalize": false}),
        )
        .await
        .expect(202);
    let run = server
        .get(&format!("/billing/runs/{}", text(&run, "id")))
        .await
        .expect(200);
    assert_eq!(
        (&run["state"], &run["done"], &run["total"], &run["failed"]),
        (&json!("queued"), &json!(0), &json!(0), &json!(0))
    );
    assert_eq!(server.post("/billing/run", json!({"kind": "all"})).await.status, 400);
}

#[tokio::test]
async fn a_number_is_rated_with_any_price() {
    let (server, ..) = one_invoice().await;
    let rate = async |price: Value, quantity: Value| {
        server
            .post(
                "/billing/rate",
                json!({"currency": "USD", "price": price, "quantity": quantity}),
            )
            .await
    };
    let tiers = json!([{"up_to": 1000, "unit": "0.10"}, {"up_to": 10000, "unit": "0.05"}, {"unit": "0.01"}]);
    let graduated = json!({"meter": "requests", "model": "graduated", "tiers": tiers});
    for (quantity, amount) in [(json!(1001), 10005), (json!("15000"), 60000), (json!("0"), 0)] {
        assert_eq!(rate(graduated.clone(), quantity).await.expect(200)["amount"], amount);
    }
    let detail = rate(graduated, json!(1001)).await.expect(200)["detail"].clone();
    assert_eq!(detail["detail"].as_array().unwrap().len(), 2);
    assert_eq!(
        rate(json!({"model": "unit", "unit": "0.005"}), json!(1))
            .await
            .expect(200)["amount"],
        1
    );
    assert_eq!(rate(json!({"model": "unit"}), json!(1)).await.status, 400);
    assert_eq!(rate(json!({"model": "unit", "unit": "1"}), json!(-1)).await.status, 400);
    assert_eq!(
        rate(json!({"model": "unit", "unit": "1", "colour": 1}), json!(1))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn past_traffic_is_priced_with_another_plan() {
    let (server, tenant, _) = one_invoice().await;
    let mut batch = store::ledger::LedgerBatch::default();
    let bill = server
        .store
        .account_bill(tenant.account.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    let contract = &bill.contracts[0];
    let key = store::ledger::BucketKey {
        subscription: contract.subscription,
        period_start: START,
        segment: 0,
        plan_version: contract.stretches[0].plan_version,
        meter: "requests".to_owned(),
        mode: domain::key::Mode::Live,
        api: "petstore".to_owned(),
        operation: "getPet".to_owned(),
        outcome: "upstream/2xx".to_owned(),
        bucket: START,
    };
    batch
        .totals
        .insert(key, (domain::quantity::Quantity::from_units(120), 120));
    server.store.commit_usage(&batch, START).await.unwrap();
    let wish = |plan: &str| json!({"plan": plan, "from": "2026-06-15T00:00:00Z", "to": "2026-06-16T00:00:00Z"});
    let preview = server.post("/billing/preview", wish("petstore/pro")).await.expect(200);
    assert_eq!(
        (&preview["amount"], &preview["currency"]),
        (&json!(4900), &json!("USD"))
    );
    assert_eq!(
        server.post("/billing/preview", wish("petstore/free")).await.expect(200)["amount"],
        0
    );
    assert_eq!(server.post("/billing/preview", wish("petstore/none")).await.status, 400);
}

#[tokio::test]
async fn the_preview_of_a_change_tells_what_it_comes_to() {
    let (server, tenant, _) = one_invoice().await;
    let half = START.plus_millis(15 * 86_400_000);
    server.clock.advance(half, domain::clock::Freeze::Stand).unwrap();
    let path = format!("/subscriptions/{}/change/preview", tenant.subscription);
    let preview = server
        .post(&path, json!({"plan": "free", "at": "now"}))
        .await
        .expect(200);
    assert_eq!(
        (
            &preview["money"]["credit"],
            &preview["money"]["charge"],
            &preview["money"]["net"]
        ),
        (&json!(-2450), &json!(0), &json!(-2450))
    );
    let later = server
        .post(&path, json!({"plan": "free", "at": "period_end"}))
        .await
        .expect(200);
    assert_eq!(later["money"]["net"], 0);
}
