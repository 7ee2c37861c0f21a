//! The HTTP serving layer of the data plane: listen, check the framing, keep
//! the deadlines, drain, and answer faults with problem bodies.
//!
//! It knows nothing of the domain. Everything here runs on single-threaded
//! tokio runtimes inside a `LocalSet`: futures and bodies are not `Send`.
//!
//! # Invariants
//! * What a service is given has passed the strict framing rules of RFC 9112;
//!   no two readers of the same bytes can disagree about where a request ends.
//! * A connection on which framing failed is never used again.
//! * No input grows memory beyond [`limits::Limits`].
//!
//! Deliberately absent: protocol upgrades (WebSocket), trailers, HTTP/3, and
//! HTTP/2 towards upstreams.

pub mod body;
pub mod drain;
pub mod h1;
pub mod h2;
pub mod health;
pub mod limits;
pub mod listener;
pub mod problem;
pub mod request_id;
pub mod service;
pub mod stream;
#[cfg(test)]
mod testing;
mod timer;
pub mod tls;
pub mod trace_context;
pub mod trust;

#[cfg(any(test, feature = "testing"))]
pub mod desync;

pub use body::{Body, BodyError};
pub use service::{Completion, ConnInfo, Protocol, Refusal, Request, Response, Service};
