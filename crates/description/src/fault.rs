//! What is wrong with a description, in words that lead to its repair.

use crate::located::{Document, Position};

/// How bad a fault is. No fault by itself forbids an import: routes of the sound parts still result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The part works as described in the reason.
    Warning,
    /// The part is left out, or something that it names is missing.
    Error,
}

impl Severity {
    /// `warning` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// JSON pointer of the part; empty for the document as a whole.
    pub pointer: String,
    /// Line and column, where the text of the document was at hand.
    pub position: Option<Position>,
    /// What is wrong.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl Fault {
    /// A fault whose part is left out or missing.
    pub fn error(pointer: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Error, pointer.into(), reason.into(), remedy.into())
    }

    /// A fault that the product works around.
    pub fn warning(pointer: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Severity::Warning, pointer.into(), reason.into(), remedy.into())
    }

    fn new(severity: Severity, pointer: String, reason: String, remedy: String) -> Self {
        Self {
            severity,
            pointer,
            position: None,
            reason,
            remedy,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}: ", self.severity.as_str())?;
        if !self.pointer.is_empty() {
            write!(f, "{}: ", self.pointer)?;
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// Gives each fault without a position the place of its pointer, or of the nearest part that exists.
pub fn locate(faults: &mut [Fault], document: &Document) {
    for fault in faults {
        fault
            .position
            .get_or_insert_with(|| document.nearest(&fault.pointer).shown());
    }
}

/// Faults of one reading, at most [`Faults::MOST`]; the rest are only counted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    list: Vec<Fault>,
    more: usize,
}

impl Faults {
    /// A report longer than this helps nobody, and locating each fault costs time.
    pub(crate) const MOST: usize = 500;

    pub(crate) fn push(&mut self, mut fault: Fault) {
        if self.list.len() < Self::MOST {
            trim(&mut fault.pointer);
            self.list.push(fault);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.list.len() >= Self::MOST
    }

    pub(crate) fn into_list(mut self) -> Vec<Fault> {
        if self.more > 0 {
            let reason = format!("{} further faults are not listed", self.more);
            self.list
                .push(Fault::warning("", reason, "repair the listed ones and check again"));
        }
        self.list
    }
}

/// Shortens a pointer that nobody would read to one of the parts above.
fn trim(pointer: &mut String) {
    const LONGEST: usize = 2_048;
    while pointer.len() > LONGEST {
        pointer.truncate(pointer.rfind('/').unwrap_or_default());
    }
}
