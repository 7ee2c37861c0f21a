use store::AccountRole;

use crate::browser::Browser;
use crate::support::Server;

const OWNER: (&str, AccountRole) = ("ann@kestrel.example", AccountRole::Owner);

#[tokio::test]
async fn only_owners_change_the_team() {
    let server = Server::start().await;
    let others = [
        ("dev@kestrel.example", AccountRole::Developer),
        ("bill@kestrel.example", AccountRole::Billing),
        ("view@kestrel.example", AccountRole::Viewer),
    ];
    let mut members = vec![OWNER];
    members.extend(others);
    let account = server.organisation("Kestrel", &members).await;
    let owner = server.store.user_by_email(OWNER.0).await.unwrap().unwrap().id;
    for (email, role) in others {
        let mut browser = Browser::of(&server, email).await;
        let page = browser.get("/app/team").await;
        page.shows(200, "ann@kestrel.example");
        assert!(!page.text.contains("Invite someone") && !page.text.contains("Change role"));
        for (path, fields) in [
            (
                "/app/team/invitations".to_owned(),
                vec![("email", "eve@kestrel.example")],
            ),
            (format!("/app/team/{owner}/role"), vec![("role", "viewer")]),
            (format!("/app/team/{owner}/remove"), vec![]),
        ] {
            assert_eq!(browser.post(&path, &fields).await.status, 403, "{email} {path}");
        }
        assert_eq!(browser.get(&format!("/app/team/{owner}/remove")).await.status, 403);
        assert_eq!(server.role(account, email).await, Some(role));
    }
    assert_eq!(server.role(account, OWNER.0).await, Some(AccountRole::Owner));
}

#[tokio::test]
async fn an_owner_changes_roles_and_takes_people_out_after_a_page_that_asks() {
    let server = Server::start().await;
    let account = server
        .organisation("Kestrel", &[OWNER, ("bo@kestrel.example", AccountRole::Viewer)])
        .await;
    let bo = server
        .store
        .user_by_email("bo@kestrel.example")
        .await
        .unwrap()
        .unwrap()
        .id;
    let mut ann = Browser::of(&server, OWNER.0).await;
    let mut his = Browser::of(&server, "bo@kestrel.example").await;
    ann.post(&format!("/app/team/{bo}/role"), &[("role", "developer")])
        .await
        .goes_to("/app/team?done=role");
    assert_eq!(
        server.role(account, "bo@kestrel.example").await,
        Some(AccountRole::Developer)
    );
    assert_eq!(
        ann.post(&format!("/app/team/{bo}/role"), &[("role", "emperor")])
            .await
            .status,
        400
    );
    ann.get(&format!("/app/team/{bo}/remove"))
        .await
        .shows(200, "bo loses access at once");
    assert_eq!(
        server.role(account, "bo@kestrel.example").await,
        Some(AccountRole::Developer)
    );
    ann.post(&format!("/app/team/{bo}/remove"), &[])
        .await
        .goes_to("/app/team?done=removed");
    assert_eq!(server.role(account, "bo@kestrel.example").await, None);
    his.get("/app/team").await.goes_to("/organisation/new");
    his.post("/organisation/new", &[("name", "Bo and sons")])
        .await
        .goes_to("/app");
    his.get("/app/team").await.shows(200, "Who belongs to Bo and sons");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let server = Server::start().await;
    let account = server
        .organisation("Kestrel", &[OWNER, ("bo@kestrel.example", AccountRole::Viewer)])
        .await;
    let (ann, bo) = (
        server.store.user_by_email(OWNER.0).await.unwrap().unwrap().id,
        server
            .store
            .user_by_email("bo@kestrel.example")
            .await
            .unwrap()
            .unwrap()
            .id,
    );
    let mut browser = Browser::of(&server, OWNER.0).await;
    browser
        .post(&format!("/app/team/{ann}/role"), &[("role", "viewer")])
        .await
        .shows(422, "keeps at least one owner");
    browser
        .post("/app/team/leave", &[])
        .await
        .shows(422, "The last owner cannot leave");
    assert_eq!(server.role(account, OWNER.0).await, Some(AccountRole::Owner));
    browser
        .post(&format!("/app/team/{bo}/role"), &[("role", "owner")])
        .await
        .goes_to("/app/team?done=role");
    browser
        .get("/app/team/leave")
        .await
        .shows(200, "You lose access at once");
    browser.post("/app/team/leave", &[]).await.goes_to("/app");
    assert_eq!(server.role(account, OWNER.0).await, None);
}

#[tokio::test]
async fn people_and_invitations_of_other_organisations_do_not_exist() {
    let server = Server::start().await;
    server.organisation("Kestrel", &[OWNER]).await;
    let foreign = server
        .organisation(
            "Heron",
            &[
                ("bo@heron.example", AccountRole::Owner),
                ("cy@heron.example", AccountRole::Viewer),
            ],
        )
        .await;
    let mut bo = Browser::of(&server, "bo@heron.example").await;
    bo.post(
        "/app/team/invitations",
        &[("email", "dee@heron.example"), ("role", "viewer")],
    )
    .await;
    let now = server.clock.now();
    let invitation = server
        .store
        .invitations(store::Scope::All, Some(foreign), now, &store::Page::default())
        .await
        .unwrap()[0]
        .id;
    let cy = server
        .store
        .user_by_email("cy@heron.example")
        .await
        .unwrap()
        .unwrap()
        .id;
    let mut ann = Browser::of(&server, OWNER.0).await;
    for path in [
        format!("/app/team/{cy}/role"),
        format!("/app/team/{cy}/remove"),
        format!("/app/team/invitations/{invitation}/withdraw"),
        format!("/app/team/invitations/{invitation}/again"),
        "/app/team/nonsense/role".to_owned(),
    ] {
        assert_eq!(ann.post(&path, &[("role", "owner")]).await.status, 404, "{path}");
    }
    assert_eq!(ann.get(&format!("/app/team/{cy}/remove")).await.status, 404);
    assert_eq!(
        server.role(foreign, "cy@heron.example").await,
        Some(AccountRole::Viewer)
    );
    ann.post("/app/team/invitations", &[("email", OWNER.0), ("role", "viewer")])
        .await
        .shows(422, "a member already");
}
