//! Requests out of operations.

use description::openapi::references::lookup;
use description::openapi::{Location, Parameter};
use description::template::{self, Segment};
use serde_json::{Map, Value};

use super::write::{How, deep, in_header, in_path, pairs, plain};
use super::{Body, Content, Header, HeaderValue, Inputs, Pair, Part, Request, encode};
use crate::entry::Entry;
use crate::example::{self, Generator, Purpose, is_json, is_textual};
use crate::flat::{Circles, Flat};
use crate::operation::Style;
use crate::operation::media::{self, Media, Schema, form_schema};
use crate::operation::parameters::{self, Writing};
use crate::reference::Reference;

/// A media type that a request may have.
pub type MediaChoice = String;

/// Optional parameters without an example that a sample shows, where it would show none otherwise.
const FEW: usize = 4;
const MOST_OPTIONAL: usize = 8;

struct Filled<'r> {
    parameter: Parameter,
    writing: Writing<'r>,
    value: Value,
}

impl Reference {
    /// The request of an operation or webhook.
    #[must_use]
    pub fn request(&self, entry: &Entry, inputs: &Inputs) -> Request {
        let filled = self.filled(entry, inputs);
        let mut request = Request {
            method: entry.method.clone(),
            url: self.address(entry, inputs, &filled),
            query: Vec::new(),
            headers: Vec::new(),
            cookies: Vec::new(),
            body: Body::None,
        };
        for one in &filled {
            let how = one.how();
            let value = &one.value;
            match one.parameter.location {
                Location::Query | Location::QueryString => request.query.extend(one.query(how)),
                Location::Cookie => request.cookies.extend(pairs(&one.parameter.name, value, how)),
                Location::Header => request.headers.extend(one.header(how)),
                Location::Path | Location::Body | Location::FormData => {}
            }
        }
        if let Some(key) = &inputs.credential {
            request
                .headers
                .retain(|header| !header.name.eq_ignore_ascii_case(&key.header));
            let value = HeaderValue::Secret {
                prefix: key.prefix.clone(),
                variable: key.variable.clone(),
            };
            let header = Header {
                name: key.header.clone(),
                value,
            };
            request.headers.insert(0, header);
        }
        request.body = self.body(entry, inputs);
        request
    }

    /// Media types that the request of an operation may have.
    #[must_use]
    pub fn media_types(&self, entry: &Entry) -> Vec<MediaChoice> {
        let body = lookup(&self.document, &entry.pointer).and_then(|operation| media::request(self, entry, operation));
        body.map(|body| body.media.into_iter().map(|media| media.media_type).collect())
            .unwrap_or_default()
    }

    fn filled<'r>(&'r self, entry: &'r Entry, inputs: &Inputs) -> Vec<Filled<'r>> {
        static ANY: Value = Value::Bool(true);
        let mut filled = Vec::new();
        let mut left_out = Vec::new();
        for (parameter, value) in parameters::all(self, entry) {
            let writing = Writing::of(value.unwrap_or(&ANY), parameter.location);
            let key = format!("{}.{}", parameter.location.as_str(), parameter.name);
            let given = inputs.values.get(&key).map(|text| typed(self, &writing, text));
            let own = if inputs.only_given {
                None
            } else {
                self.offered(&writing)
            };
            let wanted = parameter.required || (own.is_some() && filled.len() < MOST_OPTIONAL && !parameter.deprecated);
            let made = || own.unwrap_or_else(|| self.made(&writing, &parameter));
            let value = match given {
                Some(value) => value,
                None if inputs.only_given && parameter.location == Location::Path => Value::Null,
                None if inputs.only_given => continue,
                None if wanted => made(),
                None => {
                    left_out.push((parameter, writing));
                    continue;
                }
            };
            filled.push(Filled {
                parameter,
                writing,
                value,
            });
        }
        let bare = !filled.iter().any(|one| one.parameter.location != Location::Path);
        if bare && left_out.len() <= FEW && !inputs.only_given {
            for (parameter, writing) in left_out {
                let value = self.made(&writing, &parameter);
                filled.push(Filled {
                    parameter,
                    writing,
                    value,
                });
            }
        }
        filled
    }

    /// The first example of a parameter in the document.
    fn offered(&self, writing: &Writing<'_>) -> Option<Value> {
        let given = example::given(self, writing.holder, "text/plain").into_iter().next();
        given.and_then(|example| example.value).or_else(|| {
            let flat = Flat::new(self, writing.schema, &[], Circles::Stop);
            flat.get("example").filter(|value| !value.is_null()).cloned()
        })
    }

    fn made(&self, writing: &Writing<'_>, parameter: &Parameter) -> Value {
        let plain = writing.schema.is_boolean();
        let value = (!plain)
            .then(|| Generator::new(self, Purpose::Request).value(writing.schema))
            .flatten();
        value.unwrap_or_else(|| Value::String(parameter.name.clone()))
    }

