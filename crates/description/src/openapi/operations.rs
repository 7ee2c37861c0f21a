//! Paths and their operations.

use serde_json::{Map, Value};

use super::references::{Broken, follow};
use super::{Operation, Parameter, Reader, Version, fields, list};
use crate::fault::Fault;
use crate::located::shorten;
use crate::pointer;
use crate::template::{self, Template};

/// Methods that are fields of a path; `query` since 3.2.
const METHODS: [&str; 9] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// Requests with longer paths are refused, so no route needs one.
const LONGEST_KEY: usize = 4_096;

/// Operations of one document.
const MOST_OPERATIONS: usize = 30_000;

/// A path of the document while its operations are read.
struct Path<'a> {
    key: String,
    template: Template,
    parameters: Vec<Parameter>,
    item: &'a Map<String, Value>,
    at: String,
}

impl<'a> Reader<'a> {
    pub(super) fn paths(&mut self, object: &'a Map<String, Value>) {
        match object.get("paths") {
            Some(Value::Object(paths)) => {
                for (key, item) in paths.iter().filter(|(key, _)| !key.starts_with("x-")) {
                    self.path(key, item);
                }
            }
            Some(_) => self
                .faults
                .push(Fault::error("/paths", "paths is not a map", "write each path as a key")),
            None if self.version < Version::V3_1 => {
                self.faults
                    .push(Fault::warning("", "paths is missing", "add the paths of the API"));
            }
            None => {}
        }
    }

    fn path(&mut self, key: &str, item: &'a Value) {
        let at = pointer::join("/paths", key);
        let Some((item, at)) = self.path_item(item, &at) else {
            return;
        };
        if key.len() > LONGEST_KEY {
            let reason = format!("the path key has {} bytes, more than {LONGEST_KEY}", key.len());
            self.faults.push(Fault::error("/paths", reason, "shorten it"));
            return;
        }
        let key = self.path_key(key, &at);
        let template = template::route_template(&key);
        self.template(&template, &at);
        self.item(key, template, item, at);
    }

    /// A path item that is reached by no path: of a webhook or a callback. Its name becomes the path key as it is.
    pub(super) fn named_item(&mut self, name: &str, item: &'a Value, at: &str) {
        if let Some((item, at)) = self.path_item(item, at).filter(|_| name.len() <= LONGEST_KEY) {
            self.item(name.to_owned(), Template { segments: Vec::new() }, item, at);
        }
    }

    fn path_item(&mut self, item: &'a Value, at: &str) -> Option<(&'a Map<String, Value>, String)> {
        let (item, at) = match follow(self.root, item, at) {
            Ok(found) => found,
            Err(broken) => {
                // The other kinds are reported with all references of the document.
                if matches!(broken, Broken::Circle(_)) {
                    self.faults.push(broken.fault(at));
                }
                return None;
            }
        };
        let Some(item) = item.as_object() else {
            self.faults
                .push(Fault::error(at, "a path is not a map", "write its methods as keys"));
            return None;
        };
        Some((item, at))
    }

    fn item(&mut self, key: String, template: Template, item: &'a Map<String, Value>, at: String) {
        let parameters = self.parameters(list(item.get("parameters")), &pointer::join(&at, "parameters"));
        let path = Path {
            key,
            template,
            parameters,
            item,
            at,
        };
        self.methods(&path);
    }

    fn path_key(&mut self, key: &str, at: &str) -> String {
        let path = template::path_of(key);
        if path.len() < key.len() {
            let rest = shorten(key.get(path.len()..).unwrap_or_default());
            let reason = format!("{rest:?} takes no part in the route");
            self.faults
                .push(Fault::warning(at, reason, "describe the query by parameters"));
        }
        if path.starts_with('/') {
            return path.to_owned();
        }
        let reason = format!("the path {:?} does not begin with a slash", shorten(path));
        self.faults
            .push(Fault::warning(at, reason, "it is read with one; add it"));
        format!("/{path}")
    }

