//! The first day: nothing is there yet, and every page says what to do next.

use crate::browser::{Browser, Theme};
use crate::checks;
use crate::driver::Scripts;
use crate::guards::{self, House};
use crate::people::PASSWORD;
use crate::site;
use crate::visitor::Visitor;

/// Looks at every page that this reader comes to.
fn first_day(house: &House, browser: &Browser, sections: &[&str]) {
    let mut visitor = Visitor::with_cookies(&house.base(), &browser.cookies());
    let found = visitor.crawl(2);
    let mut faults = Vec::new();
    for section in sections {
        let count = found.iter().filter(|page| page.path.starts_with(section)).count();
        assert!(count >= 4, "only {count} pages of {section}");
    }
    for page in found.iter().filter(|page| !page.page.html.is_empty()) {
        let mut note = |fault: String| faults.push(format!("{}: {fault}", page.path));
        if page.status != 200 {
            note(format!("{} (linked from {})", page.status, page.from));
        }
        checks::document(&page.page).into_iter().for_each(&mut note);
        checks::leaks(&page.page).into_iter().for_each(&mut note);
        browser.go(&page.path);
        let stuck =
            "return [...document.querySelectorAll('.empty')].filter((e) => !e.querySelector('a[href], button')).length";
        if browser.run(stuck, vec![]) != serde_json::json!(0) {
            note("an empty block without a next action".to_owned());
        }
        checks::axe(browser, &[]).into_iter().for_each(&mut note);
        browser.look(320, Theme::Light);
        checks::overflow(browser).into_iter().for_each(&mut note);
        browser.look(1280, Theme::Light);
    }
    faults.extend(browser.noise());
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn whoever_runs_an_empty_platform_is_told_what_to_do_next() {
    let house = House::start(|settings| settings);
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    site::log_in(&browser, guards::EMAIL, guards::PASSWORD);
    first_day(&house, &browser, &["/manage", "/finance", "/admin"]);
}

#[test]
fn the_first_developer_of_an_empty_platform_is_told_what_to_do_next() {
    let house = House::start(|settings| settings);
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    browser.go("/signup");
    let fields = [
        ("name", "Ada First"),
        ("email", "ada@kestrel.example"),
        ("password", PASSWORD),
        ("organisation", "Kestrel"),
    ];
    browser.send("[action='/signup']", &fields);
    browser.wait_for_path("/signup?sent");
    browser.go(&house.outbox().wait_for_link("ada@kestrel.example", "/verify/"));
    browser.wait_for_path("/app");
    first_day(&house, &browser, &["/app"]);
}
