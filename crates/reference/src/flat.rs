//! A schema with its references followed and its `allOf` laid side by side.
//!
//! Invariants: bounded members and depth; no schema stands in it twice, so that circles end and the properties of a
//! parent come once.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::reference::Reference;

/// The schemas that are open on the way from the root of a tree: what leads back to one is a circle.
pub(crate) type Open = Vec<*const Value>;

/// Members of one `allOf`, nested ones included.
const MOST_PARTS: usize = 128;
const DEEPEST: usize = 24;
/// References followed for one schema.
const MOST_STEPS: usize = 32;

/// See the module.
#[derive(Default)]
pub(crate) struct Flat<'r> {
    /// Own words first, then those of `allOf`: the first that has a word decides.
    parts: Vec<&'r Map<String, Value>>,
    /// The same in the order in which fields are shown: parents first.
    shown: Vec<&'r Map<String, Value>>,
    /// What references led to.
    pub(crate) targets: Vec<*const Value>,
    /// The component that the schema is, by its index.
    pub(crate) component: Option<usize>,
    /// A component that a member of `allOf` is; its name helps where the schema has none.
    pub(crate) parent: Option<usize>,
    /// `true` or `false` in place of a schema.
    pub(crate) always: Option<bool>,
    /// A reference that leads nowhere.
    pub(crate) broken: Option<String>,
    /// It leads back to an open schema.
    pub(crate) circle: bool,
    /// At most as many as there are parts: looking through them is quicker than hashing.
    seen: Vec<*const Value>,
}

/// What to do with an open schema.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circles {
    /// Stop there.
    Stop,
    /// Leave it out where it is a member of `allOf`: a variant names the schema that it is a variant of.
    Skip,
}

struct Walk<'r, 'o> {
    reference: &'r Reference,
    open: &'o [*const Value],
    circles: Circles,
}

impl<'r> Flat<'r> {
    pub(crate) fn new(reference: &'r Reference, schema: &'r Value, open: &[*const Value], circles: Circles) -> Self {
        let mut flat = Self {
            component: reference.schema_index_of(schema),
            ..Self::default()
        };
        if flat.component.is_some() {
            flat.targets.push(std::ptr::from_ref(schema));
        }
        let walk = Walk {
            reference,
            open,
            circles,
        };
        flat.add(&walk, schema, 0);
        flat
    }

    fn add(&mut self, walk: &Walk<'r, '_>, schema: &'r Value, depth: usize) {
        let Walk {
            reference,
            open,
            circles,
        } = *walk;
        let mut own: Vec<&'r Map<String, Value>> = Vec::new();
        let mut value = schema;
        for _ in 0..MOST_STEPS {
            let Value::Object(map) = value else {
                if let Value::Bool(truth) = value {
                    self.always = Some(*truth);
                } else if own.is_empty() {
                    self.broken = Some("this is no schema".to_owned());
                }
                break;
            };
            let address = std::ptr::from_ref(value);
            if self.parts.len() + own.len() >= MOST_PARTS || self.seen.contains(&address) {
                break;
            }
            self.seen.push(address);
            own.push(map);
            let Some(target) = target_of(map) else { break };
            let (part, pointer) = match reference.resolve(target) {
                Ok(found) => found,
                Err(broken) => {
                    self.broken = Some(broken.to_string());
                    break;
                }
            };
            let index = reference.schema_index_at(&pointer);
            if depth == 0 {
                self.component = self.component.or(index);
            }
            let address = std::ptr::from_ref(part);
            if open.contains(&address) {
                if circles == Circles::Skip && depth > 0 {
                    break;
                }
                self.component = self.component.or(index);
                self.circle = true;
                break;
            }
            if depth > 0 {
                self.parent = self.parent.or(index);
            }
            self.targets.push(address);
            value = part;
        }
        self.parts.extend(own.iter());
        for member in own.iter().filter_map(|map| map.get("allOf")?.as_array()).flatten() {
            if depth < DEEPEST && self.parts.len() < MOST_PARTS {
                self.add(walk, member, depth + 1);
            }
        }
        self.shown.extend(own);
    }

