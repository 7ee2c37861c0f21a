use serde_json::json;
use store::AccountRole;

use super::world::{PASSWORD, bare, set_cookies};
use crate::browser::Browser;
use crate::support::Server;

const DAY: i64 = 86_400_000;

fn form<'a>(email: &'a str, organisation: &'a str) -> [(&'static str, &'a str); 4] {
    [
        ("name", "Ines Okafor"),
        ("email", email),
        ("password", PASSWORD),
        ("organisation", organisation),
    ]
}

#[tokio::test]
async fn whoever_signs_up_opens_the_link_in_the_same_browser_and_is_in() {
    let server = Server::start().await;
    let mut ines = Browser::new(&server);
    ines.get("/signup").await.shows(200, "Create your account");
    ines.post("/signup", &form("ines@kestrel.example", "Kestrel Outdoor"))
        .await
        .goes_to("/signup?sent=1");
    ines.get("/signup?sent=1").await.shows(200, "Look into your mail");
    let user = server
        .store
        .user_by_email("ines@kestrel.example")
        .await
        .unwrap()
        .unwrap();
    assert!(
        user.password_hash
            .unwrap()
            .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
    );
    assert_eq!(user.verified_at, None);
    let memberships = server.store.memberships(user.id).await.unwrap();
    assert_eq!(
        (memberships[0].account_name.as_str(), memberships[0].role),
        ("Kestrel Outdoor", AccountRole::Owner)
    );

    let link = server.link("verify", "ines@kestrel.example", "/verify/").await;
    ines.get(&link).await.goes_to("/app");
    assert!(server.store.user(user.id).await.unwrap().unwrap().verified_at.is_some());
    ines.get("/app/settings").await.shows(200, "Kestrel Outdoor");
    ines.get(&link).await.shows(200, "Your address is confirmed");
}

#[tokio::test]
async fn a_link_alone_confirms_nothing_elsewhere_it_takes_the_password() {
    let server = Server::start().await;
    Browser::new(&server)
        .post("/signup", &form("ines@kestrel.example", ""))
        .await
        .goes_to("/signup?sent=1");
    let user = server
        .store
        .user_by_email("ines@kestrel.example")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        server.store.memberships(user.id).await.unwrap()[0].account_name,
        "Ines Okafor"
    );
    let link = server.link("verify", "ines@kestrel.example", "/verify/").await;
    let mut phone = Browser::new(&server);
    phone.get(&link).await.shows(200, "Write the password");
    phone
        .post(&link, &[("password", "not the one at all")])
        .await
        .shows(422, "This is not the password");
    assert_eq!(server.store.user(user.id).await.unwrap().unwrap().verified_at, None);
    phone.post(&link, &[("password", PASSWORD)]).await.goes_to("/app");
    assert!(server.store.user(user.id).await.unwrap().unwrap().verified_at.is_some());
    phone.get("/app/team").await.shows(200, "ines@kestrel.example");
}

#[tokio::test]
async fn until_the_address_is_confirmed_people_see_a_notice_and_invite_nobody() {
    let server = Server::start().await;
    Browser::new(&server)
        .post("/signup", &form("ines@kestrel.example", "Kestrel"))
        .await;
    let mut ines = Browser::of(&server, "ines@kestrel.example").await;
    ines.get("/app/team").await.shows(200, "Confirm your mail address");
    ines.post(
        "/app/team/invitations",
        &[("email", "bo@kestrel.example"), ("role", "viewer")],
    )
    .await
    .shows(403, "Confirm your address first");
    ines.get("/verify").await.shows(200, "Send the link again");
    let first = server.link("verify", "ines@kestrel.example", "/verify/").await;
    server.later(1_000);
    ines.post("/verify", &[]).await.goes_to("/verify?sent=1");
    let second = server.link("verify", "ines@kestrel.example", "/verify/").await;
    assert_ne!(first, second);
    ines.get(&first).await.shows(410, "does not work");
    ines.get(&second).await.shows(200, "Your address is confirmed");
    assert!(!ines.get("/app/team").await.text.contains("Confirm your mail address"));
}

#[tokio::test]
async fn an_expired_link_offers_another_one() {
    let server = Server::start().await;
    let mut ines = Browser::new(&server);
    ines.post("/signup", &form("ines@kestrel.example", "Kestrel")).await;
    let old = server.link("verify", "ines@kestrel.example", "/verify/").await;
    server.later(2 * DAY);
    ines.get(&old).await.shows(410, "This link has expired");
    ines.post(&format!("{old}/again"), &[])
        .await
        .shows(200, "Another link is on its way");
    let new = server.link("verify", "ines@kestrel.example", "/verify/").await;
    assert_ne!(old, new);
    ines.get(&old).await.shows(410, "does not work");
    ines.get(&new).await.shows(200, "Write the password");
    ines.get("/verify/tgv_nothing").await.shows(410, "does not work");
}

