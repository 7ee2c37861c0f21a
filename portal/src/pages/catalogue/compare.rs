//! Plans side by side, and what each would cost for a number of units.

use std::collections::BTreeMap;

use domain::config::Plan;
use domain::money::Currency;

use super::offers::{Catalogue, Offer};
use super::{address, price};
use crate::app::App;
use crate::configuration;
use crate::estimate::{self, Units};
use crate::http::problem::Problem;
use crate::pages::web::{Asked, Visitor, show};

/// Quantities of the table that stands on every page with prices.
const SAMPLES: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const MOST_UNITS: u64 = 1_000_000_000_000;

/// Plans in columns, what they differ in in rows.
pub(crate) struct Comparison {
    pub(crate) columns: Vec<Column>,
    /// Head and one cell for each plan.
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// A plan as a column.
pub(crate) struct Column {
    pub(crate) title: String,
    pub(crate) about: String,
    /// Where it is chosen.
    pub(crate) href: String,
}

/// Plans of a product side by side.
pub(crate) fn comparison(offer: &Offer, currency: Currency, catalogue: &Catalogue) -> Comparison {
    let cells: Vec<Vec<price::Row>> = offer
        .plans
        .iter()
        .map(|plan| price::rows(plan, currency, catalogue))
        .collect();
    let mut heads: Vec<&String> = Vec::new();
    for (head, _) in cells.iter().flatten() {
        if !heads.contains(&head) {
            heads.push(head);
        }
    }
    // How a plan starts comes last, whatever other plans have.
    heads.sort_by_key(|head| head.as_str() == "Starts");
    let cell = |rows: &Vec<price::Row>, head: &str| {
        let found: Vec<&str> = rows
            .iter()
            .filter(|(known, _)| known == head)
            .map(|(_, text)| text.as_str())
            .collect();
        if found.is_empty() {
            show::NOTHING.to_owned()
        } else {
            found.join(", ")
        }
    };
    let rows = heads
        .into_iter()
        .map(|head| (head.clone(), cells.iter().map(|rows| cell(rows, head)).collect()))
        .collect();
    let column = |plan: &Plan| Column {
        title: title(plan),
        about: super::offers::first_sentences(plan.description.as_deref().unwrap_or_default()),
        href: subscribe_path(&offer.product.name, &plan.name),
    };
    Comparison {
        columns: offer.plans.iter().map(column).collect(),
        rows,
    }
}

/// Title of a plan, or its name.
pub(crate) fn title(plan: &Plan) -> String {
    plan.title.clone().unwrap_or_else(|| plan.name.clone())
}

/// Where a plan is chosen.
pub(crate) fn subscribe_path(product: &str, plan: &str) -> String {
    format!(
        "{}/subscribe?{}",
        address::product(product),
        address::query("plan", plan)
    )
}

/// The form that asks for numbers of units.
pub(crate) struct Question {
    pub(crate) fields: Vec<Asking>,
    pub(crate) currencies: Vec<&'static str>,
    pub(crate) currency: &'static str,
}

/// A field of the form.
pub(crate) struct Asking {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) value: String,
}

/// What the plans of a product cost.
pub(crate) struct Estimated {
    pub(crate) caption: String,
    pub(crate) period: String,
    pub(crate) lines: Vec<Line>,
}

/// What one plan costs.
pub(crate) struct Line {
    pub(crate) title: String,
    pub(crate) base: String,
    pub(crate) usage: String,
    pub(crate) total: String,
    pub(crate) how: String,
    pub(crate) is_lowest: bool,
}

/// What plans cost at some sizes.
pub(crate) struct Sizes {
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<(String, Vec<String>)>,
}

/// The currency that a visitor pays in: what they ask for, else their organisation's, else the deployment's.
pub(crate) async fn currency(app: &App, visitor: &Visitor, asked: &Asked) -> Result<Currency, Problem> {
    if let Some(currency) = asked.get("currency").and_then(|code| code.parse().ok()) {
        return Ok(currency);
    }
    let membership = visitor.person().and_then(|person| person.membership.as_ref());
    if let Some(membership) = membership {
        let account = app.store.account(store::Scope::All, membership.account_id).await?;
        if let Some(currency) = account.and_then(|account| account.fields.currency.parse().ok()) {
            return Ok(currency);
        }
    }
    let settings = configuration::settings(app).await?;
    settings.billing.currency.parse().map_err(|_| Problem::internal())
}