    fn template(&mut self, template: &Template, at: &str) {
        let mut names: Vec<&str> = template.parameters().collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [first, second] = pair
                && first == second
            {
                let reason = format!("the placeholder {{{}}} stands twice in the path", shorten(first));
                self.faults
                    .push(Fault::warning(at, reason, "give each placeholder a name of its own"));
            }
        }
        for name in names.iter().filter(|name| name.ends_with(['+', '*'])) {
            let reason = format!("the placeholder {{{}}} stands for one segment only", shorten(name));
            self.faults
                .push(Fault::warning(at, reason, "list deeper paths one by one"));
        }
        let literal = |text: &str| {
            template
                .segments
                .iter()
                .any(|segment| *segment == template::Segment::Literal(text.to_owned()))
        };
        if literal(".") || literal("..") {
            let reason = "a segment of one or two dots is never seen in a request";
            self.faults
                .push(Fault::warning(at, reason, "write the path without it"));
        }
    }

    fn methods(&mut self, path: &Path<'a>) {
        for (name, value) in path.item {
            let lower = name.to_ascii_lowercase();
            let known = METHODS.contains(&lower.as_str()) && (lower != "query" || self.version >= Version::V3_0);
            if !known {
                continue;
            }
            let at = pointer::join(&path.at, name);
            if *name != lower {
                let reason = format!("the method {name} is written in capitals");
                self.faults.push(Fault::warning(&at, reason, format!("write {lower}")));
                if path.item.contains_key(&lower) {
                    continue;
                }
            }
            self.operation(path, lower.to_ascii_uppercase(), value, at);
        }
        let words = path
            .item
            .iter()
            .filter(|(name, _)| !METHODS.contains(&name.to_ascii_lowercase().as_str()));
        let words: Map<String, Value> = words.map(|(name, _)| (name.clone(), Value::Null)).collect();
        self.fields(fields::PATH_ITEM, &words, &path.at);
        if let Some(others) = path.item.get("additionalOperations") {
            self.additional(path, others);
        }
    }

    fn additional(&mut self, path: &Path<'a>, others: &'a Value) {
        let at = pointer::join(&path.at, "additionalOperations");
        let Some(others) = others.as_object().filter(|_| self.version >= Version::V3_0) else {
            self.faults.push(Fault::error(
                at,
                "additionalOperations cannot be read",
                "write methods as keys, in OpenAPI 3.2",
            ));
            return;
        };
        for (method, value) in others {
            let at = pointer::join(&at, method);
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if method.is_empty() || !method.bytes().all(token) {
                let reason = format!("{:?} is no method", shorten(method));
                self.faults.push(Fault::error(at, reason, "use letters as in COPY"));
            } else if METHODS.contains(&method.to_ascii_lowercase().as_str()) {
                let reason = format!("{method} has a field of its own");
                self.faults.push(Fault::warning(
                    &at,
                    reason,
                    format!("write it as {} of the path", method.to_ascii_lowercase()),
                ));
                if !path.item.contains_key(&method.to_ascii_lowercase()) {
                    self.operation(path, method.to_ascii_uppercase(), value, at);
                }
            } else {
                self.operation(path, method.clone(), value, at);
            }
        }
    }

    fn operation(&mut self, path: &Path<'a>, method: String, value: &'a Value, at: String) {
        let Some(object) = value.as_object() else {
            self.faults.push(Fault::error(
                at,
                "an operation is not a map",
                "write summary, parameters and responses",
            ));
            return;
        };
        if self.operations.len() >= MOST_OPERATIONS {
            let reason = format!("the document has more than {MOST_OPERATIONS} operations; the others are left out");
            // One report is enough, and spending everything ends the rest.
            if self.budget > 0 {
                self.faults.push(Fault::error(&at, reason, "split the document"));
            }
            self.budget = 0;
        }
        let inherited: usize = path.parameters.iter().map(cost).sum();
        if !self.spend(FLAT_COST + inherited + path.key.len() * 4 + texts(object), &at) {
            return;
        }
        self.fields(fields::OPERATION, object, &at);
        let own = self.parameters(list(object.get("parameters")), &pointer::join(&at, "parameters"));
        let parameters = override_parameters(&path.parameters, own);
        self.placeholders(path, &parameters, &at);
        if self.version < Version::V3_1 && !object.contains_key("responses") {
            self.faults.push(Fault::warning(
                &at,
                "the operation has no responses",
                "describe at least one",
            ));
        }
        let operation = Operation {
            key: String::new(),
            operation_id: self.text(object, "operationId", &at).filter(|id| !id.is_empty()),
            method,
            path_key: path.key.clone(),
            template: path.template.clone(),
            shares_route_of: None,
            summary: self.text(object, "summary", &at),
            description: self.text(object, "description", &at),
            tags: self.tags(object, &at),
            deprecated: self.flag(object, "deprecated", &at),
            parameters,
            security: self.security(object, &at),
            pointer: at,
        };
        self.operations.push(operation);
    }

    fn tags(&mut self, object: &'a Map<String, Value>, at: &str) -> Vec<String> {
        let at = pointer::join(at, "tags");
        let Some(value) = object.get("tags") else {
            return Vec::new();
        };
        let Some(items) = value.as_array() else {
            self.faults
                .push(Fault::warning(at, "tags is not a list", "write tags as [name, …]"));
            return Vec::new();
        };
        let mut tags = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item {
                Value::String(text) => tags.push(text.clone()),
                Value::Number(number) => tags.push(number.to_string()),
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                    self.faults.push(Fault::warning(
                        format!("{at}/{index}"),
                        "a tag is not text",
                        "write its name",
                    ));
                }
            }
        }
        tags
    }
}

