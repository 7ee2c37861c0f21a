//! Examples: those of the document under their names, or generated ones that say so.
//!
//! Invariants: bounded in size and work. A generated example fits its schema as far as this crate can tell; where no
//! finite value exists there is none.

mod fit;
mod format;
mod generate;
mod pattern;

use description::openapi::references::follow;
use serde_json::Value;

use crate::highlight;
use crate::html::{Html, clip};
use crate::operation::media::{Media, Schema, form_schema};
use crate::prose::Place;
use crate::reference::Reference;

pub(crate) use generate::Generator;

/// Which way a body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Request,
    Response,
}

/// An example.
#[derive(Debug, Clone)]
pub struct Example {
    /// Its name in the document; `Example` where it has none; of a generated one the variant, or empty.
    pub name: String,
    /// One line about it.
    pub summary: Option<String>,
    /// What the author says about it.
    pub prose: Html,
    /// Whether it was made from the schema: pages say so.
    pub is_generated: bool,
    /// The text: JSON on several lines, or what the document has.
    pub text: String,
    /// The text in colours.
    pub html: Html,
    /// Whether lines were left out.
    pub is_cut: bool,
    /// An address that holds it, where the document has it elsewhere.
    pub external: Option<String>,
    /// The value, unless it is plain text of another media type.
    pub value: Option<Value>,
}

/// Examples of one media type that are generated at most: one for each variant.
const MOST_VARIANTS: usize = 8;

/// Whether nothing is said about a media type but its schema.
pub(crate) fn is_bare(holder: Option<&Value>) -> bool {
    let said = |holder: &Value| {
        ["example", "examples", "encoding"]
            .iter()
            .any(|word| holder.get(word).is_some())
    };
    !holder.is_some_and(said)
}

/// Examples of a parameter or media type in the document.
pub(crate) fn given(reference: &Reference, holder: &Value, media_type: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let named = holder.get("examples").and_then(Value::as_object).into_iter().flatten();
    for (name, value) in named.take(reference.limits.parts) {
        let Ok((object, _)) = follow(&reference.document, value, "") else {
            continue;
        };
        let words = ["value", "dataValue", "serializedValue", "externalValue"];
        let wrapped = words.iter().any(|word| object.get(word).is_some()) || object.get("summary").is_some();
        let content = object.get("dataValue").or_else(|| object.get("value"));
        let content = content.or_else(|| object.get("serializedValue"));
        let external = object.get("externalValue").and_then(Value::as_str);
        let content = if wrapped { content } else { Some(object) };
        let mut example = match content {
            Some(content) => shown(reference, content, media_type),
            None => Example::empty(),
        };
        example.name = clip(name, 200);
        example.external = external.map(|url| clip(url, 500));
        if wrapped {
            example.summary = object
                .get("summary")
                .and_then(Value::as_str)
                .map(|text| clip(text, 200));
            example.prose = reference.prose(object.get("description"), Place::Field);
        }
        if content.is_some() || example.external.is_some() {
            examples.push(example);
        }
    }
    if let (true, Some(value)) = (examples.is_empty(), holder.get("example")) {
        let mut example = shown(reference, value, media_type);
        "Example".clone_into(&mut example.name);
        examples.push(example);
    }
    examples
}

/// Examples of one media type of a body: the document's, or generated ones.
pub(crate) fn of_media(reference: &Reference, media: &Media<'_>, purpose: Purpose) -> Vec<Example> {
    let mut examples = Vec::new();
    if let Some(value) = media.example {
        let mut example = shown(reference, value, &media.media_type);
        "Example".clone_into(&mut example.name);
        examples.push(example);
    }
    if let Some(holder) = media.holder {
        examples.extend(given(reference, holder, &media.media_type));
    }
    if examples.is_empty() {
        examples = generated(reference, media, purpose);
    }
    examples
}

fn generated(reference: &Reference, media: &Media<'_>, purpose: Purpose) -> Vec<Example> {
    let fields;
    let (schema, is_own) = match &media.schema {
        None => return Vec::new(),
        Some(Schema::Own(schema)) => (*schema, true),
        Some(Schema::Fields(list)) => {
            fields = form_schema(list);
            (&fields, false)
        }
    };
    if !is_textual(&media.media_type) {
        return Vec::new();
    }
    let generator = Generator::new(reference, purpose);
    let values = if is_own {
        generator.variants(schema, MOST_VARIANTS)
    } else {
        generator
            .value(schema)
            .into_iter()
            .map(|value| (String::new(), value))
            .collect()
    };
    let example = |(name, value): (String, Value)| Example {
        name,
        is_generated: true,
        ..shown(reference, &value, &media.media_type)
    };
    values.into_iter().map(example).collect()
}

/// Whether values of a media type can be shown as text.
pub(crate) fn is_textual(media_type: &str) -> bool {
    let name = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let binary = ["image/", "audio/", "video/", "font/"]
        .iter()
        .any(|start| name.starts_with(start));
    let packed = ["octet-stream", "zip", "gzip", "pdf", "tar"]
        .iter()
        .any(|end| name.ends_with(end));
    !binary && !packed
}

/// Whether values of a media type are written as JSON.
pub(crate) fn is_json(media_type: &str) -> bool {
    let name = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    name.is_empty() || name.ends_with("json") || name.ends_with("/*") || name.contains("form")
}

fn shown(reference: &Reference, value: &Value, media_type: &str) -> Example {
    let text = match value {
        // Documents often have JSON as text.
        Value::String(text) if is_json(media_type) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => pretty(&inner),
            _ => value.to_string(),
        },
        Value::String(text) => text.clone(),
        other => pretty(other),
    };
    let (text, is_cut) = cut(text, reference.limits.example_lines);
    Example {
        html: highlight::json(&text),
        is_cut,
        value: Some(value.clone()),
        text,
        ..Example::empty()
    }
}

impl Example {
    fn empty() -> Self {
        Self {
            name: String::new(),
            summary: None,
            prose: Html::default(),
            is_generated: false,
            text: String::new(),
            html: Html::default(),
            is_cut: false,
            external: None,
            value: None,
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

fn cut(mut text: String, lines: usize) -> (String, bool) {
    const LONGEST: usize = 40_000;
    let by_lines = text.match_indices('\n').nth(lines.saturating_sub(1)).map(|(at, _)| at);
    let mut end = by_lines.unwrap_or(text.len()).min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end == text.len() {
        return (text, false);
    }
    text.truncate(end);
    text.push_str("\n…");
    (text, true)
}
