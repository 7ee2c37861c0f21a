use serde_json::json;
use store::{AccountRole, StaffRole};

use super::world::PASSWORD;
use crate::browser::Browser;
use crate::support::{Server, text};

const DAY: i64 = 86_400_000;

async fn kestrel(server: &Server) -> domain::ids::AccountId {
    server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await
}

#[tokio::test]
async fn a_new_person_joins_by_the_link_of_the_mail_once() {
    let server = Server::start().await;
    let account = kestrel(&server).await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.post(
        "/app/team/invitations",
        &[("email", "bo@kestrel.example"), ("role", "billing")],
    )
    .await
    .goes_to("/app/team?done=invited");
    ann.get("/app/team").await.shows(200, "bo@kestrel.example");
    let link = server.link("invitation", "bo@kestrel.example", "/invite/").await;
    let mail = server.mail("invitation", "bo@kestrel.example").await;
    assert!(mail.contains("ann invites you to join Kestrel as billing"), "{mail}");
    let mut bo = Browser::new(&server);
    let page = bo.get(&link).await;
    page.shows(200, "Join Kestrel");
    page.shows(200, "Create account and join");
    bo.post(&link, &[("name", "Bo"), ("password", "bo")])
        .await
        .shows(422, "Yours had 2");
    bo.post(&link, &[("name", "Bo"), ("password", PASSWORD)])
        .await
        .goes_to("/app");
    assert_eq!(
        server.role(account, "bo@kestrel.example").await,
        Some(AccountRole::Billing)
    );
    let user = server.store.user_by_email("bo@kestrel.example").await.unwrap().unwrap();
    assert!(user.verified_at.is_some() && user.staff_roles.is_empty());
    bo.get("/app/settings").await.shows(200, "Kestrel");
    let joined = server.mail("member-joined", "ann@kestrel.example").await;
    assert!(joined.contains("Bo joined Kestrel"), "{joined}");
    Browser::new(&server).get(&link).await.shows(410, "does not work");
    Browser::new(&server)
        .post(&link, &[("name", "Eve"), ("password", PASSWORD)])
        .await
        .shows(410, "does not work");
}

#[tokio::test]
async fn someone_with_an_account_logs_in_with_the_address_that_was_invited() {
    let server = Server::start().await;
    let account = kestrel(&server).await;
    server.person("bo@kestrel.example", vec![]).await;
    server.person("eve@kestrel.example", vec![]).await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.post(
        "/app/team/invitations",
        &[("email", "BO@kestrel.example"), ("role", "viewer")],
    )
    .await;
    let link = server.link("invitation", "BO@kestrel.example", "/invite/").await;
    let mut eve = Browser::of(&server, "eve@kestrel.example").await;
    eve.get(&link)
        .await
        .shows(200, "You are logged in with another address");
    assert_eq!(eve.post(&link, &[]).await.status, 303);
    assert_eq!(server.role(account, "eve@kestrel.example").await, None);
    let mut bo = Browser::new(&server);
    bo.get(&link).await.shows(200, "Log in with it");
    bo.post(&link, &[("name", "Eve"), ("password", PASSWORD)])
        .await
        .goes_to(&format!("/login?next={link}"));
    bo.post(
        "/login",
        &[("email", "bo@kestrel.example"), ("password", PASSWORD), ("next", &link)],
    )
    .await
    .goes_to(&link);
    bo.get(&link).await.shows(200, "Join Kestrel");
    bo.post(&link, &[]).await.goes_to("/app");
    assert_eq!(
        server.role(account, "bo@kestrel.example").await,
        Some(AccountRole::Viewer)
    );
}

#[tokio::test]
async fn an_invitation_ends_when_it_is_withdrawn_replaced_or_old() {
    let server = Server::start().await;
    let account = kestrel(&server).await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    let invite = [("email", "bo@kestrel.example"), ("role", "developer")];
    let mut links = Vec::new();
    for _ in 0..2 {
        server.later(1_000);
        ann.post("/app/team/invitations", &invite)
            .await
            .goes_to("/app/team?done=invited");
        links.push(server.link("invitation", "bo@kestrel.example", "/invite/").await);
    }
    let open = server
        .store
        .invitations(
            store::Scope::All,
            Some(account),
            server.clock.now(),
            &store::Page::default(),
        )
        .await
        .unwrap();
    assert_eq!(open.len(), 1, "the second has replaced the first");
    server.later(1_000);
    ann.post(&format!("/app/team/invitations/{}/again", open[0].id), &[])
        .await
        .goes_to("/app/team?done=invited");
    links.push(server.link("invitation", "bo@kestrel.example", "/invite/").await);
    let mut bo = Browser::new(&server);
    for (index, status) in [(0, 410), (1, 410), (2, 200)] {
        assert_eq!(bo.get(&links[index]).await.status, status, "{index}");
    }
    server.later(7 * DAY);
    assert_eq!(bo.get(&links[2]).await.status, 410);
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.post("/app/team/invitations", &invite).await;
    let link = server.link("invitation", "bo@kestrel.example", "/invite/").await;
    let now = server.clock.now();
    let open = server
        .store
        .invitations(store::Scope::All, Some(account), now, &store::Page::default())
        .await
        .unwrap();
    let id = open[0].id;
    ann.post(&format!("/app/team/invitations/{id}/withdraw"), &[])
        .await
        .goes_to("/app/team?done=withdrawn");
    assert_eq!(
        ann.post(&format!("/app/team/invitations/{id}/withdraw"), &[])
            .await
            .status,
        404
    );
    assert_eq!(bo.get(&link).await.status, 410);
}

#[tokio::test]
async fn staff_are_invited_through_the_admin_api_and_keep_the_roles_they_have_by_then() {
    let server = Server::start().await;
    let wish = json!({"email": "fin@portal.test", "roles": ["finance", "support"]});
    let made = server.post("/users", wish).await.expect(201);
    let id = text(&made, "id");
    let link = server.link("invitation", "fin@portal.test", "/invite/").await;
    assert_eq!(
        link,
        format!("/invite/{}", made["invitation"]["secret"].as_str().unwrap())
    );
    assert_eq!(Browser::new(&server).log_in("fin@portal.test", "").await.status, 422);
    Browser::new(&server)
        .post("/forgot", &[("email", "fin@portal.test")])
        .await;
    server
        .call(
            &server.admin,
            ("PATCH", &format!("/users/{id}")),
            Some(json!({"roles": ["finance"]})),
        )
        .await
        .expect(200);
    let mut fin = Browser::new(&server);
    fin.post(&link, &[("name", "Fin"), ("password", PASSWORD)])
        .await
        .goes_to("/app");
    let user = server.store.user_by_email("fin@portal.test").await.unwrap().unwrap();
    assert_eq!(
        (user.staff_roles, user.name.as_str()),
        (vec![StaffRole::Finance], "Fin")
    );
    fin.get("/app/security").await.shows(200, "fin@portal.test");
    fin.get("/app/team").await.goes_to("/finance");
    assert!(
        server.mails("reset", "fin@portal.test").await.is_empty(),
        "an invitation is no account"
    );
}
