//! Upstream addresses, taken apart once.

use domain::config::Target;

use crate::error::Fault;

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS.
    Https,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CompiledTarget {
    /// Scheme.
    pub scheme: Scheme,
    /// Host name or address, lower case, an IPv6 address without brackets.
    pub host: Box<str>,
    /// Port.
    pub port: u16,
    /// The `Host` that the upstream sees: as written, without the scheme's own port.
    pub authority: Box<str>,
    /// Canonical prefix of every path, without a slash at the end; empty for none.
    pub prefix: Box<str>,
    /// Share of the traffic; 0 takes none.
    pub weight: u32,
}

impl CompiledTarget {
    pub(crate) fn new(target: &Target) -> Result<Self, Fault> {
        parse(target).ok_or_else(|| Fault::Target(target.url.clone()))
    }
}

fn parse(target: &Target) -> Option<CompiledTarget> {
    let (scheme, rest) = split_scheme(&target.url)?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = split_port(authority)?;
    let default_port = if scheme == Scheme::Https { 443 } else { 80 };
    let port = match port {
        None => default_port,
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
        .to_ascii_lowercase();
    let written = if host.starts_with('[') {
        format!("[{bare}]")
    } else {
        bare.clone()
    };
    let authority = if port == default_port {
        written
    } else {
        format!("{written}:{port}")
    };
    let path = if path.is_empty() { "/" } else { path };
    let prefix = domain::path::canonical(path).ok()?;
    Some(CompiledTarget {
        scheme,
        host: bare.into(),
        port,
        authority: authority.into(),
        prefix: prefix.trim_end_matches('/').into(),
        weight: target.weight,
    })
}

fn split_scheme(url: &str) -> Option<(Scheme, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Some((Scheme::Http, rest)),
        "https" => Some((Scheme::Https, rest)),
        _ => None,
    }
}

/// Host with its brackets, and the port if there is one.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if authority.starts_with('[') {
        let end = authority.find(']')? + 1;
        let (host, rest) = authority.split_at_checked(end)?;
        host.get(1..end - 1)?.parse::<std::net::Ipv6Addr>().ok()?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    let (host, port) = authority
        .split_once(':')
        .map_or((authority, None), |(host, port)| (host, Some(port)));
    is_host(host).then_some((host, port))
}

/// A name of letters, digits, dots, hyphens and underscores, or an IPv4 address.
pub(crate) fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Option<(Scheme, String, u16, String, String)> {
        let target = CompiledTarget::new(&Target {
            url: url.to_owned(),
            weight: 1,
        })
        .ok()?;
        let CompiledTarget {
            scheme,
            host,
            port,
            authority,
            prefix,
            ..
        } = target;
        Some((scheme, host.into(), port, authority.into(), prefix.into()))
    }

    #[test]
    fn addresses_are_taken_apart() {
        let parts = |scheme, host: &str, port, authority: &str, prefix: &str| {
            Some((scheme, host.to_owned(), port, authority.to_owned(), prefix.to_owned()))
        };
        assert_eq!(
            parsed("http://127.0.0.1:9001"),
            parts(Scheme::Http, "127.0.0.1", 9001, "127.0.0.1:9001", "")
        );
        assert_eq!(
            parsed("HTTPS://Api.Example.com/v1/"),
            parts(Scheme::Https, "api.example.com", 443, "api.example.com", "/v1")
        );
        assert_eq!(parsed("http://[::1]:80/"), parts(Scheme::Http, "::1", 80, "[::1]", ""));
        assert_eq!(
            parsed("http://[::1]:8080"),
            parts(Scheme::Http, "::1", 8080, "[::1]:8080", "")
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "",
            "127.0.0.1",
            "ftp://a",
            "http://",
            "http://a b",
            "http://user@a",
            "http://a:0",
            "http://a:99999",
            "http://a:",
            "http://[::1",
            "http://[::1]x",
            "http://[x]:1",
            "http://a/../b",
            "http://a?x",
            "http://a/#x",
            "http://a..b",
        ] {
            assert_eq!(parsed(url), None, "{url}");
        }
    }
}