/// The form for some plans; `calls` are requests, other meters are `units.<name>`.
pub(crate) fn question(plans: &[&Plan], asked: &Asked, currency: Currency, catalogue: &Catalogue) -> Question {
    let mut meters: Vec<String> = Vec::new();
    for meter in plans.iter().flat_map(|plan| estimate::meters(plan)) {
        if !meters.contains(&meter) {
            meters.push(meter);
        }
    }
    let mut currencies: Vec<&'static str> = plans
        .iter()
        .flat_map(|plan| plan.price.iter().chain(&plan.prices))
        .map(|price| price.currency.code())
        .collect();
    currencies.sort_unstable();
    currencies.dedup();
    let units = units(asked, &meters);
    let fields = meters.iter().map(|meter| Asking {
        name: field(meter),
        label: format!("{} a period", price::capital(&price::plural(&catalogue.unit(meter)))),
        value: units.get(meter).map_or_else(String::new, |count| show::number(*count)),
    });
    Question {
        fields: fields.collect(),
        currencies,
        currency: currency.code(),
    }
}

fn field(meter: &str) -> String {
    if meter == domain::limit::REQUESTS {
        "calls".to_owned()
    } else {
        format!("units.{meter}")
    }
}

/// The numbers that were asked for. Thousands may be grouped.
fn units(asked: &Asked, meters: &[String]) -> Units {
    let number = |meter: &String| {
        let digits: String = asked
            .get(&field(meter))?
            .chars()
            .filter(|c| !matches!(c, ',' | '.' | '_' | '\'' | ' ' | '\u{a0}' | '\u{202f}'))
            .collect();
        let count: u64 = digits.parse().ok()?;
        Some((meter.clone(), count.min(MOST_UNITS)))
    };
    meters.iter().filter_map(number).collect()
}

/// What was asked for; `None` while nothing was.
pub(crate) fn estimated(offer: &Offer, asked: &Asked, currency: Currency, catalogue: &Catalogue) -> Option<Estimated> {
    let meters: Vec<String> = offer.plans.iter().flat_map(estimate::meters).collect();
    let units = units(asked, &meters);
    if units.is_empty() || offer.plans.is_empty() {
        return None;
    }
    let words: Vec<String> = units
        .iter()
        .map(|(meter, count)| price::counted(*count, &catalogue.unit(meter)))
        .collect();
    let estimates: Vec<_> = offer
        .plans
        .iter()
        .map(|plan| (plan, estimate::estimate(plan, currency, &units).ok()))
        .collect();
    let lowest: BTreeMap<&str, i64> = estimates
        .iter()
        .filter_map(|(_, estimate)| estimate.as_ref().filter(|estimate| estimate.stop.is_none()))
        .fold(BTreeMap::new(), |mut lowest, estimate| {
            let least = lowest.entry(estimate.currency.code()).or_insert(estimate.total);
            *least = estimate.total.min(*least);
            lowest
        });
    let period = offer
        .plans
        .first()
        .map_or(domain::period::Every::MONTH, crate::subscribing::every);
    let lines = estimates.into_iter().map(|(plan, estimate)| {
        let Some(estimate) = estimate else {
            return Line::unknown(title(plan));
        };
        let served = estimate.stop.is_none();
        let amount = |minor: i64| {
            if served {
                show::minor(minor, estimate.currency)
            } else {
                show::NOTHING.to_owned()
            }
        };
        Line {
            title: title(plan),
            base: show::minor(estimate.base, estimate.currency),
            usage: amount(estimate.usage),
            total: amount(estimate.total),
            how: price::how(&estimate, catalogue),
            is_lowest: served && offer.plans.len() > 1 && lowest.get(estimate.currency.code()) == Some(&estimate.total),
        }
    });
    Some(Estimated {
        caption: format!("Price of {} in each plan of {}", words.join(" and "), offer.title),
        period: price::every(period),
        lines: lines.collect(),
    })
}

impl Line {
    fn unknown(title: String) -> Self {
        let nothing = || show::NOTHING.to_owned();
        Self {
            title,
            base: nothing(),
            usage: nothing(),
            total: nothing(),
            how: "cannot be told".to_owned(),
            is_lowest: false,
        }
    }
}

/// What each plan costs for some round numbers of requests.
pub(crate) fn sizes(offer: &Offer, currency: Currency) -> Sizes {
    let cell = |plan: &Plan, requests: u64| {
        let units = Units::from([(domain::limit::REQUESTS.to_owned(), requests)]);
        match estimate::estimate(plan, currency, &units) {
            Ok(estimate) if estimate.stop.is_none() => show::minor(estimate.total, estimate.currency),
            Ok(_) | Err(_) => show::NOTHING.to_owned(),
        }
    };
    Sizes {
        heads: SAMPLES.iter().map(|requests| show::number(*requests)).collect(),
        rows: offer
            .plans
            .iter()
            .map(|plan| {
                let cells = SAMPLES.iter().map(|requests| cell(plan, *requests)).collect();
                (title(plan), cells)
            })
            .collect(),
    }
}
