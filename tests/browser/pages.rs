//! Every page of the portal, for every reader.

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::html::Page;
use crate::site::{self, Role};

/// All that is looked at in a window, with the page named.
fn look(browser: &Browser, path: &str) -> Vec<String> {
    browser.forget();
    browser.go(path);
    let (html, mut faults) = (browser.source(), Vec::new());
    let mut visitor = crate::visitor::Visitor::with_cookies(site::base(), &browser.cookies());
    let own = visitor.get(path).text();
    let mut fetch = |url: &str| visitor.get(url.trim_start_matches(site::base())).text();
    faults.extend(checks::budget(browser, &own, &mut fetch));
    faults.extend(checks::document(&Page::parse(&own)));
    faults.extend(checks::anchors(&Page::parse(&html)));
    faults.extend(checks::appearance(browser));
    faults.extend(browser.noise());
    faults.into_iter().map(|fault| format!("{path}: {fault}")).collect()
}

#[test]
fn the_start_page_and_the_documentation_of_the_admin_api_are_sound() {
    let Some(browser) = Role::Anonymous.browser(Scripts::On) else {
        return;
    };
    let mut faults = look(&browser, "/");
    browser.screenshot("start");
    browser.go("/");
    faults.extend(checks::keyboard(&browser));
    faults.extend(look(&browser, "/api/docs"));
    assert!(faults.is_empty(), "{faults:#?}");
}
