//! What operations ask of their callers.

use description::openapi::SecurityUse;
use description::openapi::references::{follow, lookup};
use serde_json::{Map, Value};

use super::ExternalLink;
use crate::html::{Html, clip};
use crate::prose::Place;
use crate::reference::Reference;

/// A scheme that a request must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthUse {
    /// Name of the scheme in the document.
    pub scheme: String,
    /// What it is, in words; `unknown scheme` where the document does not define it.
    pub words: String,
    /// Scopes that the credential must have.
    pub scopes: Vec<Scope>,
}

/// A scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Name.
    pub name: String,
    /// What it allows.
    pub meaning: Option<String>,
}

/// A scheme as the page about authentication shows it.
#[derive(Debug, Clone)]
pub struct SchemeView {
    /// Name in the document.
    pub name: String,
    /// What it is.
    pub kind: SchemeKind,
    /// The same in words.
    pub words: String,
    /// What the author says about it.
    pub prose: Html,
    /// Scopes of all flows, each once.
    pub scopes: Vec<Scope>,
    /// Whether callers should stop using it.
    pub deprecated: bool,
}

/// Kinds of schemes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemeKind {
    /// A key in a header, the query or a cookie.
    ApiKey {
        /// `header`, `query` or `cookie`.
        place: String,
        /// Name of the header, parameter or cookie.
        name: String,
    },
    /// HTTP authentication, such as `basic` or `bearer`.
    Http {
        /// Name of the HTTP scheme, in lower case.
        scheme: String,
    },
    /// OAuth 2.
    OAuth2 {
        /// Ways to get a token.
        flows: Vec<Flow>,
    },
    /// `OpenID` Connect.
    OpenIdConnect {
        /// Where its configuration is.
        url: Option<ExternalLink>,
    },
    /// A certificate of the client.
    MutualTls,
    /// None of these.
    Unknown,
}

/// A way to get a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// `authorizationCode`, `clientCredentials`, `implicit`, `password` or `deviceAuthorization`.
    pub name: String,
    /// Its addresses: what each is for, and the address.
    pub urls: Vec<(&'static str, String)>,
}

const MOST: usize = 200;

impl Reference {
    /// Schemes that the document defines.
    #[must_use]
    pub fn schemes(&self) -> Vec<SchemeView> {
        let all = self.scheme_map().into_iter().flatten().take(MOST);
        all.filter_map(|(name, _)| self.scheme(name)).collect()
    }

    fn scheme_map(&self) -> Option<&Map<String, Value>> {
        lookup(&self.document, "/components/securitySchemes")
            .or_else(|| lookup(&self.document, "/securityDefinitions"))?
            .as_object()
    }

    fn scheme(&self, name: &str) -> Option<SchemeView> {
        let scheme = self.scheme_map()?.get(name)?;
        let (scheme, _) = follow(&self.document, scheme, "").ok()?;
        let kind = kind(scheme);
        Some(SchemeView {
            name: clip(name, 200),
            words: words(&kind),
            kind,
            prose: self.prose(scheme.get("description"), Place::Field),
            scopes: scopes(scheme),
            deprecated: scheme.get("deprecated") == Some(&Value::Bool(true)),
        })
    }

    pub(crate) fn auth(&self, alternatives: &[Vec<SecurityUse>]) -> Vec<Vec<AuthUse>> {
        let one = |used: &SecurityUse| {
            let scheme = self.scheme_map().and_then(|map| map.get(&used.scheme));
            let scheme = scheme
                .and_then(|scheme| follow(&self.document, scheme, "").ok())
                .map(|(scheme, _)| scheme);
            let known = scheme.map(scopes).unwrap_or_default();
            let scope = |name: &String| Scope {
                name: clip(name, 200),
                meaning: known
                    .iter()
                    .find(|scope| scope.name == *name)
                    .and_then(|scope| scope.meaning.clone()),
            };
            AuthUse {
                scheme: clip(&used.scheme, 200),
                words: scheme.map_or_else(|| "unknown scheme".to_owned(), |scheme| words(&kind(scheme))),
                scopes: used.scopes.iter().take(MOST).map(scope).collect(),
            }
        };
        let alternatives = alternatives.iter().take(MOST);
        alternatives
            .map(|uses| uses.iter().take(MOST).map(one).collect())
            .collect()
    }
}

