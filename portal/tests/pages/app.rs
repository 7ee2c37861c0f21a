//! What a developer does in their section: apps, keys, subscriptions, usage, single requests.

use analytics::Batch;
use domain::ids::{AccountId, ConsumerId, CredentialId, SubscriptionId};
use domain::key::Mode;
use domain::usage::{Fact, Kind, Outcome, ProducerId, Source, Steps};
use serde_json::{Value, json};
use store::AccountRole;

use crate::browser::{Browser, hidden};
use crate::support::{Reply, START, Server, Tenant, petstore, text};

const DAY: i64 = 86_400_000;

async fn shop() -> (Server, Tenant, Browser) {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let browser = Browser::member(&server, &tenant, AccountRole::Developer).await;
    (server, tenant, browser)
}

/// The path of this server that an answer leads to.
#[track_caller]
fn to(reply: &Reply) -> String {
    assert_eq!(reply.status, 303, "{}", reply.text);
    reply.header("location").unwrap()
}

#[track_caller]
fn secret(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text);
    let rest = reply.text.split("id=\"secret\" readonly value=\"").nth(1).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

async fn credentials(server: &Server, consumer: &str) -> Vec<Value> {
    let list = server
        .get(&format!("/consumers/{consumer}/credentials"))
        .await
        .expect(200);
    list["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_newcomer_is_led_from_an_empty_organisation_to_a_key() {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let account = server
        .post("/accounts", json!({"name": "new", "email": "new@example.com"}))
        .await
        .expect(201);
    let tenant = Tenant {
        account: text(&account, "id"),
        consumer: String::new(),
        credential: String::new(),
        secret: String::new(),
        subscription: String::new(),
    };
    let mut browser = Browser::member(&server, &tenant, AccountRole::Owner).await;
    let page = browser.get("/app").await;
    assert!(
        page.text.contains("First steps") && !page.text.contains("Calls in 24 hours"),
        "{}",
        page.text
    );
    for path in ["/app/apps", "/app/usage", "/app/logs", "/app/billing"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path} {}", page.text);
        assert!(!page.text.contains("NaN") && !page.text.contains("null"), "{path}");
    }
    browser.get("/app/apps").await;
    let refused = browser.post("/app/apps", &[("name", " ")]).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text.contains("href=\"#name\"") && refused.text.contains("aria-invalid"));
    let app = to(&browser.post("/app/apps", &[("name", "Shop <b>backend</b>")]).await);
    let page = browser.get(&app).await;
    assert!(
        page.text.contains("Shop &#60;b&#62;backend") && page.text.contains("Choose a plan"),
        "{}",
        page.text
    );
    let page = browser.get(&format!("{app}/subscriptions/new?product=petstore")).await;
    assert!(
        page.text.contains("value=\"free\"") && page.text.contains("$49.00 a month"),
        "{}",
        page.text
    );
    let wish = [("product", "petstore"), ("plan", "free")];
    let done = to(&browser.post(&format!("{app}/subscriptions"), &wish).await);
    assert!(browser.get(&done).await.text.contains("is active"));
    let shown = browser.post(&format!("{app}/keys"), &[("name", "")]).await;
    assert!(secret(&shown).starts_with("tg_live_"));
    let page = browser.get("/app").await;
    assert!(
        page.text.contains("See the first call") && page.text.contains("Calls in 24 hours"),
        "{}",
        page.text
    );
    let again = browser.post(&format!("{app}/subscriptions"), &wish).await;
    assert_eq!(again.status, 422, "{}", again.text);
    assert!(again.text.contains("live subscription"));
}

