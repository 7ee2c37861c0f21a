//! Decimals as prices are written: `0.0005`.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// Decimals that a price may have, in any currency.
pub const MAX_DECIMALS: u8 = 12;

/// Digits that a price may have before the point.
pub const MAX_INTEGER_DIGITS: u8 = 15;

const REMEDY: &str = "write it in quotes, such as \"0.0005\"";

/// An exact decimal with at most [`MAX_INTEGER_DIGITS`] digits before the point and [`MAX_DECIMALS`] after it.
///
/// It is shown as it was written (`49.00` stays `49.00`) and compared by its value (`49.00` equals `49`). Serialised as
/// a string; read from a string or an integer. A binary floating point number is refused.
#[derive(Clone, Copy, Default)]
pub struct Decimal {
    mantissa: i128,
    scale: u8,
}

/// Why a text is not a decimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseDecimalError {
    /// Not digits with at most one point.
    #[error("not a plain decimal number such as 0.0005: digits and one point, without exponent or separators")]
    Syntax,
    /// More than [`MAX_DECIMALS`] decimals.
    #[error("more than {MAX_DECIMALS} decimals")]
    TooManyDecimals,
    /// More than [`MAX_INTEGER_DIGITS`] digits before the point.
    #[error("more than {MAX_INTEGER_DIGITS} digits before the point")]
    TooLarge,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: 0, scale: 0 };

    /// The decimal `mantissa / 10^scale`; `None` where a text could not say it.
    pub fn new(mantissa: i128, scale: u8) -> Option<Self> {
        let units = mantissa.unsigned_abs() / power_of_ten(scale.min(MAX_DECIMALS)).unsigned_abs();
        let fits = scale <= MAX_DECIMALS && units < power_of_ten(MAX_INTEGER_DIGITS).unsigned_abs();
        fits.then_some(Self { mantissa, scale })
    }

    /// A whole number.
    pub const fn from_integer(value: i32) -> Self {
        Self {
            mantissa: value as i128,
            scale: 0,
        }
    }

    /// The digits as an integer; the value is `mantissa / 10^scale`.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many of the digits stand behind the point.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// Whether it is below zero.
    pub const fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The value in units of 10^-12, which every decimal has exactly. At most 27 digits.
    const fn fine(self) -> i128 {
        self.mantissa * power_of_ten(MAX_DECIMALS - self.scale)
    }
}

/// `10^exponent` for the exponents that occur here (at most 15).
const fn power_of_ten(exponent: u8) -> i128 {
    10_i128.pow(exponent as u32)
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.fine() == other.fine()
    }
}

impl Eq for Decimal {}

impl Hash for Decimal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fine().hash(state);
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        self.fine().cmp(&other.fine())
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let size = self.mantissa.unsigned_abs();
        let one = power_of_ten(self.scale).unsigned_abs();
        if self.scale == 0 {
            return write!(f, "{sign}{size}");
        }
        write!(
            f,
            "{sign}{}.{:0width$}",
            size / one,
            size % one,
            width = usize::from(self.scale)
        )
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    /// Parses a plain decimal such as `-12.50`: an optional minus, digits, and a point only between digits.
    fn from_str(text: &str) -> Result<Self, ParseDecimalError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (units, fraction) = match digits.split_once('.') {
            Some((_, "")) => return Err(ParseDecimalError::Syntax),
            Some(parts) => parts,
            None => (digits, ""),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if units.is_empty() || !plain(units) || !plain(fraction) {
            return Err(ParseDecimalError::Syntax);
        }
        let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= MAX_DECIMALS);
        let scale = scale.ok_or(ParseDecimalError::TooManyDecimals)?;
        if units.trim_start_matches('0').len() > usize::from(MAX_INTEGER_DIGITS) {
            return Err(ParseDecimalError::TooLarge);
        }
        let read = |part: &str| {
            part.bytes()
                .fold(0_i128, |sum, byte| sum * 10 + i128::from(byte - b'0'))
        };
        let size = read(units) * power_of_ten(scale) + read(fraction);
        Ok(Self {
            mantissa: if negative { -size } else { size },
            scale,
        })
    }
}

