//! Bodies of requests and responses, of all versions in the shape of 3.x.

use description::openapi::references::follow;
use description::openapi::{Location, Version};
use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use super::{BodyView, MediaView, parameters};
use crate::entry::Entry;
use crate::example::{self, Purpose};
use crate::html::clip;
use crate::prose::Place;
use crate::reference::Reference;
use crate::schema::{Direction, Trees};

/// A body as a document of any version has it.
pub(crate) struct Body<'r> {
    pub(crate) required: bool,
    pub(crate) description: Option<&'r Value>,
    pub(crate) media: Vec<Media<'r>>,
}

/// One media type of a body.
pub(crate) struct Media<'r> {
    #[expect(clippy::struct_field_names, reason = "`type` is a word of the language")]
    pub(crate) media_type: String,
    pub(crate) schema: Option<Schema<'r>>,
    pub(crate) is_stream: bool,
    /// The object that holds `example`, `examples` and `encoding`.
    pub(crate) holder: Option<&'r Value>,
    /// An example of 2.0, which has one for each media type.
    pub(crate) example: Option<&'r Value>,
}

/// A schema of the document, or fields of a form of 2.0.
pub(crate) enum Schema<'r> {
    Own(&'r Value),
    Fields(Vec<(&'r str, &'r Value, bool)>),
}

impl Schema<'_> {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Schema::Own(one), Schema::Own(other)) => {
                std::ptr::eq(*one, *other) || one.get("$ref").is_some() && one == other
            }
            (Schema::Fields(_), Schema::Fields(_)) => true,
            _ => false,
        }
    }
}

/// The body of the request of an operation.
pub(crate) fn request<'r>(reference: &'r Reference, entry: &'r Entry, operation: &'r Value) -> Option<Body<'r>> {
    if reference.version() == Version::V2 {
        return request_of_2(reference, entry, operation);
    }
    let body = operation.get("requestBody")?;
    let (body, _) = follow(&reference.document, body, "").ok()?;
    Some(Body {
        required: body.get("required") == Some(&Value::Bool(true)),
        description: body.get("description"),
        media: content(reference, body.get("content")),
    })
}

/// Media types of a `content` map.
pub(crate) fn content<'r>(reference: &'r Reference, map: Option<&'r Value>) -> Vec<Media<'r>> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    let media = |(name, value): (&String, &'r Value)| {
        let (holder, _) = follow(&reference.document, value, "").ok()?;
        let item = holder.get("itemSchema");
        Some(Media {
            media_type: clip(name, 200),
            schema: holder.get("schema").or(item).map(Schema::Own),
            is_stream: holder.get("schema").is_none() && item.is_some(),
            holder: Some(holder),
            example: None,
        })
    };
    entries.take(reference.limits.parts).filter_map(media).collect()
}

fn types_of_2(reference: &Reference, operation: &Value, word: &str) -> Vec<String> {
    let own = operation.get(word).or_else(|| reference.document.get(word));
    let list = own.and_then(Value::as_array).into_iter().flatten();
    let types: Vec<String> = list
        .filter_map(Value::as_str)
        .take(reference.limits.parts)
        .map(|name| clip(name, 200))
        .collect();
    if types.is_empty() {
        vec!["application/json".to_owned()]
    } else {
        types
    }
}

fn request_of_2<'r>(reference: &'r Reference, entry: &'r Entry, operation: &'r Value) -> Option<Body<'r>> {
    let all = parameters::all(reference, entry);
    let mut types = types_of_2(reference, operation, "consumes");
    let body = all.iter().find(|(parameter, _)| parameter.location == Location::Body);
    if let Some((parameter, value)) = body {
        let value = (*value)?;
        let media = types.into_iter().map(|media_type| Media {
            media_type,
            schema: value.get("schema").map(Schema::Own),
            is_stream: false,
            holder: Some(value),
            example: None,
        });
        return Some(Body {
            required: parameter.required,
            description: value.get("description"),
            media: media.collect(),
        });
    }
    let fields: Vec<(&'r str, &'r Value, bool)> = all
        .iter()
        .filter(|(parameter, _)| parameter.location == Location::FormData)
        .filter_map(|(parameter, value)| Some(((*value)?.get("name")?.as_str()?, (*value)?, parameter.required)))
        .collect();
    if fields.is_empty() {
        return None;
    }
    let has_file = fields
        .iter()
        .any(|(_, field, _)| field.get("type").is_some_and(|name| name == "file"));
    types.retain(|name| name.starts_with("multipart/") || name == "application/x-www-form-urlencoded" && !has_file);
    if types.is_empty() {
        let fallback = if has_file {
            "multipart/form-data"
        } else {
            "application/x-www-form-urlencoded"
        };
        types.push(fallback.to_owned());
    }
    let media = types.into_iter().map(|media_type| Media {
        media_type,
        schema: Some(Schema::Fields(fields.clone())),
        is_stream: false,
        holder: None,
        example: None,
    });
    Some(Body {
        required: fields.iter().any(|(_, _, required)| *required),
        description: None,
        media: media.collect(),
    })
}

