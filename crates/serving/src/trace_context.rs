//! W3C Trace Context (level 1): reading and writing `traceparent`.
//!
//! `tracestate` is opaque to us and forwarded as it came when `traceparent`
//! was valid. Randomness is passed in.

use http::HeaderValue;

/// The position of a request in a distributed trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, never all zero.
    pub trace_id: [u8; 16],
    /// The caller's span (or ours, once [`TraceContext::child`]), never all zero.
    pub span_id: [u8; 8],
    /// Flags; bit 0 is "sampled".
    pub flags: u8,
}

impl TraceContext {
    /// Reads a `traceparent` value. A later version is read as far as this
    /// one goes; version `ff`, upper case and zero ids are refused.
    pub fn parse(value: &HeaderValue) -> Option<Self> {
        let text = value.as_bytes();
        let (head, rest) = text.split_at_checked(55)?;
        let version = unhex([head[0], head[1]])?;
        let ends_well = if version == 0 {
            rest.is_empty()
        } else {
            rest.first().is_none_or(|b| *b == b'-')
        };
        if version == 0xff || !ends_well || [head[2], head[35], head[52]] != *b"---" {
            return None;
        }
        let context = Self {
            trace_id: unhex_array(&head[3..35])?,
            span_id: unhex_array(&head[36..52])?,
            flags: unhex([head[53], head[54]])?,
        };
        context.is_valid().then_some(context)
    }

    /// A new trace from randomness, not sampled.
    pub fn generate(random: [u8; 24]) -> Self {
        let mut trace_id = [0; 16];
        let mut span_id = [0; 8];
        trace_id.copy_from_slice(&random[..16]);
        span_id.copy_from_slice(&random[16..]);
        // Zero ids are invalid; the chance is nil, the guarantee is free.
        trace_id[15] |= u8::from(trace_id == [0; 16]);
        span_id[7] |= u8::from(span_id == [0; 8]);
        Self {
            trace_id,
            span_id,
            flags: 0,
        }
    }

    /// The same trace with our span as the caller of whatever comes next.
    #[must_use]
    pub fn child(self, span_id: [u8; 8]) -> Self {
        let mut child = Self { span_id, ..self };
        child.span_id[7] |= u8::from(span_id == [0; 8]);
        child
    }

    /// Whether the caller records this trace.
    pub const fn is_sampled(self) -> bool {
        self.flags & 1 == 1
    }

    /// The `traceparent` value, version 00.
    pub fn header(&self) -> HeaderValue {
        let mut text = [b'-'; 55];
        text[..2].copy_from_slice(b"00");
        write_hex(&mut text[3..35], &self.trace_id);
        write_hex(&mut text[36..52], &self.span_id);
        write_hex(&mut text[53..], &[self.flags]);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static(""))
    }

    fn is_valid(&self) -> bool {
        self.trace_id != [0; 16] && self.span_id != [0; 8]
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) const fn hex_pair(byte: u8) -> [u8; 2] {
    [DIGITS[(byte >> 4) as usize], DIGITS[(byte & 15) as usize]]
}

fn write_hex(to: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in to.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&hex_pair(*byte));
    }
}

fn unhex([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

fn unhex_array<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = unhex([pair[0], pair[1]])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_specification_round_trips() {
        let context = TraceContext::parse(&HeaderValue::from_static(EXAMPLE)).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.header(), EXAMPLE);
        assert_eq!(context.child([9; 8]).trace_id, context.trace_id);
    }

    #[test]
    fn malformed_values_are_refused() {
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(TraceContext::parse(&HeaderValue::from_static(bad)), None, "{bad}");
        }
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert!(TraceContext::parse(&HeaderValue::from_static(later)).is_some());
    }

    #[test]
    fn a_generated_context_is_valid_even_from_zeros() {
        let context = TraceContext::generate([0; 24]);
        assert_eq!(TraceContext::parse(&context.header()), Some(context));
    }
}
