//! What holds of money and numbers on the whole, and of a deployment that holds nothing yet.

use domain::money::{Currency, Money};
use portal::page_routes;
use serde_json::{Value, json};
use store::{AccountRole, StaffRole};

use crate::browser::Browser;
use crate::finance_world::{Reach, SECOND, World};
use crate::support::{Reply, Server, Tenant, text};

fn dollars(minor: i64) -> String {
    let amount = Money::new(minor.abs(), Currency::USD).to_major_string();
    format!("${amount}")
}

async fn invoice(world: &World, id: &str) -> Value {
    world.server.get(&format!("/invoices/{id}")).await.expect(200)
}

#[tokio::test]
async fn a_change_of_plan_costs_what_its_preview_says_to_the_cent() {
    let mut world = World::new().await;
    let mut config = world.server.get("/config").await.expect(200);
    let team = json!({"name": "team", "title": "Team", "price": {"currency": "USD",
        "recurring": {"amount": "99.99", "every": "month", "in": "advance"},
        "usage": [{"meter": "requests", "included": 100, "model": "unit", "unit": "0.013"}]}});
    let products = config["products"].as_array_mut().unwrap();
    products[0]["plans"].as_array_mut().unwrap().push(team);
    let product = products[0].clone();
    world.server.apply(json!({"products": [product]})).await.expect(200);
    world.bill(true).await;
    world.traffic(1_237, Reach::Analytics).await;
    world.at("2026-06-26T03:17:45Z").await;
    let (app, subscription) = (world.tenant.consumer.clone(), world.tenant.subscription.clone());
    let change = format!("/app/apps/{app}/subscriptions/{subscription}/change");
    let mut owner = Browser::member(&world.server, &world.tenant, AccountRole::Owner).await;
    let page = owner.get(&format!("{change}?plan=team&at=now")).await;
    let wish = json!({"plan": "team", "at": "now"});
    let path = format!("/subscriptions/{subscription}/change");
    let preview = world.server.post(&format!("{path}/preview"), wish).await.expect(200);
    let money = |field: &str| preview["money"][field].as_i64().unwrap();
    let (credit, charge, net) = (money("credit"), money("charge"), money("net"));
    assert!(credit < 0 && charge > 0 && net == credit + charge, "{preview}");
    for minor in [credit, charge, net, money("usage_before"), money("usage_after")] {
        assert!(
            page.text.contains(&dollars(minor)),
            "{} in {}",
            dollars(minor),
            page.text
        );
    }
    let done = owner.post(&change, &[("plan", "team"), ("at", "now")]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let made = world.bill(true).await;
    assert_eq!(made.len(), 1, "{made:?}");
    let due = invoice(&world, &made[0]).await;
    assert_eq!(due["total"].as_i64(), Some(net), "{due}");
    let theirs = owner.get(&format!("/app/billing/invoices/{}", made[0])).await;
    assert!(theirs.text.contains(&dollars(net)), "{}", theirs.text);
    // Nothing is used any more: the period's usage costs what the preview said of it.
    world.at(SECOND).await;
    let last = world.bill(true).await;
    let mut usage = 0;
    for id in &last {
        let lines = invoice(&world, id).await["lines"].clone();
        let own = lines
            .as_array()
            .unwrap()
            .iter()
            .filter(|line| line["meter"] == "requests");
        usage += own.map(|line| line["amount"].as_i64().unwrap()).sum::<i64>();
    }
    assert_eq!(usage, money("usage_after"));
}

#[tokio::test]
async fn the_usage_page_its_file_and_the_bill_count_ten_thousand_calls_alike() {
    let mut world = World::new().await;
    world.bill(true).await;
    world.traffic(10_000, Reach::Analytics).await;
    world.at(SECOND).await;
    let mut owner = Browser::member(&world.server, &world.tenant, AccountRole::Owner).await;
    let range = "from=2026-06-15&to=2026-07-15";
    let unbilled = owner.get("/app/billing").await;
    assert!(
        unbilled.text.contains("<dd>$724.00</dd>"),
        "usage and the next month: {}",
        unbilled.text
    );
    let page = owner.get(&format!("/app/usage?{range}")).await;
    assert!(
        page.text.contains("<dd>10,000</dd>") && page.text.contains("9,500"),
        "{}",
        page.text
    );
    let csv = owner.get(&format!("/app/usage.csv?{range}")).await;
    let column = |name: &str| -> u64 {
        let mut lines = csv.text.lines();
        let at = lines.next().unwrap().split(',').position(|head| head == name).unwrap();
        lines
            .map(|line| line.split(',').nth(at).unwrap().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!(
        (column("requests"), column("billable"), column("server_errors")),
        (10_000, 9_500, 500)
    );
    let made = world.bill(true).await;
    let bill = invoice(&world, &made[0]).await;
    let line = bill["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["meter"] == "requests")
        .unwrap();
    assert_eq!(text(line, "quantity"), "9500");
    let paper = owner.get(&format!("/app/billing/invoices/{}", made[0])).await;
    assert!(paper.text.contains("9,500 requests"), "{}", paper.text);
    let empty = owner.get("/app/billing").await;
    assert!(
        !empty.text.contains("<dd>$724.00</dd>"),
        "what is billed is unbilled no more"
    );
}

#[tokio::test]
async fn what_an_interim_invoice_holds_is_unbilled_no_more() {
    let mut world = World::new().await;
    world.bill(true).await;
    world.traffic(2_100, Reach::Analytics).await;
    world.at("2026-06-20T00:00:00Z").await;
    let mut owner = Browser::member(&world.server, &world.tenant, AccountRole::Owner).await;
    // 1,995 are billed, 1,000 of them included: 995 x 0.10.
    let before = owner.get("/app/billing").await;
    assert!(before.text.contains("<dd>$99.50</dd>"), "{}", before.text);
    let account = world.tenant.account.parse().unwrap();
    let bill = world.server.store.account_bill(account).await.unwrap().unwrap();
    let order = store::billing::BillOrder {
        mode: store::billing::BillMode::Interim,
        finalize: true,
        now: world.server.clock.now(),
        actor: store::Actor::system("test"),
    };
    world.server.store.bill_account(&bill, &order).await.unwrap();
    let after = owner.get("/app/billing").await;
    assert!(!after.text.contains("<dd>$99.50</dd>"), "{}", after.text);
    let finance = world.finance.get("/finance/unbilled?show=all").await;
    assert!(
        finance.text.contains("1 customer") && !finance.text.contains("$99.50"),
        "{}",
        finance.text
    );
}

/// The main part of a page, without its tags.
fn main_text(reply: &Reply) -> (String, String) {
    let main = reply.text.split("<main").nth(1).unwrap_or_default();
    let main = main.split("</main>").next().unwrap_or_default().to_owned();
    let mut text = String::new();
    let mut inside = true;
    for letter in main.chars() {
        match letter {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            _ if inside => {}
            other => text.push(other),
        }
    }
    (main, text.split_whitespace().collect::<Vec<_>>().join(" "))
}

const NOTHING_TO_DO: &str = "nothing to do next";

/// What is wrong with a page of a deployment that holds nothing.
fn wrong(reply: &Reply) -> Option<&'static str> {
    let is_page = reply
        .header("content-type")
        .is_some_and(|media| media.starts_with("text/html"));
    if reply.status >= 500 {
        return Some("a failure");
    }
    if !is_page || reply.status == 303 {
        return None;
    }
    let (main, text) = main_text(reply);
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    if text.len() < 20 {
        Some("a blank main part")
    } else if words.contains(&"NaN") || words.contains(&"undefined") || words.contains(&"null") {
        Some("NaN, undefined or null")
    } else if !main.contains("<a ") && !main.contains("<button") {
        Some(NOTHING_TO_DO)
    } else {
        None
    }
}

#[tokio::test]
async fn a_deployment_that_holds_nothing_says_on_every_page_what_to_do_next() {
    let server = Server::start().await;
    let account = server
        .post("/accounts", json!({"name": "fresh", "email": "f@example.com"}))
        .await
        .expect(201);
    let tenant = Tenant {
        account: text(&account, "id"),
        consumer: String::new(),
        credential: String::new(),
        secret: String::new(),
        subscription: String::new(),
    };
    let mut people = vec![("nobody", Browser::new(&server))];
    for role in [
        AccountRole::Owner,
        AccountRole::Developer,
        AccountRole::Billing,
        AccountRole::Viewer,
    ] {
        people.push((role.as_str(), Browser::member(&server, &tenant, role).await));
    }
    for (name, role) in [
        ("admin", StaffRole::Admin),
        ("product manager", StaffRole::ProductManager),
        ("finance", StaffRole::Finance),
        ("support", StaffRole::Support),
    ] {
        people.push((name, Browser::staff(&server, &[role]).await));
    }
    server.person("alone@portal.test", Vec::new()).await;
    people.push((
        "without an organisation",
        Browser::of(&server, "alone@portal.test").await,
    ));
    let mut found = Vec::new();
    let mut looked = 0;
    // The docs of the Admin API speak of null, as JSON does.
    for page in page_routes()
        .iter()
        .filter(|page| page.method == "GET" && page.path != "/api/docs")
    {
        // Names that stand for nothing here: what is not there has a page as well.
        let mut address = String::new();
        for part in page.path.split('/').skip(1) {
            address.push('/');
            address.push_str(if part.starts_with('{') { "nothing" } else { part });
        }
        for (name, browser) in &mut people {
            let reply = browser.get(&address).await;
            looked += 1;
            // Who may only read has nothing to do where there is nothing to read.
            let reads_only = ["support", "billing", "viewer"].contains(name);
            if let Some(wrong) = wrong(&reply).filter(|wrong| !reads_only || *wrong != NOTHING_TO_DO) {
                found.push(format!("{name}: {address} ({}): {wrong}", reply.status));
            }
        }
    }
    assert!(looked > 900, "only {looked} pages were looked at");
    assert!(found.is_empty(), "{found:#?}");
}
