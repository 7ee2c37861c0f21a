//! Text and values as literals.

use std::fmt::Write as _;

use serde_json::Value;

/// How a language writes values.
#[derive(Clone, Copy)]
pub(super) struct Literals {
    pub(super) null: &'static str,
    pub(super) truth: [&'static str; 2],
    pub(super) map: [&'static str; 2],
    pub(super) list: [&'static str; 2],
    pub(super) pair: &'static str,
    pub(super) text: fn(&str) -> String,
}

pub(super) const PYTHON: Literals = Literals {
    null: "None",
    truth: ["False", "True"],
    map: ["{", "}"],
    list: ["[", "]"],
    pair: ": ",
    text: python,
};
pub(super) const JAVASCRIPT: Literals = Literals {
    null: "null",
    truth: ["false", "true"],
    map: ["{", "}"],
    list: ["[", "]"],
    pair: ": ",
    text: javascript,
};
pub(super) const RUBY: Literals = Literals {
    null: "nil",
    truth: ["false", "true"],
    map: ["{", "}"],
    list: ["[", "]"],
    pair: " => ",
    text: single,
};

const DEEPEST: usize = 40;

/// A value as a literal, on several lines where it is long.
pub(super) fn value(value: &Value, literals: &Literals, indent: usize) -> String {
    let depth = indent / 2;
    let wrap = |[open, close]: [&str; 2], parts: Vec<String>| {
        if parts.is_empty() {
            return format!("{open}{close}");
        }
        let length: usize = parts.iter().map(|part| part.len() + 2).sum();
        if length < 60 && parts.iter().all(|part| !part.contains('\n')) {
            return format!("{open}{}{close}", parts.join(", "));
        }
        let inner = " ".repeat(indent + 2);
        let mut out = String::from(open);
        for part in parts {
            let _ = write!(out, "\n{inner}{part},");
        }
        let _ = write!(out, "\n{}{close}", " ".repeat(indent));
        out
    };
    match value {
        Value::Null => literals.null.to_owned(),
        Value::Bool(truth) => literals.truth[usize::from(*truth)].to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => (literals.text)(text),
        _ if depth > DEEPEST => literals.null.to_owned(),
        Value::Array(items) => {
            let parts = items.iter().map(|item| self::value(item, literals, indent + 2));
            wrap(literals.list, parts.collect())
        }
        Value::Object(map) => {
            let part = |(key, item): (&String, &Value)| {
                format!(
                    "{}{}{}",
                    (literals.text)(key),
                    literals.pair,
                    self::value(item, literals, indent + 2)
                )
            };
            wrap(literals.map, map.iter().map(part).collect())
        }
    }
}

/// Text in double quotes, control characters by `control`.
fn double(text: &str, control: fn(char) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other if other.is_control() || matches!(other, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                out.push_str(&control(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn four_digits(character: char) -> String {
    format!("\\u{:04x}", u32::from(character))
}

pub(super) fn python(text: &str) -> String {
    double(text, four_digits)
}

pub(super) fn javascript(text: &str) -> String {
    double(text, four_digits)
}

pub(super) fn go(text: &str) -> String {
    double(text, four_digits)
}

pub(super) fn csharp(text: &str) -> String {
    double(text, four_digits)
}

/// Java reads `\u000a` as a line break before it looks at quotes; octal escapes are safe.
pub(super) fn java(text: &str) -> String {
    double(text, |character| match u32::from(character) {
        code @ 0..=0o377 => format!("\\{code:03o}"),
        code => format!("\\u{code:04x}"),
    })
}

pub(super) fn rust(text: &str) -> String {
    double(text, |character| format!("\\u{{{:x}}}", u32::from(character)))
}

/// Text in single quotes, in which PHP and Ruby read nothing but these two escapes.
pub(super) fn single(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Text for a shell. Null characters cannot be passed at all.
pub(super) fn shell(text: &str) -> String {
    let text = text.replace('\0', "");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// JSON on several lines.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}