#[tokio::test]
async fn a_sign_up_tells_nobody_whether_an_address_has_an_account() {
    let server = Server::start().await;
    server.person("known@kestrel.example", vec![]).await;
    let mut answers = Vec::new();
    for email in ["known@kestrel.example", "fresh@kestrel.example"] {
        let mut browser = Browser::new(&server);
        let sent = browser.post("/signup", &form(email, "Kestrel")).await;
        let cookies: Vec<String> = set_cookies(&sent)
            .iter()
            .map(|cookie| {
                let (name, rest) = cookie.split_once('=').unwrap();
                let (value, flags) = rest.split_once(';').unwrap();
                format!("{name} {} {flags}", value.len())
            })
            .collect();
        let page = browser.get("/signup?sent=1").await;
        answers.push((sent.status, sent.header("location"), bare(&sent), cookies, bare(&page)));
    }
    assert_eq!(answers[0], answers[1]);
    server.mail("already-registered", "known@kestrel.example").await;
    server.mail("verify", "fresh@kestrel.example").await;
    assert!(server.mails("verify", "known@kestrel.example").await.is_empty());
    let known = server
        .store
        .user_by_email("known@kestrel.example")
        .await
        .unwrap()
        .unwrap();
    assert!(
        server.store.memberships(known.id).await.unwrap().is_empty(),
        "nothing was changed"
    );
}

#[tokio::test]
async fn faults_stand_beside_their_fields_and_secrets_do_not_come_back() {
    let server = Server::start().await;
    let fields = [
        ("name", "Ines <b>"),
        ("email", "ines@"),
        ("password", "hunter2"),
        ("organisation", "Kestrel"),
    ];
    let page = Browser::new(&server).post("/signup", &fields).await;
    page.shows(422, "2 things need mending");
    page.shows(422, "href=\"#email\"");
    page.shows(422, "id=\"password-error\"");
    page.shows(422, "Yours had 7");
    page.shows(422, "Ines &lt;b&gt;");
    page.shows(422, "value=\"Kestrel\"");
    assert!(!page.text.contains("hunter2") && !page.text.contains("Ines <b>"));
    assert!(server.store.user_by_email("ines@").await.unwrap().is_none());
}

#[tokio::test]
async fn a_closed_sign_up_is_closed_everywhere_and_invitations_go_on() {
    let server = Server::start().await;
    let account = server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    server
        .apply(json!({"settings": {"signup": "invitation"}}))
        .await
        .expect(200);
    let mut browser = Browser::new(&server);
    browser.get("/signup").await.shows(403, "by invitation");
    browser.get("/signup?sent=1").await.shows(403, "by invitation");
    browser
        .post("/signup", &form("ines@kestrel.example", ""))
        .await
        .shows(403, "by invitation");
    assert!(
        server
            .store
            .user_by_email("ines@kestrel.example")
            .await
            .unwrap()
            .is_none()
    );
    assert!(!browser.get("/login").await.text.contains("href=\"/signup\""));
    server.person("lone@kestrel.example", vec![]).await;
    let mut lone = Browser::of(&server, "lone@kestrel.example").await;
    lone.get("/organisation/new").await.shows(403, "by invitation");
    lone.post("/organisation/new", &[("name", "Mine")])
        .await
        .shows(403, "by invitation");
    let invited = json!({"email": "bo@kestrel.example", "role": "developer"});
    server
        .post(&format!("/accounts/{account}/invitations"), invited)
        .await
        .expect(201);
    let link = server.link("invitation", "bo@kestrel.example", "/invite/").await;
    Browser::new(&server)
        .post(&link, &[("name", "Bo"), ("password", PASSWORD)])
        .await
        .goes_to("/app");
    assert_eq!(
        server.role(account, "bo@kestrel.example").await,
        Some(AccountRole::Developer)
    );
}

#[tokio::test]
async fn sign_ups_with_one_address_are_throttled() {
    let server = Server::start().await;
    server.person("known@kestrel.example", vec![]).await;
    let mut browser = Browser::new(&server);
    for _ in 0..5 {
        browser
            .post("/signup", &form("known@kestrel.example", ""))
            .await
            .goes_to("/signup?sent=1");
    }
    let refused = browser.post("/signup", &form("KNOWN@kestrel.example", "")).await;
    refused.shows(429, "Too many tries. Wait 15 minutes (900 seconds)");
    assert_eq!(refused.header("retry-after").as_deref(), Some("900"));
}
