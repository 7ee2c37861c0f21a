//! Response heads from upstreams, read as strictly as requests.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::StatusCode;

use super::fault::Fault;
use super::framing::{Framing, collect_fields};
use super::head::{HeadLimits, MAX_HEADERS, Scanner, fault_of};

/// Interim responses before a final one.
const MAX_INTERIM: usize = 8;

const LIMITS: HeadLimits = HeadLimits {
    line: 8 << 10,
    headers: 64 << 10,
    count: MAX_HEADERS,
};

/// A final response head and what its body will be.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    pub(crate) response: http::Response<()>,
    pub(crate) framing: Framing,
    /// Whether another request may follow on this connection.
    pub(crate) is_persistent: bool,
}

/// Reads heads until a final one.
#[derive(Debug)]
pub(crate) struct Reader {
    scanner: Scanner,
    interim: usize,
    /// Whether the request was HEAD, whose response has no body.
    is_head: bool,
}

impl Reader {
    pub(crate) fn new(is_head: bool) -> Self {
        Self {
            scanner: Scanner::default(),
            interim: 0,
            is_head,
        }
    }

    /// Takes a final head off `buf`, past any interim ones.
    pub(crate) fn take(&mut self, buf: &mut BytesMut) -> Result<Option<ResponseHead>, Fault> {
        while let Some(length) = self.scanner.scan(buf, LIMITS, check_status_line)? {
            self.scanner = Scanner::default();
            let head = buf.split_to(length).freeze();
            if let Some(head) = parse(&head, self.is_head)? {
                return Ok(Some(head));
            }
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Fault::Status);
            }
        }
        Ok(None)
    }
}

fn check_status_line(line: &[u8]) -> Result<(), Fault> {
    let Some(rest) = line
        .strip_prefix(b"HTTP/1.1 ")
        .or_else(|| line.strip_prefix(b"HTTP/1.0 "))
    else {
        return Err(Fault::Version);
    };
    let is_status =
        rest.len() >= 3 && rest[..3].iter().all(u8::is_ascii_digit) && rest.get(3).is_none_or(|byte| *byte == b' ');
    if is_status { Ok(()) } else { Err(Fault::Status) }
}

/// `None` for an interim response.
fn parse(head: &Bytes, is_head: bool) -> Result<Option<ResponseHead>, Fault> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let status = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, head, &mut slots)
        .map_err(fault_of)?;
    if status != httparse::Status::Complete(head.len()) {
        return Err(Fault::LineEnd);
    }
    let code = parsed.code.ok_or(Fault::Status)?;
    let code = StatusCode::from_u16(code).map_err(|_| Fault::Status)?;
    let (headers, fields) = collect_fields(head, parsed.headers)?;
    if code == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Fault::Status);
    }
    if code.is_informational() {
        return Ok(None);
    }
    let is_http_10 = parsed.version == Some(0);
    fields.check(is_http_10)?;
    let announced = fields.of_response(is_http_10)?;
    let is_bodiless = is_head || matches!(code, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // A 204 that announces a body: whoever wrote it may send one.
    let is_doubtful = code == StatusCode::NO_CONTENT && !matches!(announced, Framing::Empty | Framing::UntilClose);
    let framing = if is_bodiless { Framing::Empty } else { announced };
    let is_persistent = !fields.ends_connection(is_http_10) && framing != Framing::UntilClose && !is_doubtful;
    let mut response = http::Response::new(());
    *response.status_mut() = code;
    *response.headers_mut() = headers;
    Ok(Some(ResponseHead {
        response,
        framing,
        is_persistent,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_have_one_outcome(
            text in "(HTTP/1\\.[01] [0-9]{2,4} ?)?[ -~\r\n\t]{0,60}(\r\n\r\n)?",
        ) {
            let whole = take(&text, false).map(|head| format!("{head:?}"));
            let mut reader = Reader::new(false);
            let mut buf = BytesMut::new();
            let mut split = Ok(None);
            for byte in text.bytes() {
                buf.extend_from_slice(&[byte]);
                split = reader.take(&mut buf);
                if !matches!(split, Ok(None)) {
                    break;
                }
            }
            prop_assert_eq!(whole, split.map(|head| format!("{head:?}")));
        }
    }

    fn take(text: &str, is_head: bool) -> Result<Option<ResponseHead>, Fault> {
        Reader::new(is_head).take(&mut BytesMut::from(text))
    }

    #[test]
    fn valid_heads_decide_body_and_persistence() {
        let of = |text: &str, is_head: bool| {
            let head = take(text, is_head).unwrap().unwrap();
            (head.framing, head.is_persistent)
        };
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(of(length, false), (Framing::Length(3), true));
        assert_eq!(of(length, true), (Framing::Empty, true));
        let chunked = "HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(of(chunked, false), (Framing::Chunked, true));
        assert_eq!(of("HTTP/1.1 200 OK\r\n\r\n", false), (Framing::UntilClose, false));
        assert_eq!(
            of("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n", false),
            (Framing::Length(1), false)
        );
        assert_eq!(of("HTTP/1.1 204 N\r\n\r\n", false), (Framing::Empty, true));
        assert_eq!(
            of("HTTP/1.1 204 N\r\nContent-Length: 2\r\n\r\n", false),
            (Framing::Empty, false)
        );
        assert_eq!(
            of("HTTP/1.1 304 N\r\nContent-Length: 2\r\n\r\n", false),
            (Framing::Empty, true)
        );
        let close = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n";
        assert_eq!(of(close, false), (Framing::Length(3), false));
        let interim = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\nHTTP/1.1 204 N\r\n\r\n";
        assert_eq!(of(interim, false), (Framing::Empty, true));
    }

    #[test]
    fn invalid_heads_are_refused() {
        for bad in [
            "HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "hello\r\n\r\n",
        ] {
            assert!(take(bad, false).is_err(), "{bad:?}");
        }
        assert!(take(&format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(70_000)), false).is_err());
        assert!(take(&"HTTP/1.1 100 C\r\n\r\n".repeat(10), false).is_err());
    }
}
