//! Invoices of many kinds, as CSV and as PDF; the text of a PDF is read back with `pdftotext` where it is installed.

#![expect(clippy::unwrap_used, reason = "a test crate: its helpers unwrap as its tests do")]

use std::io::Write as _;
use std::process::Command;

use documents::{csv, pdf};
use domain::clock::Timestamp;
use domain::ids::{AccountId, InvoiceId, InvoiceLineId, SubscriptionId};
use domain::invoice::{InvoiceStatus, InvoiceView, LineView, Party};
use domain::money::Currency;
use proptest::prelude::*;
use serde_json::json;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn line(n: u32, description: &str, amount: i64) -> LineView {
    LineView {
        n,
        id: InvoiceLineId::from_bits(u128::from(n)),
        description: description.to_owned(),
        quantity: "1200".to_owned(),
        unit_label: "requests".to_owned(),
        unit_price: None,
        tiers: json!([{ "from": 0, "to": 1000, "quantity": "1000", "unit": "0.1", "flat": "0", "amount": "100" },
            { "from": 1000, "to": null, "quantity": "200", "unit": "0.05", "flat": "5", "amount": "15" }]),
        amount,
        period_start: at("2026-03-01T05:00:00Z"),
        period_end: at("2026-04-01T04:00:00Z"),
        subscription_id: Some(SubscriptionId::from_bits(1)),
        meter: Some("requests".to_owned()),
    }
}

fn invoice(currency: &str, lines: Vec<LineView>) -> InvoiceView {
    let subtotal = lines.iter().map(|line| line.amount).sum();
    InvoiceView {
        id: InvoiceId::from_bits(1),
        account_id: AccountId::from_bits(1),
        number: Some("INV-000042".to_owned()),
        status: InvoiceStatus::Open,
        phase: None,
        overdue: false,
        currency: currency.parse().unwrap(),
        created_at: at("2026-04-01T04:00:00Z"),
        issued_at: Some(at("2026-04-01T04:00:00Z")),
        due_at: Some(at("2026-04-15T04:00:00Z")),
        due_instant: at("2026-04-01T04:00:00Z"),
        seller: Party {
            name: "Seller Ltd".to_owned(),
            tax_ids: vec!["GB999".to_owned()],
            ..Party::default()
        },
        customer: Party {
            name: "Łukasz Ωmega Привет".to_owned(),
            address: Some("1 Main Street\n12345 Springfield".to_owned()),
            country: Some("US".to_owned()),
            tax_ids: vec!["DE123".to_owned()],
            ..Party::default()
        },
        zone: "America/New_York".to_owned(),
        lines,
        subtotal,
        tax: 0,
        total: subtotal,
        paid: 0,
        credited: 0,
        amount_due: subtotal,
        payments: Vec::new(),
        credit_notes: Vec::new(),
        notes: vec!["1 gap(s) in the usage records of this time were known and are not billed.".to_owned()],
    }
}

/// The text of a PDF, or `None` where no reader is installed.
fn text_of(bytes: &[u8]) -> Option<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    match Command::new("pdftotext")
        .arg("-layout")
        .arg(file.path())
        .arg("-")
        .output()
    {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED the text of the PDF: pdftotext: {error}");
            None
        }
    }
}

#[test]
fn a_pdf_says_who_owes_what_to_whom() {
    let bytes = pdf(&invoice("USD", vec![line(1, "Pro: requests", 11_500)])).unwrap();
    assert!(bytes.starts_with(b"%PDF-"));
    assert!(bytes.windows(15).any(|part| part == b"/StructTreeRoot"), "it is tagged");
    let Some(text) = text_of(&bytes) else { return };
    for said in [
        "Invoice INV-000042",
        "Seller Ltd",
        "Łukasz Ωmega Привет",
        "12345 Springfield",
        "Tax ID DE123",
        "Pro: requests",
        "1 March 2026 to 31 March 2026",
        "1,200 requests",
        "1 to 1,000",
        "above 1,000",
        "$0.05 + $5.00",
        "$15.00",
        "$115.00 due by 15 April 2026",
        "Please pay the amount due by 15 April 2026. Name INV-000042 as the reference.",
        "Amount due",
        "INV-000042, 1 of 1",
        "1 gap(s)",
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
}

#[test]
fn every_currency_shows_its_own_decimals() {
    for (currency, shown) in [("JPY", "¥11,500"), ("KWD", "KWD 11.500"), ("EUR", "€115.00")] {
        let view = invoice(currency, vec![line(1, "Pro", 11_500)]);
        assert!(csv(&view).contains(&format!(",{currency},")));
        let Some(text) = text_of(&pdf(&view).unwrap()) else {
            return;
        };
        assert!(text.contains(shown), "{text}");
    }
    for currency in Currency::all() {
        assert!(
            pdf(&invoice(currency.code(), vec![line(1, "Pro", i64::MAX)])).is_ok(),
            "{currency}"
        );
    }
}

#[test]
fn hundreds_of_lines_and_endless_words_go_on_over_pages() {
    let long = format!("{} {}", "word ".repeat(300), "x".repeat(2_000));
    let lines = (1..=300)
        .map(|n| line(n, if n % 50 == 0 { &long } else { "Pro: requests" }, 1))
        .collect();
    let bytes = pdf(&invoice("USD", lines)).unwrap();
    let Some(text) = text_of(&bytes) else { return };
    let pages = text.matches("INV-000042, ").count();
    assert!(pages > 10, "{pages}");
    assert!(text.contains(&format!("INV-000042, {pages} of {pages}")));
    assert_eq!(text.matches("1 March 2026 to 31 March 2026").count(), 300);
    assert!(text.matches("Description").count() >= pages - 2, "the head is repeated");
}

#[test]
fn an_invoice_without_lines_or_with_strange_scripts_has_a_pdf() {
    let mut view = invoice("USD", Vec::new());
    view.number = None;
    view.zone = "Not/AZone".to_owned();
    for name in [
        "",
        "日本語株式会社",
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦",
        "\u{0}\u{7}\t\n",
        "\u{202e}evil",
        "e\u{301}\u{300}",
        "\u{feff}",
    ] {
        view.customer.name = name.to_owned();
        assert!(pdf(&view).is_ok(), "{name:?}");
    }
}

#[test]
fn the_same_invoice_has_the_same_bytes() {
    let view = invoice("USD", vec![line(1, "Pro", 1)]);
    assert_eq!(pdf(&view).unwrap(), pdf(&view).unwrap());
}

#[test]
fn a_spreadsheet_runs_no_cell_of_a_csv() {
    let evil = ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "a,\"b\"\nc"];
    let lines = (1..).zip(evil).map(|(n, text)| line(n, text, -5)).collect();
    let text = csv(&invoice("USD", lines));
    for cell in [
        "'=1+1,",
        "'+1,",
        "'-1,",
        "'@SUM(A1),",
        "'  =1,",
        "'\t=1,",
        "\"a,\"\"b\"\"\nc\",",
    ] {
        assert!(text.contains(&format!(",{cell}")), "{cell} in {text}");
    }
    assert!(text.contains(",-0.05,USD,"), "an amount below zero stays a number");
    assert!(text.ends_with("\r\n"));
    assert!(text.contains(",Amount due,"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_text_breaks_a_document(name in ".{0,80}", description in "(.|\\PC){0,200}", amount: i64) {
        let mut view = invoice("USD", vec![line(1, &description, amount)]);
        view.customer.name = name;
        prop_assert!(pdf(&view).is_ok());
        let lines = csv(&view);
        prop_assert!(lines.lines().next().unwrap().starts_with("invoice,"));
    }
}
