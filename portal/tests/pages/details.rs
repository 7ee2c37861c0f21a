//! What pages say in small: names in the place of ids, numbers with their unit and window, nothing twice.

use domain::quantity::Quantity;
use domain::usage::{Fact, LimitTouch};
use serde_json::json;
use store::{AccountRole, StaffRole};

use crate::app::{fact, served};
use crate::browser::Browser;
use crate::finance::words;
use crate::finance_world::World;
use crate::support::{Server, Tenant, petstore, text};

async fn shop() -> (Server, Tenant) {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    (server, tenant)
}

/// Requests of 0.64 ms on each of five days.
async fn fast_calls(server: &Server, tenant: &Tenant) {
    let facts = (0_i64..20).map(|n| Fact {
        latency_us: 640,
        ..fact(tenant, n.unsigned_abs(), -(n % 5) * 86_400_000 - 1_000, 200)
    });
    served(server, 1, facts.collect()).await;
}

#[tokio::test]
async fn the_story_of_a_request_names_its_limits_its_plan_and_its_operation() {
    let (server, tenant) = shop().await;
    let versions = server.get("/plans/petstore/pro/versions").await.expect(200);
    let touch = |limit: &str, max| LimitTouch {
        limit: limit.to_owned(),
        before: Quantity::from_units(12),
        after: Quantity::from_units(13),
        max: Some(Quantity::from_units(max)),
    };
    let told = Fact {
        plan_version: text(&versions["items"][0], "id").parse().unwrap(),
        limits: vec![touch("requests/second", 100), touch("requests/period", 50_000)],
        latency_us: 640,
        ..fact(&tenant, 1, -1_000, 200)
    };
    let id = told.request_id.clone();
    served(&server, 1, vec![told]).await;
    let mut customer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let mut finance = Browser::staff(&server, &[StaffRole::Finance]).await;
    for story in [
        customer.get(&format!("/app/logs/{id}")).await,
        finance.get(&format!("/finance/requests/{id}")).await,
    ] {
        let said = words(&story);
        for part in [
            "At most 100 requests a second 12 13 87",
            "At most 50,000 requests a month Period of 15 Jun 2026 to 15 Jul 2026 12 13 49,987",
            "Operation GET /pets of petstore",
            "Plan Petstore, pro, version 1",
            "0.6 ms",
        ] {
            assert!(said.contains(part), "{part} is not in {said}");
        }
        assert!(
            story.text.contains("href=\"/products/petstore#plans\""),
            "{}",
            story.text
        );
    }
}

#[tokio::test]
async fn a_latency_below_a_millisecond_is_written_as_it_was_wherever_it_stands() {
    let (server, tenant) = shop().await;
    fast_calls(&server, &tenant).await;
    let mut customer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let mut admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    let pages = [
        customer.get("/app/usage").await,
        customer.get("/app/logs").await,
        admin.get("/admin").await,
        admin.get("/admin/analytics").await,
        admin.get(&format!("/admin/consumers/{}", tenant.consumer)).await,
    ];
    for page in pages {
        let said = words(&page);
        assert!(said.contains("0.6 ms"), "{said}");
        assert!(!said.contains(" 1 ms"), "{said}");
    }
    let csv = admin.get("/admin/analytics.csv").await.text;
    assert!(csv.contains(",0.6"), "{csv}");
}

#[tokio::test]
async fn operations_are_called_by_method_and_path() {
    let (server, tenant) = shop().await;
    fast_calls(&server, &tenant).await;
    let mut customer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let mut admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    // The reference of the document is built by the first page that waits for it.
    let pages = [
        admin.get("/manage/adoption").await,
        admin.get("/admin/analytics?by=operation").await,
        admin.get(&format!("/admin/consumers/{}", tenant.consumer)).await,
        admin.get("/admin/analytics?operation=listPets").await,
        customer.get("/app/usage?by=operation").await,
    ];
    for page in pages {
        let said = words(&page);
        assert!(said.contains("GET /pets") && !said.contains("listPets"), "{said}");
    }
    let csv = admin.get("/admin/analytics.csv?by=operation").await.text;
    assert!(
        csv.lines().nth(1).unwrap().starts_with("GET /pets,listPets,20,"),
        "{csv}"
    );
}

