//! An invoice as a table: one row a line of the invoice, then the sums (RFC 4180, UTF-8).

use domain::invoice::{InvoiceView, LineView};
use domain::money::Money;

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

/// The invoice as CSV. Amounts are decimals of major units. Cells of text that a spreadsheet would take for a formula
/// begin with an apostrophe.
pub fn csv(invoice: &InvoiceView) -> String {
    let mut out = String::new();
    row(&mut out, &COLUMNS.map(str::to_owned));
    for line in &invoice.lines {
        row(&mut out, &line_cells(invoice, line));
    }
    for (name, minor) in words::sums(invoice) {
        let mut cells = head(invoice, "");
        cells.extend([
            text(name),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
        ]);
        cells.extend([major(invoice, minor), invoice.currency.code().to_owned(), String::new()]);
        row(&mut out, &cells);
    }
    out
}

fn head(invoice: &InvoiceView, n: &str) -> Vec<String> {
    vec![
        text(invoice.number.as_deref().unwrap_or_default()),
        invoice.status.as_str().to_owned(),
        invoice.issued_at.map(|at| at.to_string()).unwrap_or_default(),
        n.to_owned(),
    ]
}

fn line_cells(invoice: &InvoiceView, line: &LineView) -> Vec<String> {
    let mut cells = head(invoice, &line.n.to_string());
    cells.extend([
        text(&line.description),
        line.quantity.clone(),
        text(&line.unit_label),
        line.unit_price.clone().unwrap_or_default(),
        line.period_start.to_string(),
        line.period_end.to_string(),
        major(invoice, line.amount),
        invoice.currency.code().to_owned(),
        line.subscription_id.map(|id| id.to_string()).unwrap_or_default(),
    ]);
    cells
}

fn major(invoice: &InvoiceView, minor: i64) -> String {
    Money::new(minor, invoice.currency).to_major_string()
}

/// Text that came from people. Spreadsheets run what begins like a formula, also behind blanks.
fn text(cell: &str) -> String {
    let starts_formula = cell
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    if starts_formula || cell.starts_with(['\t', '\r', '\n']) {
        format!("'{cell}")
    } else {
        cell.to_owned()
    }
}

/// A text as one cell: quoted where it must be, and never a formula.
pub fn cell(value: &str) -> String {
    let mut out = String::new();
    row(&mut out, &[text(value)]);
    out.truncate(out.trim_end_matches("\r\n").len());
    out
}

fn row(out: &mut String, cells: &[String]) {
    for (n, cell) in cells.iter().enumerate() {
        if n > 0 {
            out.push(',');
        }
        if cell.contains(['"', ',', '\r', '\n']) {
            out.push('"');
            out.push_str(&cell.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(cell);
        }
    }
    out.push_str("\r\n");
}