/// Media types of a response.
pub(crate) fn response<'r>(reference: &'r Reference, operation: &'r Value, response: &'r Value) -> Vec<Media<'r>> {
    if reference.version() != Version::V2 {
        return content(reference, response.get("content"));
    }
    let examples = response.get("examples").and_then(Value::as_object);
    let schema = response.get("schema");
    if schema.is_none() && examples.is_none_or(Map::is_empty) {
        return Vec::new();
    }
    let types = types_of_2(reference, operation, "produces").into_iter();
    let media = types.map(|media_type| Media {
        schema: schema.map(Schema::Own),
        is_stream: false,
        holder: None,
        example: examples.and_then(|map| map.get(&media_type)),
        media_type,
    });
    media.collect()
}

pub(super) fn body_view<'r>(trees: &mut Trees<'r>, body: Body<'r>, share: usize) -> BodyView {
    BodyView {
        required: body.required,
        prose: trees.reference.prose(body.description, Place::Field),
        media: views(trees, body.media, "field", share),
    }
}

/// Media types with the same schema become one.
pub(super) fn views<'r>(trees: &mut Trees<'r>, media: Vec<Media<'r>>, prefix: &str, share: usize) -> Vec<MediaView> {
    let mut grouped: Vec<(Media<'r>, Vec<String>)> = Vec::new();
    for one in media {
        let same = grouped.iter_mut().find(|(first, _)| {
            let plain = one.example.is_none() && example::is_bare(one.holder);
            let schemas = matches!((&first.schema, &one.schema), (Some(a), Some(b)) if a.is_same(b));
            plain && schemas && first.is_stream == one.is_stream
        });
        match same {
            Some((_, also)) => also.push(one.media_type),
            None => grouped.push((one, Vec::new())),
        }
    }
    let mut views = Vec::with_capacity(grouped.len());
    let count = grouped.len();
    for (at, (media, also)) in grouped.into_iter().enumerate() {
        let share = share + (count - at - 1);
        let node = media.schema.as_ref().map(|schema| match schema {
            Schema::Own(schema) => trees.tree(schema, prefix, share),
            Schema::Fields(fields) => trees.form(fields, prefix, share),
        });
        let purpose = match trees.direction {
            Direction::Response => Purpose::Response,
            Direction::Request | Direction::Both => Purpose::Request,
        };
        views.push(MediaView {
            examples: example::of_media(trees.reference, &media, purpose),
            encodings: encodings(media.holder),
            media_type: media.media_type,
            also,
            node,
            is_stream: media.is_stream,
        });
    }
    views
}

fn encodings(holder: Option<&Value>) -> IndexMap<String, String> {
    let map = holder
        .and_then(|holder| holder.get("encoding"))
        .and_then(Value::as_object);
    let entries = map.into_iter().flatten().take(200);
    entries
        .filter_map(|(name, encoding)| Some((name.clone(), clip(encoding.get("contentType")?.as_str()?, 200))))
        .collect()
}

/// Fields of a form of 2.0 as one schema.
pub(crate) fn form_schema(fields: &[(&str, &Value, bool)]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, field, needed) in fields {
        let mut field = (*field).clone();
        if let Some(map) = field.as_object_mut() {
            map.retain(|key, _| !matches!(key.as_str(), "name" | "in" | "required"));
            if map.get("type").is_some_and(|name| name == "file") {
                map.insert("type".to_owned(), json!("string"));
                map.insert("format".to_owned(), json!("binary"));
            }
        }
        properties.insert((*name).to_owned(), field);
        if *needed {
            required.push(json!(name));
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}
