//! The request of an operation, from which samples are printed and which a console sends.
//!
//! Invariant: what [`Request::address`], [`Request::headers`] and [`Request::body`] say is what every printed sample
//! sends. Names and values have no control characters, so none can break out of a header.

mod build;
mod encode;
mod write;

use std::collections::BTreeMap;

use serde_json::Value;

pub use build::MediaChoice;
pub(crate) use encode::percent;

/// A request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Address without the query.
    pub url: String,
    /// The query.
    pub query: Vec<Pair>,
    /// Headers but for cookies and the content type of the body.
    pub headers: Vec<Header>,
    /// Cookies.
    pub cookies: Vec<Pair>,
    /// The body.
    pub body: Body,
}

/// A name with a value, in a query or a cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Name, as it is.
    pub name: String,
    /// Value, as it is.
    pub value: String,
    /// Both as they are sent, `name=value`.
    pub encoded: String,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Name.
    pub name: String,
    /// Value.
    pub value: HeaderValue,
}

/// The value of a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderValue {
    /// As it is sent.
    Text(String),
    /// A secret: samples read it from a variable of the environment.
    Secret {
        /// What stands before it, such as `Bearer `.
        prefix: String,
        /// The variable.
        variable: String,
    },
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// None.
    None,
    /// A value, written as JSON.
    Json {
        /// Content type.
        content_type: String,
        /// The value.
        value: Value,
    },
    /// `application/x-www-form-urlencoded`: names and values as they are.
    Form(Vec<(String, String)>),
    /// `multipart/form-data`.
    Multipart(Vec<Part>),
    /// Text of any other type.
    Raw {
        /// Content type.
        content_type: String,
        /// The text.
        text: String,
    },
    /// A file as it is.
    File {
        /// Content type.
        content_type: String,
        /// Name of the file in samples.
        name: String,
    },
}

/// A part of a multipart body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Name.
    pub name: String,
    /// Content type, where it is not the usual one.
    pub content_type: Option<String>,
    /// What it holds.
    pub content: Content,
}

/// What a part holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// A file of this name.
    File(String),
}

/// The key with which a sample calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Header.
    pub header: String,
    /// What stands before the key, such as `Bearer `.
    pub prefix: String,
    /// Variable of the environment that holds the key.
    pub variable: String,
}

impl Default for Credential {
    fn default() -> Self {
        Self {
            header: "X-API-Key".to_owned(),
            prefix: String::new(),
            variable: "TOLLGATE_KEY".to_owned(),
        }
    }
}

/// What fills a request.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Address that the path is appended to; the first server of the document where there is none.
    pub base: Option<String>,
    /// The key; requests without one have no such header.
    pub credential: Option<Credential>,
    /// Values of parameters by place and name, as in `query.limit`. A list may be written with commas, a list or map also
    /// as JSON.
    pub values: BTreeMap<String, String>,
    /// Media type of the body; JSON, or else the first, where there is none.
    pub media_type: Option<String>,
    /// Text of the body; JSON for all types but plain ones. Of a form each field is a pair.
    pub body: Option<String>,
    /// Whether what is not given is left out, as a console wants it. Samples take it from examples: everything that is
    /// required, and what has an example in the document.
    pub only_given: bool,
}

impl Inputs {
    /// For samples that call `base` with the default credential.
    #[must_use]
    pub fn sample(base: &str) -> Self {
        Self {
            base: Some(base.to_owned()),
            credential: Some(Credential::default()),
            ..Self::default()
        }
    }
}

impl Request {
    /// The address with its query.
    #[must_use]
    pub fn address(&self) -> String {
        let query: Vec<&str> = self.query.iter().map(|pair| pair.encoded.as_str()).collect();
        if query.is_empty() {
            return self.url.clone();
        }
        let mark = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{mark}{}", self.url, query.join("&"))
    }

    /// Headers with cookies and, unless the body sets its own, the content type.
    #[must_use]
    pub fn all_headers(&self) -> Vec<Header> {
        let text = |name: &str, value: String| Header {
            name: name.to_owned(),
            value: HeaderValue::Text(value),
        };
        let mut headers = self.headers.clone();
        let cookies: Vec<&str> = self.cookies.iter().map(|pair| pair.encoded.as_str()).collect();
        if !cookies.is_empty() {
            headers.push(text("Cookie", cookies.join("; ")));
        }
        let content_type = match &self.body {
            Body::Json { content_type, .. } | Body::Raw { content_type, .. } | Body::File { content_type, .. } => {
                Some(content_type.clone())
            }
            Body::Form(_) => Some("application/x-www-form-urlencoded".to_owned()),
            Body::None | Body::Multipart(_) => None,
        };
        headers.extend(content_type.map(|name| text("Content-Type", name)));
        headers
    }
}

/// A form as it is sent.
#[must_use]
pub fn form_text(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", percent(name), percent(value)))
        .collect();
    pairs.join("&")
}