impl serde::Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Decimal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            deserializer.deserialize_str(Visitor)
        }
    }
}

struct Visitor;

impl serde::de::Visitor<'_> for Visitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal in quotes, such as \"0.0005\"")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Decimal, E> {
        text.parse()
            .map_err(|error| E::custom(format_args!("`{}` is {error}", shortened(text))))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Decimal, E> {
        Decimal::new(i128::from(value), 0).ok_or_else(|| E::custom(ParseDecimalError::TooLarge))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Decimal, E> {
        Decimal::new(i128::from(value), 0).ok_or_else(|| E::custom(ParseDecimalError::TooLarge))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Decimal, E> {
        Err(E::custom(format_args!("the number {value} is not exact: {REMEDY}")))
    }
}

/// What an error message repeats of a text from outside.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_decimal_is_shown_as_written_and_compared_by_value() {
        assert_eq!(decimal("49.00").to_string(), "49.00");
        assert_eq!(decimal("49.00"), decimal("49"));
        assert_eq!(decimal("-0.005").to_string(), "-0.005");
        assert!(decimal("0.1") > decimal("0.09"));
        assert_eq!(decimal("000001").to_string(), "1");
    }

    #[test]
    fn what_is_not_a_plain_decimal_is_refused() {
        use ParseDecimalError::{Syntax, TooLarge, TooManyDecimals};
        let cases = [
            ("", Syntax),
            (".", Syntax),
            ("1.", Syntax),
            (".5", Syntax),
            ("-", Syntax),
            ("+1", Syntax),
            ("--1", Syntax),
            ("1e3", Syntax),
            ("1,000", Syntax),
            ("1.2.3", Syntax),
            (" 1", Syntax),
            ("0x10", Syntax),
            ("\u{0661}", Syntax),
            ("0.0000000000001", TooManyDecimals),
            ("1000000000000000", TooLarge),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
        }
        let long = "9".repeat(100_000);
        assert_eq!(long.parse::<Decimal>(), Err(TooLarge));
        assert_eq!(format!("0.{long}").parse::<Decimal>(), Err(TooManyDecimals));
        assert_eq!(
            decimal("999999999999999.999999999999").to_string(),
            "999999999999999.999999999999"
        );
    }

    #[test]
    fn json_carries_a_string_or_an_integer_and_never_a_float() {
        assert_eq!(
            serde_json::from_str::<Decimal>("\"0.0005\"").unwrap().to_string(),
            "0.0005"
        );
        assert_eq!(serde_json::from_str::<Decimal>("5").unwrap(), decimal("5"));
        assert_eq!(serde_json::to_string(&decimal("0.10")).unwrap(), "\"0.10\"");
        let refusal = serde_json::from_str::<Decimal>("0.0005").unwrap_err().to_string();
        assert!(refusal.contains("write it in quotes"), "{refusal}");
        assert!(serde_json::from_str::<Decimal>("1e2").is_err());
        assert!(serde_json::from_str::<Decimal>("18446744073709551615").is_err());
        assert!(serde_json::from_str::<Decimal>("null").is_err());
    }

    #[test]
    fn a_binary_format_carries_the_text() {
        let bytes = postcard::to_stdvec(&decimal("0.10")).unwrap();
        assert_eq!(postcard::from_bytes::<Decimal>(&bytes).unwrap().to_string(), "0.10");
    }

    proptest! {
        #[test]
        fn text_round_trips(mantissa in -999_999_999_999_999_999_999_999_999_i128..=999_999_999_999_999_999_999_999_999) {
            let value = Decimal::new(mantissa, MAX_DECIMALS).unwrap();
            let again = decimal(&value.to_string());
            prop_assert_eq!((again.mantissa(), again.scale()), (mantissa, MAX_DECIMALS));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = text.parse::<Decimal>();
        }
    }
}
