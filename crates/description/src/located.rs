//! Documents whose every key and value has a place in the text.
//!
//! [`parse`] reads YAML (one or many documents) or JSON into [`serde_json::Value`] and keeps where each key and value
//! stands. What a stricter caller may refuse and a lenient one forgive (a duplicate key, a key that is not text) becomes
//! a [`Note`]; what no caller can use is a [`SyntaxError`].
//!
//! Invariants: work and memory are bounded by [`Limits`]; JSON text gives the same value as `serde_json`, with decimals
//! rounded correctly; of a duplicate key the last value wins. YAML follows the core schema of YAML 1.2, with merge keys. Deliberately absent: writing,
//! comments, and numbers that JSON cannot hold (they stay text).

mod json;
mod scalar;
mod source;
mod spot;
mod yaml;

use std::sync::Arc;

use serde_json::Value;

use source::Source;
pub use source::{Place, Position};
use spot::Spot;

use crate::pointer;

/// What a document may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Length of the text in bytes; never above 2 GiB.
    pub bytes: usize,
    /// Nested lists and maps.
    pub depth: usize,
    /// Values in all documents of the text together.
    pub nodes: usize,
    /// Entries of a single list or map.
    pub entries: usize,
    /// Values that YAML aliases may add; long texts count as several.
    pub alias_nodes: usize,
}

impl Limits {
    /// For API descriptions: 50 MiB, depth 64, 4 million values, 50,000 entries in one list or map, 10,000 values by
    /// aliases.
    pub const DESCRIPTION: Self = Self {
        bytes: 50 << 20,
        depth: 64,
        nodes: 4_000_000,
        entries: 50_000,
        alias_nodes: 10_000,
    };
    /// For configuration files: as [`Limits::DESCRIPTION`], with a million entries in one list.
    pub const CONFIGURATION: Self = Self {
        entries: 1_000_000,
        ..Self::DESCRIPTION
    };
}

/// Text that is not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {reason}; {remedy}")]
pub struct SyntaxError {
    /// Where reading stopped.
    pub position: Position,
    /// What is wrong there.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// What is questionable about a document that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind of thing it is.
    pub kind: NoteKind,
    /// JSON pointer of the entry.
    pub pointer: String,
    /// Where it stands: the key for notes about keys.
    pub position: Position,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

/// Kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// A key stands twice in one map; the last value won.
    DuplicateKey {
        /// Where the key stood before.
        first: Position,
    },
    /// A YAML key reads as null, as a truth value or as a decimal; its text became the key.
    KeyNotText,
    /// A YAML key is a list or a map; the entry was left out.
    EntrySkipped,
    /// A number does not fit any JSON number; its text became the value.
    NumberTooLarge,
}

/// A document with positions.
#[derive(Debug, Clone)]
pub struct Document {
    value: Value,
    root: Spot,
    notes: Vec<Note>,
    source: Arc<Source>,
}

impl Document {
    /// The value.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The value, giving up the positions.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// What is questionable, in the order of the text; at most 256.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Where the value at a pointer stands; `None` where there is no such value.
    #[must_use]
    pub fn locate(&self, pointer: &str) -> Option<Place> {
        let (spot, found) = self.walk(pointer);
        found.then(|| self.source.place(spot))
    }

    /// Where the value at a pointer stands, or the deepest existing value on the way there.
    #[must_use]
    pub fn nearest(&self, pointer: &str) -> Place {
        self.source.place(self.walk(pointer).0)
    }

    /// The text of a scalar as it was written, quotes included: tells `1.10` from `1.1`.
    #[must_use]
    pub fn written(&self, pointer: &str) -> Option<&str> {
        let (spot, found) = self.walk(pointer);
        if found { self.source.slice(spot) } else { None }
    }

    fn walk(&self, pointer: &str) -> (&Spot, bool) {
        let (mut value, mut spot) = (&self.value, &self.root);
        for segment in pointer::segments(pointer) {
            let step = match value {
                Value::Object(map) => map
                    .iter()
                    .enumerate()
                    .find(|(_, (key, _))| **key == segment)
                    .map(|(at, (_, v))| (at, v)),
                Value::Array(items) => pointer::index(&segment).and_then(|at| items.get(at).map(|v| (at, v))),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            let Some((next, child)) = step.and_then(|(at, next)| Some((next, spot.children.get(at)?))) else {
                return (spot, false);
            };
            (value, spot) = (next, child);
        }
        (spot, pointer.is_empty() || pointer.starts_with('/'))
    }
}

/// Reads a text of one JSON value, or of one or many YAML documents. A text without any content has no documents.
///
/// # Errors
/// The text is not UTF-8, is neither YAML nor JSON, or exceeds a limit.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Vec<Document>, SyntaxError> {
    let text = source::text(bytes, limits)?;
    let source = Arc::new(Source::new(text));
    let parsed = parse_text(source.text(), limits).map_err(|failure| source.error(failure))?;
    let documents = parsed.into_iter().map(|raw| {
        let notes = raw.notes.into_iter().map(|note| note.place(&source)).collect();
        Document {
            value: raw.value,
            root: raw.root,
            notes,
            source: Arc::clone(&source),
        }
    });
    Ok(documents.collect())
}