#[tokio::test]
async fn a_key_is_in_the_answer_that_makes_it_and_nowhere_else() {
    let (server, tenant, mut browser) = shop().await;
    let keys = format!("/app/apps/{}/keys", tenant.consumer);
    let page = browser.get(&keys).await;
    let once = hidden(&page.text, "_once").unwrap();
    let form = [("name", "Production"), ("mode", "live"), ("_once", once.as_str())];
    let shown = browser.post(&keys, &form).await;
    let secret = secret(&shown);
    assert_eq!(shown.header("cache-control").as_deref(), Some("no-store"));
    assert!(shown.text.contains("data-shown-once") && shown.text.contains("data-saved"));
    let twice = browser.post(&keys, &form).await;
    assert_eq!(twice.status, 409, "{}", twice.text);
    assert!(twice.text.contains("sent twice") && !twice.text.contains(&secret));
    let page = browser.get(&keys).await;
    assert!(page.text.contains("Production") && !page.text.contains(&secret));
    assert!(
        page.text
            .contains(&format!("{}…{}", &secret[..12], &secret[secret.len() - 4..]))
    );
    assert_eq!(credentials(&server, &tenant.consumer).await.len(), 2);
    // Another content under the same number is another form.
    let other = [("name", "Staging"), ("mode", "test"), ("_once", once.as_str())];
    let staging = browser.post(&keys, &other).await;
    assert!(self::secret(&staging).starts_with("tg_test_"));
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_said_beside_the_field() {
    let (server, tenant, mut browser) = shop().await;
    let keys = format!("/app/apps/{}/keys", tenant.consumer);
    browser.get(&keys).await;
    for (field, value, words) in [
        ("expires_at", "2020-01-01", "this time has passed"),
        ("expires_at", "soon", "Write a day"),
        ("mode", "dead", "Choose live or test"),
    ] {
        let reply = browser.post(&keys, &[("name", "Kept"), (field, value)]).await;
        assert_eq!(reply.status, 422, "{field} {value}");
        assert!(
            reply.text.contains(words) && reply.text.contains("value=\"Kept\""),
            "{}",
            reply.text
        );
    }
    assert_eq!(credentials(&server, &tenant.consumer).await.len(), 1);
}

#[tokio::test]
async fn a_rotated_key_works_until_its_overlap_is_over_or_ended() {
    let (server, tenant, mut browser) = shop().await;
    let (keys, old) = (format!("/app/apps/{}/keys", tenant.consumer), &tenant.credential);
    let page = browser.get(&format!("{keys}/{old}/rotate")).await;
    assert!(page.text.contains("30 days"), "{}", page.text);
    let odd = browser.post(&format!("{keys}/{old}/rotate"), &[("grace", "5y")]).await;
    assert_eq!(odd.status, 422);
    let shown = browser.post(&format!("{keys}/{old}/rotate"), &[("grace", "1h")]).await;
    assert!(
        secret(&shown).starts_with("tg_live_") && shown.text.contains("It replaces"),
        "{}",
        shown.text
    );
    assert!(shown.text.contains("Replaced, ends in 60") && shown.text.contains("since it was replaced"));
    let all = credentials(&server, &tenant.consumer).await;
    let ends = all.iter().find(|key| key["id"] == old.as_str()).unwrap()["revoked_at"].clone();
    assert_eq!(ends, START.plus_millis(3_600_000).to_string());
    let again = browser.post(&format!("{keys}/{old}/rotate"), &[("grace", "0s")]).await;
    assert_eq!(again.status, 409, "{}", again.text);
    let page = browser.get(&format!("{keys}/{old}/revoke")).await;
    assert!(page.text.contains("0 calls in the last 24 hours"), "{}", page.text);
    let revoke = format!("{keys}/{old}/revoke");
    assert_eq!(browser.post(&revoke, &[("confirm", "something")]).await.status, 422);
    assert_eq!(
        to(&browser.post(&revoke, &[("confirm", &tenant.secret[..12])]).await),
        keys
    );
    assert!(browser.get(&keys).await.text.contains("Revoked 15 Jun 2026"));
}

#[tokio::test]
async fn a_plan_is_changed_for_the_money_that_the_preview_says() {
    let (server, tenant, mut browser) = shop().await;
    let own = format!("/app/apps/{}/subscriptions", tenant.consumer);
    let change = format!("{own}/{}/change", tenant.subscription);
    let wish = json!({"plan": "free", "at": "now"});
    let api = server
        .post(&format!("/subscriptions/{}/change/preview", tenant.subscription), wish)
        .await
        .expect(200);
    let credit = api["money"]["credit"].as_i64().unwrap();
    assert_eq!(credit, 0, "what was not invoiced is not given back");
    let written = format!("<dd>${}.{:02}</dd>", -credit / 100, -credit % 100);
    let page = browser.get(&format!("{change}?plan=free&at=now")).await;
    assert!(page.text.contains(&written), "{written} {}", page.text);
    assert!(
        page.text.contains("1,000 a month") && page.text.contains("50,000 a month"),
        "{}",
        page.text
    );
    let same = browser.get(&format!("{change}?plan=pro&at=now")).await;
    assert_eq!(same.status, 422);
    to(&browser.post(&change, &[("plan", "free"), ("at", "period_end")]).await);
    assert!(browser.get(&own).await.text.contains("Changes to free on"));
    to(&browser.post(&change, &[("plan", "free"), ("at", "now")]).await);
    let now = server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    assert_eq!(now["plan"], "free");
}

#[tokio::test]
async fn a_subscription_is_cancelled_and_taken_back_and_a_wish_withdrawn() {
    let (server, tenant, mut browser) = shop().await;
    let own = format!("/app/apps/{}/subscriptions", tenant.consumer);
    let one = format!("{own}/{}", tenant.subscription);
    let page = browser.get(&format!("{one}/cancel")).await;
    assert!(
        page.text.contains("0 calls under it") && page.text.contains("is not given back"),
        "{}",
        page.text
    );
    to(&browser.post(&format!("{one}/cancel"), &[]).await);
    assert!(browser.get(&own).await.text.contains("Ends 15 Jul 2026"));
    to(&browser.post(&format!("{one}/uncancel"), &[]).await);
    assert!(!browser.get(&own).await.text.contains("Ends 15 Jul 2026"));
    assert_eq!(browser.post(&format!("{one}/withdraw"), &[]).await.status, 409);
    to(&browser.post(&format!("{one}/cancel"), &[("at", "now")]).await);
    assert!(browser.get(&own).await.text.contains("Ended 15 Jun 2026"));
    let wish = [("product", "petstore"), ("plan", "gold")];
    let waiting = to(&browser.post(&own, &wish).await);
    let page = browser.get(&waiting).await;
    assert!(
        page.text.contains("is asked for") && page.text.contains("Waits for approval"),
        "{}",
        page.text
    );
    let id = waiting.split("new=").nth(1).unwrap();
    to(&browser.post(&format!("{own}/{id}/withdraw"), &[]).await);
    let gone = server.get(&format!("/subscriptions/{id}")).await.expect(200);
    assert_eq!(gone["status"], "cancelled");
}

#[tokio::test]
async fn an_app_goes_only_when_its_name_is_typed_and_takes_keys_and_subscriptions_along() {
    let (server, tenant, mut browser) = shop().await;
    let app = format!("/app/apps/{}", tenant.consumer);
    let page = browser.get(&format!("{app}/delete")).await;
    assert!(page.text.contains("Petstore, pro ends at once"), "{}", page.text);
    assert_eq!(
        browser
            .post(&format!("{app}/delete"), &[("confirm", "no")])
            .await
            .status,
        422
    );
    to(&browser.post(&format!("{app}/delete"), &[("confirm", "backend")]).await);
    assert_eq!(browser.get(&app).await.status, 404);
    let gone = server
        .get(&format!("/subscriptions/{}", tenant.subscription))
        .await
        .expect(200);
    assert_eq!(gone["status"], "cancelled");
}

#[tokio::test]
async fn an_app_gets_another_name_and_shows_why_it_is_suspended() {
    let (server, tenant, mut browser) = shop().await;
    let app = format!("/app/apps/{}", tenant.consumer);
    browser.get(&app).await;
    assert_eq!(browser.post(&app, &[("name", "")]).await.status, 422);
    to(&browser.post(&app, &[("name", "warehouse")]).await);
    let reason = json!({"reason": "Too many unpaid invoices."});
    server
        .post(&format!("/consumers/{}/suspend", tenant.consumer), reason)
        .await
        .expect(200);
    let page = browser.get(&app).await;
    assert!(
        page.text.contains("<h1>warehouse</h1>") && page.text.contains("Too many unpaid invoices."),
        "{}",
        page.text
    );
}

#[tokio::test]
async fn who_only_reads_sees_no_form_and_is_refused() {
    let (server, tenant, _) = shop().await;
    let mut viewer = Browser::member(&server, &tenant, AccountRole::Viewer).await;
    let app = format!("/app/apps/{}", tenant.consumer);
    for path in ["", "/keys", "/subscriptions"] {
        let page = viewer.get(&format!("{app}{path}")).await;
        assert_eq!(page.status, 200);
        let main = page.text.split("<main").nth(1).unwrap();
        let main = main.split("</main>").next().unwrap();
        assert!(!main.contains("<form") && !main.contains("/rotate"), "{path} {main}");
    }
    let reply = viewer.post(&format!("{app}/keys"), &[("name", "x")]).await;
    assert_eq!(reply.status, 403);
    assert!(reply.text.contains("owner or developer"), "{}", reply.text);
}

pub(crate) fn fact(tenant: &Tenant, n: u64, at: i64, status: u16) -> Fact {
    Fact {
        request_id: format!("{}-{n}", tenant.consumer),
        admitted_at: START.plus_millis(at),
        account: Some(tenant.account.parse::<AccountId>().unwrap()),
        consumer: Some(tenant.consumer.parse::<ConsumerId>().unwrap()),
        credential: Some(tenant.credential.parse::<CredentialId>().unwrap()),
        subscription: Some(tenant.subscription.parse::<SubscriptionId>().unwrap()),
        plan_version: domain::ids::PlanVersionId::from_bits(1),
        period_start: Some(START),
        segment: 0,
        product: "petstore".to_owned(),
        plan: "pro".to_owned(),
        api: "petstore".to_owned(),
        operation: "listPets".to_owned(),
        method: "GET".to_owned(),
        path: format!("/petstore/pets/{n}"),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Upstream,
            status,
            client_aborted: false,
            upstream_answered: true,
            kind: Kind::Request,
        },
        bytes_in: 10,
        bytes_out: 1_000,
        latency_us: 12_000,
        steps: Steps::default(),
        quantities: Vec::new(),
        limits: Vec::new(),
        revision: 1,
    }
}