/// What an operation or a parameter takes beside its texts.
pub(super) const FLAT_COST: usize = 256;

pub(super) fn cost(parameter: &Parameter) -> usize {
    let description = parameter.description.as_ref().map_or(0, String::len);
    FLAT_COST + parameter.name.len() + parameter.pointer.len() + description
}

fn texts(object: &Map<String, Value>) -> usize {
    let fields = ["operationId", "summary", "description"]
        .into_iter()
        .filter_map(|field| object.get(field)?.as_str());
    fields.map(str::len).sum()
}

/// Parameters of the path, replaced by those of the operation with the same name and place.
fn override_parameters(path: &[Parameter], own: Vec<Parameter>) -> Vec<Parameter> {
    let replaced = |parameter: &Parameter| {
        own.iter()
            .any(|own| own.name == parameter.name && own.location == parameter.location)
    };
    let mut all: Vec<Parameter> = path.iter().filter(|parameter| !replaced(parameter)).cloned().collect();
    all.extend(own);
    all
}

impl<'a> Reader<'a> {
    fn placeholders(&mut self, path: &Path<'a>, parameters: &[Parameter], at: &str) {
        let is_path = |parameter: &&Parameter| parameter.location == super::Location::Path;
        for name in path.template.parameters() {
            if !parameters
                .iter()
                .filter(is_path)
                .any(|parameter| parameter.name == name)
            {
                let reason = format!("no parameter describes the placeholder {{{}}}", shorten(name));
                self.faults
                    .push(Fault::warning(at, reason, format!("add a parameter {name:?} in: path")));
            }
        }
        for parameter in parameters.iter().filter(is_path) {
            if !path.template.parameters().any(|name| name == parameter.name) {
                let reason = format!("the path has no placeholder {{{}}}", shorten(&parameter.name));
                self.faults.push(Fault::warning(
                    at,
                    reason,
                    "put it into the path, or remove the parameter",
                ));
            }
        }
    }
}
