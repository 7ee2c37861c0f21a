use domain::key;
use portal::Hooks;
use store::AccountRole;

use super::world::{PASSWORD, set_cookies};
use crate::browser::Browser;
use crate::support::Server;

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn a_log_in_gives_a_new_session_and_the_old_one_is_dead() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    let mut ann = Browser::new(&server);
    // What an attacker has planted beforehand is worth nothing afterwards.
    ann.cookies
        .insert("tollgate_session".to_owned(), "tgs_planted".to_owned());
    assert_eq!(ann.log_in("ann@kestrel.example", PASSWORD).await.status, 303);
    let first = ann.cookies["tollgate_session"].clone();
    assert_ne!(first, "tgs_planted");
    ann.get("/app/security").await.shows(200, "ann@kestrel.example");
    ann.log_in("ann@kestrel.example", PASSWORD).await;
    let second = ann.cookies["tollgate_session"].clone();
    assert_ne!(first, second);
    let mut thief = Browser::new(&server);
    thief.cookies.insert("tollgate_session".to_owned(), first);
    assert_eq!(thief.get("/app/security").await.status, 303);
    assert!(
        server
            .store
            .session(key::hash(second.as_bytes()), server.clock.now())
            .await
            .unwrap()
            .is_some()
    );

    let mut left = Browser::new(&server);
    left.cookies = ann.cookies.clone();
    ann.post("/logout", &[]).await.goes_to("/");
    assert!(!ann.cookies.contains_key("tollgate_session"));
    assert_eq!(
        left.get("/app/security").await.status,
        303,
        "the log-out ends it on the server"
    );
}

#[tokio::test]
async fn a_session_ends_after_a_day_without_use_and_after_two_weeks_at_the_latest() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    let mut idle = Browser::of(&server, "ann@kestrel.example").await;
    let mut busy = Browser::of(&server, "ann@kestrel.example").await;
    for hours in 0..14 * 24 / 12 - 1 {
        server.later(12 * HOUR);
        assert_eq!(busy.get("/app/security").await.status, 200, "after {hours} half days");
        assert_eq!(idle.get("/forgot").await.status, 200);
        if hours == 0 {
            idle = Browser::of(&server, "ann@kestrel.example").await;
        }
        if hours > 0 {
            // A page is use as well; from here on this browser is left alone.
            break;
        }
    }
    server.later(24 * HOUR);
    assert_eq!(idle.get("/app/security").await.status, 303, "idle for a day");
    let mut busy = Browser::of(&server, "ann@kestrel.example").await;
    for _ in 0..27 {
        server.later(12 * HOUR);
        assert_eq!(busy.get("/app/security").await.status, 200);
    }
    server.later(12 * HOUR);
    assert_eq!(busy.get("/app/security").await.status, 303, "two weeks are over");
}

#[tokio::test]
async fn cookies_have_every_flag_where_the_public_address_is_https() {
    let server = Server::under(Hooks::none(), Some("https://portal.test")).await;
    server.person("ann@kestrel.example", vec![]).await;
    let mut ann = Browser::new(&server);
    let page = ann.get("/login").await;
    let form = set_cookies(&page);
    assert!(
        form.iter().any(|cookie| cookie.starts_with("__Host-tollgate_form=")),
        "{form:?}"
    );
    let reply = ann.log_in("ann@kestrel.example", PASSWORD).await;
    let cookies = set_cookies(&reply);
    let session = cookies
        .iter()
        .find(|cookie| cookie.starts_with("__Host-tollgate_session="))
        .unwrap();
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(session.contains(flag), "{session}");
    }
    assert!(!session.contains("Domain"), "{session}");
    ann.post("/signup", &[]).await;
    let fields = [("name", "Bo"), ("email", "bo@kestrel.example"), ("password", PASSWORD)];
    let reply = Browser::new(&server).post("/signup", &fields).await;
    assert!(set_cookies(&reply)[0].starts_with("__Host-tollgate_signup="));
    let mail = server.mail("verify", "bo@kestrel.example").await;
    assert!(mail.contains("https://portal.test/verify/tgv_"), "{mail}");
}

