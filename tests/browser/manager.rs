//! A product manager, from an OpenAPI document to plans that customers pay.

use serde_json::json;

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::site::{self, Role};
use crate::support::api::text;
use crate::visitor::Visitor;

const DOCUMENT: &str = "openapi: 3.0.3\ninfo: {title: Parcels, version: '1.0'}\npaths:\n  /parcels/{id}:\n    get:\n\
    \u{20}     operationId: getParcel\n      summary: Where a parcel is\n      parameters:\n        - {name: id, in: path, required: true, schema: {type: string}}\n\
    \u{20}     responses: {'200': {description: The parcel}}\n";

fn make_product(browser: &Browser, name: &str) {
    let form = "[action='/manage/products/new']";
    browser.go("/manage/products");
    browser.click("Create product");
    browser.send(form, &[("pasted", "openapi: 3.0.3\npaths: [not, a, map")]);
    assert_eq!(browser.status(), 422, "{}", browser.text());
    assert!(browser.text().contains("cannot be published"), "{}", browser.text());
    assert!(
        browser.value("pasted").contains("not, a, map"),
        "what was pasted is gone"
    );
    let fields = [
        ("pasted", DOCUMENT),
        ("name", name),
        ("title", name),
        ("upstream", site::demo().text("sample_api")),
    ];
    browser.send(form, &fields);
    browser.wait_for_path("/manage/products/new/");
    let report = browser.text();
    assert!(
        report.contains("It can be published") && report.contains("/parcels/{id}"),
        "{report}"
    );
    browser.screenshot("product-report");
    browser.click("Save product");
    browser.wait_for_path(&format!("/manage/products/{name}"));
}

/// Makes a plan or a draft of a change and goes on to the page that publishes it.
fn draft(browser: &Browser, path: &str, fields: &[(&str, &str)]) {
    browser.go(path);
    browser.fill_in("#plan", fields);
    browser.click("Go on to publishing");
    browser.wait_until("nothing to publish", || browser.path().ends_with("/publish"));
}

fn journey(scripts: Scripts, name: &str) {
    let Some(browser) = Role::ProductManager.browser(scripts) else {
        return;
    };
    make_product(&browser, name);
    let plans = format!("/manage/products/{name}/plans");
    let fields = [
        ("name", "standard"),
        ("title", "Standard"),
        ("limit-0-max", "600"),
        ("limit-0-per", "minute"),
        ("price-0-amount", "10.00"),
    ];
    draft(&browser, &format!("{plans}/new"), &fields);
    browser.click("Publish version 1");
    browser.wait_for_path(&format!("{plans}/standard/versions"));
    // Anybody sees it now.
    let mut visitor = Visitor::new(site::base());
    let page = visitor.page(&format!("/products/{name}")).main_text();
    assert!(page.contains("Standard") && page.contains("10.00"), "{page}");
    // Somebody subscribes; then the price goes up.
    let api = site::demo().api();
    let subscriber = api.subscriber(
        &format!("{name}-customer"),
        name,
        "standard",
        json!({ "currency": "USD" }),
    );
    draft(
        &browser,
        &format!("{plans}/standard/edit"),
        &[("price-0-amount", "12.50")],
    );
    let effect = browser.text();
    assert!(effect.contains("12.50") && effect.contains("10.00"), "{effect}");
    assert!(
        effect.contains(&format!("{name}-customer")) || effect.contains("1 subscriber"),
        "{effect}"
    );
    browser.screenshot(&format!("plan-publish-{scripts:?}"));
    if scripts == Scripts::On {
        let faults = checks::appearance(&browser);
        assert!(faults.is_empty(), "{faults:#?}");
    }
    browser.fill_in("[action$='/publish']", &[("migrate", "now")]);
    browser.click("Publish version 2");
    browser.wait_for_path(&format!("{plans}/standard/versions"));
    let subscription = api.get(&format!("/subscriptions/{}", subscriber.subscription));
    assert!(subscription.to_string().contains("standard"), "{subscription}");
    let page = visitor.page(&format!("/products/{name}")).main_text();
    assert!(page.contains("12.50") && !page.contains("10.00"), "{page}");
    assert_eq!(browser.noise(), Vec::<String>::new());
}

#[test]
fn a_product_manager_gets_from_a_document_to_a_second_version_of_a_plan() {
    journey(Scripts::On, "parcels");
}

#[test]
fn a_product_manager_gets_there_without_scripts_too() {
    journey(Scripts::Off, "letters");
}

#[test]
fn whoever_saves_over_a_colleagues_draft_sees_both_texts_first() {
    let Some(first) = Role::ProductManager.browser(Scripts::On) else {
        return;
    };
    let second = Role::Admin.browser(Scripts::On).unwrap();
    let edit = "/manage/products/worldtime/plans/scale/edit";
    first.go(edit);
    second.go(edit);
    first.fill_in("#plan", &[("price-0-amount", "510.00")]);
    first.click("Save draft");
    first.wait_for_text("Draft saved");
    second.fill_in("#plan", &[("price-0-amount", "520.00")]);
    second.click("Save draft");
    second.wait_for_text("Both texts");
    assert_eq!(second.status(), 409);
    let both = second.text();
    assert!(both.contains("$510.00") && both.contains("$520.00"), "{both}");
    assert_eq!(second.value("price-0-amount"), "520.00");
    second.screenshot("two-managers");
    first.go(edit);
    if first.offers("Throw the draft away") {
        first.click("Throw the draft away");
    }
}

#[test]
fn who_waits_for_approval_is_let_in_by_a_manager() {
    let Some(browser) = Role::ProductManager.browser(Scripts::On) else {
        return;
    };
    let api = site::demo().api();
    let waiting = api.subscriber("waiting-room", "worldtime", "scale", json!({ "currency": "USD" }));
    let status = || text(&api.get(&format!("/subscriptions/{}", waiting.subscription))["status"]);
    assert_eq!(status(), "pending_approval", "the plan lets everybody in");
    browser.go("/manage/approvals");
    browser.wait_for_text("waiting-room");
    browser.screenshot("approvals");
    browser.fill_in(
        "[action='/manage/approvals']",
        &[("subscription", &waiting.subscription)],
    );
    browser.click("Approve");
    browser.wait_until("still waiting", || {
        status() == "active" || status() == "pending_payment"
    });
}
