//! The page of a schema.

use description::openapi::references::lookup;

use super::{Node, SchemaLink, Trees};
use crate::html::Html;
use crate::prose::Place;
use crate::reference::Reference;

/// What uses a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaUse {
    /// Method of an operation.
    pub method: String,
    /// Title of the operation.
    pub title: String,
    /// Name of the operation in addresses.
    pub slug: String,
}

/// A schema as a page.
#[derive(Debug, Clone)]
pub struct SchemaView {
    /// Name in the document: the heading.
    pub name: String,
    /// Name in addresses.
    pub slug: String,
    /// Title, where it says more than the name.
    pub title: Option<String>,
    /// What it means.
    pub prose: Html,
    /// Its fields.
    pub node: Node,
    /// Operations that use it, directly or through shared parts other than schemas.
    pub operations: Vec<SchemaUse>,
    /// Further operations that are not listed.
    pub operations_more: usize,
    /// Webhooks that use it.
    pub webhooks: Vec<SchemaUse>,
    /// Schemas that contain it.
    pub schemas: Vec<SchemaLink>,
    /// Further schemas that are not listed.
    pub schemas_more: usize,
    /// What is wrong with it, in words.
    pub notes: Vec<String>,
}

impl Reference {
    /// The page of the schema with this name in addresses.
    #[must_use]
    pub fn schema(&self, slug: &str) -> Option<SchemaView> {
        let index = self.schema_index(slug)?;
        let entry = self.schemas().get(index)?;
        let schema = lookup(&self.document, &entry.pointer)?;
        let mut trees = Trees::new(self);
        let mut node = trees.root(schema, "field");
        let prose = self.prose(schema.get("description"), Place::Page(2));
        node.prose = Html::default();
        node.schema = None;
        let most = self.limits.uses;
        let uses = |list: Option<&Vec<usize>>, webhooks: bool| -> Vec<SchemaUse> {
            let entries = if webhooks { self.webhooks() } else { self.entries() };
            let list = list.into_iter().flatten().take(most);
            list.filter_map(|index| entries.get(*index))
                .map(|entry| SchemaUse {
                    method: entry.method.clone(),
                    title: entry.title.clone(),
                    slug: entry.slug.clone(),
                })
                .collect()
        };
        let count = |list: Option<&Vec<usize>>| list.map_or(0, |list| list.len().saturating_sub(most));
        let schemas = self.uses.schemas.get(index);
        Some(SchemaView {
            name: entry.name.clone(),
            slug: entry.slug.clone(),
            title: node.title.take().filter(|title| *title != entry.name),
            prose,
            node,
            operations: uses(self.uses.operations.get(index), false),
            operations_more: count(self.uses.operations.get(index)),
            webhooks: uses(self.uses.webhooks.get(index), true),
            schemas: schemas
                .into_iter()
                .flatten()
                .take(most)
                .filter_map(|user| self.link(*user))
                .collect(),
            schemas_more: count(schemas),
            notes: trees.broken,
        })
    }
}
