//! Choices between schemas: `oneOf`, `anyOf` and discriminators.

use std::collections::HashSet;

use description::openapi::references::lookup;
use serde_json::Value;

use super::{Choice, Rule};
use crate::flat::{Circles, Flat, is_null};
use crate::html::clip;
use crate::reference::{Reference, text_of};

/// A schema among which to choose.
pub(crate) struct Candidate<'r> {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
    pub(crate) schema: &'r Value,
}

/// A choice whose variants are not looked into yet.
pub(crate) struct Found<'r> {
    pub(crate) rule: Rule,
    pub(crate) by: Option<String>,
    pub(crate) options: Vec<Candidate<'r>>,
}

/// Whether alternatives are nothing but values.
pub(crate) fn is_enumeration(list: &[Value]) -> bool {
    let is_value = |member: &Value| {
        let nothing_more = member.get("$ref").is_none() && member.get("properties").is_none();
        nothing_more && (member.get("const").is_some() || member.get("enum").is_some())
    };
    list.iter().all(|member| is_null(member) || is_value(member)) && list.iter().any(is_value)
}

/// Choices of a schema, and whether variants may name the schema itself as their parent.
pub(crate) fn of<'r>(reference: &'r Reference, flat: &Flat<'r>) -> (Vec<Found<'r>>, bool) {
    let mut found = Vec::new();
    let discriminator = flat.discriminator();
    for (word, list) in flat.choices() {
        if is_enumeration(list) {
            continue;
        }
        let members: Vec<&'r Value> = list.iter().filter(|member| !is_null(member)).collect();
        let rule = if word == "oneOf" { Rule::OneOf } else { Rule::AnyOf };
        let options = match discriminator {
            Some((by, mapping)) => mapped(reference, &members, by, mapping),
            None => named(reference, &members),
        };
        if !options.is_empty() {
            let by = discriminator.map(|(by, _)| clip(by, 200));
            found.push(Found { rule, by, options });
        }
    }
    if let (true, Some((by, mapping))) = (found.is_empty(), discriminator) {
        let heirs = heirs(reference, flat);
        let options = mapped(reference, &heirs, by, mapping);
        if !options.is_empty() {
            found.push(Found {
                rule: Rule::OneOf,
                by: Some(clip(by, 200)),
                options,
            });
        }
    }
    let mut taken = HashSet::new();
    for option in found.iter_mut().flat_map(|choice| &mut choice.options) {
        let mut number = 2_usize;
        let base = option.name.clone();
        while !taken.insert(option.name.clone()) {
            option.name = format!("{base} {number}");
            number = number.saturating_add(1);
        }
    }
    (found, discriminator.is_some())
}

/// Schemas that build on one with a discriminator.
fn heirs<'r>(reference: &'r Reference, flat: &Flat<'r>) -> Vec<&'r Value> {
    let list = flat.component.and_then(|own| reference.uses.heirs.get(own));
    list.into_iter()
        .flatten()
        .filter_map(|heir| lookup(&reference.document, &reference.schemas().get(*heir)?.pointer))
        .collect()
}

/// Name of the component that a schema is a reference to, or is; and the schema itself.
fn component<'r>(reference: &'r Reference, schema: &'r Value) -> (Option<&'r str>, *const Value) {
    let target = schema.get("$ref").and_then(Value::as_str);
    let value = target
        .and_then(|target| reference.resolve(target).ok())
        .map_or(schema, |(value, _)| value);
    let index = reference.schema_index_of(value);
    let name = index
        .and_then(|index| reference.schemas().get(index))
        .map(|entry| entry.name.as_str());
    (name, std::ptr::from_ref(value))
}

