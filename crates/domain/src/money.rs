//! Currencies, exact decimals and amounts of money.
//!
//! An amount that is charged is an integer of minor units ([`Money`]); a price is a decimal ([`Decimal`]); everything
//! in between is an exact fraction ([`Exact`]), rounded once per invoice line, half away from zero.
//! There is no conversion between currencies and no binary floating point here.

mod amount;
mod currency;
mod decimal;
mod exact;

pub use amount::{Money, MoneyError};
pub use currency::{Currency, UnknownCurrency};
pub use decimal::{Decimal, MAX_DECIMALS, MAX_INTEGER_DIGITS, ParseDecimalError};
pub use exact::{Exact, OutOfRange, ParseExactError, round_half_away_from_zero};

/// Writes digits in groups of three, as people read them: `1,234,567`.
fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
