//! Turning an HTTP/2 request into the form that a service sees, refusing what
//! would mean something else as HTTP/1.1 (RFC 9113 section 8.2 and 8.3).

use std::rc::Rc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::uri::Uri;
use http::{Method, request::Parts};
use http_body::Body as _;
use hyper::body::Incoming;

use super::body::StreamBody;
use super::watch::StreamWatch;
use crate::body::Body;
use crate::h1::Fault;
use crate::h1::encode::is_hop_by_hop;
use crate::h1::framing::{Fate, Fields};
use crate::h1::target;
use crate::limits::Limits;
use crate::problem::ProblemKind;
use crate::service::{Refusal, Request};

pub(super) fn convert(
    request: http::Request<Incoming>,
    watch: &Rc<StreamWatch>,
    limits: &Limits,
) -> Result<Request, Refusal> {
    let (mut parts, incoming) = request.into_parts();
    check(&mut parts, limits)?;
    let mut body = if incoming.is_end_stream() {
        Body::empty()
    } else {
        Body::h2_request(StreamBody::new(incoming, Rc::clone(watch)))
    };
    if limits.body_bytes.is_some_and(|max| body.limit(max).is_err()) {
        return Err(Refusal::new(ProblemKind::RequestTooLarge, "the body is too large"));
    }
    Ok(Request::from_parts(parts, body))
}

fn check(parts: &mut Parts, limits: &Limits) -> Result<(), Fault> {
    if parts.headers.len() > limits.header_count {
        return Err(Fault::TooManyHeaders);
    }
    check_fields(&mut parts.headers)?;
    let path = parts.uri.path_and_query().ok_or(Fault::Target)?.as_str();
    if path.len() > limits.request_line {
        return Err(Fault::LineTooLong);
    }
    let target = target::parse(&parts.method, Bytes::copy_from_slice(path.as_bytes()))?;
    if target.authority.is_some() {
        return Err(Fault::Target);
    }
    let host = host(&parts.uri, &parts.headers)?;
    parts.headers.insert(header::HOST, host);
    parts.uri = target.uri;
    if parts.method == Method::CONNECT {
        Err(Fault::Method)
    } else {
        Ok(())
    }
}

/// The one authority that `:authority` and `host` agree on.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<HeaderValue, Fault> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (_, Some(_)) => return Err(Fault::Host),
        (host, None) => host,
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let value = match (authority, host) {
        (Some(authority), Some(host)) if !target::agree(authority.as_bytes(), host.as_bytes()) => {
            return Err(Fault::HostMismatch);
        }
        (Some(authority), _) => HeaderValue::from_str(authority).map_err(|_| Fault::Host)?,
        (None, Some(host)) => host.clone(),
        (None, None) => return Err(Fault::Host),
    };
    if target::is_authority(value.as_bytes()) {
        Ok(value)
    } else {
        Err(Fault::Host)
    }
}

fn check_fields(headers: &mut HeaderMap) -> Result<(), Fault> {
    let mut fields = Fields::default();
    let mut dropped: Vec<HeaderName> = Vec::new();
    for (name, value) in &*headers {
        let is_connection_field = matches!(*name, header::CONNECTION | header::TRANSFER_ENCODING | header::UPGRADE);
        if is_connection_field || value.as_bytes().trim_ascii() != value.as_bytes() {
            return Err(Fault::Http2Field);
        }
        if fields.take(name, value)? == Fate::Drop {
            dropped.push(name.clone());
        }
    }
    for name in dropped {
        headers.remove(name);
    }
    join_cookies(headers)
}

/// HTTP/2 may split cookies into fields; HTTP/1.1 has one (section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), Fault> {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return Ok(());
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let joined = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).map_err(|_| Fault::FieldValue)?;
    headers.insert(header::COOKIE, joined);
    Ok(())
}

/// Removes what HTTP/2 forbids in a response.
pub(super) fn strip(headers: &mut HeaderMap) {
    let hops: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name) && **name != header::CONTENT_LENGTH)
        .cloned()
        .collect();
    for name in hops {
        headers.remove(name);
    }
}
