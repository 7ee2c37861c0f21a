//! Parameters of paths and operations.

use serde_json::Value;

use super::operations::cost;
use super::references::{Broken, follow};
use super::{Location, Parameter, Reader, fields};
use crate::fault::Fault;
use crate::located::shorten;
use crate::pointer;

const LOCATIONS: [(&str, Location); 7] = [
    ("query", Location::Query),
    ("querystring", Location::QueryString),
    ("header", Location::Header),
    ("path", Location::Path),
    ("cookie", Location::Cookie),
    ("body", Location::Body),
    ("formData", Location::FormData),
];

/// Parameters of one list; comparing longer ones with each other would take quadratic time.
const MOST: usize = 500;

impl Location {
    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        LOCATIONS
            .iter()
            .find(|(_, location)| *location == self)
            .map_or("", |(word, _)| word)
    }
}

impl<'a> Reader<'a> {
    /// Reads a list of parameters; a bad one is left out and reported.
    pub(super) fn parameters(&mut self, items: &'a [Value], at: &str) -> Vec<Parameter> {
        let mut parameters: Vec<Parameter> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let place = format!("{at}/{index}");
            let Some(parameter) = self.parameter(item, &place) else {
                continue;
            };
            if parameters.len() >= MOST || !self.spend(cost(&parameter), &place) {
                let reason = format!("only the first {} parameters are read", parameters.len());
                self.faults.push(Fault::error(at, reason, "move fields into a body"));
                break;
            }
            let same = |other: &Parameter| other.name == parameter.name && other.location == parameter.location;
            if parameters.iter().any(same) {
                let reason = format!(
                    "the parameter {:?} in: {} stands twice",
                    shorten(&parameter.name),
                    parameter.location.as_str()
                );
                self.faults.push(Fault::warning(place, reason, "keep one of the two"));
                continue;
            }
            parameters.push(parameter);
        }
        parameters
    }

    fn parameter(&mut self, item: &'a Value, at: &str) -> Option<Parameter> {
        let (value, at) = match follow(self.root, item, at) {
            Ok(found) => found,
            Err(broken) => {
                if matches!(broken, Broken::Circle(_)) {
                    self.faults.push(broken.fault(at));
                }
                return None;
            }
        };
        let Some(object) = value.as_object() else {
            self.faults.push(Fault::error(
                at,
                "a parameter is not a map",
                "write name, in and schema",
            ));
            return None;
        };
        self.fields(fields::PARAMETER, object, &at);
        let name = self.text(object, "name", &at).filter(|name| !name.is_empty());
        let word = self.text(object, "in", &at);
        let (Some(name), Some(word)) = (name, word) else {
            self.faults.push(Fault::error(
                at,
                "a parameter lacks its name or its place",
                "write name and in",
            ));
            return None;
        };
        let Some((_, location)) = LOCATIONS.iter().find(|(known, _)| *known == word) else {
            let known = LOCATIONS.map(|(known, _)| known);
            let remedy = match fields::nearest(&word, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => "write query, header, path or cookie".to_owned(),
            };
            let reason = format!(
                "the parameter {:?} stands in {:?}, which is no place",
                shorten(&name),
                shorten(&word)
            );
            self.faults.push(Fault::error(pointer::join(&at, "in"), reason, remedy));
            return None;
        };
        let required = self.flag(object, "required", &at);
        if *location == Location::Path && !required {
            let reason = format!("the path parameter {:?} is not required", shorten(&name));
            self.faults.push(Fault::warning(&at, reason, "add required: true"));
        }
        Some(Parameter {
            name,
            location: *location,
            required: required || *location == Location::Path,
            deprecated: self.flag(object, "deprecated", &at),
            description: self.text(object, "description", &at),
            pointer: at,
        })
    }
}
