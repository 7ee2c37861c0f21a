//! From values to the types of a configuration, entry by entry, so that one mistake does not hide the next.
//!
//! What the types say about a mistake is turned into a reason, a remedy and a place.

use description::pointer;
use domain::config::{Account, Api, Consumer, Document, Meter, Product, Settings};
use domain::validate::Severity;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::merge::Merged;
use super::report::Report;
use crate::config::nearest;

/// Unknown keys that are reported of one entry.
const MOST_KEYS: usize = 50;

/// A document, and where each of its entries stands among those that were written.
#[derive(Debug, Default)]
pub(crate) struct Typed {
    pub(crate) document: Document,
    /// By list: the written position of each entry that could be read.
    positions: Vec<(&'static str, Vec<usize>)>,
}

impl Typed {
    /// A pointer into the document as a pointer into what was written.
    pub(crate) fn written(&self, at: &str) -> String {
        let mut segments = pointer::segments(at);
        let (Some(list), Some(index)) = (segments.next(), segments.next()) else {
            return at.to_owned();
        };
        let kept = self
            .positions
            .iter()
            .find(|(name, _)| *name == list)
            .map(|(_, kept)| kept);
        let index = match (kept, index.parse::<usize>()) {
            (Some(kept), Ok(index)) => kept.get(index).map_or_else(|| index.to_string(), usize::to_string),
            _ => index.into_owned(),
        };
        let start = pointer::join(&pointer::join("", &list), &index);
        segments.fold(start, |pointer, segment| pointer::join(&pointer, &segment))
    }
}

/// Reads all entries; those that cannot be read are reported and left out.
pub(crate) fn read(merged: &Merged, report: &mut Report) -> Typed {
    let mut typed = Typed::default();
    let mut document = Document {
        apis: list::<Api>("apis", merged, (&mut typed, report)),
        meters: list::<Meter>("meters", merged, (&mut typed, report)),
        products: list::<Product>("products", merged, (&mut typed, report)),
        accounts: list::<Account>("accounts", merged, (&mut typed, report)),
        consumers: list::<Consumer>("consumers", merged, (&mut typed, report)),
        billable_policies: list("billable_policies", merged, (&mut typed, report)),
        coupons: list("coupons", merged, (&mut typed, report)),
        tax_rates: list("tax_rates", merged, (&mut typed, report)),
        partners: list("partners", merged, (&mut typed, report)),
        settings: Settings::default(),
    };
    let settings = Value::Object(merged.settings.clone());
    document.settings = entry(settings, "/settings", merged, report).unwrap_or_default();
    typed.document = document;
    typed
}

fn list<T: DeserializeOwned>(
    name: &'static str,
    merged: &Merged,
    (typed, report): (&mut Typed, &mut Report),
) -> Vec<T> {
    let values = merged.lists.get(name).map(Vec::as_slice).unwrap_or_default();
    let mut kept = Vec::new();
    let mut entries = Vec::new();
    for (index, value) in values.iter().enumerate() {
        if let Some(read) = entry(value.clone(), &format!("/{name}/{index}"), merged, report) {
            kept.push(index);
            entries.push(read);
        }
    }
    typed.positions.push((name, kept));
    entries
}

fn entry<T: DeserializeOwned>(mut value: Value, at: &str, merged: &Merged, report: &mut Report) -> Option<T> {
    for _ in 0..MOST_KEYS {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let place = place(error.path(), &value);
        let mistake = Mistake::new(&error.into_inner().to_string(), &place, &value);
        let pointer = format!("{at}{}", mistake.pointer);
        let remedy = mistake.remedy(merged.written(&pointer));
        report.push(merged.message(Severity::Error, &pointer, (mistake.reason.clone(), remedy)));
        // Without the key the rest can be read, and its mistakes be told as well.
        let (parent, key) = mistake.pointer.rsplit_once('/')?;
        if mistake.kind != Kind::UnknownKey
            || value
                .pointer_mut(parent)?
                .as_object_mut()?
                .shift_remove(&unescape(key))
                .is_none()
        {
            return None;
        }
    }
    None
}

fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// The path as a JSON pointer, as far as it leads.
fn place(path: &serde_path_to_error::Path, value: &Value) -> String {
    let mut at = String::new();
    for segment in path {
        let next = match segment {
            Segment::Seq { index } => pointer::join(&at, &index.to_string()),
            Segment::Map { key } => pointer::join(&at, key),
            Segment::Enum { variant } => pointer::join(&at, variant),
            Segment::Unknown => return at,
        };
        if value.pointer(&next).is_none() {
            return at;
        }
        at = next;
    }
    at
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    UnknownKey,
    Number,
    Other,
}

/// What the types said, in words for people.
#[derive(Debug)]
struct Mistake {
    kind: Kind,
    pointer: String,
    reason: String,
    remedy: String,
}

impl Mistake {
    fn new(message: &str, at: &str, value: &Value) -> Self {
        let words = quoted(message);
        let other = |reason: String, remedy: String| Self {
            kind: Kind::Other,
            pointer: at.to_owned(),
            reason,
            remedy,
        };
        if let Some(found) = overage(at, value) {
            return found;
        }
        if message.starts_with("unknown field") {
            return unknown_key(&words, at, value);
        }
        if message.contains("is not exact") {
            return Self {
                kind: Kind::Number,
                ..other(INEXACT.to_owned(), "write it in quotes, such as \"0.0005\"".to_owned())
            };
        }
        if message.starts_with("unknown variant") {
            let (word, known) = words
                .split_first()
                .map_or(("", &words[..]), |(word, known)| (*word, known));
            return other(format!("`{word}` is not known here"), one_of(word, known));
        }
        if message.starts_with("missing field") {
            let key = words.first().copied().unwrap_or_default();
            return other(format!("the key `{key}` is missing"), format!("write {key}:"));
        }
        if let Some((found, expected)) = message
            .strip_prefix("invalid type: ")
            .and_then(|rest| rest.split_once(", expected "))
        {
            let kind = if expected.starts_with("a decimal") {
                Kind::Number
            } else {
                Kind::Other
            };
            return Self {
                kind,
                ..other(
                    format!("{} does not belong here", article(found)),
                    format!("write {}", plain(expected)),
                )
            };
        }
        let (reason, remedy) = message.split_once(": write ").map_or_else(
            || (message.to_owned(), "compare it with the reference".to_owned()),
            |(reason, remedy)| (reason.to_owned(), format!("write {remedy}")),
        );
        other(reason, remedy)
    }

