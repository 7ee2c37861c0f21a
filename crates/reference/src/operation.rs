//! The page of an operation or a webhook.
//!
//! Invariants: a page has at most the nodes of its [`crate::Limits`], shared out among its bodies and responses; anchors
//! are unique on it. What is broken is named in [`OperationView::notes`] and stands in no one's way.

mod build;
pub(crate) mod media;
pub(crate) mod parameters;
mod security;

use description::openapi::Location;
use indexmap::IndexMap;

use crate::entry::Kind;
use crate::example::Example;
use crate::html::Html;
use crate::reference::Server;
use crate::schema::Node;

pub use security::{AuthUse, Flow, SchemeKind, SchemeView, Scope};

/// An operation as another page links to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationLink {
    /// Name in addresses.
    pub slug: String,
    /// Method.
    pub method: String,
    /// Title.
    pub title: String,
}

/// A link to a page of the author of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalLink {
    /// An `http` or `https` address.
    pub url: String,
    /// What it shows; the address itself where the document says nothing.
    pub text: String,
}

/// An operation or a webhook as a page.
#[derive(Debug, Clone)]
pub struct OperationView {
    /// Which of the two it is.
    pub kind: Kind,
    /// Name in addresses.
    pub slug: String,
    /// Method.
    pub method: String,
    /// Path, or the name of a webhook.
    pub path: String,
    /// The heading.
    pub title: String,
    /// The operationId.
    pub operation_id: Option<String>,
    /// Key of the operation in routing and metering.
    pub key: String,
    /// Whether callers should move away from it.
    pub deprecated: bool,
    /// What it does.
    pub prose: Html,
    /// The same without markup: for the description of the page.
    pub prose_text: String,
    /// Titles of its tags.
    pub tags: Vec<String>,
    /// Name and title of its group.
    pub group: Option<(String, String)>,
    /// The operation before it.
    pub previous: Option<OperationLink>,
    /// The operation after it.
    pub next: Option<OperationLink>,
    /// Alternatives, each a list of schemes that must all be given; an empty alternative needs none. No alternatives:
    /// the document asks for nothing.
    pub auth: Vec<Vec<AuthUse>>,
    /// Parameters in the order of the document. A placeholder of the path that no parameter describes is among them.
    pub parameters: Vec<ParameterView>,
    /// What the request holds.
    pub body: Option<BodyView>,
    /// Responses in the order of the document.
    pub responses: Vec<ResponseView>,
    /// Further responses that are not shown.
    pub responses_more: usize,
    /// Addresses for this operation alone; those of the reference hold where there are none.
    pub servers: Vec<Server>,
    /// Where the author says more.
    pub external_docs: Option<ExternalLink>,
    /// Requests that the API makes because of this one.
    pub callbacks: Vec<CallbackView>,
    /// What is wrong with it, in words.
    pub notes: Vec<String>,
}

impl OperationView {
    /// Parameters of one place.
    pub fn parameters_in(&self, location: Location) -> impl Iterator<Item = &ParameterView> {
        self.parameters
            .iter()
            .filter(move |parameter| parameter.location == location)
    }
}

/// How the values of a parameter are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `a=1&a=2` or `a=1,2`.
    Form,
    /// `1,2`.
    Simple,
    /// `.1.2`.
    Label,
    /// `;a=1;a=2`.
    Matrix,
    /// `a=1%202`.
    SpaceDelimited,
    /// `a=1|2`.
    PipeDelimited,
    /// `a=1` and a tab between values (2.0).
    TabDelimited,
    /// `a[b]=1`.
    DeepObject,
}

/// A parameter.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the document on its own")]
pub struct ParameterView {
    /// Name.
    pub name: String,
    /// Where it stands.
    pub location: Location,
    /// Whether a request must have it.
    pub required: bool,
    /// Whether callers should stop sending it.
    pub deprecated: bool,
    /// What it means.
    pub prose: Html,
    /// How its values are written.
    pub style: Style,
    /// Whether each value or field is written on its own.
    pub explode: bool,
    /// Whether reserved characters stay as they are.
    pub allow_reserved: bool,
    /// Media type of its text, where the document names one.
    pub media_type: Option<String>,
    /// Its values. The anchor is that of the parameter, such as `query-limit`.
    pub node: Node,
    /// Examples under their names.
    pub examples: Vec<Example>,
}

/// The body of a request.
#[derive(Debug, Clone)]
pub struct BodyView {
    /// Whether a request must have one.
    pub required: bool,
    /// What it is for.
    pub prose: Html,
    /// Media types, those with one schema together.
    pub media: Vec<MediaView>,
}

/// What a body holds in one media type, or in several with the same schema.
#[derive(Debug, Clone)]
pub struct MediaView {
    /// Media type.
    pub media_type: String,
    /// Further media types with the same schema.
    pub also: Vec<String>,
    /// Its fields; none where the document says nothing about them.
    pub node: Option<Node>,
    /// Whether the node describes one item of a stream (3.2).
    pub is_stream: bool,
    /// How fields of a form are sent, where the document says so: content type by field.
    pub encodings: IndexMap<String, String>,
    /// Named examples of the document, or generated ones.
    pub examples: Vec<Example>,
}

/// A response.
#[derive(Debug, Clone)]
pub struct ResponseView {
    /// `200`, `2XX` or `default`.
    pub status: String,
    /// What the status is called, such as `Created`; may be empty.
    pub title: &'static str,
    /// What it means.
    pub prose: Html,
    /// Headers; their anchors begin with `header-`.
    pub headers: Vec<HeaderView>,
    /// Media types, those with one schema together.
    pub media: Vec<MediaView>,
    /// Operations that go on from here.
    pub links: Vec<LinkView>,
}

/// A header of a response.
#[derive(Debug, Clone)]
pub struct HeaderView {
    /// Name.
    pub name: String,
    /// Whether responses always have it.
    pub required: bool,
    /// Whether callers should stop reading it.
    pub deprecated: bool,
    /// What it means.
    pub prose: Html,
    /// Its values.
    pub node: Node,
}

/// An operation that goes on from a response.
#[derive(Debug, Clone)]
pub struct LinkView {
    /// Name.
    pub name: String,
    /// What it is for.
    pub prose: Html,
    /// The operation, where it is found.
    pub operation: Option<OperationLink>,
}

/// A request that the API makes.
#[derive(Debug, Clone)]
pub struct CallbackView {
    /// Name.
    pub name: String,
    /// Where it goes, as an expression over request and response.
    pub expression: String,
    /// Method.
    pub method: String,
    /// Summary, or the name.
    pub title: String,
    /// What it is for.
    pub prose: Html,
    /// What it holds.
    pub body: Option<BodyView>,
    /// Answers that the API expects.
    pub responses: Vec<ResponseView>,
}
