use super::world::{PASSWORD, bare};
use crate::browser::Browser;
use crate::support::Server;
use portal::{Hooks, TrustedProxies};

const MINUTE: i64 = 60_000;
const NEW: &str = "seven copper kettles whistle";

#[tokio::test]
async fn a_log_in_tells_nobody_whether_an_address_has_an_account() {
    let server = Server::start().await;
    server.person("known@kestrel.example", vec![]).await;
    let mut pages = Vec::new();
    for email in ["known@kestrel.example", "fresh@kestrel.example"] {
        let page = Browser::new(&server).log_in(email, "wrong and wrong again").await;
        page.shows(422, "Address or password is wrong");
        pages.push(bare(&page).replace(email, "?"));
    }
    assert_eq!(pages[0], pages[1]);
}

#[tokio::test]
async fn ten_wrong_passwords_close_the_address_and_its_network_for_a_while() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    server.person("bo@kestrel.example", vec![]).await;
    let mut browser = Browser::new(&server);
    for n in 0..10 {
        server.later(1_000);
        let page = browser
            .log_in("ann@kestrel.example", &format!("guess {n} of many"))
            .await;
        assert_eq!(page.status, 422);
    }
    server.later(1_000);
    let page = browser.log_in("Ann@Kestrel.example ", PASSWORD).await;
    page.shows(429, "Too many tries");
    assert_eq!(page.header("retry-after").as_deref(), Some("890"));
    page.shows(429, "(890 seconds)");
    let other = Browser::new(&server).log_in("bo@kestrel.example", PASSWORD).await;
    assert_eq!(other.status, 429, "the network has tried too often");
    server.later(15 * MINUTE - 10_000);
    assert_eq!(browser.log_in("ann@kestrel.example", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn networks_are_told_apart_behind_a_proxy_that_is_trusted_and_only_there() {
    for (trusted, other) in [(vec!["127.0.0.0/8".parse().unwrap()], 303), (vec![], 429)] {
        let server = Server::behind(Hooks::none(), None, TrustedProxies(trusted)).await;
        server.person("ann@kestrel.example", vec![]).await;
        let mut browser = Browser::new(&server);
        browser.get("/login").await;
        let token = browser.csrf();
        for n in 0..10 {
            let email = format!("guess{n}@kestrel.example");
            let fields = [("_csrf", token.as_str()), ("email", &email), ("password", "x")];
            let from = ("X-Forwarded-For", "198.51.100.7");
            assert_eq!(browser.post_as_is("/login", &fields, &[from]).await.status, 422);
        }
        let fields = [
            ("_csrf", token.as_str()),
            ("email", "ann@kestrel.example"),
            ("password", PASSWORD),
        ];
        let neighbour = ("X-Forwarded-For", "198.51.100.99");
        assert_eq!(browser.post_as_is("/login", &fields, &[neighbour]).await.status, 429);
        let far = ("X-Forwarded-For", "203.0.113.5");
        assert_eq!(browser.post_as_is("/login", &fields, &[far]).await.status, other);
    }
}

#[tokio::test]
async fn right_passwords_are_never_counted() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    for _ in 0..12 {
        Browser::of(&server, "ann@kestrel.example").await;
    }
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_by_way_of_the_mailbox_once() {
    let server = Server::start().await;
    let id = server.person("ann@kestrel.example", vec![]).await;
    let mut elsewhere = Browser::of(&server, "ann@kestrel.example").await;
    let mut ann = Browser::new(&server);
    ann.post("/forgot", &[("email", " ANN@kestrel.example")])
        .await
        .goes_to("/forgot?sent=1");
    ann.get("/forgot?sent=1").await.shows(200, "If there is an account");
    let link = server.link("reset", "ann@kestrel.example", "/reset/").await;
    let page = ann.get(&link).await;
    page.shows(200, "Choose a new password");
    assert_eq!(page.header("cache-control").as_deref(), Some("no-store"));
    ann.post(&link, &[("password", "short")])
        .await
        .shows(422, "Yours had 5");
    ann.post(&link, &[("password", NEW)]).await.goes_to("/login?reset=1");
    ann.post(&link, &[("password", PASSWORD)])
        .await
        .shows(410, "does not work any more");
    assert_eq!(
        elsewhere.get("/app/security").await.status,
        303,
        "every session has ended"
    );
    assert_eq!(ann.log_in("ann@kestrel.example", PASSWORD).await.status, 422);
    assert_eq!(ann.log_in("ann@kestrel.example", NEW).await.status, 303);
    server.mail("password-changed", "ann@kestrel.example").await;
    assert!(
        server
            .store
            .user(id)
            .await
            .unwrap()
            .unwrap()
            .password_hash
            .unwrap()
            .contains("m=19456")
    );
}

#[tokio::test]
async fn a_link_for_a_new_password_ends_after_an_hour_and_with_a_newer_one() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    let mut ann = Browser::new(&server);
    ann.post("/forgot", &[("email", "ann@kestrel.example")]).await;
    let first = server.link("reset", "ann@kestrel.example", "/reset/").await;
    server.later(1_000);
    ann.post("/forgot", &[("email", "ann@kestrel.example")]).await;
    let second = loop {
        let link = server.link("reset", "ann@kestrel.example", "/reset/").await;
        if link != first {
            break link;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    ann.get(&first).await.shows(410, "does not work any more");
    ann.get(&second).await.shows(200, "Choose a new password");
    server.later(60 * MINUTE);
    ann.post(&second, &[("password", NEW)])
        .await
        .shows(410, "does not work any more");
    assert_eq!(ann.log_in("ann@kestrel.example", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn asking_for_a_new_password_answers_the_same_for_everyone() {
    let server = Server::start().await;
    server.person("known@kestrel.example", vec![]).await;
    let mut answers = Vec::new();
    for email in ["known@kestrel.example", "fresh@kestrel.example"] {
        let mut browser = Browser::new(&server);
        let sent = browser.post("/forgot", &[("email", email)]).await;
        let page = browser.get("/forgot?sent=1").await;
        answers.push((sent.status, sent.header("location"), bare(&sent), bare(&page)));
    }
    assert_eq!(answers[0], answers[1]);
    server.mail("reset", "known@kestrel.example").await;
    assert!(server.mails("reset", "fresh@kestrel.example").await.is_empty());
    let mut browser = Browser::new(&server);
    for _ in 0..4 {
        browser
            .post("/forgot", &[("email", "fresh@kestrel.example")])
            .await
            .goes_to("/forgot?sent=1");
    }
    browser
        .post("/forgot", &[("email", "fresh@kestrel.example")])
        .await
        .shows(429, "Too many tries");
}

#[tokio::test]
async fn a_password_is_changed_with_the_old_one_and_ends_every_other_session() {
    let server = Server::start().await;
    server.person("ann@kestrel.example", vec![]).await;
    let mut ann = Browser::of(&server, "ann@kestrel.example").await;
    let mut other = Browser::of(&server, "ann@kestrel.example").await;
    let wrong = [("old_password", "no idea whatsoever"), ("new_password", NEW)];
    ann.post("/app/security/password", &wrong)
        .await
        .shows(422, "This is not your password");
    let easy = [("old_password", PASSWORD), ("new_password", "aaaaaaaaaaaaaa")];
    ann.post("/app/security/password", &easy)
        .await
        .shows(422, "easy to guess");
    let before = ann.cookies.clone();
    ann.post(
        "/app/security/password",
        &[("old_password", PASSWORD), ("new_password", NEW)],
    )
    .await
    .goes_to("/app/security?done=password");
    assert_ne!(before["tollgate_session"], ann.cookies["tollgate_session"]);
    ann.get("/app/security").await.shows(200, "Password changed");
    other
        .get("/app/security")
        .await
        .goes_to("/login?next=%2Fapp%2Fsecurity");
    server.mail("password-changed", "ann@kestrel.example").await;
}
