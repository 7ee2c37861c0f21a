//! Findings as they are made.

use super::{Finding, Severity};

/// A report longer than this helps nobody.
const MOST: usize = 500;

/// A list of findings with an end.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    more: usize,
}

impl Findings {
    pub(super) fn error(&mut self, pointer: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) {
        self.push(Finding {
            severity: Severity::Error,
            pointer: pointer.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        });
    }

    pub(super) fn warning(&mut self, pointer: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) {
        self.push(Finding {
            severity: Severity::Warning,
            pointer: pointer.into(),
            reason: reason.into(),
            remedy: remedy.into(),
        });
    }

    /// Something that may be written one day.
    pub(super) fn not_built(&mut self, pointer: impl Into<String>, what: &str) {
        self.error(pointer, format!("{what} is not supported yet"), "remove it");
    }

    pub(super) fn push(&mut self, finding: Finding) {
        if self.list.len() < MOST {
            self.list.push(finding);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn into_list(mut self) -> Vec<Finding> {
        if self.more > 0 {
            self.list.push(Finding {
                severity: Severity::Error,
                pointer: String::new(),
                reason: format!("{} further findings are not listed", self.more),
                remedy: "repair the listed ones and check again".to_owned(),
            });
        }
        self.list
    }
}

/// One more segment of a pointer, escaped.
pub(super) fn below(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

/// The first characters of a text that came from outside.
pub(super) fn shown(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}
