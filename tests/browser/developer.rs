//! A developer of another company, from the sign-up to the invoice.

use std::time::{Duration, Instant};

use crate::admin::{answered, call};
use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::people::newcomer;
use crate::site;
use crate::visitor::Visitor;

/// How long the gateway may take to know a new key.
const SOON: Duration = Duration::from_secs(5);

/// Within a second, as the pages promise.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Makes the first app, a plan and a key by the one form that a newcomer is led to: the path of the app, and the key.
fn begin(browser: &Browser, name: &str) -> (String, String) {
    let fields = [("name", name), ("plan", "worldtime/free"), ("key", "1")];
    browser.send("[action='/app/apps']", &fields);
    let key = shown_key(browser);
    let keys = browser.page().links().into_iter().find(|link| link.ends_with("/keys"));
    (keys.unwrap().trim_end_matches("/keys").to_owned(), key)
}

/// Makes an app and nothing else, and gives back the path of its page.
fn make_app(browser: &Browser, name: &str) -> String {
    browser.go("/app/apps/new");
    browser.send("[action='/app/apps']", &[("name", name)]);
    browser.wait_until("there is no app", || browser.path().starts_with("/app/apps/"));
    browser.path()
}

/// Puts the app on a plan of the demo's product, as the page of the app leads there.
fn subscribe(browser: &Browser, app: &str, plan: &str) {
    browser.go(app);
    browser.click("Choose a plan");
    browser.click("Choose a plan of World Time");
    browser.send(&format!("[action='{app}/subscriptions']"), &[("plan", plan)]);
    browser.wait_for_path(&format!("{app}/subscriptions?new="));
}

/// Makes a key and gives back its secret; the browser stands on the page that shows it.
fn make_key(browser: &Browser, app: &str, name: &str) -> String {
    browser.go(&format!("{app}/keys"));
    browser.send(&format!("[action='{app}/keys']"), &[("name", name)]);
    shown_key(browser)
}

fn shown_key(browser: &Browser) -> String {
    browser.wait_until("no key is shown", || browser.has("#secret"));
    browser.property("#secret", "value").unwrap()
}

/// The value of a figure in the head of a page.
fn figure(browser: &Browser, name: &str) -> Option<String> {
    let script = "const dt = [...document.querySelectorAll('.stats dt')].find((e) => e.textContent.trim() === arguments[0]);\
                  return dt ? dt.nextElementSibling.textContent.trim() : null";
    browser
        .run(script, vec![serde_json::json!(name)])
        .as_str()
        .map(str::to_owned)
}

/// The first call is in usage within five seconds.
fn see_the_first_call(browser: &Browser) {
    let began = Instant::now();
    browser.go("/app/usage");
    while figure(browser, "Requests").as_deref() != Some("1") {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "usage shows no call:\n{}",
            browser.text()
        );
        browser.reload();
    }
}

/// `why` tells what was done with it.
fn why_of_the_first_call(browser: &Browser) {
    browser.go("/app/logs");
    let logged = browser.page().links();
    let story = logged.iter().find(|link| link.starts_with("/app/logs/"));
    browser.go(story.expect("the log has no request"));
    let told = browser.text();
    for word in ["/worldtime/currencies/JPY", "checkout", "Before", "At most", "1,000"] {
        assert!(told.contains(word), "why does not tell {word}: {told}");
    }
}

/// The new key works, so does the old one until its time is over, and a revoked one is refused within a second.
fn rotate_and_revoke(browser: &Browser, app: &str, old: &str) {
    browser.go(&format!("{app}/keys"));
    browser.click("Rotate laptop");
    browser.send("[action$='/rotate']", &[("grace", "1h")]);
    let new = shown_key(browser);
    assert_ne!(new, old);
    answered(&new, 200, SOON);
    assert_eq!(call(old), 200, "the old key ends at once");
    browser.click("I have saved it");
    browser.wait_until("the key is still shown", || !browser.has("#secret"));
    assert!(browser.text().contains("replaces"), "{}", browser.text());
    browser.click("End now");
    browser.send("[action$='/revoke']", &[("confirm", "not its name")]);
    assert_eq!(browser.status(), 422, "revoked without its name: {}", browser.text());
    browser.send("[action$='/revoke']", &[("confirm", "laptop")]);
    answered(old, 401, AT_ONCE);
    assert_eq!(call(&new), 200, "the new key is refused, too");
}

