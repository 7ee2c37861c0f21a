//! The request target and the authority (RFC 9112 sections 3.2 and 3.3).
//!
//! Whatever form the target came in, what leaves here is origin-form (or `*`)
//! and a `Host` that is known to agree with it.

use bytes::Bytes;
use http::Method;
use http::uri::{PathAndQuery, Uri};

use super::fault::Fault;

/// What a target says: the path and query, and the authority if it had one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    pub(crate) authority: Option<Bytes>,
}

/// Reads a target. Its bytes are visible ASCII without `#`.
pub(crate) fn parse(method: &Method, target: Bytes) -> Result<Target, Fault> {
    if *method == Method::CONNECT {
        return Err(Fault::Method);
    }
    let visible = target.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#');
    if !visible || target.is_empty() {
        return Err(Fault::Target);
    }
    if target[0] == b'/' {
        return Ok(Target {
            uri: origin(target)?,
            authority: None,
        });
    }
    if &target[..] == b"*" {
        let allowed = *method == Method::OPTIONS;
        let uri = Uri::from(PathAndQuery::from_static("*"));
        return if allowed {
            Ok(Target { uri, authority: None })
        } else {
            Err(Fault::Target)
        };
    }
    absolute(&target)
}

fn absolute(target: &Bytes) -> Result<Target, Fault> {
    let scheme = [&b"http://"[..], b"https://"]
        .into_iter()
        .find(|scheme| {
            target
                .get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })
        .ok_or(Fault::Target)?;
    let rest = target.slice(scheme.len()..);
    let end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    let authority = rest.slice(..end);
    if !is_authority(&authority) {
        return Err(Fault::Target);
    }
    let path = match rest.get(end) {
        Some(b'/') => rest.slice(end..),
        Some(_) => [b"/", &rest[end..]].concat().into(),
        None => Bytes::from_static(b"/"),
    };
    Ok(Target {
        uri: origin(path)?,
        authority: Some(authority),
    })
}

fn origin(path: Bytes) -> Result<Uri, Fault> {
    PathAndQuery::from_maybe_shared(path)
        .map(Uri::from)
        .map_err(|_| Fault::Target)
}

/// `host [ ":" port ]` (RFC 3986), never empty, without user information.
pub(crate) fn is_authority(text: &[u8]) -> bool {
    let (host, port) = split_port(text);
    let port_fits = port.is_none_or(|port| port.len() <= 5 && port.iter().all(u8::is_ascii_digit));
    port_fits && (is_name(host) || is_ip_literal(host))
}

fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let after_literal = memchr::memrchr(b']', text).map_or(0, |at| at + 1);
    match memchr::memchr(b':', &text[after_literal..]) {
        Some(at) => (&text[..after_literal + at], Some(&text[after_literal + at + 1..])),
        None => (text, None),
    }
}

fn is_name(host: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=%".contains(byte);
    !host.is_empty() && host.len() <= 255 && host.iter().all(allowed)
}

fn is_ip_literal(host: &[u8]) -> bool {
    let inner = host.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inner
        .and_then(|inner| std::str::from_utf8(inner).ok())
        .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

/// Whether two valid authorities are the same, up to the case of letters.
pub(crate) fn agree(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, target: &'static str) -> Result<String, Fault> {
        parse(method, Bytes::from_static(target.as_bytes())).map(|target| target.uri.to_string())
    }

    #[test]
    fn origin_form_keeps_its_bytes() {
        for target in ["/", "//admin", "/a/../b", "/%2e%2E?x=/y?z", "/a;b=c", "/?", "/a\\b"] {
            assert_eq!(of(&Method::GET, target), Ok(target.to_owned()));
        }
    }

    #[test]
    fn absolute_form_becomes_origin_form() {
        assert_eq!(of(&Method::GET, "http://a.example"), Ok("/".to_owned()));
        assert_eq!(of(&Method::GET, "HTTPS://a.example:8443/x?y"), Ok("/x?y".to_owned()));
        assert_eq!(of(&Method::GET, "http://[::1]:80?q"), Ok("/?q".to_owned()));
        for bad in [
            "http://",
            "http:///x",
            "http://u@h/",
            "http://u:p@h/",
            "ftp://h/",
            "http://h:x/",
            "http://h:123456/",
            "http://[::1/",
            "http://a b/",
            "http:/x",
            "http://a,b/",
        ] {
            assert_eq!(of(&Method::GET, bad), Err(Fault::Target), "{bad}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(of(&Method::OPTIONS, "*"), Ok("*".to_owned()));
        assert_eq!(of(&Method::GET, "*"), Err(Fault::Target));
        assert_eq!(of(&Method::CONNECT, "h:443"), Err(Fault::Method));
        assert_eq!(of(&Method::CONNECT, "/"), Err(Fault::Method));
        for bad in [
            "", "h:443", "x", "/a#b", "/\u{e9}", "/a\u{7f}", "/a b", "/a\tb", "\\", "?x",
        ] {
            assert_eq!(of(&Method::GET, bad), Err(Fault::Target), "{bad}");
        }
    }

    #[test]
    fn authorities_are_hosts_with_an_optional_port() {
        for good in [
            "a",
            "a.example:80",
            "127.0.0.1",
            "[::1]",
            "[2001:db8::1]:8080",
            "a:",
            "a_b",
        ] {
            assert!(is_authority(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a,b", "a/b", "a@b", "a:b", "a:1:2", "[a]", "[::1", "a#b", "a\\b",
        ] {
            assert!(!is_authority(bad.as_bytes()), "{bad}");
        }
    }
}
