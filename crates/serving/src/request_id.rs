//! The id that one request has everywhere: a valid one from the client, else
//! a `UUIDv7` (RFC 9562) made from the time and randomness passed in.

use std::fmt;

use http::HeaderValue;

/// Longest inbound id that is taken over, in characters.
pub const MAX_LEN: usize = 128;

/// A request id: 1 to [`MAX_LEN`] characters of `[A-Za-z0-9._:-]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// Takes over an inbound `X-Request-Id`, if its form is allowed. The value
    /// shares its bytes with the request's head.
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let fits = (1..=MAX_LEN).contains(&bytes.len()) && bytes.iter().all(|b| is_allowed(*b));
        fits.then(|| Self(value.clone()))
    }

    /// A `UUIDv7` of `unix_ms` milliseconds and 80 random bits, of which the
    /// version and variant take six.
    pub fn generate(unix_ms: u64, random: [u8; 10]) -> Self {
        let text = uuid_v7(unix_ms, random);
        // The text is hexadecimal digits and hyphens, so the fallback is dead.
        Self(HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header value, sharing its bytes.
    pub const fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

fn uuid_v7(unix_ms: u64, random: [u8; 10]) -> [u8; 36] {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&unix_ms.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6] = (bytes[6] & 0x0f) | 0x70;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = [b'-'; 36];
    let mut at = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            at += 1;
        }
        text[at..at + 2].copy_from_slice(&crate::trace_context::hex_pair(*byte));
        at += 2;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_id_is_a_version_7_uuid_with_the_given_time() {
        let id = RequestId::generate(0x0190_1234_5678, [0xff; 10]);
        assert_eq!(id.as_str(), "01901234-5678-7fff-bfff-ffffffffffff");
    }

    #[test]
    fn inbound_ids_are_taken_only_in_their_form() {
        let taken = |text: &str| {
            HeaderValue::from_bytes(text.as_bytes())
                .ok()
                .and_then(|value| RequestId::from_header(&value))
                .is_some()
        };
        assert!(taken("a"));
        assert!(taken("req-1.2:3_Z"));
        assert!(taken(&"x".repeat(128)));
        for refused in ["", "a b", "a,b", "\u{e9}", "a\"b", "<script>", "a/b"] {
            assert!(!taken(refused), "{refused}");
        }
        assert!(!taken(&"x".repeat(129)));
    }
}
