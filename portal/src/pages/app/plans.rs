//! Prices and limits of plans in a few words, where one is chosen.

use domain::charge::Terms;
use domain::config::Plan;
use domain::limit::{Limit, LimitEntry, Rule};
use domain::money::Currency;
use domain::period::Every;
use domain::subscription::Approval;

use super::bars;
use crate::pages::web::show;
use crate::subscribing;

/// The title of a plan, or its name.
pub(crate) fn title(plan: &Plan) -> String {
    plan.title.clone().unwrap_or_else(|| plan.name.clone())
}

/// `a month`, `every 3 months`.
pub(crate) fn every(every: Every) -> String {
    if every.count() == 1 {
        format!("a {every}")
    } else {
        format!("every {every}")
    }
}

/// What it costs at first sight: `€49.00 a month and usage`, `Free`.
pub(crate) fn headline(plan: &Plan, wanted: Currency) -> String {
    let Ok(terms) = Terms::of(plan, wanted) else {
        return show::NOTHING.to_owned();
    };
    let base = terms.recurring.as_ref().map(|recurring| {
        let amount = show::major(&recurring.amount.to_string(), terms.currency);
        format!("{amount} {}", every(recurring.every))
    });
    match (base, terms.usage.is_empty()) {
        (Some(base), true) => base,
        (Some(base), false) => format!("{base} and usage"),
        (None, false) => "By usage".to_owned(),
        (None, true) => "Free".to_owned(),
    }
}

/// What it includes and where it ends: head and text.
pub(crate) fn rows(plan: &Plan, wanted: Currency) -> Vec<(String, String)> {
    let mut rows = vec![("Price".to_owned(), headline(plan, wanted))];
    if let Ok(terms) = Terms::of(plan, wanted) {
        for term in terms
            .usage
            .iter()
            .filter(|term| !term.overage && term.price.included > 0)
        {
            let head = format!("{} included", bars::meter_name(&term.meter));
            rows.push((head, show::number(term.price.included)));
        }
    }
    let period = every(subscribing::every(plan));
    rows.extend(limits(&plan.limits, &period));
    if plan.approval == Approval::Manual {
        rows.push(("Starts".to_owned(), "after approval".to_owned()));
    }
    rows
}

/// Limits, head and text.
pub(crate) fn limits<'a>(entries: &'a [LimitEntry], period: &'a str) -> impl Iterator<Item = (String, String)> + 'a {
    let limits = entries.iter().filter_map(|entry| entry.understand().ok());
    limits.map(move |limit| limit_row(&limit, period))
}

fn limit_row(limit: &Limit, period: &str) -> (String, String) {
    let of = if limit.operations.is_empty() {
        String::new()
    } else {
        format!(" of {}", limit.operations.join(", "))
    };
    match &limit.rule {
        Rule::Rate { requests, per, .. } => (
            format!("Rate limit{of}"),
            format!("{} a {}", show::number(*requests), per.as_str()),
        ),
        Rule::Concurrency { max } => (format!("Requests at once{of}"), show::number(*max)),
        Rule::Quota(quota) => (
            format!("Quota of {}{of}", quota.meter),
            quota.max.map_or_else(
                || "as included".to_owned(),
                |max| format!("{} {period}", show::number(max)),
            ),
        ),
    }
}
