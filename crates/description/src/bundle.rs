//! One document out of a description that is split over a folder.
//!
//! [`bundle`] replaces references to files below the folder of the document. Schemas, parameters, responses and the
//! like move to the components of the document under the name of their file, everything else to the place of its first
//! use; each part is copied once and all further references, circles among them, lead to that copy. So the result grows
//! only with the files.
//!
//! Never read: files outside of the folder, whether by `..`, by an absolute path or by a symbolic link, what is no regular file, and
//! addresses. Such references stay as they are and are reported.

mod files;
mod target;

use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;

use serde_json::{Map, Value};

use crate::fault::{Fault, Faults};
use crate::located::{Limits, SyntaxError, shorten};
use crate::openapi::references::{Keys, lookup};
use crate::pointer;
use files::{Files, Refusal};
use target::{Kind, Target};

/// A bundled description.
#[derive(Debug, Clone)]
pub struct Bundled {
    /// The document.
    pub value: Value,
    /// What could not be put in, with positions in the file that the reason names. The pointer leads into the bundled
    /// document.
    pub faults: Vec<Fault>,
}

/// Why nothing could be bundled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The document cannot be read from disk.
    #[error("{path} cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The document is no YAML or JSON.
    #[error("{path}: {source}")]
    Syntax {
        /// The file.
        path: String,
        /// Where and why.
        source: SyntaxError,
    },
}

/// Bundles the document at `path` with the files below its folder. Limits hold for each file, the number of bytes for
/// all of them together.
///
/// # Errors
/// The document itself cannot be read. Trouble with other files becomes faults.
pub fn bundle(path: &Path, limits: &Limits) -> Result<Bundled, Error> {
    let files = Files::open(path, limits)?;
    let root = files.root().value().clone();
    let swagger = root.get("swagger").is_some();
    let mut bundler = Bundler {
        files,
        swagger,
        placed: HashMap::new(),
        taken: HashSet::new(),
        numbers: HashMap::new(),
        active: Vec::new(),
        queue: VecDeque::new(),
        hoisted: Vec::new(),
        faults: Faults::default(),
    };
    bundler.reserve_components(&root);
    let place = Place {
        file: Files::ROOT,
        source: String::new(),
        out: String::new(),
        depth: 0,
    };
    let mut value = bundler.value(&root, &place, Keys::Fields);
    while let Some((target, out)) = bundler.queue.pop_front() {
        let place = Place {
            file: target.file,
            source: target.pointer.clone(),
            out: out.clone(),
            depth: 0,
        };
        let content = bundler.content(&target, &place);
        bundler.hoisted.push((out, content));
    }
    for (out, content) in std::mem::take(&mut bundler.hoisted) {
        put(&mut value, &out, content);
    }
    Ok(Bundled {
        value,
        faults: bundler.faults.into_list(),
    })
}

/// Puts a component where its pointer says; maps on the way are made.
fn put(root: &mut Value, out: &str, content: Value) {
    let mut slot = root;
    for segment in pointer::segments(out) {
        let Value::Object(map) = slot else { return };
        slot = map
            .entry(segment.into_owned())
            .or_insert_with(|| Value::Object(Map::new()));
    }
    *slot = content;
}

/// Where the walk stands.
#[derive(Clone)]
struct Place {
    file: usize,
    /// Pointer into the file.
    source: String,
    /// Pointer into the bundled document.
    out: String,
    /// Files that were put into each other on the way here.
    depth: usize,
}

impl Place {
    fn below(&self, segment: &str) -> Self {
        let source = pointer::join(&self.source, segment);
        Self {
            file: self.file,
            source,
            out: pointer::join(&self.out, segment),
            depth: self.depth,
        }
    }
}

struct Bundler {
    files: Files,
    swagger: bool,
    /// Where each part of another file has its copy.
    placed: HashMap<Target, String>,
    /// Components that were made, and the last number given to each name.
    taken: HashSet<String>,
    numbers: HashMap<String, u32>,
    /// Parts that are being copied, from the outside in.
    active: Vec<Target>,
    /// Components that still have to be copied.
    queue: VecDeque<(Target, String)>,
    hoisted: Vec<(String, Value)>,
    faults: Faults,
}

/// Files put into each other at most.
const DEEPEST: usize = 8;

impl Bundler {
    /// A component that is nothing but a reference to a file is the place for the content of that file.
    fn reserve_components(&mut self, root: &Value) {
        for kind in Kind::COMPONENTS {
            let Some(base) = kind.base(self.swagger) else { continue };
            let entries = lookup(root, base).and_then(Value::as_object).into_iter().flatten();
            for (name, value) in entries {
                let reference = value
                    .get("$ref")
                    .and_then(Value::as_str)
                    .filter(|text| !text.starts_with('#'));
                let Some(Ok(target)) = reference.map(|text| self.files.target(Files::ROOT, text)) else {
                    continue;
                };
                if target.file != Files::ROOT {
                    self.placed.entry(target).or_insert_with(|| pointer::join(base, name));
                }
            }
        }
    }

