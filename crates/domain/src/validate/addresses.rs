//! Addresses: base paths, hosts, upstreams, and the names of headers.

use std::collections::HashMap;

use super::findings::{Findings, shown};
use super::known::Known;
use super::names::is_token;
use crate::config::{Api, Document, Target};
use crate::path::{canonical, decoded};

/// Where the gateway answers itself.
const OWN_PREFIX: &str = "/.tollgate";

/// Names that tell an upstream who calls, and those that frame a message.
const OWNED: [&str; 20] = [
    "x-subscription-id",
    "x-plan",
    "x-forwarded",
    "x-real-ip",
    "forwarded",
    "traceparent",
    "tracestate",
    "via",
    "host",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "content-type",
    "content-encoding",
];
const OWNED_PREFIXES: [&str; 3] = ["x-consumer-", "x-forwarded-", "x-request-"];

/// The name of a header that the configuration makes its own.
pub(super) fn check_header(pointer: &str, name: &str, findings: &mut Findings) {
    if !is_token(name) {
        findings.error(
            pointer,
            format!("{} is not the name of a header", shown(name)),
            "write letters, digits and hyphens, such as X-API-Key",
        );
        return;
    }
    let plain = name.to_ascii_lowercase().replace('_', "-");
    if OWNED.contains(&plain.as_str()) || OWNED_PREFIXES.iter().any(|prefix| plain.starts_with(prefix)) {
        findings.error(
            pointer,
            format!("the gateway sets the header {} itself", shown(name)),
            "use another name",
        );
    }
}

/// Base path and hosts of one API by themselves.
pub(super) fn check_place(at: &str, api: &Api, findings: &mut Findings) {
    if let Some(path) = &api.base_path {
        check_base_path(&format!("{at}/base_path"), path, findings);
    }
    for (index, host) in api.hosts.iter().enumerate().filter(|(_, host)| !is_host(host)) {
        findings.error(
            format!("{at}/hosts/{index}"),
            format!("{} is not a host name", shown(host)),
            "write a name such as api.example.com, without scheme, port, path or wildcard",
        );
    }
}

fn check_base_path(pointer: &str, path: &str, findings: &mut Findings) {
    let form = match canonical(path) {
        Ok(form) => form,
        Err(fault) => {
            let reason = format!("{} is not a base path: {fault}", shown(path));
            findings.error(pointer, reason, "write a path such as /petstore");
            return;
        }
    };
    if form != path {
        let reason = format!("{} is not written in its canonical form", shown(path));
        findings.error(pointer, reason, format!("write {}", shown(&form)));
    } else if form == OWN_PREFIX || form.starts_with(&format!("{OWN_PREFIX}/")) {
        findings.error(
            pointer,
            "the gateway answers below /.tollgate itself",
            "use another path",
        );
    }
}

/// A name of letters, digits, dots, hyphens and underscores, or an IPv4 address.
fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !label.is_empty() && label.len() <= 63 && label.bytes().all(fits)
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// APIs that would be reached by the same address.
pub(super) fn check_conflicts(document: &Document, known: &Known<'_>, findings: &mut Findings) {
    let sent: HashMap<&str, usize> = document
        .apis
        .iter()
        .enumerate()
        .map(|(at, api)| (api.name.as_str(), at))
        .collect();
    let mut taken: HashMap<Place, &str> = HashMap::new();
    let others = known
        .whole
        .apis
        .iter()
        .filter(|api| !sent.contains_key(api.name.as_str()));
    for api in others {
        taken.extend(places(api).into_iter().map(|(_, place)| (place, api.name.as_str())));
    }
    for (index, api) in document.apis.iter().enumerate() {
        for (host, place) in places(api) {
            let Some(other) = taken.insert(place, &api.name).filter(|other| *other != api.name) else {
                continue;
            };
            let pointer = match host {
                Some(host) => format!("/apis/{index}/hosts/{host}"),
                None => format!("/apis/{index}/base_path"),
            };
            let reason = format!("the API {} has the same host and base path", shown(other));
            findings.error(pointer, reason, "give one of them another `base_path` or other `hosts`");
        }
    }
}

/// Host, empty for any, and base path in the form in which they are compared.
type Place = (String, Vec<String>);

/// Each host with its position.
fn places(api: &Api) -> Vec<(Option<usize>, Place)> {
    let path = api.base_path.as_deref().unwrap_or("/");
    let Ok(path) = canonical(path) else { return Vec::new() };
    let segments: Vec<String> = path
        .trim_end_matches('/')
        .split('/')
        .map(|segment| decoded(segment).into_owned())
        .collect();
    if api.hosts.is_empty() {
        return vec![(None, (String::new(), segments))];
    }
    let place = |(at, host): (usize, &String)| (Some(at), (host.to_ascii_lowercase(), segments.clone()));
    api.hosts.iter().enumerate().map(place).collect()
}

/// The targets of one list.
pub(super) fn check_targets(pointer: &str, targets: &[Target], findings: &mut Findings) {
    for (index, target) in targets.iter().enumerate() {
        if let Err(reason) = check_url(&target.url) {
            findings.error(
                format!("{pointer}/{index}/url"),
                format!(
                    "{} is not an upstream address: {reason}",
                    shown(&without_user(&target.url))
                ),
                "write http:// or https://, a host, and at most a port and a path",
            );
        }
    }
    if !targets.is_empty() && targets.iter().all(|target| target.weight == 0) {
        let at = if targets.len() == 1 {
            format!("{pointer}/0/weight")
        } else {
            pointer.to_owned()
        };
        findings.error(at, "no target takes any traffic", "give one a `weight` above 0");
    }
}

/// A password has no place in a message.
fn without_user(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}"),
        None => url.to_owned(),
    }
}

fn check_url(url: &str) -> Result<(), &'static str> {
    let (scheme, rest) = url.split_once("://").ok_or("it has no scheme")?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err("its scheme is neither http nor https");
    }
    if rest.contains(['?', '#']) {
        return Err("it has a query or a fragment");
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("it has a user name or password; use `upstream.auth`");
    }
    let (host, port) = split_port(authority).ok_or("its host is not a host name")?;
    let is_address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let right = is_address.map_or_else(
        || is_host(host),
        |address| address.parse::<std::net::Ipv6Addr>().is_ok(),
    );
    if !right {
        return Err("its host is not a host name");
    }
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err("its port is not a number from 1 to 65535");
    }
    canonical(if path.is_empty() { "/" } else { path })
        .map(drop)
        .map_err(|_| "its path is not a path")
}

/// Host with its brackets, and the port if there is one.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at_checked(end)?;
    match rest.strip_prefix(':') {
        Some(port) => Some((host, Some(port))),
        None => rest.is_empty().then_some((host, None)),
    }
}
