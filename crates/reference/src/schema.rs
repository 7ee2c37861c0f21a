//! Schemas as bounded trees of fields.
//!
//! Invariants: a tree has at most the nodes and levels of its [`crate::Limits`]; anchors are unique on a page; what
//! leads back to an open schema, goes deeper than the bound or would pass the number of nodes is a node that says so and
//! links to the schema's own page.

mod tree;
pub(crate) mod variants;
mod view;
mod words;

use crate::html::Html;

pub(crate) use tree::{Direction, Trees};
pub use view::{SchemaUse, SchemaView};

/// The page of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaLink {
    /// Name in the document.
    pub name: String,
    /// Name in addresses.
    pub slug: String,
}

/// What a node is to the one above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// The root of a tree, or a variant.
    Root,
    /// A field.
    Field(String),
    /// All fields whose names match a pattern.
    Pattern(String),
    /// All fields that are not listed.
    Other,
    /// The item of a list at a position.
    Item(usize),
}

/// A value that is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The value: texts as they are, everything else as JSON.
    pub value: String,
    /// What it means.
    pub meaning: Option<String>,
}

/// Why a node shows no fields although its schema has some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It leads back to a schema that it is part of.
    Circle,
    /// It is deeper than pages show.
    Depth,
    /// The page has as many nodes as it may have.
    Nodes,
    /// A reference leads nowhere, for this reason.
    Broken(String),
}

impl Stop {
    /// One clause for readers.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Circle => "it contains itself",
            Self::Depth => "its fields are not shown at this depth",
            Self::Nodes => "its fields are not shown here, for this page is long",
            Self::Broken(reason) => reason,
        }
    }
}

/// A schema, or a field with its schema. A list of objects has the fields of its items.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the document on its own")]
pub struct Node {
    /// What it is to the node above.
    pub key: Key,
    /// `id` of the node; unique on its page. Escape it as any other text.
    pub anchor: String,
    /// Types, such as `string`, `array of object` or `object or null`; `any` where all are allowed.
    pub types: String,
    /// Format, as the document names it.
    pub format: Option<String>,
    /// Bounds in words, such as `8 to 40 characters`.
    pub words: Vec<String>,
    /// Whether it must be there.
    pub required: bool,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Whether callers should stop using it.
    pub deprecated: bool,
    /// Whether it is only in responses.
    pub read_only: bool,
    /// Whether it is only in requests.
    pub write_only: bool,
    /// Title, where it says more than the name.
    pub title: Option<String>,
    /// What it means.
    pub prose: Html,
    /// Value that holds when it is left out.
    pub default: Option<String>,
    /// The only value.
    pub constant: Option<String>,
    /// A value such as it may have.
    pub example: Option<String>,
    /// Values that are allowed; all are where there are none.
    pub allowed: Vec<Allowed>,
    /// Further values that are allowed and not listed.
    pub allowed_more: usize,
    /// The schema's own page: of a list, that of its items.
    pub schema: Option<SchemaLink>,
    /// Why fields are missing.
    pub stop: Option<Stop>,
    /// Fields.
    pub fields: Vec<Node>,
    /// Further fields that are not shown.
    pub fields_more: usize,
    /// Choices between schemas; the fields above hold for all variants.
    pub choices: Vec<Choice>,
}

impl Node {
    /// The name of a field; empty for a root.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.key {
            Key::Root | Key::Item(_) => "",
            Key::Field(name) | Key::Pattern(name) => name,
            Key::Other => "any other name",
        }
    }

    /// Types, format and bounds on one line, as in `string, date-time` or `array of string, 1 to 10 items`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = self.types.clone();
        for word in self.format.iter().chain(&self.words) {
            line.push_str(", ");
            line.push_str(word);
        }
        line
    }

    /// Whether anything stands below it.
    #[must_use]
    pub const fn has_children(&self) -> bool {
        !self.fields.is_empty() || !self.choices.is_empty()
    }

    /// Nodes and variants of the tree, itself included.
    #[must_use]
    pub fn size(&self) -> usize {
        let fields: usize = self.fields.iter().map(Self::size).sum();
        let variants = self.choices.iter().flat_map(|choice| &choice.variants);
        1 + fields + variants.map(|variant| variant.node.size()).sum::<usize>()
    }
}

/// How many variants of a choice must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Exactly one.
    OneOf,
    /// One or more.
    AnyOf,
}

/// A choice between schemas.
#[derive(Debug, Clone)]
pub struct Choice {
    /// How many must fit.
    pub rule: Rule,
    /// The field whose value tells which variant it is.
    pub by: Option<String>,
    /// The variants, names unique.
    pub variants: Vec<Variant>,
    /// Further variants that are not shown.
    pub more: usize,
}

/// A variant of a choice.
#[derive(Debug, Clone)]
pub struct Variant {
    /// What it is called: the value of the field that tells it, its title or the name of its schema.
    pub name: String,
    /// Value of the field that tells it.
    pub value: Option<String>,
    /// Its schema, without what the variants share.
    pub node: Node,
}
