//! Names for addresses: unique, stable and safe for any input.
//!
//! Invariants: a name has only `a-z 0-9 . _ -` (schemas also `A-Z`), is never empty and never made of dots alone. What
//! falls together gets a suffix made of what tells it apart, so that its name does not depend on its neighbours' order.

use std::collections::HashMap;

use description::import::fold;

/// Characters of a name at most; longer ones are cut and told apart by their suffix.
const LONGEST: usize = 96;

/// Names given so far, and what they stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    taken: HashMap<String, usize>,
}

impl Names {
    /// Gives every item a name. `plain` is what the name says, `whole` is what tells the item apart from all others.
    pub(crate) fn assign(items: &[(String, String)]) -> (Self, Vec<String>) {
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by(|a, b| items.get(*a).cmp(&items.get(*b)).then(a.cmp(b)));
        let mut names = Self::default();
        let mut given = vec![String::new(); items.len()];
        for index in order {
            let (Some((plain, whole)), Some(slot)) = (items.get(index), given.get_mut(index)) else {
                continue;
            };
            *slot = names.free(plain, whole);
            names.taken.insert(slot.clone(), index);
        }
        (names, given)
    }

    fn free(&self, plain: &str, whole: &str) -> String {
        let usable = !plain.is_empty() && plain.len() <= LONGEST && plain.bytes().any(|byte| byte != b'.');
        if usable && !self.taken.contains_key(plain) {
            return plain.to_owned();
        }
        let cut: String = plain.chars().take(LONGEST - 9).collect();
        let base = format!("{}-{:08x}", cut.trim_matches(['-', '.']), digest(whole));
        let base = base.trim_start_matches('-').to_owned();
        let mut name = base.clone();
        let mut number = 2_usize;
        while self.taken.contains_key(&name) {
            name = format!("{base}-{number}");
            number = number.saturating_add(1);
        }
        name
    }

    /// The index of the item with a name.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.taken.get(name).copied()
    }
}

/// A number for a text, the same in every build: FNV-1a.
pub(crate) fn digest(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Letters, digits and hyphens that stand for a text. Other scripts become their code points; empty only for a text of
/// nothing but ASCII punctuation.
pub(crate) fn plain(text: &str) -> String {
    let mut name = String::new();
    let mut gap = false;
    for character in text.chars().flat_map(char::to_lowercase).take(LONGEST * 2) {
        let mut letters = fold(character);
        if letters.is_empty() && !character.is_ascii() {
            letters = format!("{:x}", u32::from(character));
        }
        if letters.is_empty() {
            gap = !name.is_empty();
            continue;
        }
        if std::mem::take(&mut gap) {
            name.push('-');
        }
        name.push_str(&letters);
        if name.len() > LONGEST {
            break;
        }
    }
    name
}

/// What the name of an operation says: `get-trackers-id` for `GET /trackers/{id}`.
pub(crate) fn operation(method: &str, path: &str) -> String {
    let (method, path) = (plain(method), plain(path));
    match (method.is_empty(), path.is_empty()) {
        (_, true) => method,
        (true, false) => path,
        (false, false) => format!("{method}-{path}"),
    }
}

/// What the name of a schema says: the name itself where an address can hold it.
pub(crate) fn schema(name: &str) -> String {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    // A name that ends like the Markdown twin of a page would be mistaken for one.
    if name.bytes().all(safe) && !name.to_ascii_lowercase().ends_with(".md") {
        name.to_owned()
    } else {
        plain(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let items: Vec<_> = paths
            .iter()
            .map(|path| (operation("GET", path), format!("GET {path}")))
            .collect();
        Names::assign(&items).1
    }

    #[test]
    fn an_operation_is_named_after_its_method_and_path() {
        assert_eq!(operation("GET", "/trackers/{id}"), "get-trackers-id");
        assert_eq!(operation("POST", "/"), "post");
        assert_eq!(
            operation("GET", "/users({id})/microsoft.graph.delta()"),
            "get-users-id-microsoft-graph-delta"
        );
        assert!(operation("GET", "/颜色/🙂").len() > 4);
    }

    #[test]
    fn names_that_fall_together_differ_and_do_not_depend_on_order() {
        let one = names(&["/a/b", "/a-b", "/A/b", "/"]);
        let other = names(&["/", "/A/b", "/a-b", "/a/b"]);
        let unique: std::collections::HashSet<_> = one.iter().collect();
        assert_eq!(unique.len(), 4);
        assert_eq!(one, other.into_iter().rev().collect::<Vec<_>>());
    }

    #[test]
    fn no_name_is_empty_long_or_unsafe() {
        let long = "x/".repeat(4_000);
        for path in [
            "",
            "/",
            "///",
            "🙂",
            "颜色",
            "..",
            "/%2e%2e/",
            long.as_str(),
            "a b\u{0}<>\"'",
        ] {
            for plain in [operation("GET", path), operation("!", path), schema(path), plain(path)] {
                let (_, given) = Names::assign(&[(plain, path.to_owned())]);
                let name = &given[0];
                assert!(!name.is_empty() && name.len() <= 120, "{path:?}: {name}");
                assert!(
                    name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
                    "{name}"
                );
                assert!(name.bytes().any(|b| b != b'.'), "{name}");
            }
        }
    }
}
