//! What a check found, in the form `file:line:col: error: reason; remedy`.

use std::fmt;

use description::located::Position;
use domain::validate::Severity;
use serde_json::{Value, json};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) file: String,
    /// Where in the file; `None` for the file as a whole.
    pub(crate) position: Option<Position>,
    pub(crate) severity: Severity,
    /// JSON pointer into the merged configuration; empty where there is none.
    pub(crate) pointer: String,
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

/// The word of a severity.
const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

impl Message {
    /// An error about a file as a whole.
    pub(crate) fn of_file(file: impl Into<String>, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            position: None,
            severity: Severity::Error,
            pointer: String::new(),
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    fn json(&self) -> Value {
        json!({
            "file": self.file,
            "line": self.position.map(|at| at.line),
            "column": self.position.map(|at| at.column),
            "severity": word(self.severity),
            "pointer": self.pointer,
            "reason": self.reason,
            "remedy": self.remedy,
        })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.position {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(f, ": {}: {}", word(self.severity), self.reason)?;
        if self.remedy.is_empty() {
            Ok(())
        } else {
            write!(f, "; {}", self.remedy)
        }
    }
}

/// Messages as they are found.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<Message>);

impl Report {
    pub(crate) fn push(&mut self, message: Message) {
        if !self.0.contains(&message) {
            self.0.push(message);
        }
    }

    /// Whether something is wrong that forbids an apply.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|message| message.severity == Severity::Error)
    }

    /// In the order of the files, each from the top.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| (&a.file, a.position).cmp(&(&b.file, b.position)));
        self
    }

    pub(crate) fn into_messages(self) -> Vec<Message> {
        self.0
    }

    /// One message a line.
    pub(crate) fn text(&self) -> String {
        self.0
            .iter()
            .fold(String::new(), |text, message| format!("{text}{message}\n"))
    }

    /// How many errors and warnings.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let errors = self
            .0
            .iter()
            .filter(|message| message.severity == Severity::Error)
            .count();
        (errors, self.0.len() - errors)
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let (errors, warnings) = self.counts();
        let messages: Vec<Value> = self.0.iter().map(Message::json).collect();
        json!({"errors": errors, "warnings": warnings, "messages": messages})
    }
}

/// `1 error`, `2 errors`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {noun}s")
    }
}
