//! A plan in words: its price in a line, its limits and prices as lines that can be compared.

use domain::config::Plan;
use domain::limit::{Allow, Limit, OveragePrice, Quota, Rule};
use domain::price::{Price, Term, Tier, UsageEntry};
use domain::subscription::Approval;

use super::plan_rows::Rows;

use crate::pages::web::show;

/// The price in a line: `€49.00 every month, then by use`.
pub(super) fn price_words(plan: &Plan) -> String {
    let Some(price) = &plan.price else {
        return "Free".to_owned();
    };
    let recurring = price.recurring.as_ref().filter(|recurring| !recurring.amount.is_zero());
    match (recurring, price.usage.is_empty()) {
        (None, true) => "Free".to_owned(),
        (None, false) => format!("By use, in {}", price.currency),
        (Some(recurring), no_usage) => {
            let amount = show::major(&recurring.amount.to_string(), price.currency);
            let usage = if no_usage { "" } else { ", and by use" };
            format!("{amount} every {}{usage}", recurring.every)
        }
    }
}

/// Everything that a version of a plan is made of, a line each: for two of them beside each other.
pub(super) fn lines(plan: &Plan) -> Vec<String> {
    let mut lines: Vec<String> = plan
        .limits
        .iter()
        .map(|entry| {
            entry.understand().map_or_else(
                |fault| format!("Limit that cannot be read: {fault}"),
                |limit| limit_line(&limit),
            )
        })
        .collect();
    if lines.is_empty() {
        lines.push("No limits".to_owned());
    }
    match &plan.price {
        None => lines.push("Free".to_owned()),
        Some(price) => lines.extend(price_lines(price)),
    }
    for price in &plan.prices {
        lines.extend(price_lines(price));
    }
    lines
}

/// Everything that somebody writes of a plan, a line each: what customers read of it, and then its [`lines`].
pub(super) fn texts(plan: &Plan) -> Vec<String> {
    let approval = match plan.approval {
        Approval::Automatic => "at once",
        Approval::Manual => "after a manager's approval",
    };
    let (title, description) = (plan.title.as_deref(), plan.description.as_deref());
    let mut texts = presentation(title.unwrap_or(&plan.name), approval, description.unwrap_or_default());
    texts.extend(lines(plan));
    texts
}

/// The same of a form of which the limits or prices cannot be read.
pub(super) fn written(rows: &Rows) -> Vec<String> {
    let approval = if rows.approval == "manual" {
        "after a manager's approval"
    } else {
        "at once"
    };
    let title = if rows.title.is_empty() { &rows.name } else { &rows.title };
    let mut texts = presentation(title, approval, &rows.description);
    texts.push("Limits or prices that cannot be read: see below".to_owned());
    texts
}

fn presentation(title: &str, approval: &str, description: &str) -> Vec<String> {
    let mut texts = vec![format!("Title: {title}"), format!("Subscribers are taken {approval}")];
    let lines = description.lines().map(str::trim_end).filter(|line| !line.is_empty());
    texts.extend(lines.map(|line| format!("Description: {line}")));
    texts
}

fn limit_line(limit: &Limit) -> String {
    let text = match &limit.rule {
        Rule::Rate {
            requests, per, burst, ..
        } => {
            let burst = if burst == requests {
                String::new()
            } else {
                format!(", at most {} at once", show::number(*burst))
            };
            format!("{} requests a {}{burst}", show::number(*requests), per.as_str())
        }
        Rule::Quota(quota) => quota_line(quota),
        Rule::Concurrency { max } => format!("{} requests at once", show::number(*max)),
    };
    if limit.operations.is_empty() {
        text
    } else {
        format!("{text}, of {}", limit.operations.join(", "))
    }
}

fn quota_line(quota: &Quota) -> String {
    let max = quota
        .max
        .map_or_else(|| "what the price includes of".to_owned(), show::number);
    let above = match quota.overage {
        None => "then refused".to_owned(),
        Some(Allow::Unlimited) => "then served on".to_owned(),
        Some(Allow::BasisPoints(points)) => format!("then {} more served", domain::limit::Percent(points)),
    };
    let price = match &quota.overage_price {
        None => String::new(),
        Some(OveragePrice::Prorated(_)) => " at the plan's own rate".to_owned(),
        Some(OveragePrice::Unit(unit)) => format!(" at {unit} each"),
    };
    format!("{max} {} a usage period, {above}{price}", quota.meter)
}

fn price_lines(price: &Price) -> Vec<String> {
    let currency = price.currency;
    let mut lines = Vec::new();
    match &price.recurring {
        Some(recurring) => {
            let term = match recurring.term {
                Term::Advance => "in advance",
                Term::Arrears => "in arrears",
            };
            let amount = show::major(&recurring.amount.to_string(), currency);
            lines.push(format!("{amount} every {}, {term}", recurring.every));
        }
        None => lines.push(format!("No recurring price in {currency}")),
    }
    for usage in &price.usage {
        lines.extend(usage_lines(usage, price));
    }
    lines
}

