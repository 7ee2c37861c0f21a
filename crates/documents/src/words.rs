//! What both forms say: sums, dates, addresses.

use domain::clock::Timestamp;
use domain::invoice::{InvoiceStatus, InvoiceView, Party};
use domain::period::Zone;

/// The sums below the lines. Those that are zero and say nothing are left out.
pub(crate) fn sums(invoice: &InvoiceView) -> Vec<(&'static str, i64)> {
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

/// The date that the customer's calendar shows.
pub(crate) fn date(invoice: &InvoiceView, at: Timestamp) -> String {
    let zone: Zone = invoice.zone.parse().unwrap_or_default();
    zone.date_at(at).to_string()
}

/// The first and the last day of a line.
pub(crate) fn days(invoice: &InvoiceView, start: Timestamp, end: Timestamp) -> String {
    let last = if end > start { end.plus_millis(-1) } else { end };
    let (first, last) = (date(invoice, start), date(invoice, last));
    if first == last {
        first
    } else {
        format!("{first} to {last}")
    }
}

/// What stands above everything.
pub(crate) fn title(invoice: &InvoiceView) -> String {
    match (invoice.status, &invoice.number) {
        (InvoiceStatus::Void, Some(number)) => format!("Invoice {number} (void)"),
        (InvoiceStatus::Void, None) => "Invoice (void)".to_owned(),
        (_, Some(number)) => format!("Invoice {number}"),
        (_, None) => "Draft invoice".to_owned(),
    }
}

/// Name, address, country, tax numbers and mail address, a line each.
pub(crate) fn party(party: &Party) -> Vec<String> {
    let mut lines = vec![party.name.clone()];
    lines.extend(
        party
            .address
            .iter()
            .flat_map(|address| address.lines().map(str::to_owned)),
    );
    lines.extend(party.country.clone());
    lines.extend(party.tax_ids.iter().map(|id| format!("Tax ID: {id}")));
    lines.extend(party.email.clone());
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// Facts beside the title.
pub(crate) fn facts(invoice: &InvoiceView) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Status", invoice.status.as_str().to_owned())];
    if let Some(at) = invoice.issued_at {
        facts.push(("Date", date(invoice, at)));
    }
    if let Some(at) = invoice.due_at {
        facts.push(("Due", date(invoice, at)));
    }
    facts.push(("Currency", invoice.currency.code().to_owned()));
    facts
}
