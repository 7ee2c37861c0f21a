//! Durations as people write them in configuration: `500ms`, `30s`, `5m`, `1h`, `14d`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration of whole milliseconds, written with one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span(u64);

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a duration: write a whole number and a unit such as 500ms, 30s, 5m, 1h or 14d")]
pub struct ParseSpanError;

const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

impl Span {
    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Its length in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Its length in milliseconds as a signed number, for arithmetic on instants.
    pub fn as_millis_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The same length for timers.
    pub const fn to_duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = UNITS
            .iter()
            .find(|(_, size)| self.0 != 0 && self.0.is_multiple_of(*size));
        let (name, size) = unit.copied().unwrap_or(("s", 1_000));
        write!(f, "{}{name}", self.0 / size)
    }
}

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| ParseSpanError)?;
        let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(ParseSpanError)?;
        number
            .checked_mul(*size)
            .filter(|millis| i64::try_from(*millis).is_ok())
            .map(Self)
            .ok_or(ParseSpanError)
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_write_durations_with_one_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("14d", 1_209_600_000),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.as_millis(), millis);
            assert_eq!(span.to_string(), text);
        }
        for text in ["", "5", "s", "-1s", "1.5h", "1 s", "99999999999999999999d", "1w"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(Span::from_millis(0).to_string(), "0s");
    }
}
