//! Who uses which schema, and which schemas build on which.
//!
//! References are followed through everything that is no schema (parameters, responses, bodies), so that an operation
//! that answers with a shared response uses its schema. Work is bounded: beyond the bound lists stay incomplete.

use std::collections::{HashMap, HashSet};

use description::openapi::references::{Keys, resolve};
use serde_json::{Map, Value};

/// Values that may be looked at, shared parts counted at each use.
const MOST_STEPS: usize = 20_000_000;
const DEEPEST: usize = 256;

/// Names are the user's to know; here schemas and operations are indices.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses {
    /// By schema: operations that use it.
    pub(crate) operations: Vec<Vec<usize>>,
    /// By schema: webhooks that use it.
    pub(crate) webhooks: Vec<Vec<usize>>,
    /// By schema: schemas that contain it.
    pub(crate) schemas: Vec<Vec<usize>>,
    /// By schema: schemas whose `allOf` names it.
    pub(crate) heirs: Vec<Vec<usize>>,
}

pub(crate) struct Counter<'a> {
    pub(crate) root: &'a Value,
    /// Schemas by their pointers.
    pub(crate) schemas: &'a HashMap<String, usize>,
    /// Prefix of the pointers of schemas.
    pub(crate) base: &'a str,
    known: HashMap<&'a str, Target<'a>>,
    steps: usize,
}

#[derive(Clone)]
enum Target<'a> {
    Schema(usize),
    /// Another part, by the references that stand in it.
    Part(std::rc::Rc<Vec<&'a str>>),
    Nothing,
}

impl<'a> Counter<'a> {
    pub(crate) fn new(root: &'a Value, schemas: &'a HashMap<String, usize>, base: &'a str) -> Self {
        Self {
            root,
            schemas,
            base,
            known: HashMap::new(),
            steps: MOST_STEPS,
        }
    }

    /// Schemas that a part uses, each once.
    pub(crate) fn of(&mut self, value: &'a Value) -> Vec<usize> {
        let mut open = self.references(value);
        let (mut found, mut seen, mut parts) = (Vec::new(), HashSet::new(), HashSet::new());
        while let Some(reference) = open.pop() {
            if self.steps == 0 {
                break;
            }
            self.steps = self.steps.saturating_sub(1);
            match self.target(reference) {
                Target::Schema(index) => found.extend(seen.insert(index).then_some(index)),
                Target::Part(references) => {
                    if parts.insert(reference) {
                        self.steps = self.steps.saturating_sub(references.len());
                        open.extend(references.iter());
                    }
                }
                Target::Nothing => {}
            }
        }
        found.sort_unstable();
        found
    }

    fn target(&mut self, reference: &'a str) -> Target<'a> {
        if let Some(known) = self.known.get(reference) {
            return known.clone();
        }
        let target = match resolve(self.root, reference) {
            Err(_) => Target::Nothing,
            Ok((value, pointer)) => match self.schema_at(&pointer) {
                Some(index) => Target::Schema(index),
                None => Target::Part(std::rc::Rc::new(self.references(value))),
            },
        };
        self.known.insert(reference, target.clone());
        target
    }

    /// The schema at a pointer, or around it.
    fn schema_at(&self, pointer: &str) -> Option<usize> {
        let rest = pointer.strip_prefix(self.base)?.strip_prefix('/')?;
        let length = rest.find('/').unwrap_or(rest.len());
        let end = pointer.len() - rest.len() + length;
        self.schemas.get(pointer.get(..end)?).copied()
    }

    fn references(&mut self, value: &'a Value) -> Vec<&'a str> {
        let mut found = Vec::new();
        let mut steps = self.steps;
        walk(value, Keys::Fields, 0, &mut steps, &mut |map| {
            found.extend(map.get("$ref").and_then(Value::as_str));
        });
        self.steps = steps;
        found
    }
}

/// Visits maps whose keys are words of the specification.
pub(crate) fn walk<'a>(
    value: &'a Value,
    keys: Keys,
    depth: usize,
    steps: &mut usize,
    visit: &mut impl FnMut(&'a Map<String, Value>),
) {
    if depth > DEEPEST || *steps == 0 || keys == Keys::Opaque {
        return;
    }
    *steps -= 1;
    match value {
        Value::Object(map) => {
            if keys == Keys::Fields {
                visit(map);
            }
            for (key, value) in map.iter().filter(|(_, value)| value.is_object() || value.is_array()) {
                walk(value, keys.below(key, value), depth + 1, steps, visit);
            }
        }
        Value::Array(items) => {
            for item in items.iter().filter(|item| item.is_object() || item.is_array()) {
                walk(item, keys, depth + 1, steps, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// References of the `allOf` of a schema.
pub(crate) fn parents(schema: &Value) -> impl Iterator<Item = &str> {
    let members = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    members.filter_map(|member| member.get("$ref").and_then(Value::as_str))
}
