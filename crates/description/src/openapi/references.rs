//! References: found one at a time, never expanded.
//!
//! A reference is `#` and a JSON pointer into the same document, or `#` and an anchor name of a schema. All others lead
//! outside and are reported by name; nothing is fetched.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::fault::{Fault, Faults};
use crate::located::shorten;
use crate::pointer;

/// Why a reference leads to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// It leads to another file or address.
    #[error("the reference {0:?} leads outside of the document")]
    External(String),
    /// Nothing stands where it leads.
    #[error("the reference {0:?} leads to nothing")]
    Missing(String),
    /// Following it comes back to itself, or takes more than 32 steps.
    #[error("the reference {0:?} leads in a circle")]
    Circle(String),
}

impl Broken {
    const fn remedy(&self) -> &'static str {
        match self {
            Self::External(_) => "bundle the files into one document first; addresses are never fetched",
            Self::Missing(_) => "define the part there, or correct the reference",
            Self::Circle(_) => "let one of the references lead to a definition",
        }
    }

    /// The fault of a reference at a pointer.
    #[must_use]
    pub fn fault(&self, at: &str) -> Fault {
        Fault::error(at, self.to_string(), self.remedy())
    }
}

/// Steps that [`follow`] takes at most.
const MOST_STEPS: usize = 32;

/// A part of the document and its pointer.
pub type Part<'a> = (&'a Value, String);

/// The part that one reference leads to; the part may be a reference again.
///
/// # Errors
/// The reference leads outside of the document, or to nothing.
pub fn resolve<'a>(root: &'a Value, reference: &str) -> Result<Part<'a>, Broken> {
    let Some(fragment) = reference.strip_prefix('#') else {
        return Err(if reference.is_empty() {
            Broken::Missing(String::new())
        } else {
            Broken::External(shorten(reference))
        });
    };
    let missing = || Broken::Missing(shorten(reference));
    let fragment = decode(fragment).ok_or_else(missing)?;
    let part = lookup(root, &fragment).ok_or_else(missing)?;
    Ok((part, fragment.into_owned()))
}

/// The part that a value stands for: the value itself, or what its `$ref` leads to, over several references.
///
/// # Errors
/// A reference on the way leads outside, to nothing, or in a circle.
pub fn follow<'a>(root: &'a Value, start: &'a Value, at: &str) -> Result<Part<'a>, Broken> {
    let (mut value, mut place) = (start, at.to_owned());
    for _ in 0..MOST_STEPS {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return Ok((value, place));
        };
        (value, place) = resolve(root, reference)?;
        if std::ptr::eq(value, start) {
            break;
        }
    }
    let reference = start.get("$ref").and_then(Value::as_str).unwrap_or_default();
    Err(Broken::Circle(shorten(reference)))
}

/// The part at a pointer. As [`Value::pointer`], which reads `+1` as an index.
#[must_use]
pub fn lookup<'a>(root: &'a Value, at: &str) -> Option<&'a Value> {
    if !(at.is_empty() || at.starts_with('/')) {
        return None;
    }
    pointer::segments(at).try_fold(root, |value, segment| match value {
        Value::Object(map) => map.get(segment.as_ref()),
        Value::Array(items) => pointer::index(&segment).and_then(|index| items.get(index)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

/// Percent-decoding of a fragment; `None` when the result is not UTF-8. A lone percent sign stays.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text
            .get(at + 1..at + 3)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let decoded = digits
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|_| *byte == b'%');
        at += if decoded.is_some() { 3 } else { 1 };
        out.push(decoded.unwrap_or(*byte));
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// What the keys of a map are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Words of the specification.
    Fields,
    /// Names that the author chose, even where they look like words.
    Names,
    /// Content of examples and extensions, in which nothing is a reference.
    Opaque,
}

impl Keys {
    /// What the keys below an entry are.
    #[must_use]
    pub fn below(self, key: &str, value: &Value) -> Self {
        if self != Self::Fields {
            return if self == Self::Names {
                Self::Fields
            } else {
                Self::Opaque
            };
        }
        let content = matches!(key, "example" | "default" | "enum" | "const" | "value" | "dataValue");
        if content || key.starts_with("x-") || (key == "examples" && !value.is_object()) {
            return Self::Opaque;
        }
        if value.is_object() && NAMED.contains(&key) {
            Self::Names
        } else {
            Self::Fields
        }
    }
}

/// Fields whose values are maps of names.
const NAMED: [&str; 23] = [
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependentSchemas",
    "schemas",
    "parameters",
    "responses",
    "headers",
    "callbacks",
    "links",
    "examples",
    "requestBodies",
    "securitySchemes",
    "securityDefinitions",
    "pathItems",
    "paths",
    "webhooks",
    "content",
    "encoding",
    "mapping",
    "variables",
    "mediaTypes",
];

/// Reports every reference of the document that leads outside or to nothing.
pub(super) fn check(root: &Value, faults: &mut Faults) {
    let mut anchors = HashSet::new();
    Walk { path: Vec::new() }.value(root, Keys::Fields, &mut |_, map| {
        anchors.extend(
            ["$anchor", "$dynamicAnchor"]
                .into_iter()
                .filter_map(|field| map.get(field)?.as_str()),
        );
    });
    Walk { path: Vec::new() }.value(root, Keys::Fields, &mut |path, map| {
        let Some(reference) = map.get("$ref").and_then(Value::as_str).filter(|_| !faults.is_full()) else {
            return;
        };
        let anchor = reference.strip_prefix('#').is_some_and(|name| anchors.contains(name));
        if let (false, Err(broken)) = (anchor, resolve(root, reference)) {
            faults.push(broken.fault(&joined(path)));
        }
    });
}

fn joined(path: &[Cow<'_, str>]) -> String {
    let mut at = String::new();
    for segment in path {
        pointer::push(&mut at, segment);
    }
    pointer::push(&mut at, "$ref");
    at
}

/// Values deeper than this are not looked at; the loader refuses them before.
const DEEPEST: usize = 256;

/// Visits every map whose keys are words of the specification.
struct Walk<'a> {
    path: Vec<Cow<'a, str>>,
}

impl<'a> Walk<'a> {
    fn value(&mut self, value: &'a Value, keys: Keys, visit: &mut impl FnMut(&[Cow<'a, str>], &'a Map<String, Value>)) {
        let nested = |value: &Value| value.is_object() || value.is_array();
        if keys == Keys::Opaque || self.path.len() > DEEPEST {
            return;
        }
        match value {
            Value::Object(map) => {
                if keys == Keys::Fields {
                    visit(&self.path, map);
                }
                for (key, value) in map.iter().filter(|(_, value)| nested(value)) {
                    self.path.push(Cow::Borrowed(key));
                    self.value(value, keys.below(key, value), visit);
                    self.path.pop();
                }
            }
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate().filter(|(_, item)| nested(item)) {
                    self.path.push(Cow::Owned(at.to_string()));
                    self.value(item, keys, visit);
                    self.path.pop();
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