    fn address(&self, entry: &Entry, inputs: &Inputs, filled: &[Filled<'_>]) -> String {
        let own = || self.servers().first().map(|server| server.url.clone());
        let base = inputs
            .base
            .clone()
            .or_else(own)
            .unwrap_or_else(|| "https://api.example.com".to_owned());
        let mut url = encode::address(base.trim_end_matches('/'));
        for segment in template::route_template(&entry.path).segments {
            url.push('/');
            match segment {
                Segment::Literal(text) => url.push_str(&encode::path(&text)),
                Segment::Param(name) => url.push_str(&placeholder(&name, filled)),
                Segment::Mixed(parts) => {
                    for part in parts {
                        match part {
                            template::Part::Text(text) => url.push_str(&encode::path(&text)),
                            template::Part::Param(name) => url.push_str(&placeholder(&name, filled)),
                        }
                    }
                }
            }
        }
        url
    }

    fn body(&self, entry: &Entry, inputs: &Inputs) -> Body {
        let Some(operation) = lookup(&self.document, &entry.pointer) else {
            return Body::None;
        };
        let Some(body) = media::request(self, entry, operation) else {
            return Body::None;
        };
        let wanted = |media: &&Media<'_>| match &inputs.media_type {
            Some(name) => media.media_type == *name,
            None => media.media_type.contains("json"),
        };
        let Some(media) = body.media.iter().find(wanted).or_else(|| body.media.first()) else {
            return Body::None;
        };
        let name = concrete(&media.media_type);
        let value = match (&inputs.body, inputs.only_given) {
            (Some(text), _) if text.is_empty() && !body.required => return Body::None,
            (Some(text), _) if is_json(&name) => match serde_json::from_str(text) {
                Ok(value) => value,
                Err(_) => return raw(name, text.clone()),
            },
            (Some(text), _) => return raw(name, text.clone()),
            (None, true) => return Body::None,
            (None, false) => {
                let first = example::of_media(self, media, Purpose::Request).into_iter().next();
                first.and_then(|example| example.value).unwrap_or(Value::Null)
            }
        };
        self.body_of(name, value, media)
    }

    fn body_of(&self, content_type: String, value: Value, media: &Media<'_>) -> Body {
        let short = content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        match (short.as_str(), value) {
            ("application/x-www-form-urlencoded", Value::Object(map)) => Body::Form(form(&map, media)),
            (name, Value::Object(map)) if name.starts_with("multipart/") => Body::Multipart(self.parts(&map, media)),
            (name, _) if !is_textual(name) => Body::File {
                content_type,
                name: "file.bin".to_owned(),
            },
            (name, Value::String(text)) if is_json(name) => Body::Json {
                value: serde_json::from_str::<Value>(&text)
                    .ok()
                    .filter(|inner| inner.is_object() || inner.is_array())
                    .unwrap_or(Value::String(text)),
                content_type,
            },
            (name, value) if is_json(name) => Body::Json { content_type, value },
            (_, value) => raw(content_type, plain(&value)),
        }
    }

    fn parts(&self, map: &Map<String, Value>, media: &Media<'_>) -> Vec<Part> {
        let made;
        let schema = match &media.schema {
            Some(Schema::Own(schema)) => Some(*schema),
            Some(Schema::Fields(fields)) => {
                made = form_schema(fields);
                Some(&made)
            }
            None => None,
        };
        let flat = schema.map(|schema| Flat::new(self, schema, &[], Circles::Stop));
        let mut parts = Vec::new();
        for (name, value) in map {
            let field = flat
                .as_ref()
                .and_then(|flat| flat.properties().get(name.as_str()).copied());
            let is_file = field.is_some_and(|field| self.is_binary(field));
            let encoding = media
                .holder
                .and_then(|holder| holder.get("encoding")?.get(name)?.get("contentType")?.as_str());
            let values: Vec<&Value> = match value {
                Value::Array(items) => items.iter().take(20).collect(),
                other => vec![other],
            };
            for value in values {
                let json = value.is_object() || value.is_array();
                let usual = json.then(|| "application/json".to_owned());
                let content_type = encoding.map(concrete).or(usual);
                let content = if is_file {
                    Content::File(file_name(name))
                } else {
                    Content::Text(plain(value))
                };
                parts.push(Part {
                    name: encode::header(name),
                    content_type,
                    content,
                });
            }
        }
        parts
    }

