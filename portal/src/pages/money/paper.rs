//! An invoice as its customer sees it, with the words of the PDF: a part of several pages.

use askama::Template;
use documents::words::{self, TierRow};
use domain::invoice::{InvoiceStatus, InvoiceView, LineView, Party};

use crate::pages::web::{Html, show};

/// The invoice as HTML, to be put into a template with `|safe`.
#[derive(Debug, Template)]
#[template(path = "parts/invoice.html")]
pub(crate) struct Paper {
    title: String,
    seller: String,
    facts: Vec<(&'static str, String)>,
    sides: [(&'static str, Side); 2],
    due: String,
    due_text: String,
    lines: Vec<Line>,
    totals: Vec<Total>,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Side {
    name: String,
    address: Vec<String>,
    identity: Vec<String>,
}

/// A line as it is written.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) description: String,
    pub(crate) days: String,
    /// Where its single requests are; a draft has none yet.
    href: Option<String>,
    pub(crate) quantity: String,
    price: String,
    pub(crate) amount: String,
    tiers: Vec<TierRow>,
}

#[derive(Debug)]
struct Total {
    name: &'static str,
    amount: String,
    is_sum: bool,
}

impl Paper {
    /// The invoice; `base` is the path of its page, below which its lines open.
    pub(crate) fn new(view: &InvoiceView, base: &str) -> Self {
        Self {
            title: words::title(view),
            seller: view.seller.name.clone(),
            facts: words::facts(view)
                .into_iter()
                .filter(|(name, _)| *name != "Status")
                .collect(),
            sides: [("From", Side::new(&view.seller)), ("To", Side::new(&view.customer))],
            due: show::minor(view.amount_due, view.currency),
            due_text: due_text(view),
            lines: view.lines.iter().map(|line| Line::new(view, line, base)).collect(),
            totals: totals(view),
            notes: notes(view),
        }
    }
}

impl Side {
    fn new(party: &Party) -> Self {
        Self {
            name: party.name.clone(),
            address: words::address(party),
            identity: words::identity(party),
        }
    }
}

impl Line {
    /// A line of an invoice; `base` as in [`Paper::new`].
    pub(crate) fn new(view: &InvoiceView, line: &LineView, base: &str) -> Self {
        let opens = line.meter.is_some() && view.status != InvoiceStatus::Draft;
        Self {
            description: line.description.clone(),
            days: words::days(view, line.period_start, line.period_end),
            href: opens.then(|| format!("{base}/lines/{}", line.n)),
            quantity: words::counted(&line.quantity, &line.unit_label),
            price: line
                .unit_price
                .as_deref()
                .map_or_else(String::new, |price| words::price(price, view.currency)),
            amount: show::minor(line.amount, view.currency),
            tiers: words::tiers(line, view.currency),
        }
    }
}

fn totals(view: &InvoiceView) -> Vec<Total> {
    let total = |(name, minor): (&'static str, i64)| Total {
        name,
        amount: show::minor(minor, view.currency),
        is_sum: matches!(name, "Total" | "Amount due"),
    };
    words::sums(view).into_iter().map(total).collect()
}

fn due_text(view: &InvoiceView) -> String {
    match (view.status, view.due_at) {
        (InvoiceStatus::Open, Some(due)) => format!("by {}", words::date(view, due)),
        (InvoiceStatus::Draft, _) => "not issued yet".to_owned(),
        (InvoiceStatus::Void, _) => "void, nothing is asked for".to_owned(),
        _ => String::new(),
    }
}

fn notes(view: &InvoiceView) -> Vec<String> {
    let mut notes: Vec<String> = words::terms(view).into_iter().collect();
    for payment in &view.payments {
        let reference = payment.reference.as_deref().unwrap_or_default();
        notes.push(
            format!(
                "Paid {} on {} by {} {reference}",
                show::minor(payment.amount, view.currency),
                words::date(view, payment.received_at),
                words::method(&payment.method)
            )
            .trim_end()
            .to_owned(),
        );
    }
    for note in &view.credit_notes {
        notes.push(format!(
            "Credit note {} of {}: {}. {}",
            note.number,
            words::date(view, note.at),
            show::minor(note.total, view.currency),
            note.reason
        ));
    }
    notes.extend(view.notes.iter().cloned());
    notes
}

impl Paper {
    /// As HTML.
    pub(crate) fn html(&self) -> Html {
        Html(self.render().unwrap_or_default())
    }
}
