//! The state of an invoice in words, as finance and customers read it.

use domain::clock::Timestamp;
use domain::invoice::{InvoiceStatus, InvoiceView};
use store::billing::InvoiceSummary;

const DAY_MS: i64 = 86_400_000;

/// A word with its class of `.status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) text: String,
    pub(crate) class: &'static str,
}

impl State {
    fn new(text: impl Into<String>, class: &'static str) -> Self {
        Self {
            text: text.into(),
            class,
        }
    }

    /// Of an invoice.
    pub(crate) fn of_view(view: &InvoiceView, now: Timestamp) -> Self {
        Self::of(view.status, view.due_at, view.paid > 0 || view.credited > 0, now)
    }

    /// Of an invoice in a list.
    pub(crate) fn of_summary(invoice: &InvoiceSummary, now: Timestamp) -> Self {
        Self::of(
            invoice.status,
            invoice.due_at,
            invoice.paid > 0 || invoice.credited > 0,
            now,
        )
    }

    fn of(status: InvoiceStatus, due_at: Option<Timestamp>, is_part_paid: bool, now: Timestamp) -> Self {
        match status {
            InvoiceStatus::Draft => Self::new("Draft", ""),
            InvoiceStatus::Paid => Self::new("Paid", "good"),
            InvoiceStatus::Uncollectible => Self::new("Uncollectible", "warn"),
            InvoiceStatus::Void => Self::new("Void", ""),
            InvoiceStatus::Open => match due_at {
                Some(due) if due < now => Self::new(format!("Overdue {}", days(now.millis_since(due))), "bad"),
                _ if is_part_paid => Self::new("Part paid", "busy"),
                Some(due) => Self::new(due_words(due.millis_since(now)), ""),
                None => Self::new("Open", ""),
            },
        }
    }
}

fn due_words(millis: i64) -> String {
    if millis < DAY_MS {
        "Due today".to_owned()
    } else {
        format!("Due in {}", days(millis))
    }
}

/// `1 day`, `9 days`; a part of a first day counts as one.
fn days(millis: i64) -> String {
    match (millis / DAY_MS).max(1) {
        1 => "1 day".to_owned(),
        more => format!("{more} days"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_invoice_says_how_late_it_is_or_how_long_there_is() {
        let now = Timestamp::from_millis(100 * DAY_MS);
        let state = |days: i64, part: bool| {
            State::of(InvoiceStatus::Open, Some(now.plus_millis(days * DAY_MS)), part, now).text
        };
        assert_eq!(state(-9, false), "Overdue 9 days");
        assert_eq!(state(-9, true), "Overdue 9 days");
        assert_eq!(state(5, false), "Due in 5 days");
        assert_eq!(state(0, false), "Due today");
        assert_eq!(state(5, true), "Part paid");
    }
}
