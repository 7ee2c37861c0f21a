//! A picture of every page for people to look at, 1280 and 390 wide, light and dark:
//! `TOLLGATE_SCREENSHOTS=/tmp/pictures cargo test --test browser screenshots`, or `screenshots::finance` and so on.

use std::collections::BTreeSet;

use crate::browser::{Theme, screenshots};
use crate::driver::Scripts;
use crate::site::Role;
use crate::visitor::shape;

fn take(role: Role) {
    if screenshots().is_none() {
        return;
    }
    let Some(browser) = role.browser(Scripts::On) else {
        return;
    };
    let mut known = BTreeSet::new();
    let mut found = role.visitor().crawl(2);
    let others = |path: &str| role != Role::Anonymous && !path.starts_with(role.section());
    found.retain(|found| !found.page.html.is_empty() && !others(&found.path) && known.insert(shape(&found.path)));
    for page in &found {
        browser.go(&page.path);
        for (width, theme, look) in [
            (1280, Theme::Light, "1280-light"),
            (1280, Theme::Dark, "1280-dark"),
            (390, Theme::Light, "390-light"),
            (390, Theme::Dark, "390-dark"),
        ] {
            browser.look(width, theme);
            let name: String = page
                .path
                .chars()
                .map(|c| if c.is_alphanumeric() { c } else { '-' })
                .collect();
            let name: String = name.trim_matches('-').chars().take(80).collect();
            browser.screenshot(&format!(
                "{}-{}-{look}",
                role.name().replace(' ', "-"),
                if name.is_empty() { "start" } else { &name }
            ));
        }
    }
    eprintln!("{} pages of {} in {:?}", found.len(), role.name(), screenshots());
}

#[test]
fn everyone() {
    take(Role::Anonymous);
}

#[test]
fn developer() {
    take(Role::Developer);
}

#[test]
fn manager() {
    take(Role::ProductManager);
}

#[test]
fn finance() {
    take(Role::Finance);
}

#[test]
fn admin() {
    take(Role::Admin);
}
