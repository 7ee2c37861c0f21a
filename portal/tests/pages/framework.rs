//! What holds on every page, tried on the simplest one.

use crate::browser::Browser;
use crate::support::Server;

#[tokio::test]
async fn a_form_needs_the_token_of_a_page_that_was_made_for_this_browser() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.get("/").await;
    let token = browser.csrf();
    assert_eq!(browser.post("/theme", &[("theme", "dark")]).await.status, 303);
    assert!(browser.get("/").await.text.contains("data-theme=\"dark\""));
    let mut other = Browser::new(&server);
    other.get("/").await;
    for forged in ["", "x.y", token.as_str()] {
        let reply = other
            .post_as_is("/theme", &[("_csrf", forged), ("theme", "dark")], &[])
            .await;
        assert_eq!(reply.status, 403, "{forged}");
        assert!(reply.text.contains("This form has expired"));
    }
}

#[tokio::test]
async fn a_form_that_another_site_sends_is_refused_even_with_a_token() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.get("/").await;
    let token = browser.csrf();
    let fields = [("_csrf", token.as_str()), ("theme", "dark")];
    for (header, fits) in [
        (("Origin", "https://evil.example"), false),
        (("Origin", "null"), false),
        (("Sec-Fetch-Site", "cross-site"), false),
        (("Sec-Fetch-Site", "same-site"), false),
        (("Sec-Fetch-Site", "same-origin"), true),
        (("Origin", &*format!("http://{}", server.addr)), true),
    ] {
        let reply = browser.post_as_is("/theme", &fields, &[header]).await;
        assert_eq!(reply.status == 303, fits, "{header:?} {}", reply.status);
    }
}

#[tokio::test]
async fn every_token_is_another_and_all_of_a_browser_work() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    browser.get("/").await;
    let first = browser.csrf();
    browser.get("/").await;
    assert_ne!(first, browser.csrf());
    let reply = browser
        .post_as_is("/theme", &[("_csrf", &first), ("theme", "light")], &[])
        .await;
    assert_eq!(reply.status, 303);
}

#[tokio::test]
async fn errors_are_pages_for_people_and_problems_for_programs() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/nowhere").await;
    assert_eq!(page.status, 404);
    assert!(page.text.contains("There is nothing here") && page.text.contains("Request <span class=\"id\">"));
    assert!(
        page.header("content-security-policy")
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let api = server.send(None, "GET /api/v1/nowhere", &[], None).await;
    assert_eq!(api.problem(), "not-found");
    let wrong = browser.post_as_is("/", &[], &[]).await;
    assert_eq!(wrong.status, 405);
}

#[tokio::test]
async fn files_are_kept_for_ever_under_an_address_with_their_hash() {
    let server = Server::start().await;
    let mut browser = Browser::new(&server);
    let page = browser.get("/").await.text;
    let style = page
        .split("href=\"/static/style.css?v=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let reply = browser.get(&format!("/static/style.css?v={style}")).await;
    assert!(reply.header("cache-control").unwrap().contains("immutable"));
    let script = browser.get("/static/portal.js").await;
    assert!(
        script.text.len() < 8 * 1024,
        "our script has grown to {} bytes",
        script.text.len()
    );
}