/// Another plan costs what the preview said: to the cent, on an invoice with a PDF.
fn change_to_a_paid_plan(browser: &Browser, app: &str) {
    browser.go(&format!("{app}/subscriptions"));
    browser.click("Change plan");
    browser.fill_in("[action$='/change']", &[("plan", "pro"), ("at", "now")]);
    browser.click("See what it comes to");
    browser.wait_for_text("Due now");
    let due = "return document.querySelector('.totals dd.sum').textContent.trim()";
    let due = browser.run(due, vec![]).as_str().unwrap().to_owned();
    assert!(due.starts_with('$') && due != "$0.00", "{due}");
    browser.click("Change to Pro");
    browser.wait_until("the plan is the old one", || browser.path().ends_with("/subscriptions"));
    assert!(browser.text().contains("World Time, Pro"), "{}", browser.text());
    browser.go("/app/billing");
    let is_invoice = |link: &&String| link.starts_with("/app/billing/invoices/") && !link.ends_with(".pdf");
    browser.wait_longer("there is no invoice", || {
        browser.reload();
        browser.page().links().iter().any(|link| is_invoice(&link))
    });
    let invoice = browser.page().links().iter().find(is_invoice).unwrap().clone();
    browser.go(&invoice);
    let paper = browser.text();
    assert!(paper.contains(&due), "the preview said {due}: {paper}");
    let mut visitor = Visitor::with_cookies(site::base(), &browser.cookies());
    let pdf = visitor.get(&format!("{invoice}.pdf"));
    assert_eq!((pdf.status, pdf.header("content-type")), (200, Some("application/pdf")));
    assert!(pdf.body.starts_with(b"%PDF-"));
}

fn cancel_and_take_back(browser: &Browser, app: &str) {
    browser.go(&format!("{app}/subscriptions"));
    browser.click("Cancel subscription");
    browser.send("[action$='/cancel']", &[("at", "period_end")]);
    browser.wait_until("nothing is cancelled", || browser.offers("Keep the subscription"));
    browser.click("Keep the subscription");
    browser.wait_until("it still ends", || browser.offers("Cancel subscription"));
}

fn from_sign_up_to_the_invoice(scripts: Scripts, name: &str) {
    let Some(browser) = newcomer(scripts, name) else { return };
    let (app, first) = begin(&browser, "checkout");
    answered(&first, 200, SOON);
    see_the_first_call(&browser);
    let loads = browser.page_loads();
    let looks = browser
        .answers()
        .iter()
        .filter(|seen| seen.url.ends_with("/app/usage"))
        .count();
    assert!(
        loads - looks < 6,
        "{loads} pages were loaded until usage, {looks} of them usage"
    );
    why_of_the_first_call(&browser);
    let key = make_key(&browser, &app, "laptop");
    browser.screenshot(&format!("key-{scripts:?}"));
    browser.click("I have saved it");
    answered(&key, 200, SOON);
    for page in [&app, &format!("{app}/keys"), "/app", "/app/apps", "/app/usage"] {
        browser.go(page);
        assert!(!browser.source().contains(&key), "{page} shows the key again");
    }
    rotate_and_revoke(&browser, &app, &key);
    change_to_a_paid_plan(&browser, &app);
    cancel_and_take_back(&browser, &app);
    assert_eq!(browser.noise(), Vec::<String>::new());
}

#[test]
fn a_developer_gets_from_the_sign_up_to_an_invoice() {
    from_sign_up_to_the_invoice(Scripts::On, "Nadia Haddad");
}

#[test]
fn a_developer_gets_there_without_scripts_too() {
    from_sign_up_to_the_invoice(Scripts::Off, "Noor Haddad");
}

#[test]
fn a_key_is_in_one_answer_alone_whatever_a_browser_keeps() {
    let Some(browser) = newcomer(Scripts::On, "Rosa Weber") else {
        return;
    };
    let app = make_app(&browser, "billing-sync");
    subscribe(&browser, &app, "free");
    let key = make_key(&browser, &app, "server");
    let faults = checks::appearance(&browser);
    assert!(faults.is_empty(), "{faults:#?}");
    browser.go(&format!("{app}/keys"));
    let page = browser.source();
    assert!(
        !page.contains(&key) && page.contains(&key[key.len() - 4..]),
        "{}",
        browser.text()
    );
    browser.back();
    assert!(!browser.source().contains(&key), "Back shows the key again");
    browser.reload();
    assert!(!browser.source().contains(&key), "loading again shows the key");
    browser.go(&format!("{app}/keys"));
    let links = browser.page().links();
    let keys = links.iter().filter(|link| link.ends_with("/rotate")).count();
    assert_eq!(keys, 1, "the form was sent again: {}", browser.text());
}
