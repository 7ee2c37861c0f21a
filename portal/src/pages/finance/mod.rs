//! `/finance`: invoices, payments, revenue, reconciliation, for the provider's own staff. Support reads all of it and
//! changes nothing: what a person may not press is not shown.

mod act;
mod credit;
mod customers;
mod invoice;
mod invoices;
mod lines;
mod names;
mod overview;
mod payment;
mod reconciliation;
mod requests;
mod revenue;
mod runs;
mod unbilled;

use domain::money::Currency;

use super::web::access::{Access, Section};
use super::web::route::{get, post};
use super::web::{Asked, Html, PageRoute, Shell, Side, Staff, escape, show};
use crate::app::App;
use crate::http::problem::Problem;

const FINANCE: Access = Access::Staff(Section::Finance);

/// The pages of this section.
#[rustfmt::skip]
pub(crate) fn table() -> Vec<PageRoute> {
    vec![
        get("/finance", FINANCE, overview::show),
        get("/finance/unbilled", FINANCE, unbilled::show),
        get("/finance/invoices", FINANCE, invoices::show),
        get("/finance/invoices.csv", FINANCE, invoices::csv),
        get("/finance/invoices/{id}", FINANCE, invoice::show),
        get("/finance/invoices/{id}/pdf", FINANCE, invoice::pdf),
        get("/finance/invoices/{id}/csv", FINANCE, invoice::csv),
        get("/finance/invoices/{id}/lines/{n}", FINANCE, lines::show),
        get("/finance/invoices/{id}/lines/{n}/csv", FINANCE, lines::csv),
        get("/finance/invoices/{id}/finalize", FINANCE, act::finalize_page),
        post("/finance/invoices/{id}/finalize", FINANCE, act::finalize),
        get("/finance/invoices/{id}/void", FINANCE, act::void_page),
        post("/finance/invoices/{id}/void", FINANCE, act::void),
        get("/finance/invoices/{id}/reissue", FINANCE, act::reissue_page),
        post("/finance/invoices/{id}/reissue", FINANCE, act::reissue),
        get("/finance/invoices/{id}/uncollectible", FINANCE, act::give_up_page),
        post("/finance/invoices/{id}/uncollectible", FINANCE, act::give_up),
        get("/finance/invoices/{id}/payment", FINANCE, payment::page),
        post("/finance/invoices/{id}/payment", FINANCE, payment::record),
        get("/finance/invoices/{id}/credit", FINANCE, credit::page),
        post("/finance/invoices/{id}/credit", FINANCE, credit::issue),
        get("/finance/requests/{request_id}", FINANCE, requests::show),
        get("/finance/customers", FINANCE, customers::list),
        get("/finance/customers/{id}", FINANCE, customers::show),
        get("/finance/revenue", FINANCE, revenue::show),
        get("/finance/revenue.csv", FINANCE, revenue::csv),
        get("/finance/reconciliation", FINANCE, reconciliation::show),
        get("/finance/runs", FINANCE, runs::list),
        get("/finance/runs/new", FINANCE, runs::new),
        post("/finance/runs/new", FINANCE, runs::start),
        get("/finance/runs/{id}", FINANCE, runs::show),
        get("/finance/runs/{id}/progress", FINANCE, runs::progress),
    ]
}

/// The layout of a page of this section.
async fn shell(app: &App, staff: &Staff) -> Result<Shell, Problem> {
    let side = Side::new(
        "Finance",
        &[
            (
                None,
                &[
                    ("/finance", "Overview"),
                    ("/finance/invoices", "Invoices"),
                    ("/finance/customers", "Customers"),
                    ("/finance/unbilled", "Unbilled so far"),
                    ("/finance/runs", "Billing runs"),
                ],
            ),
            (
                Some("Reports"),
                &[
                    ("/finance/revenue", "Revenue"),
                    ("/finance/reconciliation", "Reconciliation"),
                ],
            ),
        ],
    );
    Ok(staff.visitor.shell(app).await?.side(side))
}

/// Whether this person may do more than read.
fn may_change(staff: &Staff) -> bool {
    staff.may_change(Section::Finance)
}

/// Amounts of several currencies, one a line: never one sum. A dash where there is none.
fn amounts(all: &[(Currency, i64)]) -> Html {
    if all.is_empty() {
        return Html(show::NOTHING.to_owned());
    }
    let lines: Vec<String> = all
        .iter()
        .map(|(currency, minor)| escape(&show::minor(*minor, *currency)))
        .collect();
    Html(lines.join("<br>"))
}

/// Adds an amount to those of its currency.
fn add(all: &mut Vec<(Currency, i64)>, currency: Currency, minor: i64) {
    match all.iter_mut().find(|(known, _)| *known == currency) {
        Some((_, sum)) => *sum = sum.saturating_add(minor),
        None => all.push((currency, minor)),
    }
}

/// A path with the values of these names as they were asked for, but for one that changes.
fn link(path: &str, asked: &Asked, names: &[&str], (name, value): (&str, &str)) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for known in names {
        let kept = if *known == name { Some(value) } else { asked.get(known) };
        if let Some(kept) = kept.filter(|kept| !kept.is_empty()) {
            query.append_pair(known, kept);
        }
    }
    let query = query.finish();
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}
