//! JSON values as YAML 1.2 in block style. Texts that could be read as something else are in double quotes, where YAML
//! takes the escapes of JSON.

use serde_json::Value;

/// Levels that are written as blocks; what is deeper is written in JSON, which YAML reads as well.
const DEEPEST: usize = 64;

/// The value as a YAML document.
pub(crate) fn written(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => block(value, 0, &mut out),
        Value::Array(items) if !items.is_empty() => block(value, 0, &mut out),
        other => {
            scalar(other, &mut out);
            out.push('\n');
        }
    }
    out
}

fn block(value: &Value, level: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                indent(level, out);
                text(key, out);
                out.push(':');
                below(value, level, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(level, out);
                out.push('-');
                below(item, level, out);
            }
        }
        other => scalar(other, out),
    }
}

fn below(value: &Value, level: usize, out: &mut String) {
    let is_block = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block && level < DEEPEST {
        out.push('\n');
        block(value, level + 1, out);
    } else {
        out.push(' ');
        scalar(value, out);
        out.push('\n');
    }
}

fn indent(level: usize, out: &mut String) {
    for _ in 0..level {
        out.push_str("  ");
    }
}

fn scalar(value: &Value, out: &mut String) {
    match value {
        Value::String(content) => text(content, out),
        other => out.push_str(&other.to_string()),
    }
}

fn text(content: &str, out: &mut String) {
    if is_plain(content) {
        out.push_str(content);
    } else {
        let quoted = Value::String(content.to_owned()).to_string();
        // JSON leaves these as they are; YAML takes them for ends of lines.
        for character in quoted.chars() {
            match character {
                '\u{85}' => out.push_str("\\N"),
                '\u{2028}' => out.push_str("\\L"),
                '\u{2029}' => out.push_str("\\P"),
                '\u{7f}' => out.push_str("\\x7F"),
                '\u{feff}' => out.push_str("\\uFEFF"),
                other => out.push(other),
            }
        }
    }
}

/// Words that no reader of YAML, old or new, takes for anything but text.
fn is_plain(content: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let first = content.chars().next();
    let begins = first.is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' ' | '{' | '}' | '$');
    begins
        && content.len() < 200
        && content.chars().all(safe)
        && !content.ends_with(' ')
        && !WORDS.contains(&content.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_reads_well() {
        let document =
            json!({"openapi": "3.1.0", "paths": {"/pets/{id}": {"get": {"tags": ["Pets", "on"], "x": null}}}, "e": {}});
        assert_eq!(
            written(&document),
            "openapi: \"3.1.0\"\npaths:\n  /pets/{id}:\n    get:\n      tags:\n        - Pets\n        - \"on\"\n      x: null\ne: {}\n"
        );
    }

    #[test]
    fn what_was_written_is_read_back() {
        let hostile = json!({"a: b": "x # y", "- c": ["", " ", "\u{2028}\u{85}\n\t\"\\", "1e3", "0x1F", "~", "é 中"], "deep": [[[{}]], [1.5, -2]]});
        let read =
            description::located::parse_one(written(&hostile).as_bytes(), &description::located::Limits::DESCRIPTION);
        assert_eq!(read.unwrap().into_value(), hostile);
    }
}
