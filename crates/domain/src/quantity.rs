//! Exact amounts of what a meter counts.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

const NANOS: i128 = 1_000_000_000;

/// The largest quantity that one event may carry, in whole units.
pub const MAX_UNITS_PER_EVENT: u64 = 1_000_000_000_000_000;

/// A quantity in billionths of a unit; never negative when parsed from outside. Sums of any number of events fit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity(i128);

/// Why a text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseQuantityError {
    /// Not digits with at most one point.
    #[error("not a plain decimal number")]
    Syntax,
    /// More than nine decimals.
    #[error("more than 9 decimals")]
    TooFine,
    /// Above [`MAX_UNITS_PER_EVENT`].
    #[error("larger than 10^15")]
    TooLarge,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many whole units.
    pub const fn from_units(units: u64) -> Self {
        Self(units as i128 * NANOS)
    }

    /// So many billionths.
    pub const fn from_nanos(nanos: i128) -> Self {
        Self(nanos)
    }

    /// Billionths of a unit.
    pub const fn nanos(self) -> i128 {
        self.0
    }

    /// From the two parts that a database can sum: whole units and billionths (which may exceed one unit in a sum).
    pub fn from_parts(units: i64, nanos: i64) -> Self {
        Self(i128::from(units) * NANOS + i128::from(nanos))
    }

    /// Whole units and billionths, each summable as a 64-bit integer.
    pub fn parts(self) -> (i64, i64) {
        let units = i64::try_from(self.0.div_euclid(NANOS)).unwrap_or(i64::MAX);
        let nanos = i64::try_from(self.0.rem_euclid(NANOS)).unwrap_or(0);
        (units, nanos)
    }

    /// The whole units when there is no fraction.
    pub fn whole_units(self) -> Option<u64> {
        if self.0 % NANOS == 0 {
            u64::try_from(self.0 / NANOS).ok()
        } else {
            None
        }
    }

    /// Whole units, rounded up.
    pub fn ceil_units(self) -> u64 {
        u64::try_from(self.0.div_euclid(NANOS) + i128::from(self.0.rem_euclid(NANOS) > 0)).unwrap_or(0)
    }

    /// The sum, held at the ends of the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let size = self.0.unsigned_abs();
        let (units, nanos) = (size / NANOS.unsigned_abs(), size % NANOS.unsigned_abs());
        if nanos == 0 {
            return write!(f, "{sign}{units}");
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{sign}{units}.{}", fraction.trim_end_matches('0'))
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Quantity {
    type Err = ParseQuantityError;

    /// Parses a plain decimal such as `1000.5`: no sign, no exponent, at most nine decimals, at most 10^15.
    fn from_str(text: &str) -> Result<Self, ParseQuantityError> {
        let (units, fraction) = text
            .split_once('.')
            .map_or((text, ""), |(units, fraction)| (units, fraction));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() || !digits(units) || !digits(fraction) || text.ends_with('.') {
            return Err(ParseQuantityError::Syntax);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err(ParseQuantityError::TooFine);
        }
        let units: u64 = units.parse().map_err(|_| ParseQuantityError::TooLarge)?;
        if units > MAX_UNITS_PER_EVENT {
            return Err(ParseQuantityError::TooLarge);
        }
        let nanos: u64 = format!("{fraction:0<9}")
            .parse()
            .map_err(|_| ParseQuantityError::Syntax)?;
        Ok(Self(i128::from(units) * NANOS + i128::from(nanos)))
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i128(self.0)
        }
    }
}

impl<'de> serde::Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i128::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn text_round_trips(units in 0..=MAX_UNITS_PER_EVENT, nanos in 0_u64..1_000_000_000) {
            let quantity = Quantity::from_nanos(i128::from(units) * NANOS + i128::from(nanos));
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap_or_default(), quantity);
            let (a, b) = quantity.parts();
            prop_assert_eq!(Quantity::from_parts(a, b), quantity);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,30}") {
            let _ = text.parse::<Quantity>();
        }
    }

    #[test]
    fn only_plain_decimals_are_quantities() {
        assert_eq!("1000.5".parse::<Quantity>().unwrap().to_string(), "1000.5");
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "1.0000000001",
            "NaN",
            "1000000000000001",
        ] {
            assert!(text.parse::<Quantity>().is_err(), "{text}");
        }
    }
}
