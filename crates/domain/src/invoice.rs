//! Documents of money: what a set of charges becomes on invoices and credit notes, and how they read.
//!
//! Decisions only. A document that was issued never changes; what was billed before is subtracted from what a charge
//! comes to now, and what is left goes to a line ([`assemble`]) or, below zero, back against the lines that charged it
//! ([`allocate`]). No tax is computed yet: documents carry the fields with zero.

mod assemble;
#[cfg(test)]
mod tests;
mod view;

pub use assemble::{Assembled, Billed, Creditable, Delta, Refund, allocate, assemble, delta};
pub use view::{CreditView, InvoiceView, LineView, Party, PaymentView};

use serde::{Deserialize, Serialize};

/// Status of an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// It can still be refused and has no number.
    Draft,
    /// It waits for its payment.
    Open,
    /// Nothing is due any more.
    Paid,
    /// Nobody expects a payment any more.
    Uncollectible,
    /// It does not count.
    Void,
}

impl InvoiceStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Draft, Self::Open, Self::Paid, Self::Uncollectible, Self::Void];

    /// The word in APIs and databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
        }
    }

    /// The status of a word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// Why an invoice was rated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// Before the period is over.
    Interim,
    /// When the period is over, or an amount in advance is due.
    Final,
    /// Because usage came late.
    Correction,
    /// Because a document was made void.
    Reissue,
}

impl RunKind {
    /// The word in APIs and databases.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interim => "interim",
            Self::Final => "final",
            Self::Correction => "correction",
            Self::Reissue => "reissue",
        }
    }
}

/// The tax that belongs to a part of a net amount: in proportion, and the last part takes what remains.
pub fn tax_part(tax: i64, net: i64, part: i64, taken: (i64, i64)) -> i64 {
    let (net_taken, tax_taken) = taken;
    if part == net - net_taken {
        return tax - tax_taken;
    }
    if net == 0 {
        return 0;
    }
    let (product, net) = (i128::from(tax) * i128::from(part), i128::from(net));
    // Half away from zero, in whole numbers.
    let rounded = (2 * product.abs() + net.abs()) / (2 * net.abs());
    let signed = if (product < 0) == (net < 0) { rounded } else { -rounded };
    i64::try_from(signed).unwrap_or(0)
}
