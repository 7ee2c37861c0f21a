//! An administrator: finds a consumer, stops it and lets it go on, looks at figures, brings colleagues in, and makes the
//! portal the company's own.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::guards::{self, House};
use crate::people::PASSWORD;
use crate::site::{self, Role};
use crate::visitor::Visitor;

/// Calls the gateway with a key and gives back the status.
pub fn call(key: &str) -> u16 {
    let headers = [("X-API-Key", key), ("Connection", "close")];
    site::gateway()
        .get("/worldtime/currencies/JPY", &headers)
        .unwrap()
        .status
}

/// Waits until a key is answered like this.
pub fn answered(key: &str, status: u16, patience: Duration) {
    let began = Instant::now();
    while call(key) != status {
        assert!(began.elapsed() < patience, "{} instead of {status}", call(key));
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn suspend_and_resume(scripts: Scripts, name: &str) {
    let Some(browser) = Role::Admin.browser(scripts) else {
        return;
    };
    let consumer = site::demo()
        .api()
        .subscriber(name, "worldtime", "free", json!({ "currency": "USD" }));
    answered(&consumer.key, 200, Duration::from_secs(5));
    browser.go("/admin/consumers");
    browser.fill("Find", name);
    browser.click("Find");
    browser.click(name);
    let page = format!("/admin/consumers/{}", consumer.consumer);
    browser.wait_for_path(&page);
    browser.screenshot(&format!("consumer-{scripts:?}"));
    browser.click("Suspend");
    browser.send("[action$='/suspend']", &[]);
    assert_eq!(browser.status(), 422, "suspended without a reason");
    browser.send(
        "[action$='/suspend']",
        &[("reason", "Calls from a country that we do not serve")],
    );
    answered(&consumer.key, 403, Duration::from_secs(1));
    browser.wait_for_text("Calls from a country that we do not serve");
    if scripts == Scripts::On {
        let faults = checks::appearance(&browser);
        assert!(faults.is_empty(), "{faults:#?}");
    }
    browser.click("Resume");
    browser.wait_until("it is still suspended", || browser.offers("Suspend"));
    answered(&consumer.key, 200, Duration::from_secs(1));
    // What was done is in the log, with who did it.
    let mut visitor = Visitor::with_cookies(site::base(), &browser.cookies());
    let log = visitor
        .page(&format!("/admin/audit?target={}", consumer.consumer))
        .main_text();
    assert!(
        log.contains(&Role::Admin.login().0) || log.to_lowercase().contains("suspend"),
        "{log}"
    );
    assert_eq!(browser.noise(), Vec::<String>::new());
}

#[test]
fn an_admin_stops_a_consumer_within_a_second_and_lets_it_go_on() {
    suspend_and_resume(Scripts::On, "runaway-crawler");
}

#[test]
fn an_admin_does_so_without_scripts_too() {
    suspend_and_resume(Scripts::Off, "runaway-mirror");
}

#[test]
fn figures_of_a_consumer_are_those_of_the_admin_api_on_the_page_and_in_the_csv() {
    let Some(browser) = Role::Admin.browser(Scripts::On) else {
        return;
    };
    let api = site::demo().api();
    let consumer = api.subscriber("steady-caller", "worldtime", "free", json!({ "currency": "USD" }));
    answered(&consumer.key, 200, Duration::from_secs(5));
    for _ in 0..6 {
        assert_eq!(call(&consumer.key), 200);
    }
    let asked = format!("/usage?interval=day&consumer={}", consumer.consumer);
    let counted = || {
        let items = api.get(&asked)["items"].clone();
        let requests = items
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|item| item["requests"].as_u64());
        requests.sum::<u64>()
    };
    browser.wait_longer("the calls are not counted", || counted() == 7);
    browser.go(&format!("/admin/analytics?consumer={}&by=operation", consumer.consumer));
    let rows = browser.page().main_text();
    assert!(rows.contains(" 7 "), "{rows}");
    let mut visitor = Visitor::with_cookies(site::base(), &browser.cookies());
    let csv = visitor.get(&format!(
        "/admin/analytics.csv?consumer={}&by=operation",
        consumer.consumer
    ));
    assert_eq!(csv.status, 200);
    assert!(
        csv.text().lines().any(|line| line.split(',').any(|cell| cell == "7")),
        "{}",
        csv.text()
    );
    browser.screenshot("analytics");
}

#[test]
fn a_colleague_is_brought_in_for_one_section_alone() {
    let house = House::start(|settings| settings);
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    site::log_in(&browser, guards::EMAIL, guards::PASSWORD);
    browser.go("/admin/users");
    browser.send(
        "[action='/admin/users']",
        &[
            ("email", "fiona@example.com"),
            ("name", "Fiona Marsh"),
            ("role", "finance"),
        ],
    );
    browser.wait_for_text("fiona@example.com");
    let colleague = Browser::open(&house.base(), Scripts::Off).unwrap();
    colleague.go(&house.outbox().wait_for_link("fiona@example.com", "/invite/"));
    colleague.send(
        "[action^='/invite/']",
        &[("name", "Fiona Marsh"), ("password", PASSWORD)],
    );
    colleague.go("/admin/users");
    assert_eq!(colleague.status(), 403);
    assert!(
        colleague.text().contains("admin"),
        "the page names no role: {}",
        colleague.text()
    );
    // Barred: signed out at once.
    browser.go("/admin/users");
    browser.click("Fiona Marsh");
    browser.send("[action$='/disable']", &[("confirm", "fiona@example.com")]);
    colleague.go("/admin/users");
    assert!(colleague.path().starts_with("/login"), "{}", colleague.path());
}

#[test]
fn the_portal_takes_the_colours_of_a_company_and_refuses_those_that_nobody_can_read() {
    let house = House::start(|settings| settings);
    let Some(browser) = Browser::open(&house.base(), Scripts::On) else {
        return;
    };
    site::log_in(&browser, guards::EMAIL, guards::PASSWORD);
    browser.go("/admin/settings");
    browser.send("[action='/admin/settings']", &[("accent", "#ffff66")]);
    assert_eq!(browser.status(), 422, "{}", browser.text());
    assert_eq!(browser.value("accent"), "#ffff66");
    browser.screenshot("settings-contrast");
    let fields = [
        ("accent", "#8a1c4a"),
        ("dark-accent", "#b0386c"),
        ("name", "Kestrel APIs"),
        ("signup", "invitation"),
    ];
    browser.send("[action='/admin/settings']", &fields);
    browser.wait_for_text("saved");
    browser.go("/");
    let script = "return getComputedStyle(document.documentElement).getPropertyValue('--accent').trim()";
    assert_eq!(browser.run(script, vec![]), "#8a1c4a");
    assert!(browser.title().contains("Kestrel APIs"), "{}", browser.title());
    let faults = checks::appearance(&browser);
    assert!(faults.is_empty(), "{faults:#?}");
    let mut visitor = house.visitor();
    assert_eq!(visitor.get("/signup").status, 403);
    assert!(visitor.page("/").links().iter().all(|link| link != "/signup"));
    browser.go("/admin/settings");
    browser.send("[action='/admin/settings/mail']", &[("to", "ops@example.com")]);
    browser.wait_longer("no test mail", || !house.outbox().to("ops@example.com").is_empty());
}
