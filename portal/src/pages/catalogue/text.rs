//! Pages as Markdown: the same address with `.md` at its end, or `Accept: text/markdown`.

use axum::http::header::{ACCEPT, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

/// The last segment of an address without `.md`, and whether the page is wanted as Markdown. A thing whose own name ends
/// so keeps it.
pub(crate) fn wanted<'a>(segment: &'a str, headers: &HeaderMap, is_known: impl Fn(&str) -> bool) -> (&'a str, bool) {
    match segment.strip_suffix(".md") {
        Some(name) if !name.is_empty() && !is_known(segment) => (name, true),
        _ => (segment, accepts(headers)),
    }
}

/// Whether a path asks for the Markdown twin of a page. Paths are compared letter for letter.
pub(crate) fn is_twin(path: &str) -> bool {
    path.strip_suffix(".md").is_some()
}

/// Whether a program asks for Markdown rather than HTML.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let accept = headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut kinds = accept
        .split(',')
        .map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.any(|kind| kind.eq_ignore_ascii_case("text/markdown")) && !accept.contains("text/html")
}

/// Text as one line of Markdown without markup of its own.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' => {
                out.push('\\');
                out.push(character);
            }
            other if other.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// A page of Markdown.
pub(crate) fn markdown(text: String) -> Response {
    respond("text/markdown; charset=utf-8", text)
}

/// A page of plain text.
pub(crate) fn plain(text: String) -> Response {
    respond("text/plain; charset=utf-8", text)
}

/// A text of a media type. It differs by reader and by what they accept.
pub(crate) fn respond(media: &'static str, text: impl Into<axum::body::Body>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        (VARY, HeaderValue::from_static("Accept, Cookie")),
    ];
    (StatusCode::OK, headers, text.into()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_get_html_and_programs_what_they_ask_for() {
        let mut headers = HeaderMap::new();
        let wanted = |segment, headers: &HeaderMap| wanted(segment, headers, |name| name == "read.md");
        assert_eq!(wanted("petstore", &headers), ("petstore", false));
        assert_eq!(wanted("petstore.md", &headers), ("petstore", true));
        assert_eq!(wanted("read.md", &headers), ("read.md", false));
        assert_eq!(wanted("read.md.md", &headers), ("read.md", true));
        headers.insert(ACCEPT, HeaderValue::from_static("text/html, text/markdown;q=0.5"));
        assert_eq!(wanted("petstore", &headers), ("petstore", false));
        headers.insert(ACCEPT, HeaderValue::from_static("text/markdown, */*"));
        assert_eq!(wanted("petstore", &headers), ("petstore", true));
    }

    #[test]
    fn a_title_cannot_become_markup() {
        assert_eq!(line("a\n# [b](javascript:x)"), "a \\# \\[b\\](javascript:x)");
    }
}
