//! The one canonical form of a request path.
//!
//! It is computed once for each request; what is matched, authorised, metered and forwarded is this form and no other.
//! Two rules keep it safe. A spelling that servers are known to read in different ways is refused, never repaired: dot
//! segments in any encoding (also before a `;`, also encoded twice), empty segments, encoded or plain separators,
//! controls, broken escapes and bytes that are not UTF-8. Everything else has exactly one spelling: escapes of
//! unreserved characters (RFC 3986, 2.3) are decoded, other escapes are written in upper case, and the few characters
//! that browsers send raw although a path may not hold them are escaped.
//!
//! A trailing slash is significant and kept. `;` parameters are plain text here; routing sees to it that they lead past
//! nothing ([`without_parameters`]), and a segment of parameters alone is refused as empty. Matching compares decoded segments
//! ([`decoded`]), so that `/users/%40me` is found as `/users/@me`. Absolute form and `*` are the caller's to take apart.

use std::borrow::Cow;

/// Why a path is refused. Each is a 400 `request-invalid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum PathFault {
    /// Does not start with a slash.
    #[error("the path does not start with a slash")]
    NotAbsolute,
    /// Two slashes in a row, or only parameters between them.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`, however it is written.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A backslash, or an encoded slash or backslash.
    #[error("the path has an encoded separator or a backslash")]
    Separator,
    /// A control character, a space, `#` or `?`, plain or (controls only) encoded.
    #[error("the path has a character that it may not hold")]
    Character,
    /// `%` without two hexadecimal digits.
    #[error("the path has a broken percent escape")]
    Escape,
    /// Bytes that are not UTF-8 once decoded.
    #[error("the path is not UTF-8 once decoded")]
    Encoding,
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Bytes of a path that stand for themselves (RFC 3986 `pchar` and the slash), escapes aside.
const fn is_plain(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'/' | b':' | b'@' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
}

/// Bytes that browsers send raw and that mean themselves to every server: escaped here.
const fn is_raw_data(byte: u8) -> bool {
    matches!(
        byte,
        b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}'
    )
}

/// The canonical form of a path as it stands in the request line, without query.
///
/// Applied to its own result it changes nothing.
///
/// # Errors
/// [`PathFault`] for every spelling that servers read in different ways.
pub fn canonical(path: &str) -> Result<Cow<'_, str>, PathFault> {
    if !path.starts_with('/') {
        return Err(PathFault::NotAbsolute);
    }
    if path.bytes().all(is_plain) {
        check_segments(path)?;
        return Ok(Cow::Borrowed(path));
    }
    let spelled = respell(path)?;
    check_segments(&spelled)?;
    Ok(Cow::Owned(spelled))
}

fn respell(path: &str) -> Result<String, PathFault> {
    let bytes = path.as_bytes();
    let mut out = String::with_capacity(path.len() + 8);
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'%' => {
                let value = escape_at(bytes, at).ok_or(PathFault::Escape)?;
                at += 2;
                push_escaped(&mut out, value)?;
            }
            b'\\' => return Err(PathFault::Separator),
            plain if is_plain(plain) => out.push(char::from(plain)),
            raw if is_raw_data(raw) => push_percent(&mut out, raw),
            _ => return Err(PathFault::Character),
        }
    }
    Ok(out)
}

fn push_escaped(out: &mut String, value: u8) -> Result<(), PathFault> {
    match value {
        b'/' | b'\\' => Err(PathFault::Separator),
        control if control < 0x20 || control == 0x7f => Err(PathFault::Character),
        unreserved if is_unreserved(unreserved) => {
            out.push(char::from(unreserved));
            Ok(())
        }
        other => {
            push_percent(out, other);
            Ok(())
        }
    }
}

fn push_percent(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(HEX[usize::from(byte >> 4)]));
    out.push(char::from(HEX[usize::from(byte & 15)]));
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(*bytes.get(at)?)? << 4 | digit(*bytes.get(at + 1)?)?)
}

fn check_segments(path: &str) -> Result<(), PathFault> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment.is_empty() && segments.peek().is_some() {
            return Err(PathFault::EmptySegment);
        }
        if segment.contains('%') {
            check_decoded(segment)?;
        } else {
            check_dots(segment)?;
        }
    }
    Ok(())
}

/// What is left of a segment for a server that takes parameters off.
fn check_dots(segment: &str) -> Result<(), PathFault> {
    match without_parameters(segment) {
        "." | ".." => Err(PathFault::DotSegment),
        "" if !segment.is_empty() => Err(PathFault::EmptySegment),
        _ => Ok(()),
    }
}

/// A segment up to its first `;`: what servers that know parameters match by.
pub fn without_parameters(segment: &str) -> &str {
    segment.split(';').next().unwrap_or_default()
}

/// What a server that decodes once, twice or more would see: none of them may find a dot segment or a separator.
fn check_decoded(segment: &str) -> Result<(), PathFault> {
    let mut seen = decode(segment.as_bytes());
    if std::str::from_utf8(&seen).is_err() {
        return Err(PathFault::Encoding);
    }
    loop {
        check_dots(std::str::from_utf8(&seen).unwrap_or_default())?;
        let deeper = decode(&seen);
        if deeper.len() == seen.len() {
            return Ok(());
        }
        if deeper.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0)) {
            return Err(PathFault::Separator);
        }
        seen = deeper;
    }
}

fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == b'%'
            && let Some(value) = escape_at(bytes, at + 1)
        {
            out.push(value);
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    out
}

/// A segment as matching compares it: escapes decoded once. What is not UTF-8 then (which no canonical path holds)
/// stays as it is written.
pub fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    String::from_utf8(decode(segment.as_bytes())).map_or(Cow::Borrowed(segment), Cow::Owned)
}

#[cfg(test)]
mod tests;
