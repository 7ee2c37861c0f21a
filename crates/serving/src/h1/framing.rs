//! Where a message's body ends (RFC 9112 section 6), decided from its fields,
//! and what its connection fields ask for.
//!
//! Both sides feed every field through [`Fields::take`]; what may be kept of
//! the message is an end-to-end field, everything else stays in here.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::fault::Fault;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    Empty,
    /// That many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Everything until the connection ends; responses only.
    UntilClose,
}

/// The fields that concern this connection and this message's framing.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts of one head")]
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) content_length: Option<u64>,
    pub(crate) chunked: bool,
    pub(crate) close: bool,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
    /// Fields that `Connection` listed, to be removed.
    listed: Vec<HeaderName>,
}

/// What happens to a field.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Keep,
    Drop,
}

impl Fields {
    /// Looks at one field in the order of the message.
    pub(crate) fn take(&mut self, name: &HeaderName, value: &HeaderValue) -> Result<Fate, Fault> {
        match *name {
            header::CONTENT_LENGTH => {
                let length = parse_length(value.as_bytes())?;
                if self.content_length.replace(length).is_some() {
                    return Err(Fault::ContentLength);
                }
                Ok(Fate::Keep)
            }
            header::TRANSFER_ENCODING => {
                let is_chunked = value.as_bytes().eq_ignore_ascii_case(b"chunked");
                if self.chunked || !is_chunked {
                    return Err(Fault::TransferEncoding);
                }
                self.chunked = true;
                Ok(Fate::Drop)
            }
            header::CONNECTION => self.take_connection(value).map(|()| Fate::Drop),
            header::EXPECT => {
                let is_continue = value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                if self.expect_continue || !is_continue {
                    return Err(Fault::Expect);
                }
                self.expect_continue = true;
                Ok(Fate::Drop)
            }
            header::UPGRADE | header::TE | header::TRAILER => Ok(Fate::Drop),
            _ => other(name.as_str()),
        }
    }

    fn take_connection(&mut self, value: &HeaderValue) -> Result<(), Fault> {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            if option.is_empty() {
                continue;
            }
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else {
                let name = HeaderName::from_bytes(option).map_err(|_| Fault::Connection)?;
                self.list(name)?;
            }
        }
        Ok(())
    }

    fn list(&mut self, name: HeaderName) -> Result<(), Fault> {
        match name {
            // Removing these would change what the message says to the next reader.
            header::HOST
            | header::CONTENT_LENGTH
            | header::TRANSFER_ENCODING
            | header::CONTENT_TYPE
            | header::CONTENT_ENCODING
            | header::AUTHORIZATION
            | header::COOKIE => Err(Fault::Connection),
            header::UPGRADE | header::TE | header::TRAILER => Ok(()),
            name => {
                self.listed.push(name);
                Ok(())
            }
        }
    }

    /// Removes what `Connection` listed, once the whole head has been seen.
    pub(crate) fn remove_listed(&self, headers: &mut HeaderMap) {
        for name in &self.listed {
            headers.remove(name);
        }
    }

    /// The framing of a request.
    pub(crate) fn of_request(&self, is_http_10: bool) -> Result<Framing, Fault> {
        self.check(is_http_10)?;
        Ok(match self.content_length {
            _ if self.chunked => Framing::Chunked,
            None | Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        })
    }

    /// The framing of a final response that may have a body.
    pub(crate) fn of_response(&self, is_http_10: bool) -> Result<Framing, Fault> {
        self.check(is_http_10)?;
        Ok(match self.content_length {
            _ if self.chunked => Framing::Chunked,
            None => Framing::UntilClose,
            Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        })
    }

    /// What holds for every message, with or without a body.
    pub(crate) const fn check(&self, is_http_10: bool) -> Result<(), Fault> {
        match (self.chunked, self.content_length) {
            (true, _) if is_http_10 => Err(Fault::EncodingInHttp10),
            (true, Some(_)) => Err(Fault::BothLengths),
            _ => Ok(()),
        }
    }

    /// Whether the connection ends after this message.
    pub(crate) const fn ends_connection(&self, is_http_10: bool) -> bool {
        self.close || (is_http_10 && !self.keep_alive)
    }
}

/// Rare names: hop-by-hop ones without a constant, and imitations.
fn other(name: &str) -> Result<Fate, Fault> {
    if matches!(name, "keep-alive" | "proxy-connection" | "http2-settings") {
        return Ok(Fate::Drop);
    }
    // `Transfer_Encoding`, `Content.Length`: CGI-like readers fold these into
    // the real names. All real framing names have 14 to 17 letters.
    let imitates =
        (14..=24).contains(&name.len()) && (folds_to(name, b"contentlength") || folds_to(name, b"transferencoding"));
    if imitates {
        Err(Fault::Lookalike)
    } else {
        Ok(Fate::Keep)
    }
}

fn folds_to(name: &str, letters: &[u8]) -> bool {
    name.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .eq(letters.iter().copied())
}