    /// What to write; for amounts the number that stands there, in quotes.
    fn remedy(&self, written: Option<&str>) -> String {
        match (self.kind, written) {
            (Kind::Number, Some(text)) if text.len() < 40 && text.bytes().any(|byte| byte.is_ascii_digit()) => {
                format!("write it in quotes: \"{}\"", text.trim_matches(['"', '\'']))
            }
            _ => self.remedy.clone(),
        }
    }
}

fn unknown_key(words: &[&str], at: &str, value: &Value) -> Mistake {
    let (key, known) = words.split_first().map_or(("", words), |(key, known)| (*key, known));
    let below = pointer::join(at, key);
    let pointer = if value.pointer(&below).is_some() || !at.ends_with(&pointer::join("", key)) {
        below
    } else {
        at.to_owned()
    };
    let remedy = match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("remove it; known are {}", known.join(", ")),
    };
    Mistake {
        kind: Kind::UnknownKey,
        pointer,
        reason: format!("unknown key `{key}`"),
        remedy,
    }
}

/// YAML and JSON keep numbers in binary, which has no exact tenths.
const INEXACT: &str = "an amount that is a number is not exact";
const FORM: &str = "write none, or { allow: 15%, price: prorated }";

/// Overage is one of two forms, of which the types only say that neither fits.
fn overage(at: &str, value: &Value) -> Option<Mistake> {
    let start = at
        .rfind("/overage")
        .map(|start| start + "/overage".len())
        .and_then(|end| at.get(..end))?;
    let written = value.pointer(start)?;
    let make = |kind, key: &str, reason: &str, remedy: &str| {
        Some(Mistake {
            kind,
            pointer: format!("{start}{key}"),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        })
    };
    let Some(map) = written.as_object() else {
        return make(Kind::Other, "", "this is no overage", FORM);
    };
    if let Some(key) = map.keys().find(|key| !matches!(key.as_str(), "allow" | "price")) {
        return Some(unknown_key(&[key, "allow", "price"], start, value));
    }
    if map.get("price").is_some_and(Value::is_number) {
        return make(
            Kind::Number,
            "/price",
            INEXACT,
            "write prorated, or a decimal in quotes",
        );
    }
    let fits = |text: &str| text == "unlimited" || text.ends_with('%');
    if !map.get("allow").and_then(Value::as_str).is_some_and(fits) {
        let key = if map.contains_key("allow") { "/allow" } else { "" };
        return make(
            Kind::Other,
            key,
            "it does not say how much is allowed",
            "write allow: unlimited, or a percentage such as 15%",
        );
    }
    make(Kind::Other, "", "this is no overage", FORM)
}

/// The parts of a message in backticks.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn one_of(word: &str, known: &[&str]) -> String {
    let listed: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? known are {}", listed.join(", ")),
        None => format!("write one of {}", listed.join(", ")),
    }
}

/// What stands there, such as the number 0.5.
fn article(found: &str) -> String {
    let value = found.split('`').nth(1);
    match (found.split([' ', '`']).next(), value) {
        (Some("floating" | "integer"), Some(number)) => format!("the number {number}"),
        (Some("boolean"), Some(truth)) => format!("the truth value {truth}"),
        (Some("string"), _) => format!("the text {}", found.trim_start_matches("string ")),
        (Some("map"), _) => "a map".to_owned(),
        (Some("sequence"), _) => "a list".to_owned(),
        (Some("null" | "unit"), _) => "an empty value".to_owned(),
        _ => found.to_owned(),
    }
}

/// Names of Rust types as people would call them.
fn plain(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" => "a text".to_owned(),
        "u64" | "u32" | "usize" => "a whole number of at least 0".to_owned(),
        "i32" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a map".to_owned(),
        other if other.starts_with("struct ") => "a map".to_owned(),
        other => other.to_owned(),
    }
}
