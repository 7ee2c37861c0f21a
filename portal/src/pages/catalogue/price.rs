//! Prices and limits of a plan in words.

use domain::charge::Terms;
use domain::config::Plan;
use domain::limit::{Allow, Limit, LimitEntry, OveragePrice, Quota, Rule};
use domain::money::{Currency, Exact};
use domain::period::Every;
use domain::price::{Price, Pricing, UsagePrice};
use domain::subscription::Approval;

pub(crate) use documents::words::plural;

use super::offers::Catalogue;
use crate::estimate::{self, Estimate};
use crate::pages::web::show;

/// `a month`, `every 3 months`.
pub(crate) fn every(every: Every) -> String {
    if every.count() == 1 {
        format!("a {every}")
    } else {
        format!("every {every}")
    }
}

/// An exact price with at least the decimals of its currency.
fn exact(amount: &Exact, currency: Currency) -> String {
    let text = amount.to_string();
    if text.contains('/') {
        return show::major(
            &amount.to_rounded_string(currency.exponent().saturating_add(6)),
            currency,
        );
    }
    let decimals = text.split_once('.').map_or(0, |(_, part)| part.len());
    let least = currency.exponent();
    if decimals < usize::from(least) {
        return show::major(&amount.to_rounded_string(least), currency);
    }
    show::major(&text, currency)
}

/// What the plan costs at first sight: `€49.00 a month`, `Free`, `from €0.0008 a request`.
pub(crate) fn headline(plan: &Plan, wanted: Currency, catalogue: &Catalogue) -> String {
    let Ok(terms) = Terms::of(plan, wanted) else {
        return show::NOTHING.to_owned();
    };
    let base = terms.recurring.as_ref().map(|recurring| {
        format!(
            "{} {}",
            exact(&recurring.amount.into(), terms.currency),
            every(recurring.every)
        )
    });
    let usage = terms.usage.iter().find(|term| !term.overage);
    match (base, usage) {
        (Some(base), None) => base,
        (Some(base), Some(_)) => format!("{base} and usage"),
        (None, Some(term)) => format!(
            "{} a {}",
            first_unit(&term.price, terms.currency),
            catalogue.unit(&term.meter)
        ),
        (None, None) => "Free".to_owned(),
    }
}

fn first_unit(price: &UsagePrice, currency: Currency) -> String {
    match &price.pricing {
        Pricing::Unit(unit) => exact(unit, currency),
        Pricing::Graduated(table) | Pricing::Volume(table) => {
            let lowest = table.rows().map(|(_, _, bracket)| &bracket.unit).min();
            lowest.map_or_else(
                || show::NOTHING.to_owned(),
                |unit| format!("from {}", exact(unit, currency)),
            )
        }
        Pricing::Package { size, amount } => {
            let unit = amount.checked_div(&Exact::from(*size)).unwrap_or_else(Exact::zero);
            exact(&unit, currency)
        }
        Pricing::Stairstep(table) => {
            let lowest = table.rows().map(|(_, _, step)| &step.amount).min();
            lowest.map_or_else(
                || show::NOTHING.to_owned(),
                |amount| format!("from {}", exact(amount, currency)),
            )
        }
    }
}

/// What the units after the included ones cost, in words.
pub(crate) fn usage(price: &UsagePrice, currency: Currency, unit: &str) -> String {
    let mut text = match &price.pricing {
        Pricing::Unit(amount) => format!("{} a {unit}", exact(amount, currency)),
        Pricing::Graduated(table) => {
            let rows = table
                .rows()
                .map(|(_, to, row)| (to, bracket(&row.unit, &row.flat, currency)));
            format!("{} a {unit}", steps(rows, price.included))
        }
        Pricing::Volume(table) => {
            let rows = table
                .rows()
                .map(|(_, to, row)| (to, bracket(&row.unit, &row.flat, currency)));
            format!("{} for each {unit} of the period", steps(rows, price.included))
        }
        Pricing::Package { size, amount } => format!(
            "{} for each {} started",
            exact(amount, currency),
            show::count(*size, unit, &format!("{unit}s"))
        ),
        Pricing::Stairstep(table) => {
            let rows = table.rows().map(|(_, to, row)| (to, exact(&row.amount, currency)));
            format!("{} in all", steps(rows, price.included))
        }
    };
    if let Some(minimum) = &price.minimum {
        text.push_str(&format!(", at least {}", exact(minimum, currency)));
    }
    if let Some(maximum) = &price.maximum {
        text.push_str(&format!(", at most {}", exact(maximum, currency)));
    }
    text
}

