//! An invoice as people, files and the API see it: one value, complete in itself.

use serde::{Deserialize, Serialize};

use super::InvoiceStatus;
use crate::clock::Timestamp;
use crate::ids::{AccountId, CreditNoteId, InvoiceId, InvoiceLineId, PaymentId, SubscriptionId};
use crate::money::Currency;

/// The seller or the buyer, as they were when the document was issued.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Party {
    /// Name.
    pub name: String,
    /// Mail address.
    pub email: Option<String>,
    /// Postal address, lines separated by line ends.
    pub address: Option<String>,
    /// ISO 3166 alpha-2 code.
    pub country: Option<String>,
    /// Tax numbers.
    pub tax_ids: Vec<String>,
}

/// An invoice. Amounts are minor units of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceView {
    /// Its id.
    pub id: InvoiceId,
    /// The account that owes it.
    pub account_id: AccountId,
    /// Its number; `None` for a draft.
    pub number: Option<String>,
    /// Its status.
    pub status: InvoiceStatus,
    /// Where a draft is; `None` for an invoice that was issued.
    pub phase: Option<String>,
    /// Whether it is open past its due date.
    pub overdue: bool,
    /// The currency.
    pub currency: Currency,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was issued.
    pub issued_at: Option<Timestamp>,
    /// Until when it is to be paid.
    pub due_at: Option<Timestamp>,
    /// The boundary or change that made it due.
    pub due_instant: Timestamp,
    /// Who issues it.
    pub seller: Party,
    /// Who pays it.
    pub customer: Party,
    /// IANA zone in which its dates are shown.
    pub zone: String,
    /// Its lines.
    pub lines: Vec<LineView>,
    /// Sum of the lines.
    pub subtotal: i64,
    /// Tax.
    pub tax: i64,
    /// What was charged.
    pub total: i64,
    /// What was paid, and taken from the account's balance.
    pub paid: i64,
    /// What went back by credit notes.
    pub credited: i64,
    /// What is still to be paid.
    pub amount_due: i64,
    /// Payments, oldest first.
    pub payments: Vec<PaymentView>,
    /// Credit notes, oldest first.
    pub credit_notes: Vec<CreditView>,
    /// What a reader must know: usage that was missing when the period was closed, the reason of a void.
    pub notes: Vec<String>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// Its number, from 1.
    pub n: u32,
    /// Its id.
    pub id: InvoiceLineId,
    /// What is paid for.
    pub description: String,
    /// How much, as a decimal.
    pub quantity: String,
    /// The word for one unit.
    pub unit_label: String,
    /// Major units for each, as a decimal, where there is one such number.
    pub unit_price: Option<String>,
    /// How the amount came about, tier by tier.
    pub tiers: serde_json::Value,
    /// Minor units.
    pub amount: i64,
    /// First instant of what is paid for.
    pub period_start: Timestamp,
    /// First instant after it.
    pub period_end: Timestamp,
    /// The subscription.
    pub subscription_id: Option<SubscriptionId>,
    /// The meter, for usage.
    pub meter: Option<String>,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentView {
    /// Its id.
    pub id: PaymentId,
    /// When it was recorded.
    pub at: Timestamp,
    /// When the money came in.
    pub received_at: Timestamp,
    /// Minor units.
    pub amount: i64,
    /// How: `bank_transfer`, `cash`, …; `balance` for what the account had to its credit.
    pub method: String,
    /// The payer's reference.
    pub reference: Option<String>,
}

/// A credit note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditView {
    /// Its id.
    pub id: CreditNoteId,
    /// Its number.
    pub number: String,
    /// When it was issued.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// Minor units without tax.
    pub net: i64,
    /// Tax.
    pub tax: i64,
    /// Minor units.
    pub total: i64,
    /// Number of the invoice's line, and minor units.
    pub lines: Vec<(u32, i64)>,
}
