//! Names in addresses that nothing has any more: what they stood for before the document was changed.
//!
//! A name is made of method and path, so what it says is still known when a parameter was renamed, another operation
//! took the same words, or a schema was spelt with other capitals. Only a name that fits one thing alone leads anywhere.

use crate::entry::{Entry, SchemaEntry};
use crate::reference::Reference;
use crate::slug;

/// Words of a name that are compared; longer ones are cut when names are made.
const MOST_WORDS: usize = 64;

impl Reference {
    /// The operation that a name in an address meant before the document was changed.
    #[must_use]
    pub fn entry_moved(&self, name: &str) -> Option<&Entry> {
        moved(self.entries(), name)
    }

    /// The webhook that a name in an address meant before the document was changed.
    #[must_use]
    pub fn webhook_moved(&self, name: &str) -> Option<&Entry> {
        let wanted = slug::plain(name);
        only(self.webhooks().iter(), |entry| {
            slug::plain(&entry.path) == wanted || slug::plain(&entry.path) == without_digest(&wanted)
        })
    }

    /// The schema that a name in an address means when capitals do not count.
    #[must_use]
    pub fn schema_moved(&self, name: &str) -> Option<&SchemaEntry> {
        let wanted = name.to_lowercase();
        only(self.schemas().iter(), |entry| entry.slug.to_lowercase() == wanted)
    }
}

/// The one that fits, unless several do.
fn only<'a, T>(items: impl Iterator<Item = &'a T>, fits: impl Fn(&T) -> bool) -> Option<&'a T> {
    let mut fitting = items.filter(|item| fits(item));
    fitting.next().filter(|_| fitting.next().is_none())
}

fn moved<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    let wanted = slug::plain(name);
    let shorter = without_digest(&wanted);
    let by_id = |entry: &Entry| {
        entry
            .operation_id
            .as_deref()
            .is_some_and(|id| slug::plain(id) == wanted)
    };
    let by_path = |name: &str| {
        let words: Vec<&str> = name.split('-').take(MOST_WORDS).collect();
        let known = |tokens: &[Token]| tokens.iter().filter(|token| **token != Token::Parameter).count();
        let fitting: Vec<(usize, &Entry)> = entries
            .iter()
            .map(|entry| (pattern(entry), entry))
            .filter(|(tokens, _)| fits(tokens, &words))
            .map(|(tokens, entry)| (known(&tokens), entry))
            .collect();
        // A parameter stands for any words: the path that knows the most of them is meant.
        let most = fitting.iter().map(|(known, _)| *known).max()?;
        let mut best = fitting.into_iter().filter(|(known, _)| *known == most);
        best.next().filter(|_| best.next().is_none()).map(|(_, entry)| entry)
    };
    only(entries.iter(), by_id)
        .or_else(|| by_path(&wanted))
        .or_else(|| by_path(shorter).filter(|_| shorter != wanted))
}

/// A name without the digits that tell it apart from another one of the same words.
fn without_digest(name: &str) -> &str {
    let cut = |name: &'_ str| -> Option<usize> {
        let at = name.rfind('-')?;
        let last = name.get(at + 1..)?;
        (last.len() == 8 && last.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(at)
    };
    let counted = name
        .rfind('-')
        .filter(|at| name.get(at + 1..).is_some_and(|last| last.parse::<u32>().is_ok()))
        .and_then(|at| name.get(..at));
    let at = cut(name).or_else(|| counted.and_then(cut));
    at.and_then(|at| name.get(..at)).unwrap_or(name)
}

/// A word of a path, or a parameter, whose words may be any.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Parameter,
}

fn pattern(entry: &Entry) -> Vec<Token> {
    let words = |text: &str| {
        let plain = slug::plain(text);
        let words: Vec<Token> = plain
            .split('-')
            .filter(|word| !word.is_empty())
            .map(|word| Token::Word(word.to_owned()))
            .collect();
        words
    };
    let mut tokens = words(&entry.method);
    let mut rest = entry.path.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        tokens.extend(words(before));
        tokens.push(Token::Parameter);
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    tokens.extend(words(rest));
    tokens.truncate(MOST_WORDS);
    tokens
}

/// Whether words are those of a pattern, each parameter standing for one or more of them.
fn fits(pattern: &[Token], words: &[&str]) -> bool {
    // `reach[n]`: the tokens so far can stand for the first n words.
    let mut reach = vec![false; words.len() + 1];
    if let Some(start) = reach.first_mut() {
        *start = true;
    }
    for token in pattern {
        let mut next = vec![false; words.len() + 1];
        let mut open = false;
        for (at, (word, from)) in words.iter().zip(&reach).enumerate() {
            open = match token {
                Token::Word(known) => *from && known == word,
                Token::Parameter => open || *from,
            };
            if let Some(slot) = next.get_mut(at + 1) {
                *slot = open;
            }
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::Limits;

    fn reference(paths: &[&str]) -> Reference {
        let paths: serde_json::Map<_, _> = paths
            .iter()
            .map(|path| {
                let id = format!("read{path}");
                ((*path).to_owned(), json!({"get": {"operationId": id, "responses": {}}}))
            })
            .collect();
        let schemas = json!({"Order": {}, "order-line": {}, "Pet": {}, "pet": {}});
        let document = json!({"openapi": "3.0.0", "info": {"title": "T", "version": "1"}, "paths": paths,
            "components": {"schemas": schemas}});
        Reference::build(Arc::new(document), Limits::default()).unwrap()
    }

    #[test]
    fn a_renamed_parameter_and_a_lost_twin_are_still_found() {
        let found = reference(&["/pets", "/pets/{petId}", "/pets/{petId}/toys/{toy_id}", "/a/b"]);
        let path = |name| found.entry_moved(name).map(|entry| entry.path.as_str());
        assert_eq!(path("get-pets-id"), Some("/pets/{petId}"));
        assert_eq!(
            path("get-pets-pet-identifier-toys-toy"),
            Some("/pets/{petId}/toys/{toy_id}")
        );
        assert_eq!(path("get-a-b-0123abcd"), Some("/a/b"));
        assert_eq!(path("get-a-b-0123abcd-2"), Some("/a/b"));
        assert_eq!(path("read-a-b"), Some("/a/b"));
        for nothing in ["get-cats-id", "post-pets-id", "", "get", "pets", "get-a-b-c"] {
            assert_eq!(path(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_fits_several_things_leads_nowhere() {
        let found = reference(&["/x/{a}/{b}", "/x/{a}"]);
        assert_eq!(found.entry_moved("get-x-one-two").map(|entry| &entry.path), None);
        assert_eq!(
            found.schema_moved("order").map(|schema| schema.name.as_str()),
            Some("Order")
        );
        assert_eq!(
            found.schema_moved("Order-Line").map(|schema| schema.name.as_str()),
            Some("order-line")
        );
        assert_eq!(found.schema_moved("PET"), None);
    }
}
