//! Addresses of what visitors read, written in one place.

use std::fmt::Write as _;

/// Text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // Browsers would walk up the path.
    match out.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => out,
    }
}

/// The page of a product.
pub(crate) fn product(name: &str) -> String {
    format!("/products/{}", segment(name))
}

/// What stands before every page of an API.
pub(crate) fn api(product: &str, api: &str, version: &str) -> String {
    format!("/products/{}/{}/{}", segment(product), segment(api), segment(version))
}

/// A guide.
pub(crate) fn guide(path: &str) -> String {
    let segments: Vec<String> = path.split('/').map(segment).collect();
    format!("/docs/{}", segments.join("/"))
}

/// A query of one name.
pub(crate) fn query(name: &str, value: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value);
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_one_segment() {
        assert_eq!(segment("v1/beta 2?#é"), "v1%2Fbeta%202%3F%23%C3%A9");
        assert_eq!(segment(".."), "%2E%2E");
        assert_eq!(guide("a/b c"), "/docs/a/b%20c");
    }
}
