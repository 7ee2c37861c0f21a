//! Finance's day: from the totals of a month to one request, and every step of an invoice.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use domain::key::Mode;
use portal::page_routes;
use serde_json::json;
use store::{AccountRole, StaffRole};

use crate::browser::{Browser, hidden};
use crate::finance_world::{Reach, SECOND, World};
use crate::support::{Reply, START, Server, text};

/// The text of the page's main part, tags taken out, blanks run together.
pub(crate) fn words(reply: &Reply) -> String {
    let main = reply.text.split("<main").nth(1).unwrap_or(&reply.text);
    let main = main.split("</main>").next().unwrap();
    let mut out = String::new();
    let mut inside = true;
    for letter in main.chars() {
        match letter {
            '<' => {
                inside = true;
                out.push(' ');
            }
            '>' if inside => inside = false,
            _ if inside => {}
            other => out.push(other),
        }
    }
    let out = out.replace("&#39;", "'").replace("&amp;", "&").replace('\u{a0}', " ");
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(reply: &Reply, said: &[&str]) {
    let text = words(reply);
    for one in said {
        assert!(text.contains(one), "{one} is missing in {text}");
    }
}

/// Opens a page with a form and sends it.
async fn send(browser: &mut Browser, path: &str, fields: &[(&str, &str)]) -> Reply {
    let page = browser.get(path).await;
    assert_eq!(page.status, 200, "{path} {}", page.text);
    let once = hidden(&page.text, "_once").unwrap();
    let mut all = vec![("_once", once.as_str())];
    all.extend_from_slice(fields);
    browser.post(path, &all).await
}

fn pdf_text(bytes: &[u8]) -> Option<String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    match Command::new("pdftotext")
        .arg("-layout")
        .arg(file.path())
        .arg("-")
        .output()
    {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED the text of the PDF: pdftotext: {error}");
            None
        }
    }
}

#[tokio::test]
async fn ten_thousand_calls_are_the_same_number_in_the_file_the_usage_the_line_and_the_ledger() {
    let mut world = World::new().await;
    world.bill(true).await;
    world.traffic(10_000, Reach::Analytics).await;
    world.at(SECOND).await;
    let invoice = world.bill(true).await.remove(0);
    let body = world.server.get(&format!("/invoices/{invoice}")).await.expect(200);
    let line = body["lines"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["meter"] == "requests")
        .unwrap();
    // 9,500 are billed, of them 1,000 included; 5,000 at 0.10, 3,500 at 0.05.
    assert_eq!(
        (text(line, "quantity").as_str(), &line["amount"]),
        ("9500", &json!(67_500))
    );
    let n = line["line"].as_u64().unwrap();
    let csv = world
        .finance
        .bytes(&format!("/finance/invoices/{invoice}/lines/{n}/csv"))
        .await;
    let csv = String::from_utf8(csv).unwrap();
    let ids: Vec<&str> = csv.lines().skip(1).map(|row| row.split(',').next().unwrap()).collect();
    assert_eq!(ids.len(), 9_500, "{}", &csv[..200]);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 9_500, "all distinct");
    let usage = "/usage?from=2026-06-15T00:00:00Z&to=2026-07-15T10:00:00Z";
    let usage = world.server.get(usage).await.expect(200);
    assert_eq!(
        (&usage["items"][0]["requests"], &usage["items"][0]["billable"]),
        (&json!(10_000), &json!(9_500))
    );
    let subscription = world.tenant.subscription.parse().unwrap();
    let totals = world
        .server
        .store
        .period_totals(subscription, START, Mode::Live)
        .await
        .unwrap();
    let counted: u64 = totals.totals.iter().map(|total| total.requests).sum();
    assert_eq!(counted, 10_000);
    let page = world
        .finance
        .get(&format!("/finance/invoices/{invoice}/lines/{n}"))
        .await;
    says(
        &page,
        &["9,500 requests stand behind this line and add up to its quantity, 9,500 requests"],
    );
    let page = world
        .finance
        .get("/finance/reconciliation?from=2026-06-15&to=2026-07-15")
        .await;
    says(
        &page,
        &[
            "Every hop has the same number",
            "Ledger totals that quotas and invoices are made from 10,000 9,500 0 Equal",
            "Raw facts requests in analytics, counted one by one 10,000 9,500 0 Equal",
            "Roll-ups what usage pages and charts show 10,000 9,500 0 Equal",
            "10,000 records were counted",
        ],
    );
    let report = world
        .server
        .get("/reconciliation?from=2026-06-15T00:00:00Z&to=2026-07-15T10:00:00Z")
        .await
        .expect(200);
    assert_eq!(
        (&report["periods"][0]["billed"], &report["periods"][0]["standing"]),
        (&json!(9_500), &json!("equal"))
    );
}

