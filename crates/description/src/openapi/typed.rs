//! A second opinion on 3.0 documents, from a strictly typed model.
//!
//! The model's own errors name no place, so each path and each component is checked alone: the pointer names the part
//! in which the fault stands. Deeply nested parts are left out, because the model tries alternatives at each level and
//! would take exponential time over a fault far down.

use openapiv3::{PathItem, ReferenceOr};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Version;
use crate::fault::{Fault, Faults};
use crate::located::shorten;
use crate::pointer;

const DEEPEST: usize = 26;
const REMEDY: &str = "compare the part with the specification of OpenAPI 3.0; the check names no closer place";

/// Warnings of a typed reading of a 3.0 document; none for other versions.
#[must_use]
pub fn typed_check(root: &Value) -> Vec<Fault> {
    let mut faults = Faults::default();
    let mut ignored = Faults::default();
    if super::version::detect(root, &mut ignored) != Version::V3_0 {
        return Vec::new();
    }
    let mut skipped = 0_usize;
    for (at, part, check) in parts(root) {
        if deeper(part, DEEPEST) {
            skipped += 1;
        } else if let Err(error) = check(part) {
            let reason = format!("a strict reading stops in this part: {}", shorten(&error.to_string()));
            faults.push(Fault::warning(at, reason, REMEDY));
        }
    }
    if skipped > 0 {
        let reason = format!("{skipped} deeply nested parts were not read strictly");
        faults.push(Fault::warning("", reason, "nothing needs to be done"));
    }
    faults.into_list()
}

type Check = fn(&Value) -> Result<(), serde_json::Error>;

fn parts(root: &Value) -> Vec<(String, &Value, Check)> {
    let mut parts: Vec<(String, &Value, Check)> = Vec::new();
    for (key, item) in entries(root.get("paths")) {
        parts.push((pointer::join("/paths", key), item, path));
    }
    for (kind, named) in entries(root.get("components")) {
        let Some(check) = component(kind) else { continue };
        for (name, value) in entries(Some(named)) {
            parts.push((pointer::join(&format!("/components/{kind}"), name), value, check));
        }
    }
    parts
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
        .filter(|(key, _)| !key.starts_with("x-"))
}

fn path(value: &Value) -> Result<(), serde_json::Error> {
    ReferenceOr::<PathItem>::deserialize(value).map(drop)
}

fn component(kind: &str) -> Option<Check> {
    fn one<'a, T: Deserialize<'a>>(value: &'a Value) -> Result<(), serde_json::Error> {
        ReferenceOr::<T>::deserialize(value).map(drop)
    }
    Some(match kind {
        "schemas" => |value| one::<openapiv3::Schema>(value),
        "parameters" => |value| one::<openapiv3::Parameter>(value),
        "responses" => |value| one::<openapiv3::Response>(value),
        "requestBodies" => |value| one::<openapiv3::RequestBody>(value),
        "headers" => |value| one::<openapiv3::Header>(value),
        "securitySchemes" => |value| one::<openapiv3::SecurityScheme>(value),
        "examples" => |value| one::<openapiv3::Example>(value),
        "links" => |value| one::<openapiv3::Link>(value),
        _ => return None,
    })
}

fn deeper(value: &Value, levels: usize) -> bool {
    let Some(left) = levels.checked_sub(1) else { return true };
    match value {
        Value::Object(map) => map.values().any(|value| deeper(value, left)),
        Value::Array(items) => items.iter().any(|value| deeper(value, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