    fn value(&mut self, value: &Value, place: &Place, keys: Keys) -> Value {
        match value {
            Value::Object(_) | Value::Array(_) if keys == Keys::Opaque => value.clone(),
            Value::Object(map) => {
                let reference = map.get("$ref").and_then(Value::as_str).filter(|_| keys == Keys::Fields);
                match reference.filter(|text| place.file != Files::ROOT || !text.starts_with('#')) {
                    Some(reference) => self.reference(map, reference, place),
                    None => self.map(map, place, keys),
                }
            }
            Value::Array(items) => {
                let copy = |(at, item)| self.value(item, &place.below(&usize::to_string(&at)), keys);
                Value::Array(items.iter().enumerate().map(copy).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    fn map(&mut self, map: &Map<String, Value>, place: &Place, keys: Keys) -> Value {
        let mut copy = Map::new();
        for (key, value) in map {
            let below = place.below(key);
            let mapped = match value.as_str() {
                Some(text) if place.out.ends_with("/discriminator/mapping") => self.mapping(text, &below),
                _ => self.value(value, &below, keys.below(key, value)),
            };
            copy.insert(key.clone(), mapped);
        }
        Value::Object(copy)
    }

    /// A discriminator names schemas by plain name or by reference.
    fn mapping(&mut self, text: &str, place: &Place) -> Value {
        let path = Path::new(text.split('#').next().unwrap_or_default());
        let known = |extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known);
        let is_file = text.contains('/') || path.extension().is_some_and(known);
        if !is_file || (text.starts_with('#') && place.file == Files::ROOT) {
            return Value::String(text.to_owned());
        }
        match self.files.target(place.file, text) {
            Ok(target) => Value::String(format!("#{}", encode(&self.lead(&target, Kind::Schema, place)))),
            Err(refusal) => {
                self.report(&refusal, text, place);
                Value::String(text.to_owned())
            }
        }
    }

    fn reference(&mut self, map: &Map<String, Value>, reference: &str, place: &Place) -> Value {
        let target = match self.files.target(place.file, reference) {
            Ok(target) => target,
            Err(refusal) => {
                self.report(&refusal, reference, place);
                return Value::Object(map.clone());
            }
        };
        let kind = Kind::at(&place.out);
        let known = self.placed.get(&target).is_some_and(|out| *out != place.out);
        let in_place = !known && (kind.base(self.swagger).is_none() || self.is_reserved(&target, place));
        if !in_place || target.file == Files::ROOT {
            let out = self.lead(&target, kind, place);
            let content = Map::from_iter([("$ref".to_owned(), Value::String(format!("#{}", encode(&out))))]);
            return self.with_siblings(map, content, place);
        }
        let circle = self.is_reserved(&target, place) && self.active.contains(&target);
        if circle || place.depth >= DEEPEST {
            self.report(
                if circle { &Refusal::Circle } else { &Refusal::TooDeep },
                reference,
                place,
            );
            return Value::Object(map.clone());
        }
        self.placed.insert(target.clone(), place.out.clone());
        let (file, source, out) = (target.file, target.pointer.clone(), place.out.clone());
        match self.content(
            &target,
            &Place {
                file,
                source,
                out,
                depth: place.depth + 1,
            },
        ) {
            Value::Object(content) => self.with_siblings(map, content, place),
            other => other,
        }
    }

    fn is_reserved(&self, target: &Target, place: &Place) -> bool {
        self.placed.get(target).is_some_and(|out| *out == place.out)
    }

    /// The pointer of the copy of a part; a component is made where there is none yet.
    fn lead(&mut self, target: &Target, kind: Kind, place: &Place) -> String {
        if target.file == Files::ROOT {
            return target.pointer.clone();
        }
        if let Some(out) = self.placed.get(target) {
            return out.clone();
        }
        let Some(base) = kind.base(self.swagger) else {
            return place.out.clone();
        };
        let out = self.free_pointer(base, &self.files.name(target));
        self.placed.insert(target.clone(), out.clone());
        self.queue.push_back((target.clone(), out.clone()));
        out
    }

    fn free_pointer(&mut self, base: &str, wanted: &str) -> String {
        let wanted = pointer::join(base, wanted);
        let mut out = wanted.clone();
        while self.taken.contains(&out) || lookup(self.files.root().value(), &out).is_some() {
            let number = self.numbers.entry(wanted.clone()).or_insert(1);
            *number = number.saturating_add(1);
            out = format!("{wanted}{number}");
        }
        self.taken.insert(out.clone());
        out
    }

    fn content(&mut self, target: &Target, place: &Place) -> Value {
        let Some(value) = self.files.part(target) else {
            // Found when the target was made; kept as a reference should that ever change.
            return Value::Null;
        };
        self.active.push(target.clone());
        let copy = self.value(&value, place, Keys::Fields);
        self.active.pop();
        copy
    }

    /// Fields beside a reference win over those of the content.
    fn with_siblings(&mut self, map: &Map<String, Value>, mut content: Map<String, Value>, place: &Place) -> Value {
        for (key, value) in map.iter().filter(|(key, _)| *key != "$ref") {
            let copy = self.value(value, &place.below(key), Keys::Fields.below(key, value));
            content.insert(key.clone(), copy);
        }
        Value::Object(content)
    }

    fn report(&mut self, refusal: &Refusal, reference: &str, place: &Place) {
        let file = self.files.shown(place.file);
        let reason = format!("{file}: the reference {:?} {}", shorten(reference), refusal.reason());
        let mut fault = Fault::error(pointer::join(&place.out, "$ref"), reason, refusal.remedy());
        fault.position = self.files.position(place.file, &pointer::join(&place.source, "$ref"));
        self.faults.push(fault);
    }
}

/// A pointer as the fragment of an address: what readers of references would decode is escaped.
fn encode(out: &str) -> String {
    out.replace('%', "%25").replace(' ', "%20").replace('"', "%22")
}

#[cfg(test)]
mod tests;
