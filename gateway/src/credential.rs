//! Finds the API key in a request, and takes it out.
//!
//! A key may stand in `Authorization: Bearer`, in the API's header and, where the API allows it, in a query parameter.
//! The same key in several places is one key; different ones, or a repeated field, are none that anybody can trust.

use domain::key::{ApiKey, KeyHash};
use http::header::{self, HeaderMap, HeaderName};

/// Longer texts are no keys.
const MAX_KEY: usize = 512;

/// Where an API looks for keys besides `Authorization`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// The header's name in lower case.
    pub(crate) header: &'a str,
    /// The query parameter's name.
    pub(crate) query: Option<&'a str>,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presented {
    /// No credential.
    Nothing,
    /// The hash of one key.
    Key(KeyHash),
    /// Something that cannot be a valid key, or too many of them.
    Unusable,
}

/// Finds the key of a request.
pub(crate) fn find(headers: &HeaderMap, query: Option<&str>, places: Places<'_>) -> Presented {
    let mut found: Option<&[u8]> = None;
    let decoded = match (places.query, query) {
        (Some(name), Some(query)) => in_query(query, name),
        _ => InQuery::None,
    };
    let from_query = match &decoded {
        InQuery::None => None,
        InQuery::One(value) => Some(value.as_slice()),
        InQuery::Several => return Presented::Unusable,
    };
    let mut api_keys = headers.get_all(places.header).iter();
    let api_key = api_keys.next().map(http::HeaderValue::as_bytes);
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let authorization = authorizations.next().map(http::HeaderValue::as_bytes);
    if api_keys.next().is_some() || authorizations.next().is_some() {
        return Presented::Unusable;
    }
    for candidate in [authorization.and_then(bearer), api_key, from_query]
        .into_iter()
        .flatten()
    {
        match found {
            Some(other) if other != candidate => return Presented::Unusable,
            _ => found = Some(candidate),
        }
    }
    found.map_or(Presented::Nothing, hash)
}

fn hash(candidate: &[u8]) -> Presented {
    let Ok(text) = std::str::from_utf8(candidate) else {
        return Presented::Unusable;
    };
    if text.is_empty() || text.len() > MAX_KEY {
        return Presented::Unusable;
    }
    // Keys of our form carry a checksum, so a mistyped one needs no lookup. Keys of other forms were brought along.
    if text.starts_with("tg_") && ApiKey::parse(text).is_none() {
        return Presented::Unusable;
    }
    Presented::Key(domain::key::hash(candidate))
}

/// The token of a `Bearer` credential; `None` for other schemes, which are the upstream's business.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(6)?;
    let separated = token.is_empty() || token.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    (scheme.eq_ignore_ascii_case(b"bearer") && separated).then(|| token.trim_ascii())
}

enum InQuery {
    None,
    One(Vec<u8>),
    Several,
}

fn in_query(query: &str, name: &str) -> InQuery {
    let mut values = query.split('&').filter_map(|pair| value_of(pair, name));
    match (values.next(), values.next()) {
        (None, _) => InQuery::None,
        (Some(value), None) => InQuery::One(value),
        (Some(_), Some(_)) => InQuery::Several,
    }
}

fn value_of(pair: &str, name: &str) -> Option<Vec<u8>> {
    let (found, value) = pair.split_once('=').unwrap_or((pair, ""));
    (unescape(found) == name.as_bytes()).then(|| unescape(value))
}

fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digit = |offset: usize| bytes.get(at + offset).and_then(|digit| char::from(*digit).to_digit(16));
        match (byte, digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high << 4 | low).unwrap_or(b'%'));
                at += 3;
            }
            (b'+', ..) => {
                out.push(b' ');
                at += 1;
            }
            _ => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// The query without the key's parameter; the rest stays as it was written.
pub(crate) fn strip_query(query: &str, name: &str) -> Option<String> {
    let kept: Vec<&str> = query.split('&').filter(|pair| value_of(pair, name).is_none()).collect();
    let kept = kept.join("&");
    (!kept.is_empty()).then_some(kept)
}

/// Takes the key out of the header fields. An `Authorization` of another scheme stays.
pub(crate) fn strip_headers(headers: &mut HeaderMap, places: Places<'_>) {
    if let Ok(name) = HeaderName::from_bytes(places.header.as_bytes()) {
        headers.remove(name);
    }
    if headers
        .get(header::AUTHORIZATION)
        .is_some_and(|value| bearer(value.as_bytes()).is_some())
    {
        headers.remove(header::AUTHORIZATION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::key::Mode;

    const PLACES: Places<'static> = Places {
        header: "x-api-key",
        query: Some("key"),
    };

    fn find_in(fields: &[(&'static str, &str)], query: Option<&str>) -> Presented {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        find(&headers, query, PLACES)
    }

    #[test]
    fn one_key_is_found_wherever_it_stands() {
        let key = ApiKey::new(Mode::Live, [1; 32]);
        let expected = Presented::Key(key.hash());
        let text = key.reveal();
        assert_eq!(
            find_in(&[("authorization", &format!("bearer  {text}"))], None),
            expected
        );
        assert_eq!(find_in(&[("x-api-key", text)], None), expected);
        assert_eq!(find_in(&[], Some(&format!("a=1&key={text}&b"))), expected);
        assert_eq!(find_in(&[], Some(&format!("%6bey=%74{}", &text[1..]))), expected);
        assert_eq!(
            find_in(
                &[("x-api-key", text), ("authorization", &format!("Bearer {text}"))],
                None
            ),
            expected
        );
        let legacy = Presented::Key(domain::key::hash(b"legacy-key-1"));
        assert_eq!(find_in(&[("x-api-key", "legacy-key-1")], None), legacy);
    }

    #[test]
    fn what_nobody_can_trust_is_unusable() {
        let key = ApiKey::new(Mode::Live, [1; 32]);
        let text = key.reveal();
        let typo = format!("{}x", &text[..56]);
        for fields in [
            vec![("x-api-key", text), ("x-api-key", text)],
            vec![("x-api-key", text), ("authorization", "Bearer other")],
            vec![("authorization", "Bearer a"), ("authorization", "Bearer a")],
            vec![("authorization", "Bearer")],
            vec![("x-api-key", "")],
            vec![("x-api-key", &typo)],
        ] {
            assert_eq!(find_in(&fields, None), Presented::Unusable, "{fields:?}");
        }
        assert_eq!(find_in(&[], Some("key=a&key=a")), Presented::Unusable);
        assert_eq!(find_in(&[("x-api-key", text)], Some("key=a")), Presented::Unusable);
        assert_eq!(find_in(&[("x-api-key", &"a".repeat(513))], None), Presented::Unusable);
        assert_eq!(
            find_in(&[("authorization", "Basic dTpw")], Some("keys=1")),
            Presented::Nothing
        );
        assert_eq!(find_in(&[("authorization", "bearerish x")], None), Presented::Nothing);
    }

    #[test]
    fn the_key_is_taken_out_and_the_rest_stays_as_written() {
        assert_eq!(
            strip_query("a=%2f&%6Bey=s&b=+&&c", "key").as_deref(),
            Some("a=%2f&b=+&&c")
        );
        assert_eq!(strip_query("key=s", "key"), None);
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", "s".parse().unwrap());
        headers.insert("authorization", "Basic dTpw".parse().unwrap());
        strip_headers(&mut headers, PLACES);
        assert_eq!(headers.len(), 1);
        headers.insert("authorization", "Bearer s".parse().unwrap());
        strip_headers(&mut headers, PLACES);
        assert!(headers.is_empty());
    }
}