fn bracket(unit: &Exact, flat: &Exact, currency: Currency) -> String {
    if flat.is_zero() {
        exact(unit, currency)
    } else {
        format!("{} and {} once", exact(unit, currency), exact(flat, currency))
    }
}

/// `€0.0008 to 500,000, then €0.0005`. Positions count after the included units; people count from the first.
fn steps(rows: impl Iterator<Item = (Option<u64>, String)>, included: u64) -> String {
    const MOST: usize = 6;
    let rows: Vec<_> = rows.collect();
    let mut words = Vec::new();
    for (at, (to, text)) in rows.iter().enumerate() {
        if at == MOST && rows.len() > MOST + 1 {
            words.push(format!("and {} further steps", rows.len() - MOST));
            break;
        }
        let then = if at == 0 { "" } else { "then " };
        words.push(match to {
            Some(to) => format!("{then}{text} to {}", show::number(to.saturating_add(included))),
            None => format!("{then}{text}"),
        });
    }
    words.join(", ")
}

/// A row of the table of plans: its head, and what it says of a plan.
pub(crate) type Row = (String, String);

/// Everything that plans differ in, in the order of the table.
pub(crate) fn rows(plan: &Plan, wanted: Currency, catalogue: &Catalogue) -> Vec<Row> {
    let mut rows = Vec::new();
    let terms = Terms::of(plan, wanted).ok();
    let currency = terms.as_ref().map_or(wanted, |terms| terms.currency);
    let price = estimate::price_in(plan, currency);
    let base = terms.as_ref().and_then(|terms| terms.recurring.as_ref()).map_or_else(
        || exact(&Exact::zero(), currency),
        |recurring| {
            format!(
                "{} {}",
                exact(&recurring.amount.into(), currency),
                every(recurring.every)
            )
        },
    );
    rows.push(("Price".to_owned(), base));
    for term in terms.iter().flat_map(|terms| &terms.usage).filter(|term| !term.overage) {
        let unit = catalogue.unit(&term.meter);
        let name = capital(&plural(&unit));
        if term.price.included > 0 {
            rows.push((format!("{name} included"), show::number(term.price.included)));
        }
        rows.push((
            format!("Price of {}", plural(&unit)),
            usage(&term.price, currency, &unit),
        ));
    }
    rows.extend(limits(&plan.limits, price, currency, catalogue));
    let start = match plan.approval {
        Approval::Automatic => "at once",
        Approval::Manual => "after approval",
    };
    rows.push(("Starts".to_owned(), start.to_owned()));
    rows
}

/// Limits, each with its head.
pub(crate) fn limits(
    entries: &[LimitEntry],
    price: Option<&Price>,
    currency: Currency,
    catalogue: &Catalogue,
) -> Vec<Row> {
    let limits = entries.iter().filter_map(|entry| entry.understand().ok());
    limits
        .map(|limit| limit_row(&limit, price, currency, catalogue))
        .collect()
}

fn limit_row(limit: &Limit, price: Option<&Price>, currency: Currency, catalogue: &Catalogue) -> Row {
    let of = if limit.operations.is_empty() {
        String::new()
    } else {
        format!(" of {}", limit.operations.join(", "))
    };
    match &limit.rule {
        Rule::Rate {
            requests, per, burst, ..
        } => {
            let burst = if burst > requests {
                format!(", bursts of {}", show::number(*burst))
            } else {
                String::new()
            };
            (
                format!("Rate limit{of}"),
                format!("{} a {}{burst}", show::number(*requests), per.as_str()),
            )
        }
        Rule::Concurrency { max } => (format!("Requests at once{of}"), show::number(*max)),
        Rule::Quota(quota) => quota_row(quota, price, currency, catalogue),
    }
}