    /// A word of the schema.
    pub(crate) fn get(&self, word: &str) -> Option<&'r Value> {
        self.parts.iter().find_map(|part| part.get(word))
    }

    /// A word of all members.
    pub(crate) fn all<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'r Value> + 'a {
        self.parts.iter().filter_map(move |part| part.get(word))
    }

    pub(crate) fn text(&self, word: &str) -> Option<&'r str> {
        self.parts
            .iter()
            .find_map(|part| part.get(word)?.as_str())
            .filter(|text| !text.is_empty())
    }

    pub(crate) fn flag(&self, word: &str) -> bool {
        self.parts.iter().any(|part| part.get(word) == Some(&Value::Bool(true)))
    }

    /// Fields by name, of all members.
    pub(crate) fn properties(&self) -> IndexMap<&'r str, &'r Value> {
        let mut fields: IndexMap<&'r str, &'r Value> = IndexMap::new();
        for map in self.shown.iter().filter_map(|part| part.get("properties")?.as_object()) {
            for (name, schema) in map {
                // The schema's own word comes last and wins, but not by a mere remark on what is inherited.
                let known = fields.get(name.as_str()).is_some();
                if !known || !is_remark(schema) {
                    fields.insert(name, schema);
                }
            }
        }
        fields
    }

    /// Names of fields that must be there.
    pub(crate) fn required(&self) -> HashSet<&'r str> {
        let lists = self.all("required").filter_map(Value::as_array).flatten();
        lists.filter_map(Value::as_str).collect()
    }

    /// The types, by `type`, or by what the other words are about; and whether null is among them.
    pub(crate) fn types(&self) -> (Vec<&'r str>, bool) {
        let mut types: Vec<&'r str> = Vec::new();
        match self.get("type") {
            Some(Value::String(one)) => types.push(one),
            Some(Value::Array(several)) => types.extend(several.iter().filter_map(Value::as_str).take(8)),
            _ => {}
        }
        let nullable = types.contains(&"null") || self.flag("nullable") || self.flag("x-nullable");
        types.retain(|name| *name != "null");
        if types.is_empty() && !(nullable && self.get("type").is_some()) {
            types.extend(self.implied());
        }
        (types, nullable)
    }

    fn implied(&self) -> Option<&'static str> {
        let has = |words: &[&str]| words.iter().any(|word| self.get(word).is_some());
        let requires = self.get("required").is_some_and(Value::is_array);
        if requires || has(&["properties", "additionalProperties", "patternProperties"]) {
            return Some("object");
        }
        if has(&["items", "prefixItems"]) {
            return Some("array");
        }
        let sample = self.get("const").or_else(|| self.get("enum")?.as_array()?.first());
        match sample {
            Some(value) => Some(type_of(value)).filter(|name| *name != "null"),
            None if has(&["pattern", "minLength", "maxLength"]) => Some("string"),
            None if has(&["minimum", "maximum", "multipleOf"]) => Some("number"),
            None => None,
        }
    }

    /// The first list of alternatives with a choice in it, by its word; what is only there to allow null is none.
    pub(crate) fn choices(&self) -> Vec<(&'static str, &'r [Value])> {
        let mut found: Vec<(&'static str, &'r [Value])> = Vec::new();
        for part in &self.parts {
            for word in ["oneOf", "anyOf"] {
                if let Some(list) = part.get(word).and_then(Value::as_array).filter(|list| !list.is_empty()) {
                    found.push((word, list));
                }
            }
        }
        found
    }

    /// The discriminator: name of the field, and its mapping.
    pub(crate) fn discriminator(&self) -> Option<(&'r str, Option<&'r Map<String, Value>>)> {
        match self.get("discriminator")? {
            // A plain name, in 2.0.
            Value::String(name) => Some((name, None)),
            Value::Object(map) => {
                let name = map.get("propertyName")?.as_str()?;
                Some((name, map.get("mapping").and_then(Value::as_object)))
            }
            _ => None,
        }
    }
}

fn target_of(map: &Map<String, Value>) -> Option<&str> {
    let target = map.get("$ref").or_else(|| map.get("$dynamicRef"));
    target.and_then(Value::as_str)
}

/// Whether a schema only says something about another one.
fn is_remark(schema: &Value) -> bool {
    const WORDS: [&str; 8] = [
        "description",
        "title",
        "example",
        "examples",
        "default",
        "deprecated",
        "readOnly",
        "writeOnly",
    ];
    match schema {
        Value::Object(map) => map
            .keys()
            .all(|key| WORDS.contains(&key.as_str()) || key.starts_with("x-")),
        _ => true,
    }
}

/// Whether a schema allows null and nothing else.
pub(crate) fn is_null(schema: &Value) -> bool {
    let only = |value: Option<&Value>| match value {
        Some(Value::Array(items)) => items.iter().all(Value::is_null) && !items.is_empty(),
        _ => false,
    };
    schema
        .get("type")
        .is_some_and(|name| name == "null" || *name == serde_json::json!(["null"]))
        || only(schema.get("enum"))
        || schema.get("const").is_some_and(Value::is_null)
}

/// The JSON type of a value.
pub(crate) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
