//! The files of a bundle: each is read once, and only below the folder of the first.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use super::Error;
use super::target::Target;
use crate::located::{Document, Limits, Position, SyntaxError, parse_one};
use crate::openapi::references::{decode, lookup};

/// Why a reference was not followed.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    Address,
    Outside,
    NoFile(String),
    Syntax(SyntaxError),
    NoPart,
    TooMany,
    TooDeep,
    Circle,
}

impl Refusal {
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Address => "leads to an address".to_owned(),
            Self::Outside => "leads out of the folder of the document".to_owned(),
            Self::NoFile(cause) => format!("leads to no readable file ({cause})"),
            Self::Syntax(error) => format!("leads to a file that cannot be read ({error})"),
            Self::NoPart => "leads to nothing in its file".to_owned(),
            Self::TooMany => "leads to one file or byte too many".to_owned(),
            Self::Circle => "leads back to itself".to_owned(),
            Self::TooDeep => "nests files too deeply".to_owned(),
        }
    }

    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Address => "save what stands there beside the document; addresses are never fetched",
            Self::Outside => "move the file below the folder of the document",
            Self::NoFile(_) => "correct the path, which counts from the file that holds the reference",
            Self::Syntax(_) => "repair that file",
            Self::NoPart => "define the part there, or correct what follows the #",
            Self::Circle => "let one of the references lead to a definition",
            Self::TooMany | Self::TooDeep => "join some of the files",
        }
    }
}

const MOST_FILES: usize = 2_000;

pub(super) struct Files {
    folder: PathBuf,
    root: Document,
    root_path: PathBuf,
    /// All others; their indices begin at 1.
    others: Vec<File>,
    known: HashMap<PathBuf, Result<usize, Refusal>>,
    limits: Limits,
    bytes_left: usize,
}

struct File {
    path: PathBuf,
    content: Content,
}

enum Content {
    Document(Box<Document>),
    /// Prose, such as a description in Markdown.
    Text(Value),
}

impl Content {
    fn value(&self) -> &Value {
        match self {
            Self::Document(document) => document.value(),
            Self::Text(value) => value,
        }
    }
}

