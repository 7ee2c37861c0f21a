//! The interface between the protocols and whoever answers the requests.
//!
//! A request looks the same on HTTP/1.1 and HTTP/2: its URI is the path and
//! query alone (or `*`), its authority is the `host` header, and no
//! hop-by-hop field is left in it.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use http::Extensions;

use crate::body::Body;
use crate::problem::{Problem, ProblemKind};

/// A request whose framing has been checked.
pub type Request = http::Request<Body>;
/// A response. Hop-by-hop fields and `content-length` in it are replaced by
/// what the framing on this connection needs.
pub type Response = http::Response<Body>;

/// The protocol a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1; the request's version tells which.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Facts of one client connection that hold for all its requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnInfo {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Our end of the socket.
    pub local: SocketAddr,
    /// Whether the client reached us over TLS.
    pub tls: bool,
    /// The server name the client asked for in its TLS hello.
    pub server_name: Option<Box<str>>,
    /// The protocol spoken.
    pub protocol: Protocol,
}

/// A request that never reaches the service, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The problem to answer with; its status is the response's.
    pub kind: ProblemKind,
    /// What exactly was wrong, safe to show to the client.
    pub reason: &'static str,
    /// How long the client should wait before it tries again.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal without `Retry-After`.
    pub const fn new(kind: ProblemKind, reason: &'static str) -> Self {
        Self {
            kind,
            reason,
            retry_after: None,
        }
    }

    /// The problem body that says so.
    pub fn to_problem(&self) -> Problem {
        Problem::new(self.kind).detail(self.reason)
    }
}

/// How a response ended, told once it is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// The last byte was handed to the socket (HTTP/2: to the connection).
    Sent,
    /// The client went away, stalled, or the body failed before that.
    Cut,
}

/// Whoever answers requests: one value per worker thread, shared by `Rc`.
pub trait Service: 'static {
    /// Answers one request. Dropped when the client goes away.
    ///
    /// The connection's facts outlive the call, so clone the `Rc` to keep them.
    fn call(&self, request: Request, conn: &Rc<ConnInfo>) -> impl Future<Output = Response>;

    /// Words the answer to a request that was refused before it became one.
    /// The connection is closed after it (HTTP/2: the stream ends).
    fn refused(&self, refusal: &Refusal, conn: &ConnInfo) -> Response {
        let _ = conn;
        refusal.to_problem().into_response()
    }

    /// Called exactly once for each response that `call` returned, with that
    /// response's extensions, when its fate on the socket is known.
    fn finished(&self, extensions: Extensions, completion: Completion) {
        let _ = (extensions, completion);
    }
}

/// Tells the service exactly once what became of a response, also when the
/// whole connection is dropped.
pub(crate) struct Teller<S: Service> {
    service: Rc<S>,
    extensions: Option<Extensions>,
}

impl<S: Service> Teller<S> {
    /// `None` tells nothing: the response was not the service's.
    pub(crate) const fn new(service: Rc<S>, extensions: Option<Extensions>) -> Self {
        Self { service, extensions }
    }

    pub(crate) fn tell(&mut self, completion: Completion) {
        if let Some(extensions) = self.extensions.take() {
            self.service.finished(extensions, completion);
        }
    }
}

impl<S: Service> Drop for Teller<S> {
    fn drop(&mut self) {
        self.tell(Completion::Cut);
    }
}
