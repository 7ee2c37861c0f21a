//! JSON values as YAML that people read.
//!
//! Maps and lists in block style, scalars plain where every reader of YAML 1.1 and 1.2 takes them for the same text, all
//! others in double quotes. Deliberately absent: comments, anchors, folding.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// A value as a YAML document.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => write_map(map, 0, &mut out),
        Value::Array(items) if !items.is_empty() => write_list(items, 0, &mut out),
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
    out
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Entries of a map; the caller has written the indentation of the first.
fn write_map(map: &Map<String, Value>, depth: usize, out: &mut String) {
    for (at, (key, value)) in map.iter().enumerate() {
        if at > 0 {
            indent(depth, out);
        }
        out.push_str(&text(key));
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                indent(depth + 1, out);
                write_map(map, depth + 1, out);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indent(depth + 1, out);
                write_list(items, depth + 1, out);
            }
            other => {
                out.push(' ');
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

/// Entries of a list; the caller has written the indentation of the first.
fn write_list(items: &[Value], depth: usize, out: &mut String) {
    for (at, value) in items.iter().enumerate() {
        if at > 0 {
            indent(depth, out);
        }
        out.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => write_map(map, depth + 1, out),
            Value::Array(items) if !items.is_empty() => write_list(items, depth + 1, out),
            other => {
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        other => other.to_string(),
    }
}

/// Words that some reader takes for something else than text.
const RESERVED: [&str; 12] = [
    "true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan", "none",
];

fn text(string: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b' ');
    let starts = string
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'/');
    let reserved = RESERVED.iter().any(|word| word.eq_ignore_ascii_case(string));
    if starts && !reserved && !string.ends_with(' ') && string.bytes().all(plain) {
        return string.to_owned();
    }
    quoted(string)
}

fn quoted(string: &str) -> String {
    let mut out = String::with_capacity(string.len() + 2);
    out.push('"');
    for letter in string.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // Line separators and the byte order mark would not come back as they are.
            odd if odd.is_control()
                || matches!(odd, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                let _ = write!(out, "\\u{:04x}", u32::from(odd));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use description::located::{Limits, parse_one};
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        parse_one(text.as_bytes(), &Limits::CONFIGURATION).unwrap().into_value()
    }

    #[test]
    fn what_is_written_reads_the_same() {
        let value = json!({
            "apis": [{"name": "a", "list": [[1, 2], [], [{"x": {}}]], "GET /x": null, "": ""}],
            "texts": ["true", "No", "1.10", "0x1", "a: b", "a #b", "- a", " a", "a ", "é", "\u{85}\u{2028}\u{7f}\u{0}", "a\nb\r\n\tc", "\"\\", "~", "2024-01-01", "1e3", "/a/{b}", "=", "<<", "🙂"],
            "numbers": [0, -1, 1.5, true],
            "1": "key"
        });
        assert_eq!(read(&write(&value)), value, "{}", write(&value));
        assert_eq!(
            read(&write(&json!([[{"a": 1, "b": [1]}]]))),
            json!([[{"a": 1, "b": [1]}]])
        );
    }

    #[test]
    fn plain_words_stay_plain() {
        let value = json!({"apis": [{"name": "petstore", "version": "1.0", "openapi": "./petstore.yaml"}]});
        assert_eq!(
            write(&value),
            "apis:\n  - name: petstore\n    version: \"1.0\"\n    openapi: \"./petstore.yaml\"\n"
        );
    }
}
