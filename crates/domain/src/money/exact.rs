//! Exact fractions: what lies between a price and an invoice line.

use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};
use std::str::FromStr;

use num_bigint::{BigInt, Sign};
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::{Currency, Decimal};
use crate::quantity::Quantity;

const MAX_TEXT: usize = 200;

/// An exact fraction of major units (or of anything else). Shown as a plain decimal where it has an end (`0.0005`),
/// else as a fraction (`4/3`), so that the text always says the exact value.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Exact(BigRational);

/// An amount that does not fit into 64 bits of minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("amount is larger than 9,223,372,036,854,775,807 minor units")]
pub struct OutOfRange;

/// Why a text is not an exact value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an exact value such as 61.7285 or 4/3")]
pub struct ParseExactError;

impl Exact {
    /// Zero.
    pub fn zero() -> Self {
        Self(BigRational::zero())
    }

    /// One.
    pub fn one() -> Self {
        Self(BigRational::one())
    }

    /// A whole number.
    pub fn from_integer(value: i128) -> Self {
        Self(BigRational::from_integer(BigInt::from(value)))
    }

    /// `numerator / denominator`; `None` when the denominator is zero.
    pub fn ratio(numerator: i128, denominator: i128) -> Option<Self> {
        (denominator != 0).then(|| Self(BigRational::new(BigInt::from(numerator), BigInt::from(denominator))))
    }

    /// The major units of an integer amount of minor units.
    pub fn from_minor(minor: i64, currency: Currency) -> Self {
        let one = BigInt::from(10).pow(u32::from(currency.exponent()));
        Self(BigRational::new(BigInt::from(minor), one))
    }

    /// The quotient; `None` when the divisor is zero.
    pub fn checked_div(&self, divisor: &Self) -> Option<Self> {
        (!divisor.is_zero()).then(|| Self(&self.0 / &divisor.0))
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Whether it is above zero.
    pub fn is_positive(&self) -> bool {
        self.0.is_positive()
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        self.0.is_negative()
    }

    /// The smallest whole number that is not below it.
    #[must_use]
    pub fn ceil(&self) -> Self {
        Self(self.0.ceil())
    }

    /// The whole units, cut towards zero and held within 64 bits without a sign.
    pub fn to_u64(&self) -> u64 {
        let whole = self.0.to_integer();
        whole.to_u64().unwrap_or(if whole.is_negative() { 0 } else { u64::MAX })
    }

    /// The difference to `other`, or zero where `other` is larger.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        if self > other { self - other } else { Self::zero() }
    }

    /// Rounded half away from zero to a whole number of `10^-decimals`, as that whole number.
    fn scaled(&self, decimals: u8) -> BigInt {
        let scaled = &self.0 * BigRational::from_integer(BigInt::from(10).pow(u32::from(decimals)));
        // `BigRational::round` goes half away from zero; the tests hold it to that.
        scaled.round().to_integer()
    }

    /// Rounded half away from zero, as a plain decimal with exactly so many decimals. For people, not for arithmetic.
    pub fn to_rounded_string(&self, decimals: u8) -> String {
        plain(&self.scaled(decimals), usize::from(decimals))
    }

    /// The number of decimals after which the decimal ends; `None` where it never does.
    fn decimals(&self) -> Option<u32> {
        let strip = |mut rest: BigInt, factor: u8| {
            let mut times = 0_u32;
            while (&rest % factor).is_zero() {
                rest /= factor;
                times += 1;
            }
            (rest, times)
        };
        let (rest, twos) = strip(self.0.denom().clone(), 2);
        let (rest, fives) = strip(rest, 5);
        rest.is_one().then_some(twos.max(fives))
    }
}

/// The plain decimal `value / 10^decimals`.
fn plain(value: &BigInt, decimals: usize) -> String {
    let sign = if value.sign() == Sign::Minus { "-" } else { "" };
    let digits = format!("{:0>width$}", value.magnitude().to_string(), width = decimals + 1);
    let (units, fraction) = digits.split_at(digits.len() - decimals);
    if decimals == 0 {
        format!("{sign}{units}")
    } else {
        format!("{sign}{units}.{fraction}")
    }
}

/// The minor units of an exact amount of major units: a price is rounded here, once per invoice line.
///
/// # Errors
/// [`OutOfRange`] when the result does not fit into an `i64`.
pub fn round_half_away_from_zero(amount: &Exact, currency: Currency) -> Result<i64, OutOfRange> {
    amount.scaled(currency.exponent()).to_i64().ok_or(OutOfRange)
}

impl From<Decimal> for Exact {
    fn from(value: Decimal) -> Self {
        let one = BigInt::from(10).pow(u32::from(value.scale()));
        Self(BigRational::new(BigInt::from(value.mantissa()), one))
    }
}

impl From<Quantity> for Exact {
    fn from(value: Quantity) -> Self {
        Self(BigRational::new(
            BigInt::from(value.nanos()),
            BigInt::from(1_000_000_000),
        ))
    }
}

impl From<u64> for Exact {
    fn from(value: u64) -> Self {
        Self::from_integer(i128::from(value))
    }
}

impl<'a> Add<&'a Exact> for &Exact {
    type Output = Exact;

