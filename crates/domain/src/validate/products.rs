//! Products and their plans.

use super::Finding;
use super::findings::{Findings, shown};
use super::known::{Known, Named};
use super::limits::check_limits;
use super::names::{Seen, check_slug};
use crate::config::{Document, Plan, Product};
use crate::price::{self, Price};
use crate::subscription::Visibility;

pub(super) fn check(document: &Document, known: &Known<'_>, findings: &mut Findings) {
    let mut seen = Seen::default();
    for (index, product) in document.products.iter().enumerate() {
        let at = format!("/products/{index}");
        check_slug(&format!("{at}/name"), &product.name, findings);
        seen.check(&format!("{at}/name"), "product", ("", &product.name), findings);
        check_apis(&at, product, known, findings);
        check_audience(&at, product, known, findings);
        let mut plans = Seen::default();
        for (index, plan) in product.plans.iter().enumerate() {
            let at = format!("{at}/plans/{index}");
            plans.check(&format!("{at}/name"), "plan of the product", ("", &plan.name), findings);
            check_plan(&at, (product, plan), known, findings);
        }
    }
}

fn check_apis(at: &str, product: &Product, known: &Known<'_>, findings: &mut Findings) {
    if product.apis.is_empty() {
        findings.warning(
            format!("{at}/apis"),
            "a product without APIs opens nothing",
            "name its APIs",
        );
    }
    for (index, api) in product.apis.iter().enumerate() {
        let pointer = format!("{at}/apis/{index}");
        known.refer(&pointer, Named::Api, api, findings);
        if product.apis.iter().take(index).any(|before| before == api) {
            findings.error(pointer, format!("the API {} stands twice", shown(api)), "remove it");
        }
    }
}

fn check_audience(at: &str, product: &Product, known: &Known<'_>, findings: &mut Findings) {
    for (index, account) in product.audience.iter().enumerate() {
        known.refer(&format!("{at}/audience/{index}"), Named::Account, account, findings);
    }
    match (product.visibility, product.audience.is_empty()) {
        (Visibility::Private, true) => {
            findings.warning(
                format!("{at}/audience"),
                "nobody sees this private product",
                "name accounts in `audience`",
            );
        }
        (Visibility::Public | Visibility::Unlisted, false) => {
            let reason = format!("an audience means nothing for a product that is {}", product.visibility);
            findings.error(
                format!("{at}/audience"),
                reason,
                "remove it, or write visibility: private",
            );
        }
        (Visibility::Private, false) | (Visibility::Public | Visibility::Unlisted, true) => {}
    }
}

fn check_plan(at: &str, (product, plan): (&Product, &Plan), known: &Known<'_>, findings: &mut Findings) {
    check_slug(&format!("{at}/name"), &plan.name, findings);
    if plan.trial.is_some() {
        findings.not_built(format!("{at}/trial"), "a trial");
    }
    if !plan.addons.is_empty() {
        findings.not_built(format!("{at}/addons"), "an add-on");
    }
    if let Some(price) = &plan.price {
        check_price(&format!("{at}/price"), price, known, findings);
    }
    let mut currencies: Vec<_> = plan.price.iter().map(|price| price.currency).collect();
    for (index, price) in plan.prices.iter().enumerate() {
        let at = format!("{at}/prices/{index}");
        if currencies.contains(&price.currency) {
            let reason = format!("the plan has a price in {} already", price.currency.code());
            findings.error(format!("{at}/currency"), reason, "write one price a currency");
        }
        currencies.push(price.currency);
        check_price(&at, price, known, findings);
    }
    if plan.price.is_none() && !plan.prices.is_empty() {
        let remedy = "move the first of them to `price`";
        findings.error(
            format!("{at}/prices"),
            "`prices` are further currencies beside `price`",
            remedy,
        );
    }
    check_limits(at, (product, plan), known, findings);
}

fn check_price(at: &str, price: &Price, known: &Known<'_>, findings: &mut Findings) {
    for fault in price::validate(price) {
        findings.push(Finding {
            severity: fault.severity,
            pointer: format!("{at}{}", fault.pointer),
            reason: fault.reason,
            remedy: fault.remedy,
        });
    }
    for (index, entry) in price
        .usage
        .iter()
        .enumerate()
        .filter(|(_, entry)| !entry.meter.is_empty())
    {
        known.refer(
            &format!("{at}/usage/{index}/meter"),
            Named::Meter,
            &entry.meter,
            findings,
        );
    }
}
