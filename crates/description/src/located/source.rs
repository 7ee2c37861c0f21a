//! The text of a document, and lines and columns in it.
//!
//! Offsets are bytes and fit `u32`, because [`text`] refuses longer texts.

use std::sync::OnceLock;

use super::spot::Spot;
use super::{Failure, Limits, SyntaxError};

/// A place in a text. Both count from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Position {
    /// The first character.
    pub const START: Self = Self { line: 1, column: 1 };
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The key; `None` for entries of a list and for the whole document.
    pub key: Option<Position>,
    /// The value. Behind a YAML alias or merge key: where the value was written.
    pub value: Position,
}

impl Place {
    /// What a reader should look at: the key where there is one.
    #[must_use]
    pub fn shown(&self) -> Position {
        self.key.unwrap_or(self.value)
    }
}

/// A text with an index of its lines, made when first needed.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    lines: OnceLock<Vec<u32>>,
}

impl Source {
    pub(super) const fn new(text: String) -> Self {
        Self {
            text,
            lines: OnceLock::new(),
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn slice(&self, spot: &Spot) -> Option<&str> {
        self.text.get(spot.start as usize..spot.end as usize)
    }

    pub(super) fn place(&self, spot: &Spot) -> Place {
        Place {
            key: spot.key().map(|key| self.position(key)),
            value: self.position(spot.start),
        }
    }

    pub(super) fn position(&self, offset: u32) -> Position {
        let lines = self.lines.get_or_init(|| {
            let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes());
            std::iter::once(0).chain(breaks.map(|at| narrow(at + 1))).collect()
        });
        let line = lines.partition_point(|start| *start <= offset).max(1);
        let start = lines.get(line - 1).copied().unwrap_or(0);
        let before = self
            .text
            .as_bytes()
            .get(start as usize..offset as usize)
            .unwrap_or_default();
        // Bytes that begin a character: all but UTF-8 continuations.
        let characters = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Position {
            line: narrow(line),
            column: narrow(characters).saturating_add(1),
        }
    }

    pub(super) fn error(&self, failure: Failure) -> SyntaxError {
        SyntaxError {
            position: self.position(narrow(failure.offset)),
            reason: failure.reason,
            remedy: failure.remedy.to_owned(),
        }
    }
}

/// An offset as documents keep it; longer texts were refused before.
pub(super) fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX - 1)
}

const LONGEST: usize = 1 << 31;

/// The text of a file: UTF-8, with or without a byte order mark, without NUL.
pub(super) fn text(bytes: &[u8], limits: &Limits) -> Result<String, SyntaxError> {
    let most = limits.bytes.min(LONGEST);
    let refuse = |position, reason: String, remedy: &str| {
        Err(SyntaxError {
            position,
            reason,
            remedy: remedy.to_owned(),
        })
    };
    if bytes.len() > most {
        let reason = format!("the text has {} bytes, more than the limit of {most}", bytes.len());
        return refuse(Position::START, reason, "split the document");
    }
    if bytes.starts_with(&[0xFE, 0xFF]) || bytes.starts_with(&[0xFF, 0xFE]) {
        return refuse(Position::START, "the text is UTF-16".to_owned(), "save it as UTF-8");
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    let end_of_text = |end: usize| {
        let sound = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned();
        let end = narrow(sound.len());
        Source::new(sound).position(end)
    };
    if let Some(at) = memchr::memchr(0, bytes) {
        return refuse(
            end_of_text(at),
            "there is a NUL byte".to_owned(),
            "remove it, or save the file as UTF-8",
        );
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let position = end_of_text(error.valid_up_to());
            refuse(position, "this byte is not UTF-8".to_owned(), "save the file as UTF-8")
        }
    }
}
