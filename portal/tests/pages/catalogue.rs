//! What visitors read of what is on offer, and what they must not read.

use domain::clock::Timestamp;
use serde_json::{Value, json};
use store::{AccountRole, Actor, GuideFields, StaffRole};

use crate::browser::Browser;
use crate::support::{Server, Tenant, petstore};

/// A public, an unlisted and a private product, the last for the organisation `acme`.
fn three_products() -> Value {
    let mut document = petstore();
    document["products"][0]["description"] = json!("Pets **by the dozen**.\n\nAnd [more](javascript:alert(1)).");
    let products = document["products"].as_array_mut().unwrap();
    products.push(json!({"name": "backroom", "title": "Back room", "apis": ["petstore"], "visibility": "unlisted"}));
    products.push(json!({"name": "vault", "title": "The vault", "apis": ["petstore"], "visibility": "private", "audience": ["acme"]}));
    document
}

const LISTS: &[&str] = &[
    "/",
    "/products",
    "/pricing",
    "/llms.txt",
    "/llms-full.txt",
    "/sitemap.xml",
];

#[tokio::test]
async fn a_private_product_exists_for_its_audience_alone() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let acme = Tenant::new(&server, "acme").await;
    server.apply(three_products()).await.expect(200);
    // Someone signs up under the name of the audience: it is another organisation.
    let later = json!({"to": "2026-06-15T10:00:05Z", "freeze": true});
    server.post("/test-clock/advance", later).await.expect(200);
    let namesake = Tenant::new(&server, "acme").await;
    let mut member = Browser::member(&server, &acme, AccountRole::Viewer).await;
    let mut stranger = Browser::member(&server, &namesake, AccountRole::Owner).await;
    let mut nobody = Browser::new(&server);
    let mut manager = Browser::staff(&server, &[StaffRole::ProductManager]).await;
    for (name, browser, opens) in [
        ("member", &mut member, true),
        ("namesake", &mut stranger, false),
        ("nobody", &mut nobody, false),
        ("manager", &mut manager, true),
    ] {
        for path in ["/products/vault", "/products/vault.md", "/products/vault/subscribe"] {
            let status = browser.get(path).await.status;
            assert_eq!(status, if opens { 200 } else { 404 }, "{name} {path}");
        }
        for path in LISTS {
            let page = browser.get(path).await;
            assert_eq!(page.status, 200, "{name} {path}");
            let listed = page.text.contains("vault");
            let wanted = name == "member" && *path != "/pricing";
            assert_eq!(listed, wanted, "{name} {path}: {}", page.text);
            assert!(!page.text.contains("backroom"), "{name} {path}");
        }
        assert_eq!(browser.get("/products/backroom").await.status, 200, "{name}");
    }
}

#[tokio::test]
async fn a_product_page_says_what_it_is_how_to_reach_it_and_what_it_costs() {
    let server = Server::start().await;
    server.running.gateway_at("https://api.fernpost.example");
    server.apply(petstore()).await.expect(200);
    Tenant::new(&server, "acme").await;
    server.apply(three_products()).await.expect(200);
    let mut nobody = Browser::new(&server);
    let page = nobody.get("/products/petstore?calls=20,000&units.tokens=5").await.text;
    for part in [
        "<h1>Petstore</h1>",
        "https://api.fernpost.example/petstore",
        "$49.00 a month",
        "Authorization: Bearer",
        "/products/petstore/subscribe?plan=pro",
        "<strong>by the dozen</strong>",
        // free ends at 1,000 requests a month
        "stops after 1,000 requests",
        "/products/petstore/petstore/1.0/openapi.json",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("javascript:"), "{page}");
    let text = nobody.get("/products/petstore.md").await;
    assert_eq!(
        text.header("content-type").as_deref(),
        Some("text/markdown; charset=utf-8")
    );
    assert!(
        text.text.starts_with("# Petstore\n") && text.text.contains("- Price: $49.00 a month"),
        "{}",
        text.text
    );
    assert_eq!(nobody.get("/products/petsore").await.status, 404);
    let found = nobody.get("/products?q=petstroe").await.text;
    assert!(
        found.contains("Did you mean <a href=\"/products/petstore\">"),
        "{found}"
    );
}

