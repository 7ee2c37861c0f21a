//! API descriptions: the document in place of the path of its file, and what is wrong with it.

use std::collections::HashMap;
use std::path::Path;

use description::bundle::{Error, bundle};
use description::located::{self, Limits};
use description::openapi::{Description, Version, load, read, typed_check};
use description::{Fault, Severity, fault};
use domain::config::Api;
use domain::validate::Severity as Grade;
use serde_json::Value;

use super::merge::Merged;
use super::report::{Message, Report};
use super::typed::Typed;

/// Operation keys by the name of their API; `None` where the document could not be read.
#[derive(Debug, Default)]
pub(crate) struct Operations(HashMap<String, Option<Vec<String>>>);

impl Operations {
    /// The operation keys of an API.
    pub(crate) fn of(&self, api: &Api) -> Option<Vec<String>> {
        self.0.get(&api.name).cloned().flatten()
    }
}

/// Puts the documents in the place of their paths.
pub(crate) fn resolve(typed: &mut Typed, merged: &Merged, report: &mut Report) -> Operations {
    let mut operations = Operations::default();
    let mut document = std::mem::take(&mut typed.document);
    for (index, api) in document.apis.iter_mut().enumerate() {
        let at = typed.written(&format!("/apis/{index}/openapi"));
        let keys = match api.openapi.take() {
            None => Some(Vec::new()),
            Some(Value::String(path)) => {
                let read = from_file(&path, &at, merged, report);
                let keys = read.as_ref().map(|(_, description)| keys(description));
                api.openapi = read.map(|(value, _)| value);
                keys
            }
            Some(value) => {
                let description = read(&value);
                inline(&description, &at, merged, report);
                api.openapi = Some(value);
                Some(keys(&description))
            }
        };
        operations.0.insert(api.name.clone(), keys);
    }
    typed.document = document;
    operations
}

fn keys(description: &Description) -> Vec<String> {
    description
        .operations
        .iter()
        .map(|operation| operation.key.clone())
        .collect()
}

fn inline(description: &Description, at: &str, merged: &Merged, report: &mut Report) {
    for fault in &description.faults {
        let pointer = format!("{at}{}", fault.pointer);
        let grade = grade(fault, description);
        report.push(merged.message(grade, &pointer, (fault.reason.clone(), fault.remedy.clone())));
    }
}

/// What is wrong with a description leaves out parts of it; only a document of no known version is of no use.
fn grade(fault: &Fault, description: &Description) -> Grade {
    let useless = description.version == Version::Unknown && fault.severity == Severity::Error;
    if useless { Grade::Error } else { Grade::Warning }
}

fn from_file(path: &str, at: &str, merged: &Merged, report: &mut Report) -> Option<(Value, Description)> {
    let full = merged.folder(at).unwrap_or(Path::new("")).join(path);
    let file = full.display().to_string();
    match open(&full) {
        Ok((value, description)) => {
            for fault in &description.faults {
                report.push(in_file(&full, fault, grade(fault, &description)));
            }
            let usable = description.version != Version::Unknown;
            usable.then_some((value, description))
        }
        Err(Error::Read { source, .. }) => {
            let reason = format!("the OpenAPI document {file} cannot be read: {source}");
            let remedy = "write its path from the folder of this file on";
            report.push(merged.message(Grade::Error, at, (reason, remedy.to_owned())));
            None
        }
        Err(Error::Syntax { source, .. }) => {
            let position = Some(source.position);
            report.push(Message {
                position,
                ..Message::of_file(file, source.reason, source.remedy)
            });
            None
        }
    }
}

/// A fault in a file; bundling names the file of a part in front of the reason.
pub(crate) fn in_file(root: &Path, fault: &Fault, severity: Grade) -> Message {
    let part = fault.reason.split_once(": the reference ");
    let (file, reason) = match part {
        Some((part, rest)) => (
            root.parent().unwrap_or(Path::new("")).join(part),
            format!("the reference {rest}"),
        ),
        None => (root.to_owned(), fault.reason.clone()),
    };
    let file = file.display().to_string();
    Message {
        position: fault.position,
        severity,
        ..Message::of_file(file, reason, fault.remedy.as_str())
    }
}

/// Reads a description with all its files and finds what is wrong with it.
pub(crate) fn open(path: &Path) -> Result<(Value, Description), Error> {
    let bundled = bundle(path, &Limits::DESCRIPTION)?;
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.display().to_string(),
        source,
    })?;
    let mut description = match located::parse_one(&bytes, &Limits::DESCRIPTION) {
        Ok(document) if *document.value() == bundled.value => load(&bytes, &Limits::DESCRIPTION).description,
        Ok(document) => located_description(&bundled.value, &document),
        Err(_) => read(&bundled.value),
    };
    let mut strict = typed_check(&bundled.value);
    if let Ok(document) = located::parse_one(&bytes, &Limits::DESCRIPTION) {
        fault::locate(&mut strict, &document);
    }
    description.faults.extend(bundled.faults);
    description.faults.extend(strict);
    Ok((bundled.value, description))
}

/// Parts that came from other files are shown where the document refers to them.
fn located_description(value: &Value, document: &located::Document) -> Description {
    let mut description = read(value);
    fault::locate(&mut description.faults, document);
    description
}
