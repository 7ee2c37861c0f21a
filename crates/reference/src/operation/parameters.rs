//! Parameters of an operation, and headers of its responses.

use description::openapi::references::{follow, lookup};
use description::openapi::{Location, Parameter};
use description::template;
use serde_json::Value;

use super::{HeaderView, ParameterView, Style};
use crate::entry::Entry;
use crate::example;
use crate::prose::Place;
use crate::reference::Reference;
use crate::schema::{Key, Trees};

/// What a parameter without a schema takes.
static ANY: Value = Value::Bool(true);

/// How a parameter is written.
#[derive(Debug, Clone)]
pub(crate) struct Writing<'r> {
    pub(crate) style: Style,
    pub(crate) explode: bool,
    pub(crate) allow_reserved: bool,
    pub(crate) media_type: Option<&'r str>,
    pub(crate) schema: &'r Value,
    /// The object that holds `example` or `examples`.
    pub(crate) holder: &'r Value,
}

impl Style {
    /// The style by its name in documents.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "form" => Self::Form,
            "simple" => Self::Simple,
            "label" => Self::Label,
            "matrix" => Self::Matrix,
            "spaceDelimited" => Self::SpaceDelimited,
            "pipeDelimited" => Self::PipeDelimited,
            "deepObject" => Self::DeepObject,
            _ => return None,
        })
    }

    /// The name in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Simple => "simple",
            Self::Label => "label",
            Self::Matrix => "matrix",
            Self::SpaceDelimited => "spaceDelimited",
            Self::PipeDelimited => "pipeDelimited",
            Self::TabDelimited => "tabDelimited",
            Self::DeepObject => "deepObject",
        }
    }
}

impl<'r> Writing<'r> {
    pub(crate) fn of(parameter: &'r Value, location: Location) -> Self {
        let content = parameter
            .get("content")
            .and_then(Value::as_object)
            .and_then(|map| map.iter().next());
        // Up to 2.0 the parameter is its own schema.
        let own = if parameter.get("type").is_some() {
            parameter
        } else {
            &ANY
        };
        let (media_type, holder, schema) = match content {
            Some((media, content)) => (Some(media.as_str()), content, content.get("schema").unwrap_or(&ANY)),
            None => (None, parameter, parameter.get("schema").unwrap_or(own)),
        };
        let fallback = match location {
            Location::Path | Location::Header => Style::Simple,
            Location::Query | Location::QueryString | Location::Cookie | Location::Body | Location::FormData => {
                Style::Form
            }
        };
        let named = parameter.get("style").and_then(Value::as_str).and_then(Style::named);
        let (style, mut explode) = match parameter.get("collectionFormat").and_then(Value::as_str) {
            Some("multi") => (Style::Form, true),
            Some("ssv") => (Style::SpaceDelimited, false),
            Some("tsv") => (Style::TabDelimited, false),
            Some("pipes") => (Style::PipeDelimited, false),
            Some(_) => (fallback, false),
            None => {
                let style = named.unwrap_or(fallback);
                let own_schema = std::ptr::eq(schema, parameter);
                (style, matches!(style, Style::Form | Style::DeepObject) && !own_schema)
            }
        };
        explode = parameter.get("explode").and_then(Value::as_bool).unwrap_or(explode);
        Self {
            style,
            explode,
            allow_reserved: parameter.get("allowReserved") == Some(&Value::Bool(true)),
            media_type,
            schema,
            holder,
        }
    }
}

/// Parameters with their objects in the document; placeholders without one have none.
pub(crate) fn all<'r>(reference: &'r Reference, entry: &'r Entry) -> Vec<(Parameter, Option<&'r Value>)> {
    let mut all: Vec<(Parameter, Option<&'r Value>)> = entry
        .parameters
        .iter()
        .map(|parameter| (parameter.clone(), lookup(&reference.document, &parameter.pointer)))
        .collect();
    for name in template::route_template(&entry.path).parameters() {
        let known = all
            .iter()
            .any(|(parameter, _)| parameter.location == Location::Path && parameter.name == name);
        if !known {
            let parameter = Parameter {
                name: name.to_owned(),
                location: Location::Path,
                required: true,
                deprecated: false,
                description: None,
                pointer: entry.pointer.clone(),
            };
            all.push((parameter, None));
        }
    }
    all
}

pub(super) fn views<'r>(trees: &mut Trees<'r>, entry: &'r Entry, share: usize) -> Vec<ParameterView> {
    let reference = trees.reference;
    let shown = |location: Location| !matches!(location, Location::Body | Location::FormData);
    let parameters: Vec<_> = all(reference, entry)
        .into_iter()
        .filter(|(parameter, _)| shown(parameter.location))
        .collect();
    let mut views = Vec::with_capacity(parameters.len());
    let mut left = parameters.len() + share;
    for (parameter, value) in parameters {
        let writing = Writing::of(value.unwrap_or(&ANY), parameter.location);
        left = left.saturating_sub(1);
        let word = match parameter.location {
            Location::QueryString => "query",
            other => other.as_str(),
        };
        let mut node = trees.tree(writing.schema, &format!("{word}-{}", parameter.name), left);
        let own = value.and_then(|value| value.get("description"));
        let own = reference.prose(own, Place::Field);
        let inner = std::mem::take(&mut node.prose);
        node.key = Key::Field(parameter.name.clone());
        views.push(ParameterView {
            prose: if own.is_empty() { inner } else { own },
            name: parameter.name,
            location: parameter.location,
            required: parameter.required,
            deprecated: parameter.deprecated || node.deprecated,
            style: writing.style,
            explode: writing.explode,
            allow_reserved: writing.allow_reserved,
            media_type: writing.media_type.map(str::to_owned),
            examples: example::given(reference, writing.holder, "application/json"),
            node,
        });
    }
    views
}

pub(super) fn headers<'r>(trees: &mut Trees<'r>, map: Option<&'r Value>, share: usize) -> Vec<HeaderView> {
    let reference = trees.reference;
    let most = reference.limits.parts;
    let headers = map.and_then(Value::as_object).into_iter().flatten().take(most);
    let mut views = Vec::new();
    for (name, value) in headers {
        let header = match follow(&reference.document, value, "") {
            Ok((header, _)) => header,
            Err(broken) => {
                trees.broken.push(broken.to_string());
                continue;
            }
        };
        let writing = Writing::of(header, Location::Header);
        let mut node = trees.tree(writing.schema, &format!("header-{name}"), share);
        let inner = std::mem::take(&mut node.prose);
        let own = reference.prose(header.get("description"), Place::Field);
        node.key = Key::Field(name.clone());
        views.push(HeaderView {
            name: name.clone(),
            required: header.get("required") == Some(&Value::Bool(true)),
            deprecated: header.get("deprecated") == Some(&Value::Bool(true)) || node.deprecated,
            prose: if own.is_empty() { inner } else { own },
            node,
        });
    }
    views
}
