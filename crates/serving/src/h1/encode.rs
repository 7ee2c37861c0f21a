//! Heads on their way out. What they say about framing is decided by the
//! connection, never copied from the message.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use http::header::{self, HeaderMap, HeaderName};
use http::{StatusCode, request};
use tokio::time::Instant;

/// What a head says about the body that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announce {
    /// Nothing: there is no body and no length to tell.
    Nothing,
    /// That many bytes (of a body that may be left out, as for HEAD).
    Length(u64),
    /// Chunks.
    Chunks,
}

/// What a response head says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing: it stays open by default.
    Default,
    /// It closes after this response.
    Close,
    /// It stays open although the client speaks HTTP/1.0.
    KeepAlive,
}

pub(crate) fn response(
    out: &mut BytesMut,
    (status, headers): (StatusCode, &HeaderMap),
    announce: Announce,
    persistence: Persistence,
) {
    out.reserve(estimate(headers));
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    fields(out, headers);
    match persistence {
        Persistence::Default => {}
        Persistence::Close => out.extend_from_slice(b"connection: close\r\n"),
        Persistence::KeepAlive => out.extend_from_slice(b"connection: keep-alive\r\n"),
    }
    framing(out, announce);
    if !headers.contains_key(header::DATE) {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(&date());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// A request head in origin-form.
pub(crate) fn request(out: &mut BytesMut, parts: &request::Parts, announce: Announce) {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    out.reserve(target.len() + estimate(&parts.headers));
    out.extend_from_slice(parts.method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    fields(out, &parts.headers);
    framing(out, announce);
    out.extend_from_slice(b"\r\n");
}

/// Room for a head, so that it grows once at most.
fn estimate(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum::<usize>()
        + 128
}

fn fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        if !is_hop_by_hop(name) {
            out.extend_from_slice(name.as_str().as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Fields that concern one connection, or the framing that we write ourselves.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    match *name {
        header::CONNECTION
        | header::CONTENT_LENGTH
        | header::TRANSFER_ENCODING
        | header::UPGRADE
        | header::TE
        | header::TRAILER
        | header::EXPECT => true,
        _ => matches!(name.as_str(), "keep-alive" | "proxy-connection"),
    }
}

fn framing(out: &mut BytesMut, announce: Announce) {
    match announce {
        Announce::Nothing => {}
        Announce::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Announce::Chunks => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
}

type HttpDate = [u8; 29];

thread_local! {
    /// The date as text, and when it has to be made anew.
    static DATE: Cell<Option<(Instant, HttpDate)>> = const { Cell::new(None) };
}

fn date() -> HttpDate {
    let now = Instant::now();
    match DATE.get() {
        Some((until, text)) if now < until => text,
        _ => {
            let text = wall_clock_date();
            DATE.set(Some((now + Duration::from_millis(500), text)));
            text
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a Date field is the wall clock by definition")]
fn wall_clock_date() -> HttpDate {
    let text = httpdate::fmt_http_date(SystemTime::now());
    let mut date = [b' '; 29];
    for (to, from) in date.iter_mut().zip(text.bytes()) {
        *to = from;
    }
    date
}
