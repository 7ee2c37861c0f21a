//! What every form of an invoice says: sums, dates, addresses, tiers, terms.

use domain::clock::Timestamp;
use domain::invoice::{InvoiceStatus, InvoiceView, LineView, Party};
use domain::money::Currency;
use domain::period::Zone;

/// The sums below the lines. Those that are zero and say nothing are left out.
pub fn sums(invoice: &InvoiceView) -> Vec<(&'static str, i64)> {
    let mut sums = vec![
        ("Subtotal", invoice.subtotal),
        ("Tax", invoice.tax),
        ("Total", invoice.total),
    ];
    if invoice.credited != 0 {
        sums.push(("Credited", invoice.credited.saturating_neg()));
    }
    if invoice.paid != 0 {
        sums.push(("Paid", invoice.paid.saturating_neg()));
    }
    sums.push(("Amount due", invoice.amount_due));
    sums
}

/// The date that the customer's calendar shows: `1 November 2026`.
pub fn date(invoice: &InvoiceView, at: Timestamp) -> String {
    let zone: Zone = invoice.zone.parse().unwrap_or_default();
    zone.date_at(at).strftime("%-d %B %Y").to_string()
}

/// The first and the last day of a line: `1 November 2026 to 30 November 2026`.
pub fn days(invoice: &InvoiceView, start: Timestamp, end: Timestamp) -> String {
    let last = if end > start { end.plus_millis(-1) } else { end };
    let (first, last) = (date(invoice, start), date(invoice, last));
    if first == last {
        first
    } else {
        format!("{first} to {last}")
    }
}

/// What stands above everything.
pub fn title(invoice: &InvoiceView) -> String {
    match (invoice.status, &invoice.number) {
        (InvoiceStatus::Void, Some(number)) => format!("Invoice {number} (void)"),
        (InvoiceStatus::Void, None) => "Invoice (void)".to_owned(),
        (_, Some(number)) => format!("Invoice {number}"),
        (_, None) => "Draft invoice".to_owned(),
    }
}

/// Address and country, a line each.
pub fn address(party: &Party) -> Vec<String> {
    let lines = party
        .address
        .iter()
        .flat_map(|address| address.lines().map(str::to_owned));
    let mut lines: Vec<String> = lines.chain(party.country.clone()).collect();
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// Tax numbers and mail address, a line each.
pub fn identity(party: &Party) -> Vec<String> {
    let mut lines: Vec<String> = party.tax_ids.iter().map(|id| format!("Tax ID {id}")).collect();
    lines.extend(party.email.clone());
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// Name, address, country, tax numbers and mail address, a line each.
pub(crate) fn party(party: &Party) -> Vec<String> {
    let mut lines = vec![party.name.clone()];
    lines.extend(address(party));
    lines.extend(identity(party));
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// Facts below the title.
pub fn facts(invoice: &InvoiceView) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(number) = &invoice.number {
        facts.push(("Number", number.clone()));
    }
    if let Some(at) = invoice.issued_at {
        facts.push(("Issued", date(invoice, at)));
    }
    if let Some(at) = invoice.due_at {
        facts.push(("Due", date(invoice, at)));
    }
    facts.push(("Status", status(invoice.status).to_owned()));
    facts.push(("Currency", invoice.currency.code().to_owned()));
    facts
}

/// A status as a word for people.
pub const fn status(status: InvoiceStatus) -> &'static str {
    match status {
        InvoiceStatus::Draft => "Draft",
        InvoiceStatus::Open => "Open",
        InvoiceStatus::Paid => "Paid",
        InvoiceStatus::Uncollectible => "Uncollectible",
        InvoiceStatus::Void => "Void",
    }
}

/// Until when it is to be paid, in one sentence; none where nothing is asked for.
pub fn terms(invoice: &InvoiceView) -> Option<String> {
    let due = invoice.due_at.filter(|_| invoice.status == InvoiceStatus::Open)?;
    let number = invoice.number.as_deref().unwrap_or_default();
    Some(format!(
        "Please pay the amount due by {}. Name {number} as the reference.",
        date(invoice, due)
    ))
}

/// A method of payment as people write it: `bank_transfer` is `bank transfer`.
pub fn method(method: &str) -> String {
    match method {
        "balance" => "credit of the account".to_owned(),
        other => other.replace('_', " "),
    }
}

/// One tier of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TierRow {
    /// Which units: `1 to 50,000`, `above 500,000`.
    pub label: String,
    /// How many of them.
    pub quantity: String,
    /// Major units for each, with what entering the tier costs.
    pub price: String,
    /// Major units, not rounded.
    pub amount: String,
}

const MOST_TIERS: usize = 100;

/// The tiers of a line, where there is no single price.
pub fn tiers(line: &LineView, currency: Currency) -> Vec<TierRow> {
    if line.unit_price.is_some() {
        return Vec::new();
    }
    let all = line.tiers.as_array().map(Vec::as_slice).unwrap_or_default();
    let text =
        |tier: &serde_json::Value, key: &str| tier.get(key).and_then(|value| value.as_str()).unwrap_or("0").to_owned();
    let rows = all.iter().take(MOST_TIERS).map(|tier| {
        let from = tier.get("from").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let label = match tier.get("to").and_then(serde_json::Value::as_u64) {
            Some(to) => format!(
                "{} to {}",
                grouped(&from.saturating_add(1).to_string()),
                grouped(&to.to_string())
            ),
            None if from == 0 => "all".to_owned(),
            None => format!("above {}", grouped(&from.to_string())),
        };
        let (unit, flat) = (text(tier, "unit"), text(tier, "flat"));
        let price = match (unit.as_str(), flat.as_str()) {
            (_, "0") => price(&unit, currency),
            ("0", _) => price(&flat, currency),
            _ => format!("{} + {}", price(&unit, currency), price(&flat, currency)),
        };
        TierRow {
            label,
            quantity: grouped(&text(tier, "quantity")),
            price,
            amount: self::price(&text(tier, "amount"), currency),
        }
    });
    rows.collect()
}

/// A price in major units with all its decimals, and at least those of its currency: `$49.00`, `$0.0005`.
pub fn price(text: &str, currency: Currency) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let least = usize::from(currency.exponent());
    let part = format!("{part:0<least$}");
    let symbol = currency.symbol();
    let gap = if symbol == currency.code() { " " } else { "" };
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{symbol}{gap}{}{point}{part}", grouped(whole))
}

/// A quantity with its unit: `1 token`, `46,550 tokens`.
pub fn counted(quantity: &str, unit: &str) -> String {
    let number = grouped(quantity);
    match quantity {
        "1" => format!("{number} {unit}"),
        _ => format!("{number} {}", plural(unit)),
    }
}

/// The plural of an English unit; units that end in `s` are plural already, and what is no word stays.
pub fn plural(unit: &str) -> String {
    if unit.ends_with('s') || unit.chars().any(|c| !c.is_ascii_alphabetic()) {
        unit.to_owned()
    } else {
        format!("{unit}s")
    }
}

/// A decimal with its whole part in groups of three.
pub fn grouped(text: &str) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, part)| (whole, Some(part)));
    if !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut out = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if let Some(part) = part {
        out.push('.');
        out.push_str(part);
    }
    out
}
