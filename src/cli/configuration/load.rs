//! Files of apply as one checked document.

use std::path::Path;

use domain::config::Document;
use domain::validate::{Around, Finding, References, validate};

use super::merge::Merged;
use super::report::Report;
use super::{descriptions, gather, merge, secrets, typed};

/// Where names may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Only into the files.
    Files,
    /// Into what the server has as well, which checks them.
    Server,
}

/// Files of apply.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// With API descriptions in place, and with secrets.
    pub(crate) document: Document,
    pub(crate) report: Report,
    typed: typed::Typed,
    merged: Merged,
}

impl Loaded {
    /// What the server says about a place in the document, as a message about a file.
    pub(crate) fn message(&self, pointer: &str, reason: String) -> super::report::Message {
        let at = shown(&self.merged, self.typed.written(pointer));
        let (reason, remedy) = match reason.split_once("; ").or_else(|| reason.split_once(": ")) {
            Some((reason, remedy)) => (reason.to_owned(), remedy.to_owned()),
            None => (reason, String::new()),
        };
        self.merged
            .message(domain::validate::Severity::Error, &at, (reason, remedy))
    }
}

/// A secret that came from a variable is shown where the variable is named.
fn shown(merged: &Merged, pointer: String) -> String {
    let named = format!("{pointer}_env");
    let is_secret = pointer.ends_with("/secret") || pointer.ends_with("/value");
    if is_secret && merged.written(&named).is_some() {
        named
    } else {
        pointer
    }
}

/// Reads and checks the files of a path; `-` is standard input.
pub(crate) fn load(path: &Path, scope: Scope) -> Loaded {
    let mut report = Report::default();
    let files = gather::gather(path, &mut report);
    let merged = merge::merge(files, &mut report);
    let mut typed = typed::read(&merged, &mut report);
    let operations = descriptions::resolve(&mut typed, &merged, &mut report);
    // What comes in on standard input may be an export, whose secrets the server has already.
    let missing = match scope {
        Scope::Server if path.as_os_str() == "-" => secrets::Missing::LeftToServer,
        Scope::Server | Scope::Files => secrets::Missing::Refused,
    };
    secrets::resolve(&mut typed, (&merged, missing), &mut report);
    let document = std::mem::take(&mut typed.document);
    // What could not be read is missing for those that refer to it: one mistake is told once.
    let references = if scope == Scope::Server || report.has_errors() {
        References::Unchecked
    } else {
        References::Within
    };
    let around = Around {
        references,
        operations: &|api| operations.of(api),
    };
    for Finding {
        severity,
        pointer,
        reason,
        remedy,
    } in validate(&document, &around)
    {
        let pointer = shown(&merged, typed.written(&pointer));
        report.push(merged.message(severity, &pointer, (reason, remedy)));
    }
    Loaded {
        document,
        report: report.sorted(),
        typed,
        merged,
    }
}