/// Reads a text that holds exactly one document.
///
/// # Errors
/// As [`parse`], and when there is no document or more than one.
pub fn parse_one(bytes: &[u8], limits: &Limits) -> Result<Document, SyntaxError> {
    let mut documents = parse(bytes, limits)?;
    match (documents.pop(), documents.is_empty()) {
        (Some(document), true) => Ok(document),
        (Some(extra), false) => Err(SyntaxError {
            position: extra.nearest("").value,
            reason: "the text holds several documents".to_owned(),
            remedy: "keep one and move the others to files of their own".to_owned(),
        }),
        (None, _) => Err(SyntaxError {
            position: Position::START,
            reason: "the text is empty".to_owned(),
            remedy: "write a document".to_owned(),
        }),
    }
}

/// YAML is tried for text that begins like JSON but is none, because flow style may; not for long text, where it
/// would only make the refusal slow.
const FLOW_STYLE_BYTES: usize = 1 << 20;

fn parse_text(text: &str, limits: &Limits) -> Result<Vec<Raw>, Failure> {
    let start = text.trim_start();
    if start.starts_with('<') {
        let offset = text.len() - start.len();
        return Err(
            Failure::new(offset, "this is an HTML or XML page, neither YAML nor JSON")
                .remedy("fetch the document itself; a login page often stands in its place when a session has expired"),
        );
    }
    if !start.starts_with(['{', '[']) {
        return yaml::parse(text, limits);
    }
    json::parse(text, limits).map(|raw| vec![raw]).or_else(|failure| {
        if failure.limit || text.len() > FLOW_STYLE_BYTES {
            return Err(failure);
        }
        // What got further understood more of the text.
        let further = |other: Failure| {
            if other.limit || other.offset > failure.offset {
                other
            } else {
                failure
            }
        };
        yaml::parse(text, limits).map_err(further)
    })
}

/// A document before its notes have lines and columns.
struct Raw {
    value: Value,
    root: Spot,
    notes: Vec<RawNote>,
}

/// A note whose places are byte offsets and whose pointer grows from the inside out.
struct RawNote {
    kind: RawKind,
    offset: u32,
    subject: String,
    path: Vec<String>,
}

enum RawKind {
    Duplicate { first: u32 },
    KeyNotText,
    EntrySkipped,
    NumberTooLarge,
}

impl RawNote {
    fn new(kind: RawKind, offset: u32, subject: &str) -> Self {
        Self {
            kind,
            offset,
            subject: shorten(subject),
            path: Vec::new(),
        }
    }

    fn place(mut self, source: &Source) -> Note {
        let mut pointer = String::new();
        self.path.reverse();
        for segment in &self.path {
            pointer::push(&mut pointer, segment);
        }
        let position = source.position(self.offset);
        let subject = &self.subject;
        let (kind, reason, remedy) = match self.kind {
            RawKind::Duplicate { first } => {
                let first = source.position(first);
                let reason = format!("the key {subject:?} stands here again, first at {first}");
                (
                    NoteKind::DuplicateKey { first },
                    reason,
                    "keep one of the two; the last one wins",
                )
            }
            RawKind::KeyNotText => (
                NoteKind::KeyNotText,
                format!("the key {subject} is not text"),
                "put the key in quotes",
            ),
            RawKind::EntrySkipped => (
                NoteKind::EntrySkipped,
                format!("{subject}; the entry is left out"),
                "write a text as key",
            ),
            RawKind::NumberTooLarge => {
                let reason = format!("the number {subject} is too large and is read as text");
                (
                    NoteKind::NumberTooLarge,
                    reason,
                    "write a smaller number, or put it in quotes",
                )
            }
        };
        Note {
            kind,
            pointer,
            position,
            reason,
            remedy: remedy.to_owned(),
        }
    }
}

/// Notes of one text; more than [`Notes::MOST`] end the reading.
#[derive(Default)]
struct Notes(Vec<RawNote>);

impl Notes {
    const MOST: usize = 256;

    fn push(&mut self, note: RawNote) -> Result<(), Failure> {
        if self.0.len() >= Self::MOST {
            return Err(Failure::limit(
                note.offset as usize,
                "too many duplicate or unusable keys and numbers",
            ));
        }
        self.0.push(note);
        Ok(())
    }

    /// Prefixes the notes from `first` on with the step that leads to them.
    fn prefix(&mut self, first: usize, step: impl Fn() -> String) {
        for note in self.0.iter_mut().skip(first) {
            note.path.push(shorten(&step()));
        }
    }
}

/// Why reading stopped, at a byte offset.
struct Failure {
    offset: usize,
    reason: String,
    remedy: &'static str,
    limit: bool,
}

impl Failure {
    fn new(offset: usize, reason: impl Into<String>) -> Self {
        let remedy = "check the quotes, commas, colons and indentation of this line and of the one before";
        Self {
            offset,
            reason: shorten(&reason.into()),
            remedy,
            limit: false,
        }
    }

    fn limit(offset: usize, reason: impl Into<String>) -> Self {
        Self {
            offset,
            reason: reason.into(),
            remedy: "make the document smaller or split it",
            limit: true,
        }
    }

    fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }
}

/// The first characters of a text that came from outside, for messages.
#[must_use]
pub fn shorten(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
