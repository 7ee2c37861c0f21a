//! Which specification a document follows.

use serde_json::Value;

use crate::fault::{Fault, Faults};
use crate::located::shorten;

/// A version of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// No description at all, or one of a version that cannot be read.
    Unknown,
    /// Swagger 2.0.
    V2,
    /// 3.0.
    V3_0,
    /// 3.1.
    V3_1,
    /// 3.2 and later minor versions.
    V3_2,
}

impl Version {
    /// `2.0`, `3.0`, `3.1`, `3.2`, or `unknown`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::V2 => "2.0",
            Self::V3_0 => "3.0",
            Self::V3_1 => "3.1",
            Self::V3_2 => "3.2",
        }
    }
}

const REMEDY: &str = "give an OpenAPI document that begins with openapi: 3.0.3 or later, or swagger: \"2.0\"";

pub(super) fn detect(root: &Value, faults: &mut Faults) -> Version {
    let Some(object) = root.as_object() else {
        let what = if root.is_string() { "a plain text" } else { "no map" };
        faults.push(Fault::error(
            "",
            format!("this is {what}, not an OpenAPI document"),
            REMEDY,
        ));
        return Version::Unknown;
    };
    let (field, value) = match (object.get("openapi"), object.get("swagger")) {
        (Some(value), _) => ("openapi", value),
        (None, Some(value)) => ("swagger", value),
        (None, None) => {
            let other = ["asyncapi", "raml", "arazzo", "overlay"]
                .into_iter()
                .find(|name| object.contains_key(*name));
            let named = other.map_or_else(String::new, |name| format!(" but one of {name}"));
            let reason = format!("this is not an OpenAPI document{named}: it has neither openapi nor swagger");
            faults.push(Fault::error("", reason, REMEDY));
            return Version::Unknown;
        }
    };
    let pointer = format!("/{field}");
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let reason = format!("{field} is the number {number} where text is expected");
            faults.push(Fault::warning(
                &pointer,
                reason,
                format!("put it in quotes: \"{number}\""),
            ));
            number.to_string()
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    let version = of(field, &text);
    if version == Version::Unknown {
        faults.push(Fault::error(
            &pointer,
            format!("the version {:?} cannot be read", shorten(&text)),
            REMEDY,
        ));
    } else if version == Version::V3_2 && !text.starts_with("3.2") {
        let reason = format!("the version {} is read as 3.2", shorten(&text));
        faults.push(Fault::warning(&pointer, reason, "check that every operation is listed"));
    }
    version
}

fn of(field: &str, text: &str) -> Version {
    let mut parts = text.trim().split('.');
    let major = parts.next().unwrap_or_default();
    let minor = parts.next().unwrap_or("0");
    match (field, major, minor.parse::<u32>()) {
        (_, "2", Ok(0)) => Version::V2,
        ("openapi", "3", Ok(0)) => Version::V3_0,
        ("openapi", "3", Ok(1)) => Version::V3_1,
        ("openapi", "3", Ok(2..)) => Version::V3_2,
        _ => Version::Unknown,
    }
}
