//! Which header fields reach the upstream, and which of them are ours.
//!
//! Invariants: a name by which an upstream learns who calls is set by the gateway or absent. A client's spelling of it,
//! in any case and with `_` for `-`, is dropped, wherever it came from. Hop-by-hop fields end here in both directions;
//! trailers are never forwarded (bodies carry data alone).
//!
//! Deliberately absent: `Forwarded` (RFC 7239); upstreams get the `X-Forwarded-*` fields.

use std::fmt::Write as _;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use serving::trust::Origin;

/// `X-Request-Id`.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// `traceparent`.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_CONSUMER_ID: HeaderName = HeaderName::from_static("x-consumer-id");
const X_CONSUMER_NAME: HeaderName = HeaderName::from_static("x-consumer-name");
const X_SUBSCRIPTION_ID: HeaderName = HeaderName::from_static("x-subscription-id");
const X_PLAN: HeaderName = HeaderName::from_static("x-plan");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

const OWNED_PREFIXES: [&str; 3] = ["x-consumer-", "x-forwarded-", "x-request-"];
const OWNED: [&str; 6] = [
    "x-subscription-id",
    "x-plan",
    "forwarded",
    "x-real-ip",
    "traceparent",
    "x-forwarded",
];
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Removes hop-by-hop fields and those that `Connection` names. What it says of our names has no effect: ours
/// are set afterwards.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let values = headers.get_all(header::CONNECTION).iter();
        let named: Vec<HeaderName> = values
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name| !is_end_to_end(name))
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Fields without which a request would mean something else; `Connection` cannot take them away.
fn is_end_to_end(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::HOST | header::CONTENT_LENGTH | header::CONTENT_TYPE | header::AUTHORIZATION | header::CONTENT_ENCODING
    )
}

/// Whether `name` is a spelling of `owned`, `_` counting as `-`.
fn is_spelling(name: &str, owned: &str) -> bool {
    name.len() == owned.len() && starts_as(name, owned)
}

fn starts_as(name: &str, prefix: &str) -> bool {
    let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_'));
    name.len() >= prefix.len() && name.bytes().zip(prefix.bytes()).all(same)
}

fn is_owned(name: &str) -> bool {
    OWNED_PREFIXES.iter().any(|prefix| starts_as(name, prefix)) || OWNED.iter().any(|owned| is_spelling(name, owned))
}

/// Drops every client spelling of a name that is ours, and of the `further` ones (credential, upstream secret).
pub(crate) fn remove_owned(headers: &mut HeaderMap, further: &[&str]) {
    let drop = |name: &str| is_owned(name) || further.iter().any(|owned| is_spelling(name, owned));
    let names: Vec<HeaderName> = headers.keys().filter(|name| drop(name.as_str())).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Who calls, in the words that the upstream gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) consumer_id: HeaderValue,
    pub(crate) consumer_name: HeaderValue,
    pub(crate) subscription_id: HeaderValue,
}

/// What the gateway states about a request.
pub(crate) struct Statement<'a> {
    /// The request's id.
    pub(crate) request_id: &'a HeaderValue,
    /// Our span as the upstream's caller.
    pub(crate) traceparent: HeaderValue,
    /// The client's `traceparent` was valid, so that its `tracestate` means something.
    pub(crate) continues_trace: bool,
    /// Who calls; `None` for anonymous callers.
    pub(crate) identity: Option<&'a Identity>,
    /// The plan's name.
    pub(crate) plan: HeaderValue,
    /// Where the request came from.
    pub(crate) origin: &'a Origin,
    /// The scheme of the client's request.
    pub(crate) scheme: HeaderValue,
    /// The protocol version of the client's request, for `Via`.
    pub(crate) version: http::Version,
}