#[tokio::test]
async fn the_audit_log_calls_things_by_their_names_with_a_link_and_no_raw_time() {
    let (server, tenant) = shop().await;
    let mut admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    let page = admin.get("/admin/audit").await;
    for (id, link) in [
        (&tenant.consumer, format!("/admin/consumers/{}", tenant.consumer)),
        (&tenant.account, format!("/admin/organisations/{}", tenant.account)),
        (&tenant.subscription, format!("/admin/consumers/{}", tenant.consumer)),
    ] {
        let wanted = format!("<a href=\"{link}\" title=\"{id}\">");
        assert!(page.text.contains(&wanted), "{wanted} is not in {}", page.text);
    }
    assert!(
        page.text.contains("/manage/products/petstore/plans/pro/versions"),
        "{}",
        page.text
    );
    let said = words(&page);
    for raw in [
        &tenant.consumer,
        &tenant.account,
        &tenant.subscription,
        &tenant.credential,
    ] {
        assert!(!said.contains(raw.as_str()), "{raw} in {said}");
    }
    assert!(!said.contains("2026-06-15T"), "{said}");
    assert!(said.contains("times in UTC"), "{said}");
}

#[tokio::test]
async fn settings_say_what_invoices_lack_and_where_mails_go() {
    let (server, tenant) = shop().await;
    let seller = async || {
        let account = tenant.account.parse().unwrap();
        server.store.account_bill(account).await.unwrap().unwrap().seller
    };
    assert_eq!(seller().await.name, "Tollgate");
    let mut admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    let page = admin.get("/admin/settings").await;
    let said = words(&page);
    for part in [
        "Invoices come from “Tollgate” and lack the company's legal name, its address and a tax number.",
        "no mail server is set, so nobody receives them",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let form = [
        ("name", "Fernpost"),
        ("legal_address", "Speicherstraße 14\n04109 Leipzig"),
        ("legal_tax_ids", " DE 812 004 417 \n\nIM 1"),
    ];
    let saved = admin.post("/admin/settings", &form).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let said = words(&admin.get("/admin/settings").await);
    assert!(
        said.contains("Invoices come from “Fernpost” and lack the company's legal name."),
        "{said}"
    );
    let seller = seller().await;
    assert_eq!(
        (seller.name.as_str(), seller.tax_ids.as_slice()),
        ("Fernpost", ["DE 812 004 417".to_owned(), "IM 1".to_owned()].as_slice())
    );
}

#[tokio::test]
async fn billing_says_once_by_when_an_invoice_is_to_be_paid() {
    let world = World::new().await;
    world.bill(true).await;
    let mut owner = Browser::member(&world.server, &world.tenant, AccountRole::Owner).await;
    let said = words(&owner.get("/app/billing").await);
    assert_eq!(said.matches("29 Jun 2026").count(), 1, "{said}");
    assert!(said.contains("Due in 14 days 29 Jun 2026"), "{said}");
    assert_eq!(said.matches("15 Jul 2026").count(), 1, "{said}");
}

#[tokio::test]
async fn the_overview_of_an_organisation_draws_its_last_days_with_their_table() {
    let (server, tenant) = shop().await;
    let mut customer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let quiet = customer.get("/app").await;
    assert!(!quiet.text.contains("class=\"chart\""), "{}", quiet.text);
    fast_calls(&server, &tenant).await;
    let page = customer.get("/app").await;
    assert!(page.text.contains("class=\"chart\"") && page.text.contains("role=\"img\""));
    let said = words(&page);
    assert!(
        said.contains("Requests by day") && said.contains("14 Jun 2026 4 0 0"),
        "{said}"
    );
}

#[tokio::test]
async fn a_schema_with_fields_does_not_say_that_it_is_an_object() {
    let (server, _) = shop().await;
    let mut document = petstore();
    document["apis"][0]["openapi"]["components"] = json!({"schemas": {
        "Pet": {"type": "object", "properties": {"name": {"type": "string"}}},
        "Bag": {"type": "object"}
    }});
    server.apply(document).await.expect(200);
    let mut reader = Browser::new(&server);
    let of = "/products/petstore/petstore/1.0/schemas";
    let pet = reader.get(&format!("{of}/Pet")).await;
    assert_eq!(pet.status, 200, "{}", pet.text);
    assert!(words(&pet).contains("Fields name string"), "{}", words(&pet));
    // Without fields it is all that is known.
    assert!(words(&reader.get(&format!("{of}/Bag")).await).contains("Fields object"));
}
