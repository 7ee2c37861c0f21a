//! Request heads: finding the end of one as bytes arrive, and reading it.
//!
//! [`Scanner`] sees each byte once and refuses what no later byte can mend,
//! so the outcome does not depend on how the bytes were split into reads.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{HOST, HeaderMap};
use http::{Method, Version};

use super::fault::Fault;
use super::framing::{Framing, collect_fields};
use super::target;
use crate::limits::Limits;

/// Most header fields that any setting allows.
pub(crate) const MAX_HEADERS: usize = 128;
/// Longest method, in bytes.
const MAX_METHOD: usize = 32;

/// Sizes that a head may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadLimits {
    pub(crate) line: usize,
    pub(crate) headers: usize,
    pub(crate) count: usize,
}

impl From<&Limits> for HeadLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            line: limits.request_line,
            headers: limits.header_bytes,
            count: limits.header_count.min(MAX_HEADERS),
        }
    }
}

/// Finds the empty line that ends a head.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// Bytes looked at.
    seen: usize,
    /// Where the current line begins.
    line: usize,
    /// Where the header fields begin, once the first line is complete.
    fields: Option<usize>,
    /// Whether the one empty line before a head has been skipped.
    skipped: bool,
}

impl Scanner {
    /// Looks at new bytes. `Some(length)` when a head of that length is there.
    pub(crate) fn scan(
        &mut self,
        buf: &[u8],
        limits: HeadLimits,
        check_line: fn(&[u8]) -> Result<(), Fault>,
    ) -> Result<Option<usize>, Fault> {
        while let Some(offset) = memchr::memchr(b'\n', &buf[self.seen..]) {
            let next = self.seen + offset + 1;
            self.check_size(next, limits)?;
            let line = buf[self.line..next].strip_suffix(b"\r\n").ok_or(Fault::LineEnd)?;
            match self.fields {
                None => {
                    check_line(line)?;
                    self.fields = Some(next);
                }
                Some(_) if line.is_empty() => return Ok(Some(next)),
                Some(_) => {}
            }
            self.seen = next;
            self.line = next;
        }
        self.seen = buf.len();
        self.check_size(self.seen, limits)?;
        Ok(None)
    }

    const fn check_size(&self, end: usize, limits: HeadLimits) -> Result<(), Fault> {
        match self.fields {
            None if end > limits.line + 2 => Err(Fault::LineTooLong),
            Some(start) if end - start > limits.headers + 2 => Err(Fault::HeadersTooLarge),
            _ => Ok(()),
        }
    }
}

/// A request head and what its body will be.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) request: http::Request<()>,
    pub(crate) framing: Framing,
    pub(crate) close: bool,
    pub(crate) is_http_10: bool,
    pub(crate) expect_continue: bool,
}

/// Takes one request head off `buf`, if a whole one is there. One empty line
/// before it is skipped (RFC 9112 section 2.2).
pub(crate) fn take_request(
    buf: &mut BytesMut,
    scanner: &mut Scanner,
    limits: HeadLimits,
) -> Result<Option<RequestHead>, Fault> {
    if scanner.seen == 0 && !scanner.skipped {
        match &buf[..] {
            [] | [b'\r'] => return Ok(None),
            [b'\r', b'\n', ..] => {
                buf.advance(2);
                scanner.skipped = true;
            }
            [b'\r', ..] => return Err(Fault::LineEnd),
            _ => {}
        }
    }
    let Some(length) = scanner.scan(buf, limits, check_request_line)? else {
        return Ok(None);
    };
    *scanner = Scanner::default();
    let head = buf.split_to(length).freeze();
    parse_request(&head, limits).map(Some)
}

/// What can be said of a request line at once, without the rest of the head.
fn check_request_line(line: &[u8]) -> Result<(), Fault> {
    if line.ends_with(b" HTTP/1.1") || line.ends_with(b" HTTP/1.0") {
        Ok(())
    } else if memchr::memchr_iter(b' ', line).count() == 2 {
        Err(Fault::Version)
    } else {
        Err(Fault::StartLine)
    }
}

fn parse_request(head: &Bytes, limits: HeadLimits) -> Result<RequestHead, Fault> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(head, &mut slots).map_err(fault_of)?;
    let (Some(method), Some(path), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Fault::StartLine);
    };
    if status != httparse::Status::Complete(head.len()) {
        return Err(Fault::LineEnd);
    }
    if parsed.headers.len() > limits.count {
        return Err(Fault::TooManyHeaders);
    }
    if method.len() > MAX_METHOD {
        return Err(Fault::Method);
    }
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| Fault::Method)?;
    let target = target::parse(&method, head.slice_ref(path.as_bytes()))?;
    let (headers, fields) = collect_fields(head, parsed.headers)?;
    let is_http_10 = minor == 0;
    check_host(&headers, target.authority.as_deref(), is_http_10)?;
    let framing = fields.of_request(is_http_10)?;
    let mut request = http::Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target.uri;
    *request.version_mut() = if is_http_10 { Version::HTTP_10 } else { Version::HTTP_11 };
    *request.headers_mut() = headers;
    Ok(RequestHead {
        request,
        framing,
        close: fields.ends_connection(is_http_10),
        is_http_10,
        // HTTP/1.0 has no interim responses (RFC 9110 section 10.1.1).
        expect_continue: fields.expect_continue && !is_http_10 && framing != Framing::Empty,
    })
}

/// Exactly one valid `Host` (HTTP/1.0: at most one), equal to the target's.
fn check_host(headers: &HeaderMap, authority: Option<&[u8]>, is_http_10: bool) -> Result<(), Fault> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if target::is_authority(host.as_bytes()) => match authority {
            Some(authority) if !target::agree(authority, host.as_bytes()) => Err(Fault::HostMismatch),
            _ => Ok(()),
        },
        (None, None) if is_http_10 && authority.is_none() => Ok(()),
        _ => Err(Fault::Host),
    }
}

pub(crate) const fn fault_of(error: httparse::Error) -> Fault {
    match error {
        httparse::Error::HeaderName => Fault::FieldName,
        httparse::Error::HeaderValue => Fault::FieldValue,
        httparse::Error::NewLine => Fault::LineEnd,
        httparse::Error::Status => Fault::Status,
        httparse::Error::Token => Fault::StartLine,
        httparse::Error::TooManyHeaders => Fault::TooManyHeaders,
        httparse::Error::Version => Fault::Version,
    }
}

#[cfg(test)]
mod tests;
