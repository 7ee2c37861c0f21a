//! Every page of the portal, for every reader: links, titles, headings, rules of accessibility in both themes and
//! widths, text without scripts, sizes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::browser::{Browser, Theme};
use crate::checks;
use crate::driver::Scripts;
use crate::html::Page;
use crate::site::{self, Role};
use crate::visitor::{Found, Visitor, shape};

/// Pages of one shape that a walk follows.
const OF_ONE_SHAPE: usize = 3;

/// Pages of a walk that are gone through with the keyboard, too.
const BY_KEYBOARD: usize = 8;

/// All that is looked at in a window, with the page named.
fn look(browser: &Browser, path: &str) -> Vec<String> {
    // An empty cache, as on a first visit.
    browser.devtools("Network.clearBrowserCache", &json!({}));
    browser.go("about:blank");
    browser.forget();
    browser.go(path);
    let mut visitor = Visitor::with_cookies(site::base(), &browser.cookies());
    let sent = visitor.get(path).text();
    let mut fetch = |url: &str| visitor.get(url.trim_start_matches(site::base())).text();
    let mut faults = checks::budget(browser, &sent, &mut fetch);
    faults.extend(without_scripts(browser, &Page::parse(&sent)));
    faults.extend(printed(browser));
    faults.extend(checks::appearance(browser));
    faults.extend(browser.noise());
    faults.into_iter().map(|fault| format!("{path}: {fault}")).collect()
}

/// What scripts add to the text of the main part: next to nothing.
fn without_scripts(browser: &Browser, sent: &Page) -> Vec<String> {
    let script = "const main = document.querySelector('main').cloneNode(true);\
        main.querySelectorAll('script, style, template').forEach((e) => e.remove()); return main.textContent";
    let with = browser.run(script, vec![]);
    let dense = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
    let (with, without) = (dense(with.as_str().unwrap_or_default()), dense(&sent.main_text()));
    let is_enough = without * 100 >= with * 95;
    (!is_enough)
        .then(|| format!("{without} characters without scripts, {with} with them"))
        .into_iter()
        .collect()
}

