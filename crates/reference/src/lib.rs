//! Reference documentation from OpenAPI documents of any version.
//!
//! [`Reference::build`] reads a document once; its views are made page by page, each bounded by [`Limits`]:
//! - [`Reference::groups`], [`Reference::entries`] and [`Reference::webhooks`] are the navigation;
//! - [`Reference::operation`], [`Reference::webhook`] and [`Reference::schema`] are pages, found by the name in their
//!   address;
//! - [`Reference::operation_markdown`] and its siblings are the same pages as Markdown;
//! - [`Reference::request`] is the request of an operation, which [`samples`] prints in ten languages;
//! - [`SearchIndex`] finds operations, schemas and guides of many documents;
//! - [`compare`] tells what changed between two documents.
//!
//! Invariants: everything is pure, bounded in time, depth and memory, and panics on no document. Whole documents are
//! never dereferenced: a schema that contains itself is a link to its own page. A bad part becomes a note and costs no
//! good one. Every [`Html`] may stand on a page unescaped; all other texts must be escaped. Deliberately absent: HTTP,
//! stores, templates and fetching anything.

pub mod compare;
mod entry;
pub mod example;
mod flat;
mod groups;
pub mod highlight;
mod html;
mod limits;
mod moved;
pub mod operation;
pub mod prose;
mod reference;
pub mod request;
pub mod samples;
pub mod schema;
pub mod search;
mod slug;
pub mod twin;
mod uses;

pub use compare::{Change, compare};
pub use entry::{Entry, Kind, SchemaEntry};
pub use example::Example;
pub use groups::Group;
pub use html::Html;
pub use limits::Limits;
pub use operation::OperationView;
pub use reference::{Reference, Refused, Server};
pub use request::{Inputs, Request};
pub use schema::{Node, SchemaLink, SchemaView};
pub use search::SearchIndex;
