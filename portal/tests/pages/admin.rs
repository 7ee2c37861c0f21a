//! The administrator's pages.

use serde_json::json;
use store::{AccountRole, StaffRole};

use crate::browser::Browser;
use crate::support::{Server, Tenant, petstore};

async fn office() -> (Server, Tenant, Browser) {
    let server = Server::start().await;
    server.apply(petstore()).await.expect(200);
    let tenant = Tenant::new(&server, "acme").await;
    let admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    (server, tenant, admin)
}

#[tokio::test]
async fn any_consumer_is_found_by_what_one_knows_of_it() {
    let (server, tenant, mut admin) = office().await;
    let _mia = Browser::member(&server, &tenant, AccountRole::Developer).await;
    let other = Tenant::new(&server, "umbrella").await;
    let prefix: String = tenant.secret.chars().take(12).collect();
    for text in [
        "ACM",
        "acme@example.com",
        &prefix,
        &tenant.consumer,
        &tenant.subscription,
        "developer-acc",
    ] {
        let page = admin.get(&format!("/admin/consumers?q={text}")).await;
        assert_eq!(page.status, 200);
        assert!(page.text.contains(&tenant.consumer), "{text}");
        assert!(!page.text.contains(&other.consumer), "{text}");
    }
    let none = admin.get("/admin/consumers?q=%25").await;
    assert!(none.text.contains("Nothing matches"), "a percent sign is no wildcard");
}

#[tokio::test]
async fn a_consumer_is_suspended_with_a_reason_and_resumed() {
    let (server, tenant, mut admin) = office().await;
    let path = format!("/admin/consumers/{}", tenant.consumer);
    let asked = admin.get(&format!("{path}/suspend")).await;
    assert!(asked.text.contains("0 calls in the last 24 hours"), "{}", asked.text);
    let without = admin.post(&format!("{path}/suspend"), &[("reason", " ")]).await;
    assert_eq!(without.status, 422);
    assert!(without.text.contains("aria-invalid=\"true\""), "{}", without.text);
    let done = admin
        .post(&format!("{path}/suspend"), &[("reason", "<b>abuse</b>")])
        .await;
    assert_eq!(done.status, 303);
    let story = admin.get(&format!("{path}?done=suspended")).await;
    assert!(story.text.contains("&lt;b&gt;abuse&lt;/b&gt;") || story.text.contains("&#60;b&#62;abuse"));
    assert!(story.text.contains("Consumer: suspend"), "the story tells it");
    assert_eq!(
        server.get(&format!("/consumers/{}", tenant.consumer)).await.json()["status"],
        "suspended"
    );
    assert_eq!(admin.post(&format!("{path}/resume"), &[]).await.status, 303);
    assert_eq!(
        server.get(&format!("/consumers/{}", tenant.consumer)).await.json()["status"],
        "active"
    );
}

#[tokio::test]
async fn colours_that_are_hard_to_read_are_refused_with_one_that_is_not() {
    let (server, _, mut admin) = office().await;
    admin.get("/admin/settings").await;
    let faint = admin
        .post(
            "/admin/settings",
            &[("name", "Fernpost"), ("link", "#bbbbbb"), ("accent", "red")],
        )
        .await;
    assert_eq!(faint.status, 422);
    assert!(faint.text.contains("Too faint in the light theme") && faint.text.contains("would do"));
    assert!(faint.text.contains("Write the colour as #rrggbb") && faint.text.contains("value=\"Fernpost\""));
    let saved = admin
        .post(
            "/admin/settings",
            &[("name", "Fernpost"), ("accent", "#8a1f5c"), ("signup", "invitation")],
        )
        .await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let page = admin.get("/admin/settings?done=saved").await.text;
    assert!(
        page.contains("Fernpost <span>Developers") && page.contains("/static/brand.css?v="),
        "{page}"
    );
    let sheet = admin.get("/static/brand.css").await.text;
    assert!(sheet.contains("--accent: #8a1f5c;") && !sheet.contains("Fernpost"));
    let mut stranger = Browser::new(&server);
    assert!(!stranger.get("/").await.text.contains("href=\"/signup\""));
}