#[tokio::test]
async fn a_line_opens_into_its_requests_and_a_request_says_why() {
    let mut world = World::new().await;
    world.traffic(1_210, Reach::Analytics).await;
    world.at(SECOND).await;
    let invoice = world.bill(true).await.pop().unwrap();
    let page = world.finance.get(&format!("/finance/invoices/{invoice}")).await;
    let at = page.text.find(&format!("/finance/invoices/{invoice}/lines/")).unwrap();
    let mut next = Some(page.text[at..].split('"').next().unwrap().to_owned());
    let mut ids = BTreeSet::new();
    let mut pages = 0;
    while let Some(path) = next.take() {
        let page = world.finance.get(&path.replace("&amp;", "&")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        pages += 1;
        for part in page.text.split("/finance/requests/").skip(1) {
            assert!(
                ids.insert(part.split('"').next().unwrap().to_owned()),
                "twice: {part:.40}"
            );
        }
        let link = page
            .text
            .split("href=\"")
            .find(|part| part.contains("after=") && part.contains(">Next<"));
        next = link.map(|part| part.split('"').next().unwrap().to_owned());
    }
    assert_eq!((ids.len(), pages), (1_149, 12));
    let why = world.finance.get("/finance/requests/call-1210-000002").await;
    says(
        &why,
        &[
            "GET /petstore/pets/2 200 Billed",
            "App backend",
            "Price 1,000 requests included, then $0.10 to 6,000, then $0.05 a request",
        ],
    );
    says(
        &world.finance.get("/finance/requests/call-1210-000001").await,
        &["503 Not billed"],
    );
    assert_eq!(world.finance.get("/finance/requests/nothing").await.status, 404);
    assert_eq!(
        world
            .finance
            .get(&format!("/finance/invoices/{invoice}/lines/99"))
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn an_invoice_says_the_same_on_screen_and_on_paper() {
    let mut world = World::new().await;
    world.traffic(10_000, Reach::Analytics).await;
    world.at(SECOND).await;
    // The first asks for the first month alone, in advance; the second for the use of that month and for the next one.
    let made = world.bill(true).await;
    assert_eq!(made.len(), 2, "{made:?}");
    let invoice = &made[1];
    let page = world.finance.get(&format!("/finance/invoices/{invoice}")).await;
    let said = [
        "Fernpost GmbH",
        "Speicherstraße 14",
        "Tax ID DE 812 004 417",
        "billing@fernpost.example",
        "acme",
        "1 Main Street",
        "12345 Springfield",
        "Tax ID US 42",
        "9,500 requests",
        "1 to 5,000",
        "$500.00",
        "above 5,000",
        "$175.00",
        "$675.00",
        "$49.00",
    ];
    says(&page, &said);
    // 9,500 of 10,000 calls are billed, 1,000 of them included: 5,000 x 0.10 + 3,500 x 0.05 + 49.00 = 724.00.
    let total = "$724.00".to_owned();
    says(
        &page,
        &[
            "Due in 14 days",
            "Total $724.00",
            "Amount due $724.00",
            "Issued as INV-000002",
        ],
    );
    // The customer's page is the same paper.
    let mut owner = Browser::member(&world.server, &world.tenant, AccountRole::Owner).await;
    let theirs = owner.get(&format!("/app/billing/invoices/{invoice}")).await;
    says(&theirs, &said);
    let paper = |page: &Reply| {
        let start = page.text.find("<article class=\"invoice\"").unwrap();
        let end = page.text[start..].find("</article>").unwrap();
        page.text[start..start + end].to_owned()
    };
    assert_eq!(
        paper(&theirs).replace("/app/billing/", "/finance/"),
        paper(&page),
        "one paper for both readers"
    );
    let pdf = world.finance.bytes(&format!("/finance/invoices/{invoice}/pdf")).await;
    assert!(pdf.windows(15).any(|part| part == b"/StructTreeRoot"), "tagged");
    let Some(paper) = pdf_text(&pdf) else { return };
    for one in said {
        assert!(paper.contains(one), "{one} is missing on paper: {paper}");
    }
    let sum = |name: &str| {
        let line = paper
            .lines()
            .rev()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!((sum("Total"), sum("Amount due")), (total.clone(), total));
    assert!(paper.contains("INV-000002, 1 of 1"), "{paper}");
}

#[tokio::test]
async fn a_payment_is_recorded_once_however_often_its_form_is_sent() {
    let mut world = World::new().await;
    let invoice = world.bill(true).await.remove(0);
    let path = format!("/finance/invoices/{invoice}/payment");
    let page = world.finance.get(&path).await;
    says(&page, &["acme owes $49.00 of Invoice INV-000001"]);
    assert!(
        page.text.contains("value=\"49.00\"") && page.text.contains("value=\"2026-06-15\""),
        "{}",
        page.text
    );
    let once = hidden(&page.text, "_once").unwrap();
    let fields = |amount: &'static str| {
        [
            ("_once", once.clone()),
            ("amount", amount.to_owned()),
            ("date", "2026-06-10".to_owned()),
            ("method", "bank_transfer".to_owned()),
            ("reference", "statement 12".to_owned()),
        ]
    };
    async fn post(world: &mut World, path: &str, fields: &[(&str, String)]) -> Reply {
        let all: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        world.finance.post(path, &all).await
    }
    for (amount, fault) in [
        ("49.01", "$49.00 is due: write that or less"),
        ("1,50", "Write the amount with a point"),
        ("0", "above zero"),
        ("1.001", "USD has 2 decimals"),
    ] {
        let again = post(&mut world, &path, &fields(amount)).await;
        assert_eq!(again.status, 422);
        says(&again, &[fault]);
        assert!(
            again.text.contains(&format!("value=\"{amount}\"")) && again.text.contains("statement 12"),
            "typed values stay"
        );
        assert!(again.text.contains("aria-describedby=\"amount-error"), "{}", again.text);
    }
    let first = post(&mut world, &path, &fields("20.00")).await;
    let second = post(&mut world, &path, &fields("20.00")).await;
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(first.header("location"), second.header("location"));
    let page = world.finance.open(&first.header("location").unwrap()).await;
    says(
        &page,
        &[
            "The payment is recorded.",
            "Part paid",
            "Paid −$20.00",
            "Amount due $29.00",
            "$20.00 by bank transfer",
            "received 10 Jun 2026, reference statement 12",
        ],
    );
    let other = post(&mut world, &path, &fields("29.00")).await;
    assert_eq!(other.status, 422, "the nonce was used for another amount");
    let last = send(
        &mut world.finance,
        &path,
        &[("amount", "29.00"), ("date", "2026-06-15"), ("method", "card")],
    )
    .await;
    assert_eq!(last.status, 303, "{}", last.text);
    says(
        &world.finance.get(&format!("/finance/invoices/{invoice}")).await,
        &["Paid", "Nothing is due any more"],
    );
    assert_eq!(world.finance.get(&path).await.status, 409);
    let late = [("amount", "1"), ("date", "2026-06-16"), ("method", "card")];
    assert_eq!(world.finance.post(&path, &late).await.status, 422);
}

#[tokio::test]
async fn a_void_needs_a_reason_and_is_billed_again_by_a_reissue_once() {
    let mut world = World::new().await;
    let invoice = world.bill(true).await.remove(0);
    let base = format!("/finance/invoices/{invoice}");
    let page = world.finance.get(&format!("{base}/void")).await;
    says(&page, &["What will happen", "acme owes $49.00 less"]);
    let empty = send(&mut world.finance, &format!("{base}/void"), &[("reason", " ")]).await;
    assert_eq!(empty.status, 422);
    says(&empty, &["Write why"]);
    assert_eq!(
        send(
            &mut world.finance,
            &format!("{base}/void"),
            &[("reason", "wrong address")]
        )
        .await
        .status,
        303
    );
    let page = world.finance.get(&base).await;
    says(&page, &["Void", "wrong address (by Sam Staff)", "Reissue"]);
    assert_eq!(world.finance.get(&format!("{base}/payment")).await.status, 409);
    let again = send(&mut world.finance, &format!("{base}/reissue"), &[]).await;
    let new = again.header("location").unwrap();
    assert!(again.status == 303 && !new.contains(&invoice), "{new}");
    says(
        &world.finance.open(&new).await,
        &[
            "INV-000002",
            "Total $49.00",
            "bills again what the void one had charged",
        ],
    );
    let third = send(&mut world.finance, &format!("{base}/reissue"), &[]).await;
    assert_eq!(third.status, 422);
    says(&third, &["reissued before"]);
}

#[tokio::test]
async fn a_credit_note_never_goes_above_its_line() {
    let mut world = World::new().await;
    let invoice = world.bill(true).await.remove(0);
    let path = format!("/finance/invoices/{invoice}/credit");
    let above = send(
        &mut world.finance,
        &path,
        &[("line-1", "49.01"), ("reason", "an outage")],
    )
    .await;
    assert_eq!(above.status, 422);
    says(&above, &["$49.00 is left of this line: write that or less"]);
    assert!(above.text.contains("value=\"49.01\"") && above.text.contains("an outage"));
    let none = send(&mut world.finance, &path, &[("line-1", ""), ("reason", "an outage")]).await;
    says(&none, &["Write an amount beside at least one line"]);
    let page = send(
        &mut world.finance,
        &path,
        &[("line-1", "9.50"), ("reason", "an outage")],
    )
    .await;
    assert_eq!(page.status, 303);
    let page = world.finance.open(&page.header("location").unwrap()).await;
    says(
        &page,
        &[
            "Credited −$9.50",
            "Amount due $39.50",
            "Credit note CN-000001 of $9.50",
            "an outage",
        ],
    );
    says(&world.finance.get(&path).await, &["$49.00 39.50"]);
}

#[tokio::test]
async fn a_draft_waits_to_be_finalized_and_an_open_invoice_can_be_given_up() {
    let mut world = World::new().await;
    let invoice = world.bill(false).await.remove(0);
    let base = format!("/finance/invoices/{invoice}");
    says(&world.finance.get("/finance").await, &["Drafts waiting 1 $49.00"]);
    says(
        &world.finance.get(&base).await,
        &["Draft invoice", "not issued yet", "Finalize"],
    );
    assert_eq!(world.finance.get(&format!("{base}/uncollectible")).await.status, 409);
    assert_eq!(
        send(
            &mut world.finance,
            &format!("{base}/finalize"),
            &[("reason", "checked")]
        )
        .await
        .status,
        303
    );
    says(
        &world.finance.get(&base).await,
        &[
            "Invoice INV-000001",
            "Due in 14 days",
            "Issued as INV-000001 by Sam Staff",
        ],
    );
    assert_eq!(
        send(
            &mut world.finance,
            &format!("{base}/uncollectible"),
            &[("reason", "insolvent")]
        )
        .await
        .status,
        303
    );
    says(
        &world.finance.get(&base).await,
        &["Uncollectible", "insolvent (by Sam Staff)", "Record payment"],
    );
    says(&world.finance.get("/finance").await, &["Unpaid – 0 open"]);
}

#[tokio::test]
async fn invoices_are_found_by_state_customer_month_and_words() {
    let mut world = World::new().await;
    world.bill(true).await;
    world.at("2026-07-08T10:00:01Z").await;
    let list = world.finance.get("/finance/invoices").await;
    says(
        &list,
        &[
            "All 1",
            "Overdue 1",
            "INV-000001 acme Overdue 9 days 15 Jun 2026 29 Jun 2026 $49.00 $49.00",
            "Sum of 1 in USD",
        ],
    );
    for (query, found) in [
        ("status=overdue", true),
        ("status=paid", false),
        ("status=draft", false),
        ("q=ACM", true),
        ("q=inv-0", true),
        ("q=%25", false),
        ("q=umbrella", false),
        ("period=2026-06", true),
        ("period=2026-07", false),
        ("period=x&status=y", true),
    ] {
        let page = world.finance.get(&format!("/finance/invoices?{query}")).await;
        assert_eq!(page.text.contains(">INV-000001<"), found, "{query}");
        let csv = world.finance.get(&format!("/finance/invoices.csv?{query}")).await;
        assert_eq!(csv.text.contains("INV-000001"), found, "{query}: {}", csv.text);
    }
    says(
        &world.finance.get("/finance/invoices?status=paid").await,
        &["No invoice fits", "15 Jul 2026"],
    );
    let by_customer = format!("/finance/invoices?account={}", world.tenant.account);
    says(
        &world.finance.get(&by_customer).await,
        &["Customer: acme", "INV-000001"],
    );
    let csv = world.finance.get("/finance/invoices.csv").await;
    assert!(
        csv.text.contains(",acme,")
            && csv
                .text
                .contains(",open,true,2026-06-15T10:00:00.000Z,2026-06-29T10:00:00.000Z,USD,49.00,0.00,0.00,49.00"),
        "{}",
        csv.text
    );
    says(
        &world.finance.get("/finance").await,
        &["Overdue $49.00 1 overdue", "INV-000001 acme Overdue 9 days"],
    );
}

#[tokio::test]
async fn revenue_adds_up_to_the_books_and_never_over_two_currencies() {
    let mut world = World::new().await;
    world.traffic(10_000, Reach::Analytics).await;
    let consumer = world
        .server
        .post(
            "/consumers",
            json!({"account_id": world.tenant.account, "name": "second"}),
        )
        .await
        .expect(201);
    let wish = json!({"consumer_id": text(&consumer, "id"), "product": "petstore", "plan": "euro"});
    world.server.post("/subscriptions", wish).await.expect(201);
    world.bill(true).await;
    world.at(SECOND).await;
    let invoices = world.bill(true).await;
    assert_eq!(invoices.len(), 2, "one for each currency");
    let books = world
        .server
        .get("/revenue?from=2026-06-01T00:00:00Z&to=2026-08-01T00:00:00Z")
        .await
        .expect(200);
    let invoiced = |code: &str| {
        let items = books["items"].as_array().unwrap();
        items.iter().find(|item| item["currency"] == code).unwrap()["invoiced"]
            .as_i64()
            .unwrap()
    };
    assert_eq!((invoiced("USD"), invoiced("EUR")), (4_900 + 4_900 + 67_500, 4_000));
    for by in ["month", "product", "plan"] {
        let csv = world
            .finance
            .get(&format!("/finance/revenue.csv?from=2026-06-01&to=2026-07-31&by={by}"))
            .await;
        let sum = |code: &str| -> i64 {
            let rows = csv
                .text
                .lines()
                .skip(1)
                .filter(|row| row.contains(&format!(",{code},")));
            rows.map(|row| row.rsplit(',').next().unwrap().replace('.', "").parse::<i64>().unwrap())
                .sum()
        };
        assert_eq!((sum("USD"), sum("EUR")), (77_300, 4_000), "{by}: {}", csv.text);
    }
    let page = world
        .finance
        .get("/finance/revenue?from=2026-06-01&to=2026-07-31")
        .await;
    says(
        &page,
        &[
            "June 2026 $49.00",
            "July 2026 $724.00",
            "$773.00 in all",
            "€40.00 in all",
        ],
    );
    assert!(page.text.contains("role=\"img\""), "a chart");
    says(
        &world
            .finance
            .get("/finance/revenue?from=2026-06-01&to=2026-07-31&by=plan")
            .await,
        &["Petstore, Pro $773.00", "Petstore, Euro €40.00"],
    );
    says(
        &world.finance.get("/finance").await,
        &["Revenue, July 2026 €20.00 $724.00"],
    );
    let empty = world
        .finance
        .get("/finance/revenue?from=2026-05-01&to=2026-07-31")
        .await;
    says(&empty, &["has no row", "June 2026 $49.00"]);
    assert!(!words(&empty).contains("May 2026 $0.00"), "{}", words(&empty));
    assert!(!words(&page).contains("has no row"), "no month is left out");
    let faulty = world.finance.get("/finance/revenue?from=tomorrow").await;
    says(&faulty, &["Write a day such as 2026-11-21"]);
}

#[tokio::test]
async fn what_is_unbilled_is_what_the_next_invoice_says() {
    let mut world = World::new().await;
    world.bill(true).await;
    world.traffic(10_000, Reach::Analytics).await;
    world.at("2026-07-01T00:00:00Z").await;
    let page = world.finance.get("/finance/unbilled").await;
    says(
        &page,
        &["acme", "9,500 requests, $675.00", "15 Jul 2026, 10:00", "$675.00"],
    );
    says(&world.finance.get("/finance").await, &["Unbilled so far $675.00"]);
    let customer = world
        .finance
        .get(&format!("/finance/customers/{}", world.tenant.account))
        .await;
    says(
        &customer,
        &[
            "Owes $49.00",
            "Unbilled so far $675.00",
            "Tax numbers US 42",
            "14 days after the date of the invoice",
            "1 Main Street, 12345 Springfield",
            "INV-000001",
            "Petstore Pro backend active",
        ],
    );
    says(
        &world.finance.get("/finance/customers?q=acme").await,
        &["acme acme@example.com US $49.00 $49.00"],
    );
    world.at(SECOND).await;
    let invoice = world.bill(true).await.remove(0);
    says(
        &world.finance.get(&format!("/finance/invoices/{invoice}")).await,
        &["9,500 requests", "$675.00"],
    );
}

#[tokio::test]
async fn a_hop_that_lost_something_is_named_with_its_cause() {
    let mut world = World::new().await;
    world.traffic(100, Reach::LedgerAlone).await;
    let page = world.finance.get("/finance/reconciliation").await;
    says(
        &page,
        &[
            "Something is not equal",
            "Raw facts requests in analytics, counted one by one 0 0 −100 Differs 100 records of all customers together have not reached analytics yet",
            "100 of them wait for analytics",
            "Not billed yet",
        ],
    );
    let only = world
        .finance
        .get(&format!("/finance/reconciliation?account={}", world.tenant.account))
        .await;
    says(&only, &["acme 15 Jun 2026 100 95 0 0 −95"]);
    says(
        &world
            .finance
            .get("/finance/reconciliation?from=2026-01-01&to=2026-06-15")
            .await,
        &["at most 35 days"],
    );
}

#[tokio::test]
async fn a_run_is_asked_for_once_and_its_page_tells_how_far_it_is() {
    let mut world = World::new().await;
    let page = world.finance.get("/finance/runs/new").await;
    says(
        &page,
        &[
            "What will happen",
            "Every customer with a subscription is looked at",
            "$49.00 of 1 customers",
        ],
    );
    let once = hidden(&page.text, "_once").unwrap();
    let fields = [("_once", once.as_str()), ("kind", "due"), ("issue", "draft")];
    let first = world
        .finance
        .post("/finance/runs/new", &fields)
        .await
        .header("location")
        .unwrap();
    let second = world
        .finance
        .post("/finance/runs/new", &fields)
        .await
        .header("location")
        .unwrap();
    assert_eq!(first, second);
    let page = world.finance.get(&first).await;
    says(
        &page,
        &["What is due, all customers, as drafts", "Waiting", "Load again"],
    );
    assert!(page.text.contains("hx-trigger=\"every 2s\""));
    let now = world.server.clock.now();
    let mut run = world
        .server
        .store
        .claim_billing_run(now.plus_millis(60_000), now)
        .await
        .unwrap()
        .unwrap();
    (run.total, run.done, run.failed, run.invoices) = (2, 1, 1, 1);
    let failure = store::billing::RunFailure {
        account: world.tenant.account.parse().unwrap(),
        reason: "the plan has no price in CHF".to_owned(),
        at: now,
    };
    world.server.store.note_run_failure(run.id, &failure).await.unwrap();
    world.server.store.finish_billing_run(&run, now).await.unwrap();
    let part = world.finance.get(&format!("{first}/progress")).await;
    assert!(
        !part.text.contains("hx-get") && !part.text.contains("<html"),
        "it asks no more: {}",
        part.text
    );
    says(
        &part,
        &[
            "Done, with failures 1 of 2 customers billed, 1 failed",
            "1 invoice made",
            "acme the plan has no price in CHF",
        ],
    );
    says(
        &world.finance.get("/finance/runs").await,
        &["Done, with failures 1 of 2 1 1 invoice"],
    );
    assert_eq!(
        world.finance.post("/finance/runs/new", &[("kind", "all")]).await.status,
        422
    );
}

#[tokio::test]
async fn support_reads_everything_and_finds_no_button() {
    let mut world = World::new().await;
    let invoice = world.bill(true).await.remove(0);
    let mut support = Browser::staff(&world.server, &[StaffRole::Support]).await;
    for path in [
        "/finance",
        "/finance/invoices",
        "/finance/runs",
        "/finance/unbilled",
        &format!("/finance/invoices/{invoice}"),
    ] {
        let page = support.get(path).await;
        assert_eq!(page.status, 200);
        for word in ["Start a billing run", "Record payment", "/void\"", "/credit\""] {
            assert!(!page.text.contains(word), "{path} shows {word}");
        }
    }
    let reply = support
        .post(&format!("/finance/invoices/{invoice}/void"), &[("reason", "x")])
        .await;
    assert_eq!(reply.status, 403);
    says(
        &world.finance.get(&format!("/finance/invoices/{invoice}")).await,
        &["Record payment"],
    );
}

#[tokio::test]
async fn a_fresh_deployment_says_what_comes_next_on_every_page() {
    let server = Server::start().await;
    let mut finance = Browser::staff(&server, &[StaffRole::Finance]).await;
    let pages = page_routes();
    let plain = pages
        .iter()
        .filter(|page| page.path.starts_with("/finance") && page.method == "GET" && !page.path.contains('{'));
    for page in plain {
        let reply = finance.get(&page.path).await;
        assert_eq!(reply.status, 200, "{} {}", page.path, reply.text);
        if page.path.ends_with(".csv") {
            assert_eq!(reply.text.lines().count(), 1, "{}", reply.text);
            continue;
        }
        let text = words(&reply);
        assert!(text.len() > 60, "{}: {text}", page.path);
        for bad in ["null", "NaN", "None", "Some("] {
            assert!(!text.contains(bad), "{}: {text}", page.path);
        }
    }
}