    fn add(self, other: &'a Exact) -> Exact {
        Exact(&self.0 + &other.0)
    }
}

impl<'a> Sub<&'a Exact> for &Exact {
    type Output = Exact;

    fn sub(self, other: &'a Exact) -> Exact {
        Exact(&self.0 - &other.0)
    }
}

impl<'a> Mul<&'a Exact> for &Exact {
    type Output = Exact;

    fn mul(self, other: &'a Exact) -> Exact {
        Exact(&self.0 * &other.0)
    }
}

impl Neg for &Exact {
    type Output = Exact;

    fn neg(self) -> Exact {
        Exact(-&self.0)
    }
}

impl<'a> std::iter::Sum<&'a Exact> for Exact {
    fn sum<I: Iterator<Item = &'a Exact>>(iter: I) -> Self {
        iter.fold(Self::zero(), |sum, value| &sum + value)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = self.decimals().and_then(|decimals| u8::try_from(decimals).ok());
        match ends {
            Some(decimals) => f.write_str(&self.to_rounded_string(decimals)),
            None => write!(f, "{}/{}", self.0.numer(), self.0.denom()),
        }
    }
}

impl fmt::Debug for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Exact {
    type Err = ParseExactError;

    /// Parses what [`Exact`] shows: a plain decimal or a fraction, of at most 200 characters.
    fn from_str(text: &str) -> Result<Self, ParseExactError> {
        if text.len() > MAX_TEXT {
            return Err(ParseExactError);
        }
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let size = match (digits.split_once('/'), digits.split_once('.')) {
            (Some((above, below)), _) => fraction(integer(above)?, integer(below)?)?,
            (None, Some((units, decimals))) => {
                let one = BigInt::from(10).pow(u32::try_from(decimals.len()).map_err(|_| ParseExactError)?);
                let (units, decimals) = (integer(units)?, integer(decimals)?);
                fraction(units * &one + decimals, one)?
            }
            (None, None) => BigRational::from_integer(integer(digits)?),
        };
        Ok(Self(if negative { -size } else { size }))
    }
}

fn fraction(above: BigInt, below: BigInt) -> Result<BigRational, ParseExactError> {
    if below.is_zero() {
        Err(ParseExactError)
    } else {
        Ok(BigRational::new(above, below))
    }
}

fn integer(digits: &str) -> Result<BigInt, ParseExactError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseExactError);
    }
    digits.parse().map_err(|_| ParseExactError)
}

impl serde::Serialize for Exact {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Exact {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    #[test]
    fn halves_are_rounded_away_from_zero() {
        let cases = [
            ("0.005", 1),
            ("0.015", 2),
            ("0.025", 3),
            ("-0.005", -1),
            ("-0.015", -2),
            ("0.00499", 0),
            ("1/3", 33),
        ];
        for (text, cents) in cases {
            assert_eq!(
                round_half_away_from_zero(&exact(text), Currency::USD),
                Ok(cents),
                "{text}"
            );
        }
    }

    #[test]
    fn the_currency_decides_the_decimals() {
        assert_eq!(round_half_away_from_zero(&exact("1.5"), Currency::JPY), Ok(2));
        assert_eq!(round_half_away_from_zero(&exact("0.0005"), Currency::KWD), Ok(1));
        assert_eq!(round_half_away_from_zero(&exact("3.7035"), Currency::KWD), Ok(3_704));
    }

    #[test]
    fn an_amount_beyond_64_bits_is_an_error() {
        let largest = Exact::from_minor(i64::MAX, Currency::USD);
        assert_eq!(round_half_away_from_zero(&largest, Currency::USD), Ok(i64::MAX));
        let above = &largest + &exact("0.005");
        assert_eq!(round_half_away_from_zero(&above, Currency::USD), Err(OutOfRange));
    }

    #[test]
    fn the_text_always_says_the_exact_value() {
        for text in ["0", "61.7285", "-0.005", "4/3", "-22/7", "0.000000000000000000001"] {
            assert_eq!(exact(text).to_string(), text);
        }
        assert_eq!(exact("49.00").to_string(), "49");
        assert_eq!(exact("2/4").to_string(), "0.5");
        assert_eq!(exact("4/3").to_rounded_string(4), "1.3333");
        for text in ["", "-", "1/0", "1/", "1.", ".5", "1e5", "1/-3", &"9".repeat(201)] {
            assert!(text.parse::<Exact>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(above in any::<i64>(), below in 1..=i64::MAX) {
            let value = Exact::ratio(i128::from(above), i128::from(below)).unwrap();
            prop_assert_eq!(exact(&value.to_string()), value);
        }

        #[test]
        fn rounding_errs_by_at_most_half_a_unit(above in any::<i64>(), below in 1..=i64::MAX) {
            let value = Exact::ratio(i128::from(above), i128::from(below) * 100).unwrap();
            let rounded = Exact::from_minor(round_half_away_from_zero(&value, Currency::USD).unwrap(), Currency::USD);
            let off = &rounded - &value;
            let off = if off.is_negative() { -&off } else { off };
            prop_assert!(off <= exact("0.005"));
        }
    }
}