impl Files {
    /// Index of the document itself.
    pub(super) const ROOT: usize = 0;

    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let read = |source| Error::Read {
            path: shown.clone(),
            source,
        };
        let path = path.canonicalize().map_err(read)?;
        let bytes = read_at_most(&path, limits.bytes).map_err(read)?;
        let document = parse_one(&bytes, limits).map_err(|source| Error::Syntax {
            path: shown.clone(),
            source,
        })?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let known = HashMap::from([(path.clone(), Ok(Self::ROOT))]);
        let bytes_left = limits.bytes.saturating_sub(bytes.len());
        Ok(Self {
            folder,
            root: document,
            root_path: path,
            others: Vec::new(),
            known,
            limits: *limits,
            bytes_left,
        })
    }

    pub(super) const fn root(&self) -> &Document {
        &self.root
    }

    fn other(&self, file: usize) -> Option<&File> {
        self.others.get(file.checked_sub(1)?)
    }

    fn path(&self, file: usize) -> &Path {
        self.other(file).map_or(&self.root_path, |other| &other.path)
    }

    /// What a reference in a file leads to; the part exists.
    pub(super) fn target(&mut self, from: usize, reference: &str) -> Result<Target, Refusal> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let file = if path.is_empty() && reference.starts_with('#') {
            from
        } else {
            self.file(from, path)?
        };
        let pointer = decode(fragment).ok_or(Refusal::NoPart)?.into_owned();
        let target = Target { file, pointer };
        if self.find(&target).is_some() {
            Ok(target)
        } else {
            Err(Refusal::NoPart)
        }
    }

    fn file(&mut self, from: usize, path: &str) -> Result<usize, Refusal> {
        let path = local(path)?;
        let base = self.path(from).parent().unwrap_or(&self.folder);
        let joined = base.join(path);
        if let Some(known) = self.known.get(&joined) {
            return known.clone();
        }
        let found = self.read(&joined);
        self.known.insert(joined, found.clone());
        found
    }

    fn read(&mut self, joined: &Path) -> Result<usize, Refusal> {
        // The plain path is judged first, so that nothing outside is even asked whether it exists.
        if !inside(joined, &self.folder) {
            return Err(Refusal::Outside);
        }
        let path = joined
            .canonicalize()
            .map_err(|error| Refusal::NoFile(error.kind().to_string()))?;
        if !path.starts_with(&self.folder) {
            return Err(Refusal::Outside);
        }
        if path == self.root_path {
            return Ok(Self::ROOT);
        }
        if let Some(index) = self.others.iter().position(|file| file.path == path) {
            return Ok(index + 1);
        }
        if self.others.len() >= MOST_FILES {
            return Err(Refusal::TooMany);
        }
        let bytes = read_at_most(&path, self.bytes_left).map_err(|error| match error.kind() {
            std::io::ErrorKind::FileTooLarge => Refusal::TooMany,
            kind => Refusal::NoFile(kind.to_string()),
        })?;
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len());
        let content = content(&path, &bytes, &self.limits)?;
        self.others.push(File { path, content });
        Ok(self.others.len())
    }

    fn find(&self, target: &Target) -> Option<&Value> {
        let value = self
            .other(target.file)
            .map_or_else(|| self.root.value(), |other| other.content.value());
        lookup(value, &target.pointer)
    }

    pub(super) fn part(&self, target: &Target) -> Option<Value> {
        self.find(target).cloned()
    }

    /// A name for a part: the last word of its pointer, or the stem of its file.
    pub(super) fn name(&self, target: &Target) -> String {
        let stem = || {
            self.path(target.file)
                .file_stem()
                .and_then(|stem| stem.to_str())
                .map(str::to_owned)
        };
        let last = crate::pointer::segments(&target.pointer)
            .last()
            .map(std::borrow::Cow::into_owned);
        let name = last.or_else(stem).unwrap_or_default();
        let plain: String = name
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || "._-".contains(c) {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        if plain.is_empty() { "part".to_owned() } else { plain }
    }

    /// The path of a file from the folder on.
    pub(super) fn shown(&self, file: usize) -> String {
        let path = self.path(file);
        path.strip_prefix(&self.folder).unwrap_or(path).display().to_string()
    }

    pub(super) fn position(&self, file: usize, pointer: &str) -> Option<Position> {
        let document = match self.other(file).map(|other| &other.content) {
            None => &self.root,
            Some(Content::Document(document)) => document,
            Some(Content::Text(_)) => return None,
        };
        Some(document.nearest(pointer).shown())
    }
}

/// A relative path of a reference, decoded.
fn local(path: &str) -> Result<PathBuf, Refusal> {
    let scheme = path.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    });
    if is_scheme || path.starts_with("//") {
        return Err(Refusal::Address);
    }
    let decoded = decode(path.split('?').next().unwrap_or_default()).ok_or(Refusal::Outside)?;
    if decoded.is_empty() {
        return Err(Refusal::NoPart);
    }
    if decoded.contains('\0') || decoded.contains('\\') || Path::new(decoded.as_ref()).is_absolute() {
        return Err(Refusal::Outside);
    }
    Ok(PathBuf::from(decoded.into_owned()))
}

/// Whether a path stays in a folder when `..` is taken by name.
fn inside(path: &Path, folder: &Path) -> bool {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(component),
        }
    }
    plain.starts_with(folder)
}

fn content(path: &Path, bytes: &[u8], limits: &Limits) -> Result<Content, Refusal> {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    if matches!(extension.to_ascii_lowercase().as_str(), "md" | "markdown" | "txt") {
        let text = std::str::from_utf8(bytes).map_err(|_| Refusal::NoFile("not UTF-8".to_owned()))?;
        return Ok(Content::Text(Value::String(text.to_owned())));
    }
    parse_one(bytes, limits)
        .map(|document| Content::Document(Box::new(document)))
        .map_err(Refusal::Syntax)
}

/// Reads a regular file; pipes and devices would block or never end.
fn read_at_most(path: &Path, most: usize) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidInput,
            "this is no regular file",
        ));
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(std::io::Error::new(
            std::io::ErrorKind::FileTooLarge,
            "the file is too large",
        ));
    }
    Ok(bytes)
}
