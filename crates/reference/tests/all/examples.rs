//! Generated examples against an independent validator.

use std::collections::{HashMap, HashSet};

use description::openapi::references::lookup;
use reference::operation::MediaView;
use reference::{Limits, Reference};
use serde_json::{Map, Value, json};

use crate::support::{corpus, index, load};

/// A schema of 2.0 or 3.0 as JSON Schema 2020-12. Fields that only responses have are not required of requests.
fn convert(value: &Value, request: bool) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| convert(item, request)).collect(),
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, value) in map {
                match key.as_str() {
                    "example" | "examples" | "discriminator" | "xml" | "format" => {}
                    "enum" | "const" | "default" => drop(out.insert(key.clone(), value.clone())),
                    "properties" => {
                        let fields = value.as_object().into_iter().flatten();
                        let fields: Map<String, Value> = fields
                            .map(|(name, field)| (name.clone(), convert(field, request)))
                            .collect();
                        out.insert(key.clone(), Value::Object(fields));
                    }
                    "type" if value == "file" => {}
                    _ => drop(out.insert(key.clone(), convert(value, request))),
                }
            }
            for (strict, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
                if let Some(Value::Bool(is)) = out.get(strict) {
                    let moved = if *is { out.remove(bound) } else { None };
                    out.remove(strict);
                    out.extend(moved.map(|moved| (strict.to_owned(), moved)));
                }
            }
            if !out.get("required").is_none_or(Value::is_array) {
                out.remove("required");
            }
            drop_hidden(&mut out, request);
            let nullable = out.remove("nullable").or_else(|| out.remove("x-nullable")) == Some(json!(true));
            if nullable {
                json!({"anyOf": [out, {"type": "null"}]})
            } else {
                Value::Object(out)
            }
        }
        other => other.clone(),
    }
}

fn drop_hidden(schema: &mut Map<String, Value>, request: bool) {
    let word = if request { "readOnly" } else { "writeOnly" };
    let hidden: HashSet<String> = schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter(|(_, field)| field.get(word) == Some(&json!(true)))
        .map(|(name, _)| name.clone())
        .collect();
    if let Some(Value::Array(required)) = schema.get_mut("required") {
        required.retain(|name| !name.as_str().is_some_and(|name| hidden.contains(name)));
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        _ => {}
    }
}

/// A schema with all that it leads to.
fn closed(root: &Value, schema: &Value, request: bool) -> Value {
    let mut named: HashMap<String, (String, Value)> = HashMap::new();
    let mut open = Vec::new();
    let mut top = convert(schema, request);
    references(&top, &mut open);
    while let Some(reference) = open.pop() {
        if named.contains_key(&reference) {
            continue;
        }
        let target = reference
            .strip_prefix('#')
            .and_then(|at| lookup(root, &at.replace("%20", " ")));
        let target = target.map_or(json!(true), |target| convert(target, request));
        references(&target, &mut open);
        named.insert(reference, (format!("d{}", named.len()), target));
    }
    rename(&mut top, &named);
    let mut definitions = Map::new();
    for (name, target) in named.values() {
        let mut target = target.clone();
        rename(&mut target, &named);
        definitions.insert(name.clone(), target);
    }
    json!({"$defs": definitions, "allOf": [top]})
}

fn rename(value: &mut Value, named: &HashMap<String, (String, Value)>) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, named)),
        Value::Object(map) => {
            if let Some((name, _)) = map.get("$ref").and_then(Value::as_str).and_then(|text| named.get(text)) {
                map.insert("$ref".to_owned(), json!(format!("#/$defs/{name}")));
            }
            map.values_mut().for_each(|value| rename(value, named));
        }
        _ => {}
    }
}

#[derive(Default)]
struct Count {
    valid: usize,
    invalid: usize,
    unknown: usize,
    none: usize,
}

impl Count {
    fn media(&mut self, root: &Value, schema: Option<&Value>, media: &MediaView, request: bool, of: &str) {
        let Some(schema) = schema else { return };
        if media.examples.is_empty() {
            self.none += usize::from(media.media_type.contains("json"));
            return;
        }
        if !media.examples.iter().any(|example| example.is_generated) {
            return;
        }
        let closed = closed(root, schema, request);
        let Ok(validator) = jsonschema::draft202012::options().build(&closed) else {
            self.unknown += 1;
            return;
        };
        for example in media.examples.iter().filter(|example| example.is_generated) {
            let value = example.value.as_ref().unwrap();
            if validator.is_valid(value) {
                self.valid += 1;
            } else {
                self.invalid += 1;
                if self.invalid <= 6 {
                    let error = validator.iter_errors(value).next().unwrap();
                    let text: String = error.to_string().chars().take(160).collect();
                    println!("  {of} {}: {} {text}", example.name, error.instance_path());
                }
            }
        }
    }
}

#[test]
fn generated_examples_fit_their_schemas() {
    let Some(folder) = corpus("generated_examples_fit_their_schemas") else {
        return;
    };
    let (mut valid, mut all) = (0, 0);
    for row in index(&folder) {
        let Some(value) = load(&folder, &row.file) else {
            continue;
        };
        let Ok(reference) = Reference::build(value.clone(), Limits::default()) else {
            continue;
        };
        let root = value.as_ref();
        let mut count = Count::default();
        // Of the largest documents some operations stand for all: validators of their schemas are large.
        let step = (reference.entries().len() / 40).max(1);
        for entry in reference.entries().iter().step_by(step) {
            let view = reference.view(entry);
            let of = format!("{} {}", row.file, entry.slug);
            let operation = lookup(root, &entry.pointer).unwrap();
            let body = operation
                .get("requestBody")
                .and_then(|body| description::openapi::references::follow(root, body, "").ok());
            if let (Some(body), Some((value, _))) = (&view.body, body) {
                for media in &body.media {
                    let schema = value
                        .get("content")
                        .and_then(|map| map.get(&media.media_type)?.get("schema"));
                    count.media(root, schema, media, true, &of);
                }
            }
            for response in &view.responses {
                let value = operation.get("responses").and_then(|map| map.get(&response.status));
                let Some((value, _)) =
                    value.and_then(|value| description::openapi::references::follow(root, value, "").ok())
                else {
                    continue;
                };
                for media in &response.media {
                    let new = value
                        .get("content")
                        .and_then(|map| map.get(&media.media_type)?.get("schema"));
                    count.media(root, new.or_else(|| value.get("schema")), media, false, &of);
                }
            }
        }
        println!(
            "{:5} fit, {:3} do not, {:3} cannot be judged, {:3} without an example: {}",
            count.valid, count.invalid, count.unknown, count.none, row.file
        );
        valid += count.valid;
        all += count.valid + count.invalid;
    }
    println!("{valid} of {all} generated examples fit");
    assert!(all > 500 && valid * 100 >= all * 95, "{valid} of {all}");
}
