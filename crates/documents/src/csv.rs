//! An invoice as a table: one row a line of the invoice, then the sums.

use domain::invoice::{InvoiceView, LineView};
use domain::money::Money;

use crate::sheet::Sheet;
use crate::words;

const COLUMNS: [&str; 13] = [
    "invoice",
    "status",
    "issued_at",
    "line",
    "description",
    "quantity",
    "unit",
    "unit_price",
    "period_start",
    "period_end",
    "amount",
    "currency",
    "subscription",
];

/// The invoice as CSV. Amounts are decimals of major units.
pub fn csv(invoice: &InvoiceView) -> String {
    let mut sheet = Sheet::new(&COLUMNS);
    for line in &invoice.lines {
        line_row(&mut sheet, invoice, line);
    }
    for (name, minor) in words::sums(invoice) {
        head(&mut sheet, invoice, "");
        sheet.text(name);
        for _ in 0..5 {
            sheet.plain("");
        }
        sheet
            .plain(major(invoice, minor))
            .plain(invoice.currency.code())
            .plain("")
            .end();
    }
    sheet.finish()
}

fn head(sheet: &mut Sheet, invoice: &InvoiceView, n: &str) {
    sheet
        .text(invoice.number.as_deref().unwrap_or_default())
        .plain(invoice.status.as_str())
        .maybe(invoice.issued_at)
        .plain(n);
}

fn line_row(sheet: &mut Sheet, invoice: &InvoiceView, line: &LineView) {
    head(sheet, invoice, &line.n.to_string());
    sheet
        .text(&line.description)
        .plain(&line.quantity)
        .text(&line.unit_label)
        .maybe(line.unit_price.as_deref())
        .plain(line.period_start)
        .plain(line.period_end)
        .plain(major(invoice, line.amount))
        .plain(invoice.currency.code())
        .maybe(line.subscription_id)
        .end();
}

fn major(invoice: &InvoiceView, minor: i64) -> String {
    Money::new(minor, invoice.currency).to_major_string()
}

/// A text as one cell: quoted where it must be, and never a formula.
pub fn cell(value: &str) -> String {
    let mut sheet = Sheet::part();
    sheet.text(value);
    sheet.finish()
}