pub(crate) async fn served(server: &Server, seed: u128, facts: Vec<Fact>) {
    let batch = Batch {
        ledger_commit: 1,
        producer: ProducerId(seed),
        first_seq: 0,
        next_seq: facts.len() as u64,
        facts: facts
            .into_iter()
            .enumerate()
            .map(|(seq, fact)| (seq as u64, fact))
            .collect(),
        rejections: Vec::new(),
        samples: Vec::new(),
    };
    server.analytics.insert(&[batch]).await.unwrap();
}

#[tokio::test]
async fn usage_adds_up_on_the_page_in_its_file_and_in_the_api() {
    let (server, tenant, mut browser) = shop().await;
    let facts = (0..90).map(|n| {
        let status = match n % 9 {
            7 => 404,
            8 => 503,
            _ => 200,
        };
        fact(&tenant, n, -(i64::try_from(n).unwrap() % 5) * DAY - 1_000, status)
    });
    served(&server, 1, facts.collect()).await;
    for by in ["result", "operation", "key", "status"] {
        let page = browser.get(&format!("/app/usage?by={by}")).await;
        assert_eq!(page.status, 200);
        assert!(
            page.text.contains("<dd>90</dd>") && page.text.contains("role=\"img\""),
            "{by} {}",
            page.text
        );
    }
    let csv = browser
        .get(&format!("/app/usage.csv?app={}&product=petstore", tenant.consumer))
        .await;
    let column = |at: usize| -> u64 {
        let lines = csv.text.lines().skip(1);
        lines
            .map(|line| line.split(',').nth(at).unwrap().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!([2, 3, 4, 5, 7].map(column), [90, 70, 10, 10, 80], "{}", csv.text);
    let asked = format!(
        "/usage?from={}&to={}&consumer={}",
        START.plus_millis(-30 * DAY),
        START.plus_millis(1),
        tenant.consumer
    );
    let api = server.get(&asked).await.expect(200);
    assert_eq!(
        (&api["items"][0]["requests"], &api["items"][0]["billable"]),
        (&json!(90), &json!(80))
    );
    let none = browser
        .get("/app/usage?product=petstore&from=2026-01-01&to=2026-01-02")
        .await;
    assert!(none.text.contains("class=\"empty\""), "{}", none.text);
    let keys = browser.get(&format!("/app/apps/{}/keys", tenant.consumer)).await;
    assert!(keys.text.contains("in the last minutes"), "{}", keys.text);
}

#[tokio::test]
async fn the_log_is_filtered_paged_and_opens_into_the_story_of_a_request() {
    let (server, tenant, mut browser) = shop().await;
    let facts = (0..130).map(|n| {
        fact(
            &tenant,
            n,
            -i64::try_from(n).unwrap() * 1_000 - 1,
            if n % 10 == 0 { 500 } else { 200 },
        )
    });
    served(&server, 1, facts.collect()).await;
    let other = Tenant::new(&server, "umbrella").await;
    served(&server, 2, vec![fact(&other, 1, -5, 200)]).await;
    let (mut path, mut seen) = ("/app/logs".to_owned(), 0);
    loop {
        let page = browser.get(&path).await;
        assert!(!page.text.contains(&other.consumer));
        seen += page.text.matches("<code>GET /petstore/pets/").count();
        let Some(next) = page.text.split("href=\"/app/logs?before=").nth(1) else {
            break;
        };
        path = format!("/app/logs?before={}", next.split('"').next().unwrap());
    }
    assert_eq!(seen, 130);
    let errors = browser.get("/app/logs?status=5xx").await;
    assert_eq!(errors.text.matches("<code>GET /petstore/pets/").count(), 13);
    let one = browser.get("/app/logs?path=/pets/77").await;
    assert_eq!(one.text.matches("<code>GET /petstore/pets/").count(), 1);
    let story = browser.get(&format!("/app/logs/{}-10", tenant.consumer)).await;
    assert!(
        story.text.contains("Not billed: errors of the server"),
        "{}",
        story.text
    );
    assert!(story.text.contains("End of the answer") && story.text.contains("<code>GET /pets</code> of petstore"));
    assert_eq!(
        browser.get(&format!("/app/logs/{}-1", other.consumer)).await.status,
        404
    );
}
