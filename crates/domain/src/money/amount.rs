//! Amounts as they are charged: whole minor units of a currency.

use std::fmt;

use super::{Currency, Decimal, Exact, OutOfRange, grouped, round_half_away_from_zero};

/// Whole minor units of a currency. Shown as people read it: `$1,234.50`, `-€8.00`, `¥500`, `CHF 12.00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// Minor units: cents, yen, fils.
    pub minor: i64,
    /// The currency.
    pub currency: Currency,
}

/// Why there is no such amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies cannot be added.
    #[error("{0} and {1} cannot be added")]
    Currencies(Currency, Currency),
    /// Beyond 64 bits.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// The currency has no such fine unit.
    #[error("{currency} has {decimals} decimals, {value} has more", decimals = currency.exponent())]
    TooFine {
        /// The currency.
        currency: Currency,
        /// What was written.
        value: Decimal,
    },
}

impl Money {
    /// So many minor units.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// The amount of a decimal of major units, which must not be finer than the currency.
    ///
    /// # Errors
    /// [`MoneyError::TooFine`] or [`MoneyError::OutOfRange`].
    pub fn from_major(value: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        let exact = Exact::from(value);
        let minor = round_half_away_from_zero(&exact, currency)?;
        if Exact::from_minor(minor, currency) == exact {
            Ok(Self { minor, currency })
        } else {
            Err(MoneyError::TooFine { currency, value })
        }
    }

    /// The sum.
    ///
    /// # Errors
    /// [`MoneyError::Currencies`] or [`MoneyError::OutOfRange`].
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_add)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`MoneyError::Currencies`] or [`MoneyError::OutOfRange`].
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.combine(other, i64::checked_sub)
    }

    /// The same amount the other way.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] for the one amount that has no opposite.
    pub fn checked_neg(self) -> Result<Self, MoneyError> {
        Self::zero(self.currency).checked_sub(self)
    }

    fn combine(self, other: Self, with: fn(i64, i64) -> Option<i64>) -> Result<Self, MoneyError> {
        if self.currency != other.currency {
            return Err(MoneyError::Currencies(self.currency, other.currency));
        }
        let minor = with(self.minor, other.minor).ok_or(OutOfRange)?;
        Ok(Self {
            minor,
            currency: self.currency,
        })
    }

    /// The exact major units.
    pub fn to_exact(self) -> Exact {
        Exact::from_minor(self.minor, self.currency)
    }

    /// Major units as a plain decimal with the decimals of the currency: `-1234.50`.
    pub fn to_major_string(self) -> String {
        let sign = if self.minor < 0 { "-" } else { "" };
        let (units, decimals) = self.digits();
        format!("{sign}{units}{decimals}")
    }

    /// The digits before the point, and the point with those behind it.
    fn digits(self) -> (String, String) {
        let exponent = self.currency.exponent();
        let one = 10_u64.pow(u32::from(exponent));
        let size = self.minor.unsigned_abs();
        let decimals = match exponent {
            0 => String::new(),
            _ => format!(".{:0width$}", size % one, width = usize::from(exponent)),
        };
        ((size / one).to_string(), decimals)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.minor < 0 { "-" } else { "" };
        let (units, decimals) = self.digits();
        let symbol = self.currency.symbol();
        let space = if symbol == self.currency.code() { " " } else { "" };
        write!(f, "{sign}{symbol}{space}{}{decimals}", grouped(&units))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64, code: &str) -> Money {
        Money::new(minor, code.parse().unwrap())
    }

    #[test]
    fn amounts_read_as_people_write_them() {
        let cases = [
            (123_450, "USD", "$1,234.50", "1234.50"),
            (-800, "EUR", "-€8.00", "-8.00"),
            (500, "JPY", "¥500", "500"),
            (1, "KWD", "KWD 0.001", "0.001"),
            (0, "USD", "$0.00", "0.00"),
            (-5, "USD", "-$0.05", "-0.05"),
            (1_234_567, "CHF", "CHF 12,345.67", "12345.67"),
            (i64::MIN, "JPY", "-¥9,223,372,036,854,775,808", "-9223372036854775808"),
        ];
        for (minor, code, people, plain) in cases {
            assert_eq!(money(minor, code).to_string(), people);
            assert_eq!(money(minor, code).to_major_string(), plain);
        }
    }

    #[test]
    fn arithmetic_never_wraps_and_never_mixes_currencies() {
        let most = money(i64::MAX, "USD");
        assert_eq!(
            most.checked_add(money(1, "USD")),
            Err(MoneyError::OutOfRange(OutOfRange))
        );
        assert_eq!(
            money(i64::MIN, "USD").checked_neg(),
            Err(MoneyError::OutOfRange(OutOfRange))
        );
        assert_eq!(money(5, "USD").checked_sub(money(8, "USD")), Ok(money(-3, "USD")));
        assert!(matches!(
            most.checked_sub(money(1, "EUR")),
            Err(MoneyError::Currencies(..))
        ));
    }

    #[test]
    fn a_decimal_becomes_an_amount_only_when_it_is_whole_minor_units() {
        let from = |text: &str, code: &str| Money::from_major(text.parse().unwrap(), code.parse().unwrap());
        assert_eq!(from("49.00", "USD"), Ok(money(4_900, "USD")));
        assert_eq!(from("0.0010", "KWD"), Ok(money(1, "KWD")));
        assert!(matches!(from("0.005", "USD"), Err(MoneyError::TooFine { .. })));
        assert!(matches!(from("0.5", "JPY"), Err(MoneyError::TooFine { .. })));
        assert_eq!(from("999999999999999", "CLF"), Err(MoneyError::OutOfRange(OutOfRange)));
    }
}
