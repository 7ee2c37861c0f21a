//! Documents with positions, and a lenient view over OpenAPI descriptions.
//!
//! - [`located`] turns YAML or JSON text into values and knows the line and column of each of them;
//! - [`openapi`] reads operations out of OpenAPI 2.0, 3.0, 3.1 and 3.2 documents, reporting what is wrong instead of
//!   giving up;
//! - [`template`] reads path keys such as `/files/{name}.{ext}` into segments that a router can compile;
//! - [`bundle`] inlines the files of a description that is split over a folder;
//! - [`import`] writes the entry of an API for the files of `apply`.
//!
//! Invariants: every function is bounded in time, depth and memory by its input's limits, none panics on any input, and
//! only [`bundle`] touches the file system. Deliberately absent: fetching anything from a network, dereferencing whole
//! documents, and a typed model on the way to routes.

pub mod bundle;
pub mod fault;
pub mod import;
pub mod located;
pub mod openapi;
pub mod pointer;
pub mod template;

pub use fault::{Fault, Severity};
