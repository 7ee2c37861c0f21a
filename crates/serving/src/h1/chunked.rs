//! Chunked transfer coding (RFC 9112 section 7.1), strictly.
//!
//! Extensions are checked, bounded and dropped. Trailers are checked, bounded
//! and dropped: no field of a trailer can reach anybody.

use bytes::{Buf, Bytes, BytesMut};
use http::header::{self, HeaderName};

use super::fault::Fault;

/// Longest chunk size line, extensions included.
const MAX_SIZE_LINE: usize = 256;
/// Most bytes of extensions in one body.
const MAX_EXTENSIONS: usize = 16 << 10;
/// Most bytes of trailers in one body.
const MAX_TRAILERS: usize = 8 << 10;
/// Most digits of a size: what fits into 60 bits.
const MAX_DIGITS: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

/// What a decoder made of the bytes it has.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Data(Bytes),
    NeedMore,
    End,
}

/// An incremental decoder. After a [`Fault`] it must not be used again.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    extensions: usize,
    trailers: usize,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Size,
            extensions: 0,
            trailers: 0,
        }
    }

    pub(crate) const fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Takes what it can off `buf`.
    pub(crate) fn decode(&mut self, buf: &mut BytesMut) -> Result<Decoded, Fault> {
        loop {
            let went_on = match self.state {
                State::Size => self.size(buf)?,
                State::Data(_) if buf.is_empty() => false,
                State::Data(left) => return Ok(self.data(buf, left)),
                State::DataEnd => self.data_end(buf)?,
                State::Trailers => self.trailer(buf)?,
                State::End => return Ok(Decoded::End),
            };
            if !went_on {
                return Ok(Decoded::NeedMore);
            }
        }
    }

    fn size(&mut self, buf: &mut BytesMut) -> Result<bool, Fault> {
        let Some(line) = take_line(buf, MAX_SIZE_LINE, Fault::ChunkSize)? else {
            return Ok(false);
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        if digits == 0 || digits > MAX_DIGITS {
            return Err(Fault::ChunkSize);
        }
        let (number, extension) = line.split_at(digits);
        if !is_extension(extension) {
            return Err(Fault::ChunkSize);
        }
        self.extensions += extension.len();
        if self.extensions > MAX_EXTENSIONS {
            return Err(Fault::ChunkSize);
        }
        self.state = match number.iter().fold(0, |sum, digit| sum << 4 | hex(*digit)) {
            0 => State::Trailers,
            size => State::Data(size),
        };
        Ok(true)
    }

    fn data(&mut self, buf: &mut BytesMut, left: u64) -> Decoded {
        let take = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        let data = buf.split_to(take).freeze();
        let left = left - take as u64;
        self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
        Decoded::Data(data)
    }

    fn data_end(&mut self, buf: &mut BytesMut) -> Result<bool, Fault> {
        match &buf[..] {
            [] | [b'\r'] => Ok(false),
            [b'\r', b'\n', ..] => {
                buf.advance(2);
                self.state = State::Size;
                Ok(true)
            }
            _ => Err(Fault::ChunkEnd),
        }
    }

    fn trailer(&mut self, buf: &mut BytesMut) -> Result<bool, Fault> {
        let room = MAX_TRAILERS - self.trailers;
        let Some(line) = take_line(buf, room, Fault::Trailer)? else {
            return Ok(false);
        };
        if line.is_empty() {
            self.state = State::End;
            return Ok(true);
        }
        self.trailers += line.len() + 2;
        if self.trailers > MAX_TRAILERS {
            return Err(Fault::Trailer);
        }
        check_trailer(&line)?;
        Ok(true)
    }
}

/// Takes a line of at most `max` bytes that ends in CRLF, without the CRLF.
fn take_line(buf: &mut BytesMut, max: usize, fault: Fault) -> Result<Option<BytesMut>, Fault> {
    let Some(end) = memchr::memchr(b'\n', buf) else {
        return if buf.len() > max + 1 { Err(fault) } else { Ok(None) };
    };
    if end > max + 1 {
        return Err(fault);
    }
    if end == 0 || buf[end - 1] != b'\r' {
        return Err(Fault::LineEnd);
    }
    let mut line = buf.split_to(end + 1);
    line.truncate(end - 1);
    Ok(Some(line))
}

/// Nothing, or `;` and visible text. A space before the `;` is refused, as
/// are control bytes, so no reader can see a line end in here.
fn is_extension(text: &[u8]) -> bool {
    let visible = |byte: &u8| matches!(byte, b' '..=b'~');
    text.is_empty() || (text[0] == b';' && text.iter().all(visible))
}

fn check_trailer(line: &[u8]) -> Result<(), Fault> {
    let colon = memchr::memchr(b':', line).ok_or(Fault::Trailer)?;
    let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| Fault::Trailer)?;
    let is_clean = line[colon + 1..]
        .iter()
        .all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f));
    if is_clean && !is_forbidden(&name) {
        Ok(())
    } else {
        Err(Fault::Trailer)
    }
}

