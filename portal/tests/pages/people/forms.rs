use store::AccountRole;

use super::world::PASSWORD;
use crate::browser::Browser;
use crate::support::Server;

const FORMS: &[&str] = &[
    "/login",
    "/signup",
    "/forgot",
    "/logout",
    "/app/switch",
    "/app/team/invitations",
    "/app/settings/profile",
    "/app/settings/organisation",
    "/app/security/password",
    "/app/security/sessions/others",
];

#[tokio::test]
async fn no_form_is_taken_without_the_token_of_its_session() {
    let server = Server::start().await;
    server
        .organisation(
            "Kestrel",
            &[
                ("ann@kestrel.example", AccountRole::Owner),
                ("bo@kestrel.example", AccountRole::Owner),
            ],
        )
        .await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    let mut bo = Browser::of(&server, "bo@kestrel.example").await;
    bo.get("/app/team").await;
    let foreign = bo.csrf();
    for path in FORMS {
        for token in [None, Some(""), Some("x.y"), Some(foreign.as_str())] {
            let mut fields = vec![
                ("email", "eve@kestrel.example"),
                ("password", PASSWORD),
                ("person", "Eve"),
            ];
            fields.extend(token.map(|token| ("_csrf", token)));
            let reply = ann.post_as_is(path, &fields, &[]).await;
            assert_eq!(reply.status, 403, "{path} {token:?}");
        }
    }
    ann.get("/app/team").await.shows(200, "ann@kestrel.example");
    assert!(server.mails("invitation", "eve@kestrel.example").await.is_empty());
}

#[tokio::test]
async fn no_form_is_taken_from_another_site() {
    let server = Server::start().await;
    server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.get("/app/settings").await;
    let token = ann.csrf();
    let fields = [("_csrf", token.as_str()), ("person", "Eve")];
    for header in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let reply = ann.post_as_is("/app/settings/profile", &fields, &[header]).await;
        assert_eq!(reply.status, 403, "{header:?}");
    }
    let host = format!("http://{}", server.addr);
    let origin = ("Origin", host.as_str());
    let reply = ann
        .post_as_is(
            "/app/settings/profile",
            &fields,
            &[origin, ("Sec-Fetch-Site", "same-origin")],
        )
        .await;
    reply.goes_to("/app/settings?done=profile");
}

#[tokio::test]
async fn reading_a_page_changes_nothing() {
    let server = Server::start().await;
    server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    for path in FORMS {
        let reply = ann.get(path).await;
        assert!([200, 303, 404, 405].contains(&reply.status), "{path} {}", reply.status);
    }
    assert_eq!(ann.get("/app/security").await.status, 200, "still logged in");
}