#[tokio::test]
async fn the_way_to_a_subscription_says_what_comes_next() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    server.apply(three_products()).await.expect(200);
    let path = "/products/petstore/subscribe?plan=gold";
    let nobody = Browser::new(&server).get(path).await.text;
    assert!(
        nobody.contains("/login?next=%2Fproducts%2Fpetstore%2Fsubscribe%3Fplan%3Dgold"),
        "{nobody}"
    );
    let viewer = Browser::member(&server, &tenant, AccountRole::Viewer)
        .await
        .get(path)
        .await
        .text;
    assert!(
        viewer.contains("Your role in acme is viewer") && !viewer.contains("name=\"plan\""),
        "{viewer}"
    );
    let mut owner = Browser::member(&server, &tenant, AccountRole::Owner).await;
    let taken = owner.get(path).await.text;
    assert!(taken.contains("backend: pro"), "{taken}");
    let fresh = json!({"account_id": tenant.account, "name": "second app"});
    let fresh = crate::support::text(&server.post("/consumers", fresh).await.expect(201), "id");
    let free = owner.get(path).await.text;
    assert!(
        free.contains(&format!(
            "formaction=\"/app/apps/{fresh}/subscriptions\">Subscribe second app"
        )),
        "{free}"
    );
    assert!(free.contains("value=\"gold\" checked"), "{free}");
}

async fn write(server: &Server, guide: GuideFields) {
    let now = Timestamp::from_millis(1_781_517_600_000);
    let mut tx = server.store.change(Actor::system("test"), now).await.unwrap();
    tx.create_guide(&guide, "Ann").await.unwrap();
    tx.commit().await.unwrap();
}

fn guide(path: &str, title: &str, published: bool) -> GuideFields {
    GuideFields {
        path: path.to_owned(),
        title: title.to_owned(),
        summary: "In one sentence".to_owned(),
        body: "## First\n\n<script>alert(1)</script> Read [on](keys)\n\n## Second\n\n*text*".to_owned(),
        position: 0,
        published,
    }
}

#[tokio::test]
async fn guides_are_read_and_drafts_are_not() {
    let server = Server::start().await;
    write(&server, guide("start/first-call", "Your first call", true)).await;
    write(&server, guide("start/keys", "Rotate keys", false)).await;
    let mut nobody = Browser::new(&server);
    let list = nobody.get("/docs").await.text;
    assert!(
        list.contains("Your first call") && !list.contains("Rotate keys"),
        "{list}"
    );
    let page = nobody.get("/docs/start/first-call").await;
    assert_eq!(page.status, 200);
    for part in [
        "<h1 dir=\"auto\">Your first call</h1>",
        "<em>text</em>",
        "On this page",
        "Updated <time",
    ] {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    assert!(!page.text.contains("<script>"), "{}", page.text);
    let text = nobody.get("/docs/start/first-call.md").await;
    assert!(text.text.starts_with("# Your first call\n\n## First"), "{}", text.text);
    assert_eq!(nobody.get("/docs/start/keys").await.status, 404);
    let near = nobody.get("/docs/start/first-cal").await;
    assert!(
        near.status == 404 && near.text.contains("/docs/start/first-call"),
        "{}",
        near.text
    );
    let mut manager = Browser::staff(&server, &[StaffRole::ProductManager]).await;
    assert_eq!(manager.get("/docs/start/keys").await.status, 200);
    assert!(nobody.get("/llms.txt").await.text.contains("Your first call"));
}

#[tokio::test]
async fn an_empty_deployment_says_so_and_leads_staff_on() {
    let server = Server::start().await;
    let mut nobody = Browser::new(&server);
    for path in ["/", "/products", "/pricing"] {
        let page = nobody.get(path).await;
        assert!(
            page.text.contains("Nothing is published yet") && !page.text.contains("/manage"),
            "{path}"
        );
    }
    assert!(nobody.get("/docs").await.text.contains("No guide yet"));
    let mut manager = Browser::staff(&server, &[StaffRole::ProductManager]).await;
    assert!(manager.get("/").await.text.contains("Publish a product"));
}