/// One variant for each entry of the mapping, then those of the list that it does not name.
fn mapped<'r>(
    reference: &'r Reference,
    members: &[&'r Value],
    by: &str,
    mapping: Option<&'r serde_json::Map<String, Value>>,
) -> Vec<Candidate<'r>> {
    let mut options = Vec::new();
    let mut mentioned: HashSet<*const Value> = HashSet::new();
    for (value, target) in mapping.into_iter().flatten() {
        let Some(schema) = target.as_str().and_then(|target| mapping_target(reference, target)) else {
            continue;
        };
        mentioned.insert(std::ptr::from_ref(schema));
        options.push(Candidate {
            name: clip(value, 80),
            value: Some(value.clone()),
            schema,
        });
    }
    for (at, member) in members.iter().enumerate() {
        let (name, address) = component(reference, member);
        if mentioned.contains(&address) {
            continue;
        }
        let told = told_by(reference, member, by);
        let value = told.clone().or_else(|| name.map(str::to_owned));
        let name = told.unwrap_or_else(|| name.map_or_else(|| fallback(reference, member, at), |name| clip(name, 80)));
        options.push(Candidate {
            name,
            value,
            schema: member,
        });
    }
    options
}

/// A mapping leads to a schema by reference or by plain name.
fn mapping_target<'r>(reference: &'r Reference, target: &str) -> Option<&'r Value> {
    let named = reference
        .schema_named(target)
        .and_then(|entry| lookup(&reference.document, &entry.pointer));
    named.or_else(|| reference.resolve(target).ok().map(|(value, _)| value))
}

/// The only value of the field that tells variants apart.
fn told_by(reference: &Reference, schema: &Value, by: &str) -> Option<String> {
    let flat = Flat::new(reference, schema, &[], Circles::Stop);
    only_value(flat.properties().get(by)?)
}

fn only_value(field: &Value) -> Option<String> {
    let constant = field.get("const");
    let only = field
        .get("enum")
        .and_then(Value::as_array)
        .filter(|list| list.len() == 1);
    constant
        .or_else(|| only?.first())
        .map(text_of)
        .map(|text| clip(&text, 80))
}

fn named<'r>(reference: &'r Reference, members: &[&'r Value]) -> Vec<Candidate<'r>> {
    let name = |(at, member): (usize, &&'r Value)| {
        let title = member
            .get("title")
            .and_then(Value::as_str)
            .filter(|title| !title.trim().is_empty());
        let name = title.or_else(|| component(reference, member).0);
        Candidate {
            name: name.map_or_else(|| fallback(reference, member, at), |name| clip(name, 80)),
            value: None,
            schema: member,
        }
    };
    members.iter().enumerate().map(name).collect()
}

/// A name for a schema that has none: its type, or its place.
fn fallback(reference: &Reference, schema: &Value, at: usize) -> String {
    let flat = Flat::new(reference, schema, &[], Circles::Stop);
    if let Some(parent) = flat.parent.and_then(|parent| reference.schemas().get(parent)) {
        return clip(&parent.name, 80);
    }
    for field in ["type", "kind", "object"] {
        if let Some(value) = flat.properties().get(field).and_then(|field| only_value(field)) {
            return value;
        }
    }
    let (types, _) = flat.types();
    match (types.first(), flat.text("format")) {
        (Some(&"array"), _) => match flat
            .get("items")
            .and_then(|items| items.get("type"))
            .and_then(Value::as_str)
        {
            Some(item) => format!("array of {}", clip(item, 40)),
            None => "array".to_owned(),
        },
        (Some(name), Some(format)) => format!("{}, {}", clip(name, 40), clip(format, 40)),
        (Some(name), None) => clip(name, 40),
        (None, _) => format!("variant {}", at + 1),
    }
}

/// Types of alternatives, where the schema itself names none.
pub(crate) fn types<'r>(reference: &'r Reference, flat: &Flat<'r>) -> Vec<&'r str> {
    const MOST: usize = 4;
    let mut names: Vec<&'r str> = Vec::new();
    for member in flat.choices().into_iter().flat_map(|(_, list)| list).take(64) {
        let inner = Flat::new(reference, member, &[], Circles::Stop);
        for name in inner.types().0 {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() > MOST { Vec::new() } else { names }
}

pub(crate) fn words(choice: &Choice) -> String {
    let count = choice.variants.len() + choice.more;
    match choice.rule {
        Rule::OneOf => format!("one of {count}"),
        Rule::AnyOf => format!("any of {count}"),
    }
}