/// `1*DIGIT`, without sign, list, space, or overflow.
fn parse_length(text: &[u8]) -> Result<u64, Fault> {
    if text.is_empty() || text.len() > 19 {
        return Err(Fault::ContentLength);
    }
    text.iter().try_fold(0_u64, |sum, byte| {
        if byte.is_ascii_digit() {
            Ok(sum * 10 + u64::from(byte - b'0'))
        } else {
            Err(Fault::ContentLength)
        }
    })
}

/// Turns the fields of a parsed head into a map of what may be kept. Values
/// share the head's bytes.
pub(crate) fn collect_fields(head: &Bytes, parsed: &[httparse::Header<'_>]) -> Result<(HeaderMap, Fields), Fault> {
    let mut headers = HeaderMap::with_capacity(parsed.len());
    let mut fields = Fields::default();
    for field in parsed {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| Fault::FieldName)?;
        let bytes = head.slice_ref(field.value);
        let value = HeaderValue::from_maybe_shared(bytes).map_err(|_| Fault::FieldValue)?;
        if fields.take(&name, &value)? == Fate::Keep {
            headers.try_append(name, value).map_err(|_| Fault::TooManyHeaders)?;
        }
    }
    fields.remove_listed(&mut headers);
    Ok((headers, fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(lines: &[(&str, &str)]) -> Result<Fields, Fault> {
        let mut fields = Fields::default();
        for (name, value) in lines {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            fields.take(&name, &HeaderValue::from_bytes(value.as_bytes()).unwrap())?;
        }
        Ok(fields)
    }

    #[test]
    fn only_one_plain_content_length_is_a_length() {
        let of = |value: &str| take(&[("content-length", value)]).map(|f| f.content_length);
        assert_eq!(of("0"), Ok(Some(0)));
        assert_eq!(of("0042"), Ok(Some(42)));
        for bad in [
            "",
            "+1",
            "-1",
            "1,1",
            "1 1",
            "0x1",
            "1_0",
            "1.0",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(of(bad), Err(Fault::ContentLength), "{bad}");
        }
        let twice = take(&[("content-length", "1"), ("content-length", "1")]);
        assert_eq!(twice.unwrap_err(), Fault::ContentLength);
    }

    #[test]
    fn only_one_plain_chunked_is_a_transfer_encoding() {
        for good in ["chunked", "Chunked", "CHUNKED"] {
            let fields = take(&[("transfer-encoding", good)]).unwrap();
            assert_eq!(fields.of_request(false), Ok(Framing::Chunked));
            assert_eq!(fields.of_request(true), Err(Fault::EncodingInHttp10));
        }
        for bad in [
            "",
            ",chunked",
            "chunked,",
            "chunked, chunked",
            "gzip, chunked",
            "identity",
            "xchunked",
            "chunked;q=1",
            "\"chunked\"",
            "chunke",
            "chunked\t\u{b}",
        ] {
            if let Ok(value) = HeaderValue::from_bytes(bad.as_bytes()) {
                let mut fields = Fields::default();
                let taken = fields.take(&header::TRANSFER_ENCODING, &value);
                assert_eq!(taken, Err(Fault::TransferEncoding), "{bad}");
            }
        }
        let twice = take(&[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")]);
        assert_eq!(twice.unwrap_err(), Fault::TransferEncoding);
    }

    #[test]
    fn a_length_beside_chunks_is_refused_in_either_order() {
        let length = ("content-length", "3");
        let chunked = ("transfer-encoding", "chunked");
        for lines in [[length, chunked], [chunked, length]] {
            let fields = take(&lines).unwrap();
            assert_eq!(fields.of_request(false), Err(Fault::BothLengths));
            assert_eq!(fields.of_response(false), Err(Fault::BothLengths));
        }
    }

    #[test]
    fn names_that_imitate_framing_fields_are_refused() {
        for name in [
            "transfer_encoding",
            "content_length",
            "content.length",
            "transfer-encoding_",
        ] {
            assert_eq!(take(&[(name, "1")]).unwrap_err(), Fault::Lookalike, "{name}");
        }
        assert!(take(&[("x-content-length", "1"), ("content-language", "en")]).is_ok());
    }

    #[test]
    fn connection_removes_what_it_lists_but_never_framing() {
        let fields = take(&[("connection", "close, X-Hop , ,keep-alive")]).unwrap();
        assert!(fields.close && fields.keep_alive);
        let mut headers = HeaderMap::new();
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert("x-end", HeaderValue::from_static("1"));
        fields.remove_listed(&mut headers);
        assert_eq!(headers.len(), 1);
        for bad in ["host", "Content-Length", "transfer-encoding", "a b", "authorization"] {
            assert_eq!(take(&[("connection", bad)]).unwrap_err(), Fault::Connection, "{bad}");
        }
    }

    #[test]
    fn expect_is_100_continue_or_refused() {
        assert!(take(&[("expect", "100-Continue")]).unwrap().expect_continue);
        for bad in ["y 100-continue", "100-continue, 100-continue", "", "200-ok"] {
            assert_eq!(take(&[("expect", bad)]).unwrap_err(), Fault::Expect, "{bad}");
        }
    }
}
