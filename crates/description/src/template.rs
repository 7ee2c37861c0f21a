//! Path keys of descriptions as segments that a router can compile.
//!
//! A template is what stands in a path key up to `?` or `#`, split at slashes. Literal text is in the canonical form of
//! request paths: escapes of unreserved characters are decoded, all other escapes have upper-case digits, and characters
//! that a path cannot hold are escaped. A trailing slash is kept, as an empty last segment. A parameter stands for one or
//! more characters of a single segment. Deliberately absent: regular expressions and parameters that span segments.

use std::fmt::Write as _;

/// A path key as segments; `/` has one empty literal segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// What stands between the slashes.
    pub segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text in canonical form.
    Literal(String),
    /// A whole segment that is a parameter, by its name.
    Param(String),
    /// Text and parameters in one segment; never two texts in a row.
    Mixed(Vec<Part>),
}

/// A part of a mixed segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text in canonical form; not empty.
    Text(String),
    /// A parameter, by its name.
    Param(String),
}

/// Reads a path key. Every text has a template; a brace without its partner is text.
#[must_use]
pub fn route_template(path_key: &str) -> Template {
    let path = path_of(path_key);
    let path = path.strip_prefix('/').unwrap_or(path);
    Template {
        segments: path.split('/').map(segment).collect(),
    }
}

/// The part of a path key that takes part in routing: up to `?` or `#`, outside of braces.
#[must_use]
pub fn path_of(path_key: &str) -> &str {
    let mut inside = false;
    for (at, character) in path_key.char_indices() {
        match character {
            '{' => inside = true,
            '}' | '/' => inside = false,
            // A brace that is never closed hides nothing.
            '?' | '#' if !inside || !closes(path_key.get(at..).unwrap_or_default()) => {
                return path_key.get(..at).unwrap_or(path_key);
            }
            _ => {}
        }
    }
    path_key
}

fn closes(rest: &str) -> bool {
    rest.find(['}', '/', '{'])
        .is_some_and(|at| rest.as_bytes().get(at) == Some(&b'}'))
}

fn segment(text: &str) -> Segment {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = next_param(rest) {
        literal.push_str(before);
        if !literal.is_empty() {
            parts.push(Part::Text(canonical(&std::mem::take(&mut literal))));
        }
        parts.push(Part::Param(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if parts.is_empty() {
        return Segment::Literal(canonical(&literal));
    }
    if !literal.is_empty() {
        parts.push(Part::Text(canonical(&literal)));
    }
    match <[Part; 1]>::try_from(parts) {
        Ok([Part::Param(name)]) => Segment::Param(name),
        Ok([Part::Text(text)]) => Segment::Literal(text),
        Err(parts) => Segment::Mixed(parts),
    }
}

/// Text before, name of, and text after the first parameter. Of `{{a}` the inner brace counts.
fn next_param(text: &str) -> Option<(&str, &str, &str)> {
    let close = text
        .find('{')
        .and_then(|open| text.get(open..)?.find('}').map(|at| open + at))?;
    let open = text.get(..close)?.rfind('{')?;
    let name = text.get(open + 1..close)?;
    if name.is_empty() {
        // `{}` names nothing, yet it is meant as a parameter.
        return Some((text.get(..open)?, "", text.get(close + 1..)?));
    }
    Some((text.get(..open)?, name, text.get(close + 1..)?))
}

/// Path text in canonical form (RFC 3986, 6.2.2): escapes of unreserved characters decoded, other escapes in upper
/// case, characters that a path segment cannot hold escaped.
#[must_use]
pub fn canonical(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let escaped = if byte == b'%' { escape_at(bytes, at) } else { None };
        at += if escaped.is_some() { 3 } else { 1 };
        let value = escaped.unwrap_or(byte);
        let verbatim = if escaped.is_some() {
            is_unreserved(value)
        } else {
            is_path_byte(value)
        };
        if verbatim {
            out.push(char::from(value));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{value:02X}");
        }
    }
    out
}

fn escape_at(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let high = bytes.get(at + 1).and_then(digit)?;
    let low = bytes.get(at + 2).and_then(digit)?;
    Some(high << 4 | low)
}

const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What a path may hold without an escape: unreserved, sub-delimiters, `:`, `@` and the slash.
const fn is_path_byte(byte: u8) -> bool {
    let delimiter = matches!(
        byte,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
    );
    is_unreserved(byte) || delimiter || matches!(byte, b':' | b'@' | b'/')
}

impl Template {
    /// Names of the parameters, from left to right.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.segments
            .iter()
            .flat_map(Segment::pieces)
            .filter_map(|piece| match piece {
                Piece::Param(name) => Some(name),
                Piece::Text(_) => None,
            })
    }

    /// The template without the names of its parameters: two path keys with one shape are one route.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut shape = String::new();
        for segment in &self.segments {
            shape.push('/');
            for piece in segment.pieces() {
                shape.push_str(if let Piece::Text(text) = piece { text } else { "{}" });
            }
        }
        shape
    }

    /// Whether a canonical request path is one of this template.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else {
            return false;
        };
        let mut given = path.split('/');
        let all = self
            .segments
            .iter()
            .all(|segment| given.next().is_some_and(|text| segment.matches(text)));
        all && given.next().is_none()
    }
}