#[tokio::test]
async fn a_test_mail_is_sent_and_a_wrong_address_is_told() {
    let (_server, _, mut admin) = office().await;
    admin.get("/admin/settings").await;
    let wrong = admin.post("/admin/settings/mail", &[("to", "nobody")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("Complete the address"));
    let sent = admin
        .post("/admin/settings/mail", &[("to", "ines@kestrel.example")])
        .await;
    assert!(
        sent.text.contains("The test mail to ines@kestrel.example was accepted"),
        "{}",
        sent.text
    );
}

#[tokio::test]
async fn staff_is_invited_changed_and_barred_but_never_by_themselves() {
    let (server, _, mut admin) = office().await;
    admin.get("/admin/users").await;
    let none = admin.post("/admin/users", &[("email", "lena@fernpost.example")]).await;
    assert!(
        none.status == 422 && none.text.contains("name at least one role"),
        "{}",
        none.text
    );
    let made = admin
        .post(
            "/admin/users",
            &[
                ("email", "lena@fernpost.example"),
                ("role", "finance"),
                ("role", "support"),
            ],
        )
        .await;
    assert_eq!(made.status, 303, "{}", made.text);
    let people = server.get("/users").await.json();
    let lena = people["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["email"] == "lena@fernpost.example")
        .unwrap();
    assert_eq!(lena["roles"], json!(["finance", "support"]));
    let path = format!("/admin/users/{}", lena["id"].as_str().unwrap());
    assert!(admin.get(&path).await.text.contains("Invited"));
    let unsure = admin.post(&format!("{path}/disable"), &[("confirm", "lena")]).await;
    assert_eq!(unsure.status, 422);
    let barred = admin
        .post(&format!("{path}/disable"), &[("confirm", "lena@fernpost.example")])
        .await;
    assert_eq!(barred.status, 303);
    let own = people["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["email"].as_str().unwrap().starts_with("staff-"))
        .unwrap();
    let own = format!("/admin/users/{}", own["id"].as_str().unwrap());
    admin.get(&own).await;
    assert_eq!(
        admin.post(&format!("{own}/roles"), &[("role", "finance")]).await.status,
        409
    );
    assert_eq!(admin.post(&format!("{own}/disable"), &[]).await.status, 409);
}

#[tokio::test]
async fn the_audit_log_names_people_and_verifies_its_chain() {
    let (_server, tenant, mut admin) = office().await;
    admin.get("/admin").await;
    admin
        .post(
            &format!("/admin/consumers/{}/suspend", tenant.consumer),
            &[("reason", "test")],
        )
        .await;
    let page = admin.get("/admin/audit?kind=consumer&verify=1").await.text;
    assert!(
        page.contains("Sam Staff") && page.contains("suspended reason: test"),
        "{page}"
    );
    assert!(page.contains("events are as they were written"));
    let csv = admin.get("/admin/audit.csv?kind=consumer").await;
    assert!(csv.header("content-disposition").unwrap().contains("audit.csv"));
    assert!(csv.text.lines().count() >= 3 && csv.text.starts_with("time,actor_kind"));
}

#[tokio::test]
async fn an_empty_deployment_shows_one_next_step_everywhere_and_no_nonsense() {
    let server = Server::start().await;
    let mut admin = Browser::staff(&server, &[StaffRole::Admin]).await;
    for path in [
        "/admin",
        "/admin/consumers",
        "/admin/analytics",
        "/admin/gateways",
        "/admin/users",
        "/admin/audit",
        "/admin/settings",
    ] {
        let page = admin.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        for nonsense in ["NaN", ">null<", ">None<", "Some("] {
            assert!(!page.text.contains(nonsense), "{path} says {nonsense}");
        }
        assert_eq!(page.text.matches("<h1").count(), 1, "{path}");
    }
}
