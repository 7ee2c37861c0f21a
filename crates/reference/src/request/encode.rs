//! Characters of addresses and headers.

/// Percent-encoding of everything but unreserved characters.
pub(crate) fn percent(text: &str) -> String {
    encode(text, b"")
}

/// As [`percent`], but reserved characters stay, save those that would end a value.
pub(super) fn reserved(text: &str) -> String {
    encode(text, b":/?@!$'()*,;[]=")
}

/// An address as a document writes it, made safe to request.
pub(super) fn address(text: &str) -> String {
    encode(text.trim(), b":/?#[]@!$&'()*+,;=%")
}

/// Literal text of a path.
pub(super) fn path(text: &str) -> String {
    encode(text, b":/@!$&'()*+,;=%")
}

fn encode(text: &str, kept: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(
                    char::from_digit(u32::from(digit), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
    out
}

/// Text that a header may hold.
pub(super) fn header(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.trim().to_owned()
}

/// A name that a header may have.
pub(super) fn is_token(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(token)
}
