use serde_json::json;
use store::{AccountRole, Scope};

use crate::browser::Browser;
use crate::support::{Server, petstore, text};

fn fields<'a>(currency: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("name", "Kestrel Outdoor B.V."),
        ("email", "billing@kestrel.example"),
        ("country", "nl"),
        ("timezone", "Europe/Amsterdam"),
        ("currency", currency),
        ("address", "Kade 1\n1011 AA Amsterdam"),
        ("tax_ids", "NL123\n\n NL456 "),
    ]
}

#[tokio::test]
async fn an_organisation_is_changed_by_owners_and_billing_members() {
    let server = Server::start().await;
    let account = server
        .organisation(
            "Kestrel",
            &[
                ("ann@kestrel.example", AccountRole::Owner),
                ("bill@kestrel.example", AccountRole::Billing),
                ("dev@kestrel.example", AccountRole::Developer),
            ],
        )
        .await;
    let mut bill = Browser::of(&server, "bill@kestrel.example").await;
    bill.post("/app/settings/organisation", &fields("usd"))
        .await
        .goes_to("/app/settings?done=organisation");
    let stored = server.store.account(Scope::All, account).await.unwrap().unwrap().fields;
    assert_eq!(
        (
            stored.name.as_str(),
            stored.country.as_deref(),
            stored.currency.as_str()
        ),
        ("Kestrel Outdoor B.V.", Some("NL"), "USD")
    );
    assert_eq!(stored.tax_ids, ["NL123", "NL456"]);
    assert_eq!(stored.address.as_deref(), Some("Kade 1\n1011 AA Amsterdam"));
    let mut dev = Browser::of(&server, "dev@kestrel.example").await;
    let page = dev.get("/app/settings").await;
    page.shows(200, "Owners and billing members change these");
    assert_eq!(dev.post("/app/settings/organisation", &fields("EUR")).await.status, 403);
    dev.post("/app/settings/profile", &[("person", "Dev Patel")])
        .await
        .goes_to("/app/settings?done=profile");
    dev.get("/app/team").await.shows(200, "Dev Patel");
    dev.post("/app/settings/profile", &[("person", " ")])
        .await
        .shows(422, "Write your name");
}

#[tokio::test]
async fn faults_of_an_organisation_stand_beside_their_fields() {
    let server = Server::start().await;
    server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    let wrong = [
        ("name", ""),
        ("email", "nobody"),
        ("country", "Germany"),
        ("timezone", "Mars/Olympus"),
        ("currency", "EURO"),
        ("address", "Somewhere"),
    ];
    let page = ann.post("/app/settings/organisation", &wrong).await;
    page.shows(422, "5 things need mending");
    for field in ["name", "email", "country", "timezone", "currency"] {
        page.shows(422, &format!("id=\"{field}-error\""));
    }
    page.shows(422, "value=\"Germany\"");
    page.shows(422, "Somewhere");
}

#[tokio::test]
async fn the_currency_stays_once_there_is_a_subscription() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let account = server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    let consumer = server
        .post(
            "/consumers",
            json!({"account_id": account.to_string(), "name": "backend"}),
        )
        .await
        .expect(201);
    let wish = json!({"consumer_id": text(&consumer, "id"), "product": "petstore", "plan": "free"});
    server.post("/subscriptions", wish).await.expect(201);
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.get("/app/settings").await.shows(200, "It stays");
    ann.post("/app/settings/organisation", &fields("GBP"))
        .await
        .goes_to("/app/settings?done=organisation");
    let stored = server.store.account(Scope::All, account).await.unwrap().unwrap().fields;
    assert_eq!(stored.currency, "EUR");
}
