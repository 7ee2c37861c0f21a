//! The forms of names.

use std::collections::HashSet;

use super::findings::{Findings, shown};

/// Names of objects stand in addresses, keys of counters and headers.
pub(super) fn check_slug(pointer: &str, name: &str, findings: &mut Findings) {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let starts = name
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
    if !starts || name.len() > 63 || !name.bytes().all(fits) {
        findings.error(
            pointer,
            format!("{} is not a name", shown(name)),
            "write 1 to 63 small letters, digits, `-`, `_` or `.`, beginning with a letter or digit",
        );
    }
}

/// Names of customers are for people.
pub(super) fn check_name(pointer: &str, name: &str, findings: &mut Findings) {
    let length = name.trim().chars().count();
    if length == 0 || length > 200 || name.chars().any(char::is_control) {
        findings.error(
            pointer,
            format!("{} is not a name", shown(name)),
            "write 1 to 200 characters without control characters",
        );
    }
}

/// Names that were seen, to find those that stand twice.
#[derive(Debug, Default)]
pub(super) struct Seen<'a>(HashSet<(&'a str, &'a str)>);

impl<'a> Seen<'a> {
    /// Reports a name that was seen before in the same scope.
    pub(super) fn check(
        &mut self,
        pointer: &str,
        what: &str,
        (scope, name): (&'a str, &'a str),
        findings: &mut Findings,
    ) {
        if !self.0.insert((scope, name)) {
            let reason = format!("another {what} is called {}", shown(name));
            findings.error(pointer, reason, "give each a name of its own");
        }
    }
}

/// A token of RFC 9110, which names of headers are made of.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A name of an environment variable.
pub(super) fn check_variable(pointer: &str, name: &str, findings: &mut Findings) {
    let starts = name
        .bytes()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
    if !starts || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        findings.error(
            pointer,
            format!("{} is not the name of an environment variable", shown(name)),
            "write letters, digits and `_`, such as PETSTORE_SECRET",
        );
    }
}
