//! Which files belong to a configuration, read with the places of their parts.
//!
//! A folder is read with all folders below it. API descriptions that lie among the files, and the parts that they are
//! split into, are recognised and left to the APIs that name them. Names that begin with a dot and links to folders are
//! passed over.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use description::located::{Document, Limits, parse};
use domain::validate::Severity;
use serde_json::Value;

use super::report::{Message, Report};

const DEEPEST: usize = 16;
const MOST_FILES: usize = 10_000;

/// What standard input is called in messages.
const STDIN: &str = "<stdin>";

/// A file of configuration.
#[derive(Debug)]
pub(crate) struct File {
    /// As messages name it.
    pub(crate) shown: String,
    /// The folder from which relative paths resolve.
    pub(crate) folder: PathBuf,
    pub(crate) documents: Vec<Document>,
}

/// The files of a path: `-` is standard input.
pub(crate) fn gather(path: &Path, report: &mut Report) -> Vec<File> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        let limit = u64::try_from(Limits::CONFIGURATION.bytes).unwrap_or(u64::MAX);
        return match std::io::stdin()
            .lock()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
        {
            Ok(_) => read(&bytes, STDIN, PathBuf::from("."), report).into_iter().collect(),
            Err(error) => {
                report.push(Message::of_file(
                    STDIN,
                    format!("cannot be read: {error}"),
                    "write the files to it",
                ));
                Vec::new()
            }
        };
    }
    if path.is_dir() {
        return folder(path, report);
    }
    let file = open(path, report);
    if let Some(document) = file
        .as_ref()
        .and_then(|file| file.documents.iter().find(|one| is_description(one.value())))
    {
        report.push(Message {
            position: Some(document.nearest("").shown()),
            ..Message::of_file(
                path.display().to_string(),
                "this is an OpenAPI document and no configuration",
                format!(
                    "make one of it: tollgate import openapi {} --upstream URL",
                    path.display()
                ),
            )
        });
        return Vec::new();
    }
    file.into_iter().collect()
}

fn folder(path: &Path, report: &mut Report) -> Vec<File> {
    let mut paths = Vec::new();
    if let Err((path, error)) = walk(path, DEEPEST, &mut paths) {
        let shown = path.display().to_string();
        report.push(Message::of_file(
            shown,
            format!("cannot be read: {error}"),
            "check its permissions",
        ));
    }
    let mut found = Vec::new();
    for path in paths {
        let mut own = Report::default();
        let file = open(&path, &mut own);
        found.push((path, file, own));
    }
    let foreign = foreign(
        found
            .iter()
            .filter_map(|(path, file, _)| Some((path.as_path(), file.as_ref()?))),
    );
    let mut files = Vec::new();
    for (path, file, own) in found {
        let file_is_foreign = file
            .as_ref()
            .is_some_and(|file| file.documents.iter().any(|one| is_description(one.value())));
        if !file_is_foreign && !foreign.contains(&resolved(&path)) {
            own.into_messages().into_iter().for_each(|message| report.push(message));
            files.extend(file);
        }
    }
    if files.is_empty() && !report.has_errors() {
        let shown = path.display().to_string();
        report.push(Message::of_file(
            shown,
            "no configuration is in this folder",
            "write .yaml, .yml or .json files into it",
        ));
    }
    files
}

fn walk(dir: &Path, depth: usize, out: &mut Vec<PathBuf>) -> Result<(), (PathBuf, std::io::Error)> {
    let failed = |error| (dir.to_owned(), error);
    let entries = std::fs::read_dir(dir)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let is_link = path.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
        if hidden || out.len() >= MOST_FILES {
            continue;
        }
        if path.is_dir() {
            if !is_link && depth > 0 {
                walk(&path, depth - 1, out)?;
            }
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        {
            out.push(path);
        }
    }
    Ok(())
}

fn open(path: &Path, report: &mut Report) -> Option<File> {
    let shown = path.display().to_string();
    match std::fs::read(path) {
        Ok(bytes) => read(
            &bytes,
            &shown,
            path.parent().unwrap_or(Path::new("")).to_owned(),
            report,
        ),
        Err(error) => {
            let remedy = "name a file or folder that exists and that you may read";
            report.push(Message::of_file(shown, format!("cannot be read: {error}"), remedy));
            None
        }
    }
}

fn read(bytes: &[u8], shown: &str, folder: PathBuf, report: &mut Report) -> Option<File> {
    match parse(bytes, &Limits::CONFIGURATION) {
        Ok(documents) => Some(File {
            shown: shown.to_owned(),
            folder,
            documents,
        }),
        Err(error) => {
            report.push(Message {
                position: Some(error.position),
                severity: Severity::Error,
                ..Message::of_file(shown, error.reason, error.remedy)
            });
            None
        }
    }
}

fn is_description(value: &Value) -> bool {
    ["openapi", "swagger"]
        .iter()
        .any(|key| value.get(key).is_some_and(|version| !version.is_object()))
}

/// Files that an API names as its description, and all that descriptions refer to.
fn foreign<'a>(files: impl Iterator<Item = (&'a Path, &'a File)>) -> HashSet<PathBuf> {
    let mut foreign = HashSet::new();
    for (path, file) in files {
        let folder = path.parent().unwrap_or(Path::new(""));
        for document in file.documents.iter().map(Document::value) {
            let apis = document.get("apis").and_then(Value::as_array).into_iter().flatten();
            let named = apis.filter_map(|api| api.get("openapi")?.as_str());
            foreign.extend(named.map(|name| resolved(&folder.join(name))));
            references(document, folder, &mut foreign);
        }
    }
    foreign
}

/// The files that `$ref` leads to. The depth of documents is bounded by their reading.
fn references(value: &Value, folder: &Path, out: &mut HashSet<PathBuf>) {
    match value {
        Value::Object(map) => {
            let file = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.split('#').next());
            out.extend(
                file.filter(|file| !file.is_empty())
                    .map(|file| resolved(&folder.join(file))),
            );
            map.values().for_each(|value| references(value, folder, out));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, folder, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// One spelling of a path.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
