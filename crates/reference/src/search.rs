//! Search over operations, schemas and guides of many documents.
//!
//! What reads like a path, or a method with a path, finds the operations of that path first, whatever their parameters
//! are called. Everything else is searched by words: of titles, paths, names of fields and prose, with up to two typos
//! in long words. Japanese, Chinese and Korean are found by pairs of characters.
//!
//! Invariants: no query panics or fails; the number of words in one is bounded. What a reader may not see is left out
//! before results are counted.

mod fragment;
mod index;
mod paths;
mod words;

use crate::html::Html;

pub use index::{Broken, SearchIndex};

/// A document of an index.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// How the caller tells documents apart; results carry it.
    pub key: &'a str,
    /// The document.
    pub reference: &'a crate::Reference,
}

/// A guide of an index.
#[derive(Debug, Clone, Copy)]
pub struct Guide<'a> {
    /// How the caller tells groups of guides apart; results carry it, and filters use it like the key of a document.
    pub key: &'a str,
    /// Where the guide is.
    pub path: &'a str,
    /// Title.
    pub title: &'a str,
    /// Text in Markdown.
    pub text: &'a str,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    /// An operation.
    Operation,
    /// A webhook.
    Webhook,
    /// A schema.
    Schema,
    /// A guide.
    Guide,
}

/// A result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Found,
    /// Key of the document or group of guides.
    pub key: String,
    /// Name in addresses, or the path of a guide.
    pub slug: String,
    /// Title.
    pub title: String,
    /// Method, of operations and webhooks.
    pub method: Option<String>,
    /// Path, of operations.
    pub path: Option<String>,
    /// A piece of its text around what was found, which is in `mark` elements.
    pub fragment: Html,
}
