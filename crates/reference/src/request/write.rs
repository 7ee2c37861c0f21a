//! Values of parameters as text, by style.

use serde_json::Value;

use super::Pair;
use super::encode::{percent, reserved};
use crate::operation::Style;

const MOST: usize = 200;
const DEEPEST: usize = 8;

/// How one parameter is written.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) allow_reserved: bool,
}

/// A plain value as text; lists and maps as JSON.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// Pairs of a query or a cookie.
pub(super) fn pairs(name: &str, value: &Value, how: How) -> Vec<Pair> {
    let encode = if how.allow_reserved { reserved } else { percent };
    let pair = |name: &str, value: String| Pair {
        encoded: format!("{}={}", percent(name), encode(&value)),
        name: name.to_owned(),
        value,
    };
    if how.style == Style::DeepObject {
        let mut found = Vec::new();
        deep(name, value, 0, &mut found);
        return found.into_iter().map(|(name, value)| pair(&name, value)).collect();
    }
    let parts: Vec<String> = match value {
        Value::Array(items) if how.explode && how.style != Style::Simple => {
            return items.iter().take(MOST).map(|item| pair(name, plain(item))).collect();
        }
        Value::Object(map) if how.explode => {
            return map
                .iter()
                .take(MOST)
                .map(|(key, item)| pair(key, plain(item)))
                .collect();
        }
        Value::Array(items) => items.iter().take(MOST).map(plain).collect(),
        Value::Object(map) => map
            .iter()
            .take(MOST)
            .flat_map(|(key, item)| [key.clone(), plain(item)])
            .collect(),
        other => return vec![pair(name, plain(other))],
    };
    let (shown, sent) = match how.style {
        Style::SpaceDelimited => (" ", "%20"),
        Style::PipeDelimited => ("|", "%7C"),
        Style::TabDelimited => ("\t", "%09"),
        Style::Form | Style::Simple | Style::Label | Style::Matrix | Style::DeepObject => (",", ","),
    };
    let encoded: Vec<String> = parts.iter().map(|part| encode(part)).collect();
    vec![Pair {
        name: name.to_owned(),
        value: parts.join(shown),
        encoded: format!("{}={}", percent(name), encoded.join(sent)),
    }]
}

/// `a[b][c]` for maps in maps; `a[]` for lists of plain values, `a[0][b]` for lists of maps.
pub(super) fn deep(name: &str, value: &Value, depth: usize, out: &mut Vec<(String, String)>) {
    match value {
        _ if out.len() >= MOST => {}
        Value::Object(map) if depth < DEEPEST => {
            for (key, value) in map {
                deep(&format!("{name}[{key}]"), value, depth + 1, out);
            }
        }
        Value::Array(items) if depth < DEEPEST => {
            for (at, item) in items.iter().enumerate() {
                let nested = item.is_object() || item.is_array();
                let name = if nested {
                    format!("{name}[{at}]")
                } else {
                    format!("{name}[]")
                };
                deep(&name, item, depth + 1, out);
            }
        }
        other => out.push((name.to_owned(), plain(other))),
    }
}

/// A placeholder of a path.
pub(super) fn in_path(name: &str, value: &Value, how: How) -> String {
    let flat = |separator: &str, equals: &str| match value {
        Value::Array(items) => joined(items.iter().take(MOST).map(|item| percent(&plain(item))), separator),
        Value::Object(map) => joined(
            map.iter()
                .take(MOST)
                .map(|(key, item)| format!("{}{equals}{}", percent(key), percent(&plain(item)))),
            separator,
        ),
        other => percent(&plain(other)),
    };
    match how.style {
        Style::Label if how.explode => format!(".{}", flat(".", "=")),
        Style::Label => format!(".{}", flat(",", ",")),
        Style::Matrix => match value {
            Value::Array(items) if how.explode => {
                let each = items
                    .iter()
                    .take(MOST)
                    .map(|item| format!(";{}={}", percent(name), percent(&plain(item))));
                joined(each, "")
            }
            Value::Object(_) if how.explode => format!(";{}", flat(";", "=")),
            _ => format!(";{}={}", percent(name), flat(",", ",")),
        },
        _ if how.explode => flat(",", "="),
        _ => flat(",", ","),
    }
}

/// A header.
pub(super) fn in_header(value: &Value, how: How) -> String {
    match value {
        Value::Array(items) => joined(items.iter().take(MOST).map(plain), ","),
        Value::Object(map) => {
            let equals = if how.explode { "=" } else { "," };
            joined(
                map.iter()
                    .take(MOST)
                    .map(|(key, item)| format!("{key}{equals}{}", plain(item))),
                ",",
            )
        }
        other => plain(other),
    }
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> String {
    parts.collect::<Vec<_>>().join(separator)
}