/// Sets what is ours. Call it after [`remove_owned`].
pub(crate) fn state(headers: &mut HeaderMap, statement: Statement<'_>) {
    headers.insert(X_REQUEST_ID, statement.request_id.clone());
    headers.insert(TRACEPARENT, statement.traceparent);
    if !statement.continues_trace {
        headers.remove(TRACESTATE);
    }
    if let Some(identity) = statement.identity {
        headers.insert(X_CONSUMER_ID, identity.consumer_id.clone());
        headers.insert(X_CONSUMER_NAME, identity.consumer_name.clone());
        headers.insert(X_SUBSCRIPTION_ID, identity.subscription_id.clone());
    }
    headers.insert(X_PLAN, statement.plan);
    headers.insert(X_FORWARDED_FOR, forwarded_for(statement.origin));
    headers.insert(X_FORWARDED_PROTO, statement.scheme);
    if let Some(host) = headers.get(header::HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.append(header::VIA, via(statement.version));
}

/// Sets the header that proves to the upstream that the gateway calls.
pub(crate) fn set_secret(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    if let (Ok(name), Ok(mut value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

fn via(version: http::Version) -> HeaderValue {
    HeaderValue::from_static(match version {
        http::Version::HTTP_2 => "2 tollgate",
        http::Version::HTTP_10 => "1.0 tollgate",
        _ => "1.1 tollgate",
    })
}

fn forwarded_for(origin: &Origin) -> HeaderValue {
    let mut text = String::with_capacity(40);
    let _never_fails = write!(text, "{}", origin.client);
    for proxy in &origin.proxies {
        let _never_fails = write!(text, ", {proxy}");
    }
    value_of(&text)
}

/// The scheme as the client used it: the proxy's word when it is trusted, else what the socket shows.
pub(crate) fn scheme(origin: &Origin, tls: bool, headers: &HeaderMap) -> HeaderValue {
    let stated = headers
        .get(X_FORWARDED_PROTO)
        .filter(|_| origin.proxied)
        .map(HeaderValue::as_bytes);
    match (stated, tls) {
        (Some(b"https"), _) | (None, true) => HeaderValue::from_static("https"),
        (Some(b"http"), _) | (None, false) => HeaderValue::from_static("http"),
        (Some(_), tls) => HeaderValue::from_static(if tls { "https" } else { "http" }),
    }
}

/// A header value of any text: what a field may not carry is left out.
pub(crate) fn value_of(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| {
        let visible: String = text.chars().filter(|c| matches!(c, ' '..='~')).collect();
        HeaderValue::from_str(visible.trim()).unwrap_or(HeaderValue::from_static(""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let pairs = fields.iter().map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        });
        pairs.collect()
    }

    #[test]
    fn every_spelling_of_an_owned_name_is_dropped() {
        for name in [
            "X-Consumer-Id",
            "x_consumer_id",
            "X-Consumer_Name",
            "X-CONSUMER-ANYTHING",
            "X-Subscription-Id",
            "x_subscription_id",
            "X-Plan",
            "X_Plan",
            "X-Forwarded-For",
            "X_Forwarded_Proto",
            "X-Forwarded-Whatever",
            "Forwarded",
            "X-Real-IP",
            "X_Real_IP",
            "X-Request-Id",
            "x_request_id",
            "X-Request-Start",
            "traceparent",
            "X-Gateway-Secret",
            "X_Gateway_Secret",
            "x-api_key",
        ] {
            let mut headers = map(&[(name, "spoofed"), ("accept", "*/*")]);
            remove_owned(&mut headers, &["x-gateway-secret", "x-api-key"]);
            assert_eq!(headers, map(&[("accept", "*/*")]), "{name}");
        }
        let mut kept = map(&[("x-planet", "mars"), ("x-consumer", "a"), ("forwarded-by", "b")]);
        remove_owned(&mut kept, &[]);
        assert_eq!(kept.len(), 3);
    }

    #[test]
    fn connection_takes_away_what_it_names_but_nothing_that_is_end_to_end() {
        let mut headers = map(&[
            ("connection", "x-trick, Host,content-length , close"),
            ("x-trick", "1"),
            ("host", "a.example"),
            ("content-length", "3"),
            ("te", "trailers"),
            ("upgrade", "websocket"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(headers, map(&[("host", "a.example"), ("content-length", "3")]));
    }

    #[test]
    fn the_statement_replaces_whatever_was_there() {
        let origin = Origin {
            client: "198.51.100.7".parse().unwrap(),
            proxies: vec!["10.0.0.1".parse().unwrap()],
            proxied: true,
        };
        let mut headers = map(&[("host", "api.example.com"), ("via", "1.1 edge"), ("tracestate", "x=y")]);
        let identity = Identity {
            consumer_id: value_of("con_1"),
            consumer_name: value_of("Zoë\r\nx"),
            subscription_id: value_of("sub_1"),
        };
        state(
            &mut headers,
            Statement {
                request_id: &value_of("r1"),
                traceparent: value_of("tp"),
                continues_trace: false,
                identity: Some(&identity),
                plan: value_of("pro"),
                origin: &origin,
                scheme: value_of("https"),
                version: http::Version::HTTP_11,
            },
        );
        assert_eq!(headers["x-forwarded-for"], "198.51.100.7, 10.0.0.1");
        assert_eq!(headers["x-forwarded-host"], "api.example.com");
        assert_eq!(headers["x-consumer-name"], "Zox");
        assert_eq!(headers.get_all("via").iter().count(), 2);
        assert!(!headers.contains_key("tracestate"));
    }
}
