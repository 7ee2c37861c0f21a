//! Query strings, read strictly: an unknown, doubled or unreadable parameter is a problem that names it.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::nearest;
use super::problem::{Fault, Problem};

/// The query string read as `T`, whose fields are `Option`s of text, numbers or booleans.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parse(parts.uri.query().unwrap_or_default())
            .map(Self)
            .map_err(|fault| Problem::invalid(vec![fault]))
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Fault> {
    let mut map = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name)?, decode(value)?);
        if map
            .insert(name.clone().into_owned(), Value::String(value.into_owned()))
            .is_some()
        {
            return Err(Fault::parameter(name, "this parameter stands twice"));
        }
    }
    serde_path_to_error::deserialize(Value::Object(map)).map_err(|error| {
        let message = error.inner().to_string();
        let name = error.path().to_string();
        match nearest::advice(&message) {
            Some(advice) => Fault::parameter(advice.field.unwrap_or(name), advice.text.replace("key", "parameter")),
            None => Fault::parameter(name, message),
        }
    })
}

/// Percent-decodes; a plus sign is a space only where it stands for one in no time of RFC 3339, so it is left alone.
fn decode(text: &str) -> Result<Cow<'_, str>, Fault> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
            return Err(Fault::parameter(text, "a percent sign without two hexadecimal digits"));
        };
        bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(bytes)
        .map(Cow::Owned)
        .map_err(|_| Fault::parameter(text, "not UTF-8"))
}

/// Reads a parameter that is a whole number, a boolean or any other type with a text form.
pub(crate) fn from_text<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
    D: serde::Deserializer<'de>,
{
    let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
    text.filter(|text| !text.is_empty())
        .map(|text| text.parse().map_err(serde::de::Error::custom))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default, deserialize_with = "from_text")]
        limit: Option<u32>,
        #[serde(default)]
        cursor: Option<String>,
    }

    #[test]
    fn parameters_are_read_by_type() {
        let found: Wanted = parse("limit=5&cursor=a%20b").unwrap();
        assert_eq!(
            found,
            Wanted {
                limit: Some(5),
                cursor: Some("a b".to_owned())
            }
        );
    }

    #[test]
    fn faults_name_the_parameter() {
        for (query, name) in [("limit=x", "limit"), ("limit=1&limit=2", "limit"), ("limt=1", "limt")] {
            assert_eq!(
                parse::<Wanted>(query).unwrap_err().parameter.as_deref(),
                Some(name),
                "{query}"
            );
        }
        assert!(parse::<Wanted>("cursor=%zz").is_err());
        assert!(parse::<Wanted>("cursor=%ff").is_err());
    }
}
