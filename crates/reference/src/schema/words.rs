//! Bounds of a schema in words.

use serde_json::Value;

use crate::flat::Flat;
use crate::html::clip;
use crate::reference::text_of;

pub(super) fn constraints(flat: &Flat<'_>) -> Vec<String> {
    let mut words = Vec::new();
    words.extend(span(flat, "minLength", "maxLength", "character"));
    words.extend(numbers(flat));
    if let Some(step) = number(flat, "multipleOf") {
        words.push(format!("multiple of {step}"));
    }
    words.extend(span(flat, "minItems", "maxItems", "item"));
    if flat.flag("uniqueItems") {
        words.push("no item twice".to_owned());
    }
    words.extend(span(flat, "minProperties", "maxProperties", "field"));
    if let Some(pattern) = flat.text("pattern") {
        words.push(format!("matches {}", clip(pattern, 120)));
    }
    if let Some(encoding) = flat.text("contentEncoding") {
        words.push(format!("encoded as {}", clip(encoding, 40)));
    }
    if let Some(media) = flat.text("contentMediaType") {
        words.push(format!("holds {}", clip(media, 80)));
    }
    words
}

fn number(flat: &Flat<'_>, word: &str) -> Option<String> {
    flat.get(word).filter(|value| value.is_number()).map(text_of)
}

fn span(flat: &Flat<'_>, least: &str, most: &str, unit: &str) -> Option<String> {
    let least = number(flat, least).filter(|text| text != "0");
    let most = number(flat, most);
    let many = |text: &str| if text == "1" { "" } else { "s" };
    match (least, most) {
        (Some(least), Some(most)) if least == most => Some(format!("{least} {unit}{}", many(&least))),
        (Some(least), Some(most)) => Some(format!("{least} to {most} {unit}s")),
        (Some(least), None) => Some(format!("at least {least} {unit}{}", many(&least))),
        (None, Some(most)) => Some(format!("up to {most} {unit}{}", many(&most))),
        (None, None) => None,
    }
}

fn numbers(flat: &Flat<'_>) -> Option<String> {
    // A flag up to 3.0, a number since 3.1.
    let bound = |word: &str, strict: &str| match flat.get(strict) {
        Some(Value::Bool(true)) => (number(flat, word), true),
        Some(Value::Number(exclusive)) => (Some(exclusive.to_string()), true),
        _ => (number(flat, word), false),
    };
    match (
        bound("minimum", "exclusiveMinimum"),
        bound("maximum", "exclusiveMaximum"),
    ) {
        ((Some(least), false), (Some(most), false)) => Some(format!("{least} to {most}")),
        ((Some(least), low), (Some(most), high)) => {
            let low = if low { "above" } else { "at least" };
            let high = if high { "below" } else { "at most" };
            Some(format!("{low} {least}, {high} {most}"))
        }
        ((Some(least), strict), (None, _)) => Some(format!("{} {least}", if strict { "above" } else { "at least" })),
        ((None, _), (Some(most), strict)) => Some(format!("{} {most}", if strict { "below" } else { "at most" })),
        ((None, _), (None, _)) => None,
    }
}
