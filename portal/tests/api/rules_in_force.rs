//! The rules of a configuration held against what is in force: parts refer to the rest, what stays keeps what it needs,
//! and what stands there already is in nobody's way.

use serde_json::json;

use crate::support::{Server, Tenant, petstore};

#[tokio::test]
async fn what_stays_may_not_lose_what_it_refers_to() {
    let server = Server::start().await;
    let mut document = petstore();
    document["products"][0]["plans"][1]["limits"][0]["operations"] = json!(["getPet"]);
    server.apply(document.clone()).await.expect(200);
    // The product is not sent: its plan counts an operation that the API would no longer have.
    let mut api = document["apis"][0].clone();
    api["openapi"]["paths"].as_object_mut().unwrap().remove("/pets/{id}");
    let reply = server.apply(json!({"apis": [api]})).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    let detail = reply.json()["errors"][0]["detail"].clone();
    let detail = detail.as_str().unwrap();
    assert!(detail.starts_with("the product `petstore`, which stays: "), "{detail}");
    assert!(detail.contains("has an operation `getPet`; "), "{detail}");
    // Something else is in nobody's way.
    server
        .apply(json!({"meters": [{"name": "calls", "aggregate": "count"}]}))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_part_may_refer_to_what_is_stored() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    Tenant::new(&server, "acme").await;
    let mut product = petstore()["products"][0].clone();
    product["visibility"] = json!("private");
    product["audience"] = json!(["acme"]);
    server.apply(json!({"products": [product.clone()]})).await.expect(200);
    product["audience"] = json!(["acne"]);
    let reply = server.apply(json!({"products": [product]})).await;
    assert_eq!(
        reply.json()["errors"][0]["pointer"],
        "/products/0/audience/0",
        "{}",
        reply.text
    );
    // The value of the upstream's header was sent once.
    let mut api = petstore()["apis"][0].clone();
    api["upstream"]["auth"].as_object_mut().unwrap().remove("value");
    assert_eq!(
        server.apply(json!({"apis": [api]})).await.expect(200)["items"],
        json!([])
    );
    let twin = json!({"name": "twin", "base_path": "/petstore", "upstream": {"targets": [{"url": "http://a"}]}});
    let reply = server.apply(json!({"apis": [twin]})).await;
    assert_eq!(
        reply.json()["errors"][0]["pointer"],
        "/apis/0/base_path",
        "{}",
        reply.text
    );
}

#[tokio::test]
async fn an_export_after_a_plan_left_the_sale_changes_nothing() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    Tenant::new(&server, "acme").await;
    server.post("/plans/petstore/pro/archive", json!({})).await.expect(200);
    let whole = server.get("/config?with_consumers=true").await.expect(200);
    assert_eq!(whole["consumers"][0]["subscriptions"][0]["plan"], "pro");
    assert_eq!(server.apply(whole.clone()).await.expect(200)["items"], json!([]));
    // Nobody else gets the plan.
    let mut more = whole;
    let late = json!({"name": "late", "account": "acme", "subscriptions": [{"product": "petstore", "plan": "pro"}]});
    more["consumers"].as_array_mut().unwrap().push(late);
    let reply = server.apply(more).await;
    let errors = reply.json()["errors"].clone();
    assert_eq!(errors.as_array().map(Vec::len), Some(1), "{errors}");
    assert_eq!(errors[0]["pointer"], "/consumers/1/subscriptions/0/plan");
}

#[tokio::test]
async fn one_plan_is_published_by_the_same_rules() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let cases = [
        (
            "/plan/limits/0/operations/0",
            json!({"limits": [{"requests": 1, "per": "second", "operations": ["x"]}]}),
        ),
        ("/plan/trial", json!({"trial": "14d"})),
        (
            "/plan/price/usage/0/meter",
            json!({"price": {"currency": "USD",
            "usage": [{"meter": "gone", "model": "unit", "unit": "1"}]}}),
        ),
    ];
    for (pointer, plan) in cases {
        let reply = server.post("/plans/petstore/pro/publish", json!({"plan": plan})).await;
        assert_eq!(
            (reply.status, &reply.json()["errors"][0]["pointer"]),
            (400, &json!(pointer)),
            "{}",
            reply.text
        );
    }
}

#[tokio::test]
async fn a_rollback_is_checked_against_what_it_meets() {
    let server = Server::start().await;
    let mut document = petstore();
    document["accounts"] = json!([{"name": "globex"}]);
    document["products"][0]["visibility"] = json!("private");
    document["products"][0]["audience"] = json!(["globex"]);
    let first = server.apply(document).await.expect(200)["revision"].clone();
    server.apply(petstore()).await.expect(200);
    let account = server.get("/accounts").await.expect(200)["items"][0]["id"].clone();
    let path = format!("/accounts/{}", account.as_str().unwrap());
    server.call(&server.admin, ("DELETE", &path), None).await.expect(204);
    let reply = server.post("/config/rollback", json!({"revision": first})).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    assert!(reply.text.contains("no account is called `globex`"), "{}", reply.text);
}
