//! Whether a configuration makes sense as a whole: names, references, addresses, prices, limits, and nothing that is
//! not built yet.
//!
//! [`validate`] is the one place for these rules: files are checked by it before they leave the machine, and the server
//! checks the same document again. Everything is reported at once, each finding with its place and the way out.
//! Deliberately absent: reading API descriptions and environments, which callers bring, and what only types can say.

mod addresses;
mod apis;
mod customers;
mod findings;
mod known;
mod limits;
mod meters;
mod names;
mod products;
mod settings;

use crate::config::{Api, Document};
pub use crate::price::Severity;
use findings::Findings;
use known::Known;

/// Something that is wrong or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the document can be applied.
    pub severity: Severity,
    /// JSON pointer (RFC 6901) into the document; of a key that is missing, where it belongs.
    pub pointer: String,
    /// What is wrong.
    pub reason: String,
    /// What to write instead.
    pub remedy: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

/// Where names may lead.
#[derive(Debug, Clone, Copy)]
pub enum References<'a> {
    /// Only into the document itself.
    Within,
    /// Into what would be in force after the document, which contains the document.
    Whole(&'a Document),
    /// Anywhere: whoever has the rest checks them.
    Unchecked,
}

/// The keys of an API's operations: the operationId, or `GET /path`; `None` where they are not known.
pub type OperationKeys<'a> = dyn Fn(&Api) -> Option<Vec<String>> + 'a;

/// What a document is checked against.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Where names may lead.
    pub references: References<'a>,
    /// The operations of an API.
    pub operations: &'a OperationKeys<'a>,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around")
            .field("references", &self.references)
            .finish_non_exhaustive()
    }
}

/// Everything that is wrong with a document or looks wrong, in its order; it can be applied when nothing is an error.
/// At most 500 findings; the rest are counted in a last one.
pub fn validate(document: &Document, around: &Around<'_>) -> Vec<Finding> {
    let known = Known::new(document, around);
    let mut findings = Findings::default();
    apis::check(document, &known, &mut findings);
    meters::check(document, &known, &mut findings);
    products::check(document, &known, &mut findings);
    customers::check_accounts(document, &mut findings);
    customers::check_consumers(document, &known, &mut findings);
    settings::check(document, &mut findings);
    findings.into_list()
}

#[cfg(test)]
mod tests;
