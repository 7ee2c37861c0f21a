//! Money: what subscriptions owe becomes rating runs, charges, invoices, credit notes, payments and ledger entries.
//!
//! What is charged is decided by [`domain::charge`] and [`domain::invoice`]; here are the transactions around it. One
//! transaction bills one account: everything that is due, or nothing. A second charge of the same thing violates a
//! unique constraint, documents that were issued are refused any change by triggers, and the status of an invoice is its
//! newest event. Every change of money is a set of ledger entries that adds up to zero.
//!
//! Deliberately absent: when to bill (the billing service's), and payment providers.

mod bill;
mod closing;
mod contracts;
mod credit_notes;
mod draw;
mod entries;
mod evidence;
mod finalize;
mod past;
mod payments;
mod read;
mod reconcile;
mod revenue;
mod runs;
mod search;
mod sort;
mod transitions;
mod unbilled;
mod usage;
mod voiding;
mod write;

pub use bill::{BillMode, BillOrder, BillOutcome, Waiting};
pub use contracts::AccountBill;
pub use credit_notes::NewCreditNote;
pub use entries::{Balance, Entry};
pub use evidence::LineEvidence;
pub use past::PastUse;
pub use payments::NewPayment;
pub use read::{InvoiceFilter, InvoiceSummary};
pub use reconcile::{BilledPart, BookedPart, Books, JournalBook};
pub use revenue::{Earned, RevenueRow};
pub use runs::{BillingRun, NewBillingRun, RunFailure, RunScope};
pub use search::{InvoiceSearch, InvoiceState, InvoiceSum};
pub use unbilled::{Unbilled, UnbilledLine};

use crate::Error;

/// Charges that cannot be computed are a fault of stored data.
pub(crate) fn unbillable(error: impl std::error::Error) -> Error {
    Error::State(format!("the account cannot be billed: {error}"))
}