/// On paper: no navigation, nothing folded.
fn printed(browser: &Browser) -> Vec<String> {
    browser.media("print", Theme::Light);
    let script = "const seen = (e) => e.getClientRects().length > 0;\
        const shown = [...document.querySelectorAll('.site-header, .site-footer, nav.side, .skip-link')].filter(seen);\
        const folded = [...document.querySelectorAll('main details')].filter((d) => seen(d) &&\
            [...d.children].some((c) => c.localName !== 'summary' && c.textContent.trim() && c.offsetHeight === 0));\
        return [...shown, ...folded].map((e) => `on paper: ${e.localName} ${e.className}`)";
    let found: Vec<String> = serde_json::from_value(browser.run(script, vec![])).unwrap();
    browser.media("screen", Theme::Light);
    found.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Links to a place in another page of the walk that is not there.
fn dead_places(found: &[Found]) -> Vec<String> {
    let pages: BTreeMap<&str, BTreeSet<&str>> = found
        .iter()
        .map(|found| (found.path.as_str(), found.page.ids()))
        .collect();
    let mut faults = Vec::new();
    for found in found {
        for link in found.page.links() {
            let Some((path, place)) = link.split_once('#') else {
                continue;
            };
            let ids = pages.get(path).filter(|_| !place.is_empty());
            if ids.is_some_and(|ids| !ids.contains(place)) {
                faults.push(format!("{}: a link to {link}, which is not there", found.path));
            }
        }
    }
    faults
}

/// What can be told without a window, about all pages that this reader comes to.
fn read(role: Role, found: &[Found]) -> Vec<String> {
    let mut faults = dead_places(found);
    let mut titles: BTreeMap<String, &str> = BTreeMap::new();
    for page in found {
        let mut note = |fault: String| faults.push(format!("{}: {fault}", page.path));
        if page.status != 200 {
            note(format!("{} (linked from {})", page.status, page.from));
        }
        if page.page.html.is_empty() || page.status != 200 {
            continue;
        }
        checks::document(&page.page).into_iter().for_each(&mut note);
        checks::anchors(&page.page).into_iter().for_each(&mut note);
        // What a reference shows was written by others.
        if page.path.starts_with(role.section())
            && !["/products/", "/api/"].iter().any(|kind| page.path.starts_with(kind))
        {
            checks::leaks(&page.page).into_iter().for_each(&mut note);
        }
        if page.path.contains('?') {
            continue;
        }
        if let Some(other) = titles.insert(page.page.title(), &page.path) {
            note(format!("the title of {other}, too: {:?}", page.page.title()));
        }
    }
    faults
}

/// One page of each kind in the reader's own section.
fn kinds(role: Role, found: &[Found]) -> Vec<&str> {
    let sections = ["/app", "/manage", "/finance", "/admin"];
    let is_own = |path: &str| match role {
        Role::Anonymous => !sections.iter().any(|section| path.starts_with(section)),
        other => path.starts_with(other.section()),
    };
    let mut known = BTreeSet::new();
    let pages = found
        .iter()
        .filter(|found| found.status == 200 && !found.page.html.is_empty() && is_own(&found.path));
    let plain = pages
        .map(|found| found.path.as_str())
        .filter(|path| !path.contains('?'));
    plain.filter(|path| known.insert(shape(path))).collect()
}

fn walk(role: Role) {
    let Some(browser) = role.browser(Scripts::On) else {
        return;
    };
    let found = role.visitor().crawl(OF_ONE_SHAPE);
    let mut faults = read(role, &found);
    let kinds = kinds(role, &found);
    eprintln!(
        "{}: {} pages, looked at in a window: {kinds:?}",
        role.name(),
        found.len()
    );
    assert!(kinds.len() >= 3, "hardly a page for {}: {kinds:?}", role.name());
    for (at, path) in kinds.into_iter().enumerate() {
        faults.extend(look(&browser, path));
        if at < BY_KEYBOARD {
            browser.go(path);
            let found = checks::keyboard(&browser).into_iter();
            faults.extend(found.map(|fault| format!("{path}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} faults: {faults:#?}", faults.len());
}

#[test]
fn the_start_page_and_the_documentation_of_the_admin_api_are_sound() {
    let Some(browser) = Role::Anonymous.browser(Scripts::On) else {
        return;
    };
    let faults = [look(&browser, "/"), look(&browser, "/api/docs")].concat();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn pages_are_walked_with_the_keyboard_alone() {
    let Some(browser) = Role::Anonymous.browser(Scripts::On) else {
        return;
    };
    let mut faults = Vec::new();
    for path in ["/", "/api/docs", "/products/none"] {
        browser.go(path);
        faults.extend(
            checks::keyboard(&browser)
                .into_iter()
                .map(|fault| format!("{path}: {fault}")),
        );
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What people look at on their phone fits it: nothing that matters lies to the side.
#[test]
fn keys_and_plans_fit_a_phone() {
    let Some(browser) = Role::Developer.browser(Scripts::On) else {
        return;
    };
    browser.go("/app/apps");
    let is_app = |link: &&String| link.starts_with("/app/apps/") && !link.ends_with("/new");
    let app = browser
        .page()
        .links()
        .iter()
        .find(is_app)
        .expect("the demo has an app")
        .clone();
    browser.look(390, Theme::Light);
    for path in [
        format!("{app}/keys").as_str(),
        "/app/apps",
        "/app/billing",
        "/pricing",
        "/products/worldtime",
    ] {
        browser.go(path);
        let script =
            "return [...document.querySelectorAll('.stacked, .compare')].map((e) => e.scrollWidth - e.clientWidth)";
        let wide: Vec<i64> = serde_json::from_value(browser.run(script, vec![])).unwrap();
        assert!(!wide.is_empty(), "{path} has no table that is made for phones");
        assert!(wide.iter().all(|more| *more <= 0), "{path}: {wide:?} px to the side");
    }
}

#[test]
fn the_looks_themselves_find_what_is_wrong() {
    let Some(browser) = Role::Anonymous.browser(Scripts::On) else {
        return;
    };
    browser.go("/");
    let script = "const main = document.querySelector('main');\
        main.insertAdjacentHTML('beforeend', `<h5>x</h5><h1>y</h1><img src=x><p id=p>pale</p><div id=w>wide</div>\
          <button id=b>unseen</button><a href=#none>z</a>`);\
        p.style.color = '#eee'; p.style.background = '#fff'; w.style.width = '1400px'; b.style.outline = 'none';\
        const style = document.createElement('style'); main.append(style);";
    browser.run(script, vec![]);
    let page = Page::parse(&browser.source());
    let said = |faults: Vec<String>, word: &str| {
        assert!(faults.iter().any(|fault| fault.contains(word)), "{word}: {faults:#?}");
    };
    said(checks::document(&page), "2 headings of the first level");
    said(checks::document(&page), "h5 \"x\" follows");
    said(checks::document(&page), "an inline style");
    said(checks::anchors(&page), "#none");
    said(checks::appearance(&browser), "wide: the page is");
    if std::env::var_os("TOLLGATE_AXE").is_some() {
        said(checks::appearance(&browser), "color-contrast");
        said(checks::axe(&browser, &[]), "image-alt");
    }
    said(browser.noise(), "Content Security Policy");
    assert_ne!(browser.run("return 1", vec![]), Value::Null);
}

#[test]
fn an_admin_reads_sound_pages() {
    walk(Role::Admin);
}

#[test]
fn a_developer_reads_sound_pages() {
    walk(Role::Developer);
}

#[test]
fn a_product_manager_reads_sound_pages() {
    walk(Role::ProductManager);
}

#[test]
fn finance_reads_sound_pages() {
    walk(Role::Finance);
}

#[test]
fn everybody_reads_sound_pages() {
    walk(Role::Anonymous);
}
