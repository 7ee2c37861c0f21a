//! HTTP/1.1 (RFC 9112), both sides, strictly.
//!
//! `head` and `chunked` turn bytes into messages or a [`Fault`]; `framing`
//! decides where a message ends; `server` and [`client`] run connections.
//! Where RFC 9112 lets a recipient be lenient, this one is not.

pub(crate) mod chunked;
pub mod client;
pub(crate) mod encode;
mod fault;
pub(crate) mod framing;
mod head;
mod output;
pub(crate) mod read;
pub(crate) mod request_body;
mod response_head;
pub mod server;
pub(crate) mod target;

pub use fault::Fault;
