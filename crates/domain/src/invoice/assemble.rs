//! From charges to documents.

use std::collections::BTreeMap;

use crate::charge::{Basis, Charge};
use crate::ids::{InvoiceId, SubscriptionId};
use crate::money::OutOfRange;
use crate::quantity::Quantity;
use crate::rating::line_delta;

/// What documents in force have taken from a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Billed {
    /// Minor units.
    pub minor: i64,
    /// The quantity.
    pub quantity: Quantity,
    /// Charges of it in documents that are in force.
    pub charges: u32,
    /// Its newest charge stands in a document that was made void: only a reissue bills it again.
    pub held: bool,
}

/// A charge and what of it is not billed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// The charge, in all.
    pub charge: Charge,
    /// What was billed before.
    pub billed: Billed,
    /// Minor units to bill, or to give back below zero.
    pub minor: i64,
    /// The quantity that was not billed before.
    pub quantity: Quantity,
}

/// What is left of a charge after what was billed before; `None` when there is nothing to say.
///
/// # Errors
/// [`OutOfRange`].
pub fn delta(charge: Charge, billed: Billed) -> Result<Option<Delta>, OutOfRange> {
    let minor = line_delta(charge.minor, billed.minor)?;
    let quantity = charge.quantity.saturating_sub(billed.quantity);
    let usage = charge.basis == Basis::Usage;
    if minor == 0 && (!usage || quantity.is_zero()) {
        return Ok(None);
    }
    Ok(Some(Delta {
        charge,
        billed,
        minor,
        quantity,
    }))
}

/// What the deltas of one account, currency and due instant become.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assembled {
    /// Lines of the invoice, in order; their sum is never below zero.
    pub lines: Vec<Delta>,
    /// What goes back against lines of earlier invoices.
    pub refunds: Vec<Refund>,
}

/// An amount that goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// How much, above zero.
    pub minor: i64,
    /// Where it comes from: one usage price, or all recurring amounts of one subscription at one instant.
    pub deltas: Vec<Delta>,
}

/// Sorts deltas into lines and refunds. Usage below zero goes back against its own lines. Recurring amounts of one
/// subscription stay together: a credit is a line beside the charge that replaces it, unless more returns than is charged.
pub fn assemble(deltas: Vec<Delta>) -> Assembled {
    let mut out = Assembled::default();
    let mut recurring: BTreeMap<SubscriptionId, Vec<Delta>> = BTreeMap::new();
    let mut usage = Vec::new();
    for delta in deltas {
        match delta.charge.basis {
            Basis::Usage if delta.minor < 0 => out.refunds.push(Refund {
                minor: delta.minor.saturating_neg(),
                deltas: vec![delta],
            }),
            Basis::Usage => usage.push(delta),
            Basis::Advance | Basis::Return | Basis::Arrears => {
                recurring.entry(delta.charge.key.subscription).or_default().push(delta);
            }
        }
    }
    for mut deltas in recurring.into_values() {
        deltas.sort_by(|one, other| (one.minor >= 0, &one.charge.key).cmp(&(other.minor >= 0, &other.charge.key)));
        let sum = deltas.iter().fold(0_i64, |sum, delta| sum.saturating_add(delta.minor));
        if sum < 0 {
            out.refunds.push(Refund {
                minor: sum.saturating_neg(),
                deltas,
            });
        } else {
            out.lines.extend(deltas);
        }
    }
    usage.sort_by(|one, other| one.charge.key.cmp(&other.charge.key));
    out.lines.extend(usage);
    out
}

/// A line of an issued invoice that money can go back against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creditable {
    /// The invoice.
    pub invoice: InvoiceId,
    /// Number of the line, from 1.
    pub line: u32,
    /// What of it has not gone back yet.
    pub remaining: i64,
}

/// Spreads an amount over lines in the order given, never above what remains of each. What finds no place is left out.
pub fn allocate(amount: i64, lines: &[Creditable]) -> Vec<Creditable> {
    let mut left = amount;
    let mut parts = Vec::new();
    for line in lines {
        let part = line.remaining.min(left);
        if part > 0 {
            left -= part;
            parts.push(Creditable {
                remaining: part,
                ..*line
            });
        }
    }
    parts
}