/// Fields that decide framing, routing or identity (RFC 9110 section 6.5.1).
fn is_forbidden(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::TRANSFER_ENCODING
            | header::CONTENT_LENGTH
            | header::HOST
            | header::CONNECTION
            | header::TRAILER
            | header::TE
            | header::UPGRADE
            | header::EXPECT
            | header::AUTHORIZATION
            | header::PROXY_AUTHORIZATION
            | header::COOKIE
            | header::SET_COOKIE
            | header::CONTENT_TYPE
            | header::CONTENT_ENCODING
            | header::CONTENT_RANGE
            | header::FORWARDED
    )
}

fn hex(digit: u8) -> u64 {
    // Only hexadecimal digits get here; the low bits tell them apart.
    u64::from(digit & 0xf) + 9 * u64::from(digit >> 6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A whole body, and the bytes that follow it.
    type Whole = (Vec<u8>, Vec<u8>);

    /// Decodes input that arrives in pieces; `Ok(None)` if it is incomplete.
    fn decode(pieces: &[&[u8]]) -> Result<Option<Whole>, Fault> {
        let mut decoder = Decoder::new();
        let mut buf = BytesMut::new();
        let mut body = Vec::new();
        for piece in pieces {
            buf.extend_from_slice(piece);
            while let Decoded::Data(data) = decoder.decode(&mut buf)? {
                body.extend_from_slice(&data);
            }
        }
        Ok(decoder.is_end().then(|| (body, buf.to_vec())))
    }

    #[test]
    fn valid_bodies_decode_and_leave_what_follows() {
        let whole = |text: &str, body: &str, rest: &str| {
            let decoded = decode(&[text.as_bytes()]);
            assert_eq!(decoded, Ok(Some((body.into(), rest.into()))), "{text:?}");
        };
        whole("0\r\n\r\n", "", "");
        whole("3\r\nabc\r\n0\r\n\r\nGET", "abc", "GET");
        whole("003\r\nabc\r\n000\r\n\r\n", "abc", "");
        whole(
            "A\r\n0123456789\r\n1;a=\"b c\"\r\nx\r\n0;q\r\nX-T: v\r\n\r\n",
            "0123456789x",
            "",
        );
    }

    #[test]
    fn malformed_bodies_are_refused() {
        let refused = |text: &str, fault: Fault| {
            assert_eq!(decode(&[text.as_bytes()]), Err(fault), "{text:?}");
        };
        for size in [
            "",
            "g",
            "0x3",
            "+3",
            "-3",
            " 3",
            "3 ",
            "3\t",
            "3 ;a",
            "3,a",
            "1000000000000000",
            "3_0",
            "3\u{b}",
        ] {
            refused(&format!("{size}\r\nabc\r\n0\r\n\r\n"), Fault::ChunkSize);
        }
        refused("3\nabc\r\n0\r\n\r\n", Fault::LineEnd);
        refused("3;a\nabc\r\n0\r\n\r\n", Fault::LineEnd);
        refused("3;a\rb\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize);
        refused("3;\0\r\nabc\r\n0\r\n\r\n", Fault::ChunkSize);
        refused("3\r\nabcd\r\n0\r\n\r\n", Fault::ChunkEnd);
        refused("3\r\nabc\n0\r\n\r\n", Fault::ChunkEnd);
        refused("3\r\nabc\rX", Fault::ChunkEnd);
        refused("0\r\n\n", Fault::LineEnd);
        refused("0\r\nContent-Length: 1\r\n\r\n", Fault::Trailer);
        refused("0\r\nAuthorization: x\r\n\r\n", Fault::Trailer);
        refused("0\r\nGET / HTTP/1.1\r\n\r\n", Fault::Trailer);
        refused("0\r\nX : v\r\n\r\n", Fault::Trailer);
        refused("0\r\n: v\r\n\r\n", Fault::Trailer);
        refused("0\r\nX: a\r\n folded\r\n\r\n", Fault::Trailer);
        refused(&format!("0;{}", "a".repeat(300)), Fault::ChunkSize);
        refused(&format!("0\r\nX: {}\r\n\r\n", "a".repeat(9000)), Fault::Trailer);
    }

    #[test]
    fn extensions_are_bounded_over_the_whole_body() {
        let body = format!("1;{}\r\nx\r\n", "e".repeat(200)).repeat(100);
        assert_eq!(decode(&[body.as_bytes()]), Err(Fault::ChunkSize));
    }

    fn encoded(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut text = Vec::new();
        for chunk in chunks {
            text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            text.extend_from_slice(chunk);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"0\r\n\r\n");
        text
    }

    proptest! {
        #[test]
        fn what_was_encoded_decodes_in_any_splitting(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let text = encoded(&chunks);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len())).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(decode(&pieces), Ok(Some((chunks.concat(), Vec::new()))));
        }

        #[test]
        fn any_bytes_have_one_outcome_however_they_are_split(
            text in "[0-3a;\r\n: x]{0,40}",
        ) {
            let whole = decode(&[text.as_bytes()]);
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let split = decode(&single);
            // Bytes that follow a complete body are the same either way.
            prop_assert_eq!(whole, split);
        }
    }
}
