//! What a plain YAML scalar means (core schema of YAML 1.2), and numbers of both languages.
//!
//! A number that begins with a superfluous zero (`007`) is text: as a number it would lose what was written.

use serde_json::{Number, Value};

/// The value of a plain scalar; `None` for a number that no JSON number can hold.
pub(super) fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Value::Bool(false)),
        _ => {}
    }
    let first = text.as_bytes().first().copied().unwrap_or_default();
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return Some(Value::String(text.to_owned()));
    }
    if let Some(number) = based(text) {
        return Some(Value::Number(number));
    }
    match decimal(text) {
        Some(json) => number(&json).map(Value::Number),
        None => Some(Value::String(text.to_owned())),
    }
}

/// A number in JSON notation; `None` when it is out of range. Never called with other text.
pub(super) fn number(text: &str) -> Option<Number> {
    let whole = || {
        text.parse::<u64>()
            .map(Number::from)
            .or_else(|_| text.parse::<i64>().map(Number::from))
            .ok()
    };
    // The standard library rounds decimals correctly, the JSON library only nearly.
    let decimal = || text.parse::<f64>().ok().and_then(Number::from_f64);
    if text == "-0" {
        decimal()
    } else {
        whole().or_else(decimal)
    }
}

fn based(text: &str) -> Option<Number> {
    let (radix, digits) = match text.get(..2)? {
        "0x" => (16, text.get(2..)?),
        "0o" => (8, text.get(2..)?),
        _ => return None,
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if plain {
        u64::from_str_radix(digits, radix).ok().map(Number::from)
    } else {
        None
    }
}

/// The JSON notation of a YAML decimal: without a plus sign, with digits on both sides of the point.
fn decimal(text: &str) -> Option<String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match rest.find(['e', 'E']) {
        Some(at) => (rest.get(..at)?, Some(rest.get(at + 1..)?)),
        None => (rest, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let empty = whole.is_empty() && fraction.is_none_or(str::is_empty);
    let padded = whole.len() > 1 && whole.starts_with('0');
    let exponent_digits = exponent.map(|part| part.strip_prefix(['+', '-']).unwrap_or(part));
    if empty || padded || !digits(whole) || !fraction.is_none_or(digits) {
        return None;
    }
    if exponent_digits.is_some_and(|part| part.is_empty() || !digits(part)) {
        return None;
    }
    let mut json = format!("{sign}{}", if whole.is_empty() { "0" } else { whole });
    if let Some(fraction) = fraction {
        json.push('.');
        json.push_str(if fraction.is_empty() { "0" } else { fraction });
    }
    if let Some(exponent) = exponent {
        json.push('e');
        json.push_str(exponent);
    }
    Some(json)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        let table = [
            ("~", json!(null)),
            ("", json!(null)),
            ("True", json!(true)),
            ("yes", json!("yes")),
            ("12", json!(12)),
            ("+12", json!(12)),
            ("-12", json!(-12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0x", json!("0x")),
            ("0xé", json!("0xé")),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            ("007", json!("007")),
            ("2020-01-01", json!("2020-01-01")),
            ("1.2.3", json!("1.2.3")),
            (".inf", json!(".inf")),
            (".nan", json!(".nan")),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("12_000", json!("12_000")),
        ];
        for (text, value) in table {
            assert_eq!(plain(text), Some(value), "{text:?}");
        }
        assert_eq!(plain("1e999"), None);
    }
}