#[tokio::test]
async fn the_log_in_leads_back_to_paths_of_this_server_alone() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    for (next, to) in [
        ("/app/security", "/app/security"),
        ("/products?q=a&page=2", "/products?q=a&page=2"),
        ("//evil.example", "/app"),
        ("/\\evil.example", "/app"),
        ("https://evil.example", "/app"),
        ("/app\r\nSet-Cookie: x=y", "/app"),
        ("/\t/evil.example", "/app"),
        ("", "/app"),
    ] {
        let fields = [("email", "ann@kestrel.example"), ("password", PASSWORD), ("next", next)];
        let reply = Browser::new(&server).post("/login", &fields).await;
        reply.goes_to(to);
        assert!(!reply.head.contains("x=y"));
    }
    let page = Browser::new(&server).get("/login?next=//evil.example").await;
    assert!(!page.text.contains("evil"));
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.get("/login?next=/app/security").await.goes_to("/app/security");
    ann.get("/login?next=//evil.example").await.goes_to("/app");
}

#[tokio::test]
async fn people_see_and_end_their_own_sessions_only() {
    let server = Server::start().await;
    let ann = server.person("ann@kestrel.example", vec![]).await;
    let bo = server.person("bo@kestrel.example", vec![]).await;
    let mut here = Browser::of(&server, "ann@kestrel.example").await;
    let mut there = Browser::of(&server, "ann@kestrel.example").await;
    let mut stranger = Browser::of(&server, "bo@kestrel.example").await;
    let now = server.clock.now();
    let page = here.get("/app/security").await;
    page.shows(200, "Firefox on Linux");
    assert_eq!(page.text.matches("This one").count(), 1);
    let foreign = server.store.sessions_of(bo, now).await.unwrap()[0].secret_hash.to_hex();
    let path = |hash: &str| format!("/app/security/sessions/{hash}/end");
    assert_eq!(here.post(&path(&foreign), &[]).await.status, 404);
    assert_eq!(here.post(&path("nonsense"), &[]).await.status, 404);
    assert_eq!(stranger.get("/app/security").await.status, 200);
    let own = key::hash(there.cookies["tollgate_session"].as_bytes()).to_hex();
    here.post(&path(&own), &[]).await.goes_to("/app/security?done=ended");
    assert_eq!(there.get("/app/security").await.status, 303);
    let mut third = Browser::of(&server, "ann@kestrel.example").await;
    here.post("/app/security/sessions/others", &[])
        .await
        .goes_to("/app/security?done=others");
    assert_eq!(third.get("/app/security").await.status, 303);
    assert_eq!(server.store.sessions_of(ann, now).await.unwrap().len(), 1);
    here.get("/app/security").await.shows(200, "Sessions ended");
}

#[tokio::test]
async fn a_person_of_several_organisations_switches_between_their_own() {
    let server = Server::start().await;
    let kestrel = server
        .organisation("Kestrel", &[("ann@kestrel.example", AccountRole::Owner)])
        .await;
    server.later(1);
    let heron = server
        .organisation("Heron", &[("ann@kestrel.example", AccountRole::Viewer)])
        .await;
    let foreign = server
        .organisation("Foreign", &[("bo@kestrel.example", AccountRole::Owner)])
        .await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    ann.get("/app/team").await.shows(200, "Who belongs to Kestrel");
    ann.post("/app/switch", &[("organisation", &heron.to_string())])
        .await
        .goes_to("/app");
    let page = ann.get("/app/team").await;
    page.shows(200, "Who belongs to Heron");
    assert!(!page.text.contains("Invite someone"), "a viewer invites nobody");
    for id in [foreign.to_string(), "nonsense".to_owned()] {
        assert_eq!(ann.post("/app/switch", &[("organisation", &id)]).await.status, 404);
    }
    // A cookie that names a foreign organisation gives nothing.
    ann.cookies
        .insert("tollgate_organisation".to_owned(), foreign.to_string());
    let page = ann.get("/app/team").await;
    assert!(!page.text.contains("Foreign") && page.text.contains("Kestrel"));
    ann.post("/app/switch", &[("organisation", &kestrel.to_string())])
        .await
        .goes_to("/app");
}