fn quota_row(quota: &Quota, price: Option<&Price>, currency: Currency, catalogue: &Catalogue) -> Row {
    let period = price.map_or(Every::MONTH, |price| price.usage_period);
    let unit = catalogue.unit(&quota.meter);
    let included = price.and_then(|price| price.usage.iter().find(|entry| entry.meter == quota.meter)?.included);
    let max = quota.max.or(included);
    let mut text = max.map_or_else(
        || "none".to_owned(),
        |max| format!("{} {}", show::number(max), every(period)),
    );
    if let Some(allow) = quota.overage {
        text.push_str(&match allow {
            Allow::Unlimited => ", more is served".to_owned(),
            Allow::BasisPoints(_) => max
                .and_then(|max| quota.ceiling(max))
                .map_or_else(String::new, |ceiling| {
                    format!(", served up to {}", show::number(ceiling))
                }),
        });
        match &quota.overage_price {
            Some(OveragePrice::Unit(amount)) => {
                text.push_str(&format!(" at {} a {unit}", exact(&(*amount).into(), currency)));
            }
            Some(OveragePrice::Prorated(_)) => text.push_str(" in proportion to the price"),
            None => {}
        }
    }
    (format!("Quota of {}", plural(&unit)), text)
}

/// The rate limits of a plan on one line, for the page of an operation: `100 a second`.
pub(crate) fn rates(plan: &Plan, operation: &str) -> Option<String> {
    let applies = |limit: &Limit| limit.operations.is_empty() || limit.operations.iter().any(|one| one == operation);
    let words: Vec<String> = plan
        .limits
        .iter()
        .filter_map(|entry| entry.understand().ok())
        .filter(applies)
        .filter_map(|limit| match limit.rule {
            Rule::Rate { requests, per, .. } => Some(format!("{} a {}", show::number(requests), per.as_str())),
            Rule::Quota(Quota {
                meter, max: Some(max), ..
            }) => Some(format!("{} {meter} a period", show::number(max))),
            Rule::Quota(_) | Rule::Concurrency { .. } => None,
        })
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// How an estimate comes about, in words.
pub(crate) fn how(estimate: &Estimate, catalogue: &Catalogue) -> String {
    if let Some(stop) = &estimate.stop {
        return format!("stops after {}", counted(stop.at, &catalogue.unit(&stop.meter)));
    }
    let mut words = Vec::new();
    for part in &estimate.parts {
        let unit = catalogue.unit(&part.meter);
        if !part.rated.included.is_zero() && !part.overage {
            words.push(format!("{} included", counted(part.rated.included.to_u64(), &unit)));
        }
        for tier in part.rated.detail.iter().filter(|tier| !tier.quantity.is_zero()) {
            let over = if part.overage { " above the quota" } else { "" };
            let amount = if tier.unit.is_zero() { &tier.flat } else { &tier.unit };
            words.push(format!(
                "{}{over} at {}",
                show::number(tier.quantity.to_u64()),
                exact(amount, estimate.currency)
            ));
        }
        if part.rated.true_up.is_positive() {
            words.push(format!(
                "raised to the minimum of {}",
                exact(&part.rated.exact, estimate.currency)
            ));
        }
        if part.rated.discount.is_negative() {
            words.push(format!(
                "held at the maximum of {}",
                exact(&part.rated.exact, estimate.currency)
            ));
        }
    }
    if words.is_empty() {
        "nothing is priced by use".to_owned()
    } else {
        words.join(", ")
    }
}

/// `1 request`, `1,000 requests`.
pub(crate) fn counted(count: u64, unit: &str) -> String {
    show::count(count, unit, &plural(unit))
}

/// The text with a large first letter.
pub(crate) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}