fn usage_lines(usage: &UsageEntry, price: &Price) -> Vec<String> {
    let money = |amount: domain::money::Decimal| show::major(&amount.to_string(), price.currency);
    let meter = &usage.meter;
    let included = usage.included.map_or_else(String::new, |included| {
        format!(" after {} included", show::number(included))
    });
    let mut lines = match (usage.unit, usage.size, usage.amount) {
        (Some(unit), ..) => vec![format!("{meter}: {} each{included}", money(unit))],
        (None, Some(size), Some(amount)) => {
            let size = show::number(size);
            vec![format!("{meter}: {} for each {size} begun{included}", money(amount))]
        }
        _ => vec![format!("{meter}: {} tiers{included}", usage.model.as_str())],
    };
    for tier in usage.tiers.iter().flatten() {
        lines.push(format!("{meter}: {}", tier_words(tier, &money)));
    }
    if let Some(minimum) = usage.minimum {
        lines.push(format!("{meter}: at least {}", money(minimum)));
    }
    if let Some(maximum) = usage.maximum {
        lines.push(format!("{meter}: at most {}", money(maximum)));
    }
    lines
}

fn tier_words(tier: &Tier, money: &dyn Fn(domain::money::Decimal) -> String) -> String {
    let reach = tier
        .up_to
        .map_or_else(|| "above".to_owned(), |up_to| format!("up to {}", show::number(up_to)));
    let parts = [
        tier.unit.map(|unit| format!("{} each", money(unit))),
        tier.flat.map(|flat| format!("{} on entering", money(flat))),
        tier.amount.map(|amount| format!("{} in all", money(amount))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{reach}: {}", parts.join(" and "))
}

/// A line of two texts beside each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// `same`, `gone` or `new`.
    pub(super) what: &'static str,
    pub(super) text: String,
}

/// The lines of both texts in order: what both have, what only the old one has, what only the new one has.
pub(super) fn difference(old: &[String], new: &[String]) -> Vec<Difference> {
    let (rows, columns) = (old.len(), new.len());
    let width = columns + 1;
    // Length of the longest common part of what follows; plans have at most a few hundred lines.
    let mut longest = vec![0_u32; (rows + 1) * width];
    let at = |table: &[u32], row: usize, column: usize| table.get(row * width + column).copied().unwrap_or(0);
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let value = if old.get(row) == new.get(column) {
                at(&longest, row + 1, column + 1) + 1
            } else {
                at(&longest, row + 1, column).max(at(&longest, row, column + 1))
            };
            if let Some(cell) = longest.get_mut(row * width + column) {
                *cell = value;
            }
        }
    }
    let (mut row, mut column, mut out) = (0, 0, Vec::new());
    let mut push = |what, text: &String| {
        out.push(Difference {
            what,
            text: text.clone(),
        });
    };
    loop {
        match (old.get(row), new.get(column)) {
            (Some(left), Some(right)) if left == right => {
                push("same", left);
                (row, column) = (row + 1, column + 1);
            }
            (Some(left), right)
                if right.is_none() || at(&longest, row + 1, column) >= at(&longest, row, column + 1) =>
            {
                push("gone", left);
                row += 1;
            }
            (_, Some(right)) => {
                push("new", right);
                column += 1;
            }
            (_, None) => return out,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn plan() -> Plan {
        serde_json::from_value(json!({
            "name": "pro",
            "limits": [
                {"requests": 100, "per": "second"},
                {"requests": 1000, "per": "period", "overage": {"allow": "15%", "price": "0.002"}},
                {"concurrency": 20}
            ],
            "price": {"currency": "EUR", "recurring": {"amount": "49.00", "every": "month"}, "usage": [
                {"meter": "requests", "included": 10, "model": "graduated", "tiers": [{"up_to": 500_000, "unit": "0.0005"}, {"unit": "0.0003"}]}
            ]}
        }))
        .unwrap()
    }

    #[test]
    fn a_plan_reads_as_lines_with_units_and_money() {
        assert_eq!(price_words(&plan()), "€49.00 every month, and by use");
        assert_eq!(
            lines(&plan()),
            [
                "100 requests a second",
                "1,000 requests a usage period, then 15% more served at 0.002 each",
                "20 requests at once",
                "€49.00 every month, in advance",
                "requests: graduated tiers after 10 included",
                "requests: up to 500,000: €0.0005 each",
                "requests: above: €0.0003 each",
            ]
        );
    }

    #[test]
    fn a_difference_keeps_the_order_of_both_texts() {
        let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let found = difference(&text(&["a", "b", "c"]), &text(&["a", "x", "c", "d"]));
        let found: Vec<_> = found.iter().map(|one| (one.what, one.text.as_str())).collect();
        assert_eq!(
            found,
            [("same", "a"), ("gone", "b"), ("new", "x"), ("same", "c"), ("new", "d")]
        );
        assert!(difference(&[], &[]).is_empty());
    }
}
