//! What a reference leads to, and where its copy belongs.

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    /// Index of the file.
    pub(super) file: usize,
    /// Pointer into it.
    pub(super) pointer: String,
}

/// What stands at a place of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Schema,
    Parameter,
    Response,
    RequestBody,
    Header,
    Example,
    Link,
    Other,
}

const SCHEMA_FIELDS: [&str; 14] = [
    "schema",
    "itemSchema",
    "items",
    "additionalProperties",
    "additionalItems",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
];

const SCHEMA_PARENTS: [&str; 10] = [
    "properties",
    "patternProperties",
    "dependentSchemas",
    "$defs",
    "definitions",
    "schemas",
    "allOf",
    "oneOf",
    "anyOf",
    "prefixItems",
];

impl Kind {
    pub(super) const COMPONENTS: [Self; 7] = [
        Self::Schema,
        Self::Parameter,
        Self::Response,
        Self::RequestBody,
        Self::Header,
        Self::Example,
        Self::Link,
    ];

    /// What stands at a pointer into the bundled document, by the names on the way.
    pub(super) fn at(out: &str) -> Self {
        let mut names = out.rsplit('/');
        let (last, parent) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        if SCHEMA_PARENTS.contains(&parent) {
            return Self::Schema;
        }
        match parent {
            "parameters" => Self::Parameter,
            "responses" => Self::Response,
            "requestBodies" => Self::RequestBody,
            "headers" => Self::Header,
            "examples" => Self::Example,
            "links" => Self::Link,
            _ if SCHEMA_FIELDS.contains(&last) => Self::Schema,
            _ if last == "requestBody" => Self::RequestBody,
            _ => Self::Other,
        }
    }

    /// Pointer of the components of this kind; `None` where a part is copied to its first use.
    pub(super) const fn base(self, swagger: bool) -> Option<&'static str> {
        match (self, swagger) {
            (Self::Schema, true) => Some("/definitions"),
            (Self::Parameter, true) => Some("/parameters"),
            (Self::Response, true) => Some("/responses"),
            (Self::Schema, false) => Some("/components/schemas"),
            (Self::Parameter, false) => Some("/components/parameters"),
            (Self::Response, false) => Some("/components/responses"),
            (Self::RequestBody, false) => Some("/components/requestBodies"),
            (Self::Header, false) => Some("/components/headers"),
            (Self::Example, false) => Some("/components/examples"),
            (Self::Link, false) => Some("/components/links"),
            (Self::RequestBody | Self::Header | Self::Example | Self::Link, true) | (Self::Other, _) => None,
        }
    }
}
