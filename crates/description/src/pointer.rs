//! JSON pointers (RFC 6901) as text.
//!
//! Invariant: what [`push`] appends, [`segments`] gives back unchanged.

use std::borrow::Cow;

/// Appends one member name or index to a pointer, escaping `~` and `/`.
pub fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    if segment.contains(['~', '/']) {
        pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(segment);
    }
}

/// A pointer with one more segment.
#[must_use]
pub fn join(pointer: &str, segment: &str) -> String {
    let mut joined = String::with_capacity(pointer.len() + segment.len() + 1);
    joined.push_str(pointer);
    push(&mut joined, segment);
    joined
}

/// The unescaped segments of a pointer; none for the empty pointer, which is the whole document.
pub fn segments(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let body = pointer.strip_prefix('/');
    body.into_iter().flat_map(|body| body.split('/')).map(unescape)
}

fn unescape(segment: &str) -> Cow<'_, str> {
    if segment.contains('~') {
        Cow::Owned(segment.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(segment)
    }
}

/// An array index as a pointer writes it: digits without a leading zero.
pub(crate) fn index(segment: &str) -> Option<usize> {
    let plain = segment == "0" || !segment.starts_with(['0', '+']);
    if plain { segment.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_come_back_as_they_were_pushed() {
        let mut pointer = String::new();
        for segment in ["paths", "/a/{b}", "~1", "", "get"] {
            push(&mut pointer, segment);
        }
        assert_eq!(pointer, "/paths/~1a~1{b}/~01//get");
        assert_eq!(
            segments(&pointer).collect::<Vec<_>>(),
            ["paths", "/a/{b}", "~1", "", "get"]
        );
        assert_eq!(segments("").count(), 0);
    }

    #[test]
    fn an_index_has_no_leading_zero() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("12"), Some(12));
        assert_eq!(index("012"), None);
        assert_eq!(index("+1"), None);
        assert_eq!(index("-"), None);
    }
}