    fn is_binary(&self, schema: &Value) -> bool {
        let flat = Flat::new(self, schema, &[], Circles::Stop);
        if let Some(items) = flat.get("items").filter(|_| flat.types().0 == ["array"]) {
            let inner = Flat::new(self, items, &[], Circles::Stop);
            return inner.text("format") == Some("binary");
        }
        let octets = flat.text("contentMediaType").is_some_and(|name| !is_textual(name));
        flat.text("format") == Some("binary") || octets && flat.text("contentEncoding").is_none()
    }
}

/// Fields of a form, by their encodings.
fn form(map: &Map<String, Value>, media: &Media<'_>) -> Vec<(String, String)> {
    let encoding = |name: &str| media.holder.and_then(|holder| holder.get("encoding")?.get(name));
    let style = |name: &str| encoding(name)?.get("style")?.as_str().and_then(Style::named);
    let deep_somewhere = map.keys().any(|name| style(name) == Some(Style::DeepObject));
    let mut fields = Vec::new();
    for (name, value) in map {
        let explode = encoding(name)
            .and_then(|one| one.get("explode"))
            .and_then(Value::as_bool);
        let nested = value.is_object() || value.as_array().is_some_and(|items| items.iter().any(Value::is_object));
        match style(name) {
            Some(Style::DeepObject) => deep(name, value, 0, &mut fields),
            None if nested && deep_somewhere => deep(name, value, 0, &mut fields),
            None if value.is_object() => fields.push((name.clone(), value.to_string())),
            style => {
                let style = style.unwrap_or(Style::Form);
                let how = How {
                    style,
                    explode: explode.unwrap_or(style == Style::Form),
                    allow_reserved: false,
                };
                fields.extend(pairs(name, value, how).into_iter().map(|pair| (pair.name, pair.value)));
            }
        }
    }
    fields
}

impl Filled<'_> {
    fn how(&self) -> How {
        How {
            style: self.writing.style,
            explode: self.writing.explode,
            allow_reserved: self.writing.allow_reserved,
        }
    }

    fn query(&self, how: How) -> Vec<Pair> {
        let name = &self.parameter.name;
        if self.parameter.location == Location::QueryString {
            let text = plain(&self.value);
            return match (&self.value, self.writing.media_type) {
                (Value::Object(map), Some("application/x-www-form-urlencoded")) => {
                    let how = How {
                        style: Style::Form,
                        explode: true,
                        allow_reserved: false,
                    };
                    map.iter().flat_map(|(key, value)| pairs(key, value, how)).collect()
                }
                _ => vec![Pair {
                    encoded: encode::percent(&text),
                    name: String::new(),
                    value: text,
                }],
            };
        }
        if self.writing.media_type.is_some() {
            return pairs(name, &Value::String(plain(&self.value)), how);
        }
        pairs(name, &self.value, how)
    }

    fn header(&self, how: How) -> Option<Header> {
        let name = &self.parameter.name;
        // These three are for other parts of a document to describe.
        let ruled = ["accept", "content-type", "authorization"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        (encode::is_token(name) && !ruled).then(|| Header {
            name: name.clone(),
            value: HeaderValue::Text(encode::header(&in_header(&self.value, how))),
        })
    }
}

fn placeholder(name: &str, filled: &[Filled<'_>]) -> String {
    let found = filled
        .iter()
        .find(|one| one.parameter.location == Location::Path && one.parameter.name == name);
    match found.filter(|one| !one.value.is_null()) {
        Some(one) => in_path(name, &one.value, one.how()),
        None => encode::percent(name),
    }
}

/// What was typed into a form, as the schema wants it.
fn typed(reference: &Reference, writing: &Writing<'_>, text: &str) -> Value {
    let flat = Flat::new(reference, writing.schema, &[], Circles::Stop);
    let (types, _) = flat.types();
    let json = || serde_json::from_str::<Value>(text).ok();
    match types.first() {
        Some(&"array") => json().filter(Value::is_array).unwrap_or_else(|| {
            Value::Array(
                text.split(',')
                    .map(|item| Value::String(item.trim().to_owned()))
                    .collect(),
            )
        }),
        Some(&"object") => json()
            .filter(Value::is_object)
            .unwrap_or_else(|| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}

fn raw(content_type: String, text: String) -> Body {
    Body::Raw { content_type, text }
}

/// A media type that a request can have, for a range such as `image/*`.
fn concrete(name: &str) -> String {
    let first = name.split(',').next().unwrap_or_default().trim();
    let name = encode::header(first);
    match name.as_str() {
        "*/*" | "application/*" | "" => "application/json".to_owned(),
        "text/*" => "text/plain".to_owned(),
        "image/*" => "image/png".to_owned(),
        _ if name.contains('*') => "application/octet-stream".to_owned(),
        _ => name,
    }
}

fn file_name(field: &str) -> String {
    let plain: String = field.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    if plain.is_empty() {
        "file.bin".to_owned()
    } else {
        format!("{plain}.bin")
    }
}
