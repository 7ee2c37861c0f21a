//! Somebody of finance, from a closed period to money in the bank: invoice, evidence, payment, credit note, void, reissue.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::checks;
use crate::driver::Scripts;
use crate::site;
use crate::support::api::{Subscriber, text};
use crate::support::client::Client;
use crate::support::invoices::billed_requests;
use crate::support::world::World;
use crate::visitor::Visitor;

const EMAIL: &str = "felix@example.com";
const PASSWORD: &str = "ledgers balance on the third try";
const CALLS: u32 = 2_000;

/// A platform with one customer that has called so often.
fn closed_month(name: &str) -> (World, Subscriber) {
    let world = World::start_with(&json!([{ "requests": 1_000_000, "per": "minute" }]), |settings| {
        let settings = settings.with_test_clock().with("TOLLGATE_ADMIN_EMAIL", EMAIL);
        settings.with("TOLLGATE_ADMIN_PASSWORD", PASSWORD)
    });
    let customer = world.subscriber(name);
    let mut client = Client::new(world.platform.gateway());
    for _ in 0..CALLS {
        let answer = client.get("/echo/x", &[("X-API-Key", &customer.key)]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let counted = || world.api().get("/usage?interval=day")["items"][0]["requests"].as_u64();
    let began = Instant::now();
    while counted() != Some(u64::from(CALLS)) {
        assert!(began.elapsed() < Duration::from_secs(60), "usage says {:?}", counted());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(billed_requests(&world.api(), &customer), u64::from(CALLS));
    (world, customer)
}

fn invoice(world: &World, customer: &Subscriber) -> Value {
    let all = world.api().all(&format!("/invoices?account={}", customer.account));
    let whole = |invoice: &Value| world.api().get(&format!("/invoices/{}", text(&invoice["id"])));
    let mut billed = all
        .iter()
        .map(whole)
        .filter(|invoice| invoice["total"].as_i64() > Some(0));
    billed.next().unwrap_or_else(|| panic!("no invoice in {all:?}"))
}

fn base(world: &World) -> String {
    format!("http://{}", world.platform.portal())
}

/// The text of a PDF; empty where `pdftotext` is not installed.
fn pdf_text(pdf: &[u8], world: &World) -> String {
    let path = world.dir.path().join("invoice.pdf");
    std::fs::write(&path, pdf).unwrap();
    let output = Command::new("pdftotext")
        .arg(&path)
        .arg("-")
        .stderr(Stdio::null())
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default()
}

/// Presses a step of an invoice and confirms it.
fn step(browser: &Browser, page: &str, path: &str, fields: &[(&str, &str)]) {
    browser.go(page);
    let link = format!("a[href='{page}/{path}']");
    assert!(browser.has(&link), "{page} does not offer {path}:\n{}", browser.text());
    browser.go(&format!("{page}/{path}"));
    browser.send(&format!("[action='{page}/{path}']"), fields);
    let landed = browser.path();
    assert!(!landed.ends_with(path), "{path}: {}", browser.text());
}

fn journey(scripts: Scripts) {
    let (world, customer) = closed_month("acme");
    let Some(browser) = Browser::open(&base(&world), scripts) else {
        return;
    };
    site::log_in(&browser, EMAIL, PASSWORD);
    browser.go("/finance");
    browser.screenshot(&format!("finance-{scripts:?}"));
    browser.go("/finance/invoices");
    browser.wait_for_text("acme");
    let invoice = invoice(&world, &customer);
    let page = format!("/finance/invoices/{}", text(&invoice["id"]));
    assert!(
        browser.page().links().contains(&page),
        "the list does not lead to {page}: {:?}",
        browser.page().links()
    );
    if invoice["status"] == "draft" {
        step(&browser, &page, "finalize", &[]);
    }
    browser.go(&page);
    let paper = browser.text();
    assert!(
        paper.contains("2,000") && paper.contains("$2.00") && paper.contains("acme"),
        "{paper}"
    );
    browser.screenshot(&format!("invoice-{scripts:?}"));
    if scripts == Scripts::On {
        let faults = checks::appearance(&browser);
        assert!(faults.is_empty(), "{faults:#?}");
    }
    // From a line down to single requests.
    let line = browser
        .page()
        .links()
        .into_iter()
        .find(|link| link.starts_with(&format!("{page}/lines/")));
    browser.go(&line.expect("no line leads to its requests"));
    assert!(
        browser.text().contains("2,000") || browser.text().contains("2000"),
        "{}",
        browser.text()
    );
    let request = browser
        .page()
        .links()
        .into_iter()
        .find(|link| link.starts_with("/finance/requests/"));
    browser.go(&request.expect("no request behind the line"));
    assert_eq!(browser.status(), 200);
    // What the customer gets.
    let mut visitor = Visitor::with_cookies(&base(&world), &browser.cookies());
    let pdf = visitor.get(&format!("{page}/pdf"));
    assert_eq!((pdf.status, pdf.header("content-type")), (200, Some("application/pdf")));
    let words = pdf_text(&pdf.body, &world);
    assert!(
        words.is_empty() || (words.contains("$2.00") && words.contains("acme")),
        "{words}"
    );
    assert!(visitor.get(&format!("{page}/csv")).text().contains("2000"));
    // A part of the money comes, a part goes back, the rest comes: paid.
    step(
        &browser,
        &page,
        "payment",
        &[
            ("amount", "0.50"),
            ("method", "bank_transfer"),
            ("reference", "statement 7"),
        ],
    );
    browser.go(&format!("{page}/credit"));
    let line = browser.page().open().find_map(|tag| {
        tag.get("name")
            .filter(|name| name.starts_with("line"))
            .map(str::to_owned)
    });
    step(
        &browser,
        &page,
        "credit",
        &[(&line.unwrap(), "0.50"), ("reason", "An outage on the ninth")],
    );
    step(
        &browser,
        &page,
        "payment",
        &[("amount", "1.00"), ("method", "bank_transfer")],
    );
    browser.go(&page);
    let state = world.api().get(&format!("/invoices/{}", text(&invoice["id"])));
    assert_eq!(
        (state["status"].as_str(), state["amount_due"].as_i64()),
        (Some("paid"), Some(0)),
        "{state}"
    );
    assert!(
        browser.text().contains("Paid") && browser.text().contains("An outage on the ninth"),
        "{}",
        browser.text()
    );
    // And the figures that follow from it.
    browser.go("/finance/revenue");
    assert!(browser.text().contains("$1.50"), "{}", browser.text());
    browser.go("/finance/reconciliation");
    assert!(
        browser.text().contains("Every hop has the same number"),
        "{}",
        browser.text()
    );
    assert_eq!(browser.noise(), Vec::<String>::new());
}

#[test]
fn finance_gets_from_a_closed_month_to_a_paid_invoice() {
    journey(Scripts::On);
}

#[test]
fn finance_gets_there_without_scripts_too() {
    journey(Scripts::Off);
}

#[test]
fn an_invoice_is_made_void_with_a_reason_and_issued_again_and_a_payment_sent_twice_counts_once() {
    let (world, customer) = closed_month("beta");
    let Some(browser) = Browser::open(&base(&world), Scripts::Off) else {
        return;
    };
    site::log_in(&browser, EMAIL, PASSWORD);
    let first = invoice(&world, &customer);
    let page = format!("/finance/invoices/{}", text(&first["id"]));
    if first["status"] == "draft" {
        step(&browser, &page, "finalize", &[]);
    }
    browser.go(&format!("{page}/void"));
    browser.send(&format!("[action='{page}/void']"), &[]);
    assert_eq!(browser.status(), 422, "void without a reason");
    browser.send(&format!("[action='{page}/void']"), &[("reason", "Wrong address")]);
    assert!(browser.path().starts_with(&page) && !browser.path().contains("/void"));
    assert!(browser.text().contains("Wrong address"), "{}", browser.text());
    browser.go(&format!("{page}/reissue"));
    browser.send(&format!("[action='{page}/reissue']"), &[]);
    let again = browser.path().split('?').next().unwrap().to_owned();
    assert!(
        again.starts_with("/finance/invoices/") && !again.starts_with(&page),
        "{again}"
    );
    if browser.has(&format!("a[href='{again}/finalize']")) {
        step(&browser, &again, "finalize", &[]);
    }
    let mut visitor = Visitor::with_cookies(&base(&world), &browser.cookies());
    let form = visitor.page(&format!("{again}/payment")).form(&again).unwrap();
    let form = form.with("amount", "0.75");
    let statuses = [visitor.submit(&form).status, visitor.submit(&form).status];
    assert_eq!(statuses[0], 303, "{statuses:?}");
    let id = again.rsplit('/').next().unwrap();
    let state = world.api().get(&format!("/invoices/{id}"));
    assert_eq!(state["amount_due"], 125, "{state}");
    assert_eq!(browser.noise(), Vec::<String>::new());
}
