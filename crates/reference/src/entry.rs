//! What navigation knows of operations and schemas.

use description::openapi::{Operation, Parameter, SecurityUse};

use crate::html::clip;
use crate::prose;

/// What an entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request to the API.
    Operation,
    /// A request of the API to its caller.
    Webhook,
}

/// An operation or a webhook as navigation shows it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Name in addresses; unique among the entries of its kind.
    pub slug: String,
    /// Method as requests have it, such as `GET`.
    pub method: String,
    /// Path as the document writes it; the name of a webhook.
    pub path: String,
    /// One line: the summary, or words made of the operationId, or method and path.
    pub title: String,
    /// The summary, where there is one.
    pub summary: Option<String>,
    /// The operationId as written.
    pub operation_id: Option<String>,
    /// Key of the operation in routing and metering (see [`description::openapi::Operation::key`]).
    pub key: String,
    /// Whether callers should move away from it.
    pub deprecated: bool,
    /// Its tags.
    pub tags: Vec<String>,
    /// Index of its group in [`crate::Reference::groups`]; 0 for webhooks, which have none.
    pub group: usize,
    /// Where it stands in the document.
    pub pointer: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) security: Vec<Vec<SecurityUse>>,
}

impl Entry {
    pub(crate) fn new(kind: Kind, operation: Operation) -> Self {
        let summary = operation
            .summary
            .as_deref()
            .map(prose::plain_text)
            .map(|text| clip(&text, 200))
            .filter(|text| !text.is_empty());
        let words = || operation.operation_id.as_deref().and_then(humanise);
        let title = match (&summary, kind) {
            (Some(summary), _) => summary.trim_end_matches('.').to_owned(),
            (None, Kind::Webhook) => clip(&operation.path_key, 200),
            (None, Kind::Operation) => {
                words().unwrap_or_else(|| clip(&format!("{} {}", operation.method, operation.path_key), 200))
            }
        };
        let mut parameters = operation.parameters;
        for parameter in &mut parameters {
            // Read from the document when a page needs it.
            parameter.description = None;
        }
        Self {
            kind,
            slug: String::new(),
            method: operation.method,
            path: operation.path_key,
            title,
            summary,
            operation_id: operation.operation_id,
            key: operation.key,
            deprecated: operation.deprecated,
            tags: operation.tags,
            group: 0,
            pointer: operation.pointer,
            parameters,
            security: operation.security,
        }
    }
}

/// A schema as navigation shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaEntry {
    /// Name in the document.
    pub name: String,
    /// Name in addresses; unique among schemas.
    pub slug: String,
    /// Where it stands in the document.
    pub pointer: String,
}

/// Words of an operationId such as `listAllPets` or `list_pets`; none where it is no such thing.
fn humanise(id: &str) -> Option<String> {
    const LONGEST: usize = 60;
    if id.len() > LONGEST
        || !id
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ' '))
    {
        return None;
    }
    let words = words(id);
    let mut title = String::new();
    for word in &words {
        let acronym = word.len() > 1 && word.chars().all(|c| c.is_uppercase() || c.is_numeric());
        let lower = if acronym { word.clone() } else { word.to_lowercase() };
        if title.is_empty() {
            let mut characters = lower.chars();
            title.extend(characters.next().into_iter().flat_map(char::to_uppercase));
            title.push_str(characters.as_str());
        } else {
            title.push(' ');
            title.push_str(&lower);
        }
    }
    (words.len() > 1).then_some(title)
}

/// The words of a name in camel case, snake case or the like.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    let characters: Vec<char> = name.chars().collect();
    for (at, character) in characters.iter().enumerate() {
        if !character.is_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| characters.get(at));
        let after = characters.get(at + 1);
        let starts = character.is_uppercase()
            && (before.is_some_and(|c| c.is_lowercase() || c.is_numeric())
                || (before.is_some_and(|c| c.is_uppercase()) && after.is_some_and(|c| c.is_lowercase())));
        if starts && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(*character);
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_id_becomes_words() {
        assert_eq!(humanise("listAllPets").as_deref(), Some("List all pets"));
        assert_eq!(humanise("get_SSHKey-byId").as_deref(), Some("Get SSH key by id"));
        assert_eq!(humanise("pets"), None);
        assert_eq!(humanise("GET /a?b"), None);
    }
}