/// Text or a parameter, whatever kind of segment it stands in.
enum Piece<'a> {
    Text(&'a str),
    Param(&'a str),
}

impl Segment {
    fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let (whole, parts): (_, &[Part]) = match self {
            Self::Literal(text) => (Some(Piece::Text(text)), &[]),
            Self::Param(name) => (Some(Piece::Param(name)), &[]),
            Self::Mixed(parts) => (None, parts),
        };
        whole.into_iter().chain(parts.iter().map(|part| match part {
            Part::Text(text) => Piece::Text(text),
            Part::Param(name) => Piece::Param(name),
        }))
    }

    /// Whether one segment of a canonical request path fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => literal == text,
            Self::Param(_) => !text.is_empty(),
            Self::Mixed(parts) => fits(parts, text),
        }
    }
}

/// Each parameter takes as little as possible, at least one character, and the last one what is left: as texts between
/// parameters are only sought further right, no other division could succeed where this one fails.
fn fits(parts: &[Part], text: &str) -> bool {
    let (mut rest, mut parts) = (text, parts);
    let mut open = false;
    while let Some((part, following)) = parts.split_first() {
        let last = following.is_empty();
        match part {
            Part::Param(_) => {
                let Some(first) = rest.chars().next() else { return false };
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
                open = true;
            }
            Part::Text(literal) if last && open => return rest.ends_with(literal.as_str()),
            Part::Text(literal) => {
                let found = if open {
                    rest.find(literal.as_str())
                } else {
                    rest.starts_with(literal.as_str()).then_some(0)
                };
                let Some(at) = found else { return false };
                rest = rest.get(at + literal.len()..).unwrap_or_default();
                open = false;
            }
        }
        parts = following;
    }
    open || rest.is_empty()
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for segment in &self.segments {
            f.write_str("/")?;
            for piece in segment.pieces() {
                match piece {
                    Piece::Text(text) => f.write_str(text)?,
                    Piece::Param(name) => write!(f, "{{{name}}}")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    fn param(name: &str) -> Part {
        Part::Param(name.to_owned())
    }

    #[test]
    fn path_keys_become_segments() {
        let literal = |text: &str| Segment::Literal(text.to_owned());
        let whole = |name: &str| Segment::Param(name.to_owned());
        let table = [
            ("/", vec![literal("")]),
            ("/a/", vec![literal("a"), literal("")]),
            ("/pets/{petId}", vec![literal("pets"), whole("petId")]),
            (
                "/files/{name}.{ext}",
                vec![
                    literal("files"),
                    Segment::Mixed(vec![param("name"), text("."), param("ext")]),
                ],
            ),
            (
                "/compare/{a}...{b}",
                vec![
                    literal("compare"),
                    Segment::Mixed(vec![param("a"), text("..."), param("b")]),
                ],
            ),
            (
                "/v1/{op}:cancel",
                vec![literal("v1"), Segment::Mixed(vec![param("op"), text(":cancel")])],
            ),
            (
                "/users('{id}')",
                vec![Segment::Mixed(vec![text("users('"), param("id"), text("')")])],
            ),
            (
                "/me/f(a={a},b={b})",
                vec![
                    literal("me"),
                    Segment::Mixed(vec![text("f(a="), param("a"), text(",b="), param("b"), text(")")]),
                ],
            ),
            ("/pets?id", vec![literal("pets")]),
            ("/pets#list", vec![literal("pets")]),
            ("/pets/{id?}", vec![literal("pets"), whole("id?")]),
            ("/pets/{id?x", vec![literal("pets"), literal("%7Bid")]),
            ("/a}b/{c", vec![literal("a%7Db"), literal("%7Bc")]),
            (
                "/{{a}}",
                vec![Segment::Mixed(vec![text("%7B"), param("a"), text("%7D")])],
            ),
            ("/{}", vec![whole("")]),
            ("pets", vec![literal("pets")]),
            ("/caf\u{e9} %7e%2f%e9%zz", vec![literal("caf%C3%A9%20~%2F%E9%25zz")]),
        ];
        for (key, segments) in table {
            assert_eq!(route_template(key).segments, segments, "{key}");
        }
    }

    #[test]
    fn parameters_stand_for_at_least_one_character_of_one_segment() {
        let table = [
            ("/a/{b}", "/a/x", true),
            ("/a/{b}", "/a/", false),
            ("/a/{b}", "/a/x/y", false),
            ("/a/{b}", "/a", false),
            ("/a/", "/a", false),
            ("/a/", "/a/", true),
            ("/", "/", true),
            ("/", "", false),
            ("/{n}.{e}", "/a.b.c", true),
            ("/{n}.{e}", "/.c", false),
            ("/{n}.{e}", "/..c", true),
            ("/{n}.{e}", "/a.", false),
            ("/{a}{b}", "/x", false),
            ("/{a}{b}", "/xy", true),
            ("/u({i})", "/u(1)", true),
            ("/u({i})", "/u()", false),
            ("/{a}-x", "/-x-x", true),
            ("/{a}aa", "/aaa", true),
            ("/{a}aa", "/aa", false),
        ];
        for (key, path, fits) in table {
            assert_eq!(route_template(key).matches(path), fits, "{key} {path}");
        }
    }

    #[test]
    fn keys_that_differ_in_names_only_have_one_shape() {
        let shape = |key| route_template(key).shape();
        assert_eq!(shape("/a/{x}/{y}.{z}"), shape("/a/{p}/{q}.{r}"));
        assert_eq!(shape("/%61"), shape("/a"));
        assert_ne!(shape("/a/{x}"), shape("/a/%7B%7D"));
        assert_ne!(shape("/a"), shape("/a/"));
        assert_eq!(route_template("/a/{x}/{y}.{z}/").to_string(), "/a/{x}/{y}.{z}/");
        assert_eq!(
            route_template("/a/{x}/{y}.{z}/").parameters().collect::<Vec<_>>(),
            ["x", "y", "z"]
        );
    }

    /// Tries every division of the text.
    fn naive(parts: &[Part], rest: &str) -> bool {
        match parts.split_first() {
            None => rest.is_empty(),
            Some((Part::Text(literal), following)) => rest
                .strip_prefix(literal.as_str())
                .is_some_and(|rest| naive(following, rest)),
            Some((Part::Param(_), following)) => {
                (1..=rest.len()).any(|taken| rest.is_char_boundary(taken) && naive(following, &rest[taken..]))
            }
        }
    }

    fn naive_template(template: &Template, path: &str) -> bool {
        let mut parts = Vec::new();
        for segment in &template.segments {
            parts.push(text("/"));
            match segment {
                Segment::Literal(literal) => parts.push(text(literal)),
                Segment::Param(name) => parts.push(param(name)),
                Segment::Mixed(mixed) => parts.extend(mixed.iter().cloned()),
            }
        }
        let slashes = |text: &str| text.matches('/').count();
        slashes(path) == template.segments.len()
            && path
                .split('/')
                .skip(1)
                .zip(&template.segments)
                .all(|(text, segment)| match segment {
                    Segment::Literal(literal) => naive(&[Part::Text(literal.clone())], text),
                    Segment::Param(name) => naive(&[param(name)], text),
                    Segment::Mixed(mixed) => naive(mixed, text),
                })
            && naive(&parts, path)
    }

    proptest! {
        #[test]
        fn templates_match_as_a_naive_matcher_does(
            key in "(/(a|b|\\.|\\{x\\}|-){0,5}){1,3}",
            path in "(/[ab.x\u{e9}-]{0,6}){1,3}",
        ) {
            let template = route_template(&key);
            prop_assert_eq!(template.matches(&path), naive_template(&template, &path), "{} {}", key, path);
        }

        #[test]
        fn a_filled_in_template_matches(key in "(/(a|b|\\.|\\{x\\}|-){0,5}){1,3}", values in "[ab.-]{1,3}") {
            let path = key.replace("{x}", &values);
            prop_assert!(route_template(&key).matches(&path), "{} {}", key, path);
        }

        #[test]
        fn canonical_text_stays_as_it_is(text in any::<String>()) {
            let once = canonical(&text);
            prop_assert_eq!(canonical(&once), once.clone());
            prop_assert!(once.is_ascii());
        }

        #[test]
        fn any_key_has_a_template(key in any::<String>()) {
            let template = route_template(&key);
            prop_assert!(!template.segments.is_empty());
            prop_assert!(!template.shape().is_empty());
        }
    }
}