fn text(scheme: &Value, field: &str) -> String {
    clip(scheme.get(field).and_then(Value::as_str).unwrap_or_default(), 200)
}

fn kind(scheme: &Value) -> SchemeKind {
    match text(scheme, "type").as_str() {
        "apiKey" => SchemeKind::ApiKey {
            place: text(scheme, "in"),
            name: text(scheme, "name"),
        },
        "basic" => SchemeKind::Http {
            scheme: "basic".to_owned(),
        },
        "http" => SchemeKind::Http {
            scheme: text(scheme, "scheme").to_ascii_lowercase(),
        },
        "oauth2" => SchemeKind::OAuth2 { flows: flows(scheme) },
        "openIdConnect" => SchemeKind::OpenIdConnect {
            url: external(&text(scheme, "openIdConnectUrl"), None),
        },
        "mutualTLS" => SchemeKind::MutualTls,
        _ => SchemeKind::Unknown,
    }
}

fn words(kind: &SchemeKind) -> String {
    match kind {
        SchemeKind::ApiKey { place, name } if place == "query" => format!("API key in the query parameter {name}"),
        SchemeKind::ApiKey { place, name } => format!("API key in the {place} {name}"),
        SchemeKind::Http { scheme } if scheme == "basic" => "HTTP Basic: user name and password".to_owned(),
        SchemeKind::Http { scheme } if scheme == "bearer" => "Bearer token".to_owned(),
        SchemeKind::Http { scheme } => format!("HTTP authentication {scheme}"),
        SchemeKind::OAuth2 { .. } => "OAuth 2".to_owned(),
        SchemeKind::OpenIdConnect { .. } => "OpenID Connect".to_owned(),
        SchemeKind::MutualTls => "Certificate of the client".to_owned(),
        SchemeKind::Unknown => "unknown scheme".to_owned(),
    }
}

const URLS: [(&str, &str); 4] = [
    ("authorizationUrl", "authorization"),
    ("deviceAuthorizationUrl", "device authorization"),
    ("tokenUrl", "token"),
    ("refreshUrl", "refresh"),
];

fn flow_maps(scheme: &Value) -> Vec<(String, &Value)> {
    match scheme.get("flows").and_then(Value::as_object) {
        Some(flows) => flows
            .iter()
            .take(MOST)
            .map(|(name, flow)| (clip(name, 80), flow))
            .collect(),
        // One flow, in 2.0.
        None => scheme
            .get("flow")
            .map(|_| (text(scheme, "flow"), scheme))
            .into_iter()
            .collect(),
    }
}

fn flows(scheme: &Value) -> Vec<Flow> {
    let urls = |flow: &Value| {
        let known = URLS
            .iter()
            .filter_map(|(field, what)| Some((*what, flow.get(*field)?.as_str()?)));
        known.map(|(what, url)| (what, clip(url, 500))).collect()
    };
    let flows = flow_maps(scheme).into_iter();
    flows.map(|(name, flow)| Flow { name, urls: urls(flow) }).collect()
}

fn scopes(scheme: &Value) -> Vec<Scope> {
    let mut scopes: Vec<Scope> = Vec::new();
    let maps = flow_maps(scheme)
        .into_iter()
        .filter_map(|(_, flow)| flow.get("scopes")?.as_object());
    for (name, meaning) in maps.flatten().take(MOST * 5) {
        if !scopes.iter().any(|scope| scope.name == *name) {
            scopes.push(Scope {
                name: clip(name, 200),
                meaning: meaning
                    .as_str()
                    .filter(|text| !text.is_empty())
                    .map(|text| clip(text, 500)),
            });
        }
    }
    scopes
}

/// A link to another site, if it is one.
pub(crate) fn external(url: &str, text: Option<&str>) -> Option<ExternalLink> {
    let url = url.trim();
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())?;
    let safe = matches!(scheme.as_str(), "http" | "https") && !url.chars().any(char::is_control);
    safe.then(|| ExternalLink {
        url: clip(url, 2_000),
        text: clip(text.filter(|text| !text.trim().is_empty()).unwrap_or(url), 200),
    })
}
