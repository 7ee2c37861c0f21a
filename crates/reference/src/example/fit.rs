//! Whether a plain value fits a schema, as far as can be told without looking below it.

use serde_json::Value;

use super::pattern;
use crate::flat::{Flat, type_of};

/// Whether a value may stand for a schema. Only plain values are judged; lists and maps fit.
pub(super) fn fits(value: &Value, flat: &Flat<'_>) -> bool {
    let (types, nullable) = flat.types();
    if value.is_null() {
        return nullable;
    }
    let kind = type_of(value);
    let whole = |number: &str| number.ends_with(".0");
    let is_type = |name: &&str| match *name {
        "number" => matches!(kind, "number" | "integer"),
        "integer" => kind == "integer" || kind == "number" && whole(&value.to_string()),
        name => name == kind,
    };
    if !types.is_empty() && !types.iter().any(is_type) {
        return false;
    }
    if flat.get("const").is_some_and(|constant| constant != value) {
        return false;
    }
    let allowed = |word: &Value| word.as_array().is_none_or(|list| list.contains(value));
    flat.all("enum").all(allowed) && text_fits(value, flat) && number_fits(value, flat)
}

fn text_fits(value: &Value, flat: &Flat<'_>) -> bool {
    let Value::String(text) = value else { return true };
    let length = text.chars().count();
    let (least, most) = lengths(flat);
    let format = flat.text("format").unwrap_or_default();
    let known = match format {
        "date" | "date-time" => text.len() >= 10 && text.starts_with(|c: char| c.is_ascii_digit()),
        "uuid" => text.len() == 36,
        "uri" => text.contains(':') && !text.contains(' '),
        "email" => text.contains('@'),
        _ => true,
    };
    // Whether an example matches a pattern is for its author to know; an empty one hardly does.
    let matches = flat
        .text("pattern")
        .is_none_or(|word| !text.is_empty() || pattern::text(word, 0).as_deref() == Some(""));
    known && matches && length >= least && length <= most
}

/// Shortest and longest text.
pub(super) fn lengths(flat: &Flat<'_>) -> (usize, usize) {
    let number = |word: &str| {
        flat.get(word)
            .and_then(Value::as_u64)
            .and_then(|number| usize::try_from(number).ok())
    };
    (
        number("minLength").unwrap_or(0),
        number("maxLength").unwrap_or(usize::MAX),
    )
}

fn number_fits(value: &Value, flat: &Flat<'_>) -> bool {
    let Some(number) = value.as_f64() else { return true };
    let bound = |word: &str| flat.get(word).and_then(Value::as_f64);
    let strict = |word: &str| flat.get(word) == Some(&Value::Bool(true));
    let low = bound("minimum").is_none_or(|least| number > least || number >= least && !strict("exclusiveMinimum"));
    let high = bound("maximum").is_none_or(|most| number < most || number <= most && !strict("exclusiveMaximum"));
    low && high
        && bound("exclusiveMinimum").is_none_or(|least| number > least)
        && bound("exclusiveMaximum").is_none_or(|most| number < most)
}
