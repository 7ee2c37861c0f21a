//! The client side of HTTP/1.1: one exchange at a time on one connection.
//!
//! A response may begin before the request body has been sent; from then on
//! polling the response body also goes on sending. Dropping the response
//! body before its end closes the connection, as does every failure: a
//! connection is handed back to its [`Home`] only when both messages ended
//! where their framing said and not one byte is left over.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::Method;
use http::header::HeaderMap;
use http::request::Parts;
use http_body::Body as _;
use tokio::time::Instant;

use super::encode::{self, Announce};
use super::fault::Fault;
use super::output::Output;
use super::read::poll_read_some;
use super::response_head::{Reader, ResponseHead};
use crate::body::{Body, BodyError};
use crate::problem::ProblemKind;
use crate::service::{Request, Response};
use crate::stream::Stream;
use crate::timer::CoarseTimer;

mod response_body;
mod upload;

pub(crate) use response_body::ResponseBody;
use upload::Upload;

/// How long an exchange may wait for the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the request's last byte to the end of the response head.
    pub response: Duration,
    /// Between two frames of the response body.
    pub body_idle: Duration,
    /// While no byte of the request is taken.
    pub write_stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            response: Duration::from_mins(1),
            body_idle: Duration::from_mins(1),
            write_stall: Duration::from_secs(30),
        }
    }
}

/// Where a connection goes when it may serve another request: the pool.
pub trait Home {
    /// Takes back a connection on which nothing is outstanding.
    fn give_back(&self, connection: Connection);
}

/// Why there is no response. See [`Error::retry`] for what may be done.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// What happened.
    #[source]
    pub kind: ErrorKind,
    /// The request, where not a byte of its body has been taken.
    pub request: Option<Box<Request>>,
}

/// What can end an exchange before its response head.
#[derive(Debug, thiserror::Error)]
pub enum ErrorKind {
    /// The connection was dead before a byte of the request left.
    #[error("connection ended before the request was sent: {0}")]
    NotSent(io::Error),
    /// The connection ended after that, and no byte of a response came.
    #[error("connection ended before the response: {0}")]
    Closed(io::Error),
    /// The connection ended within the response head.
    #[error("connection ended within the response head: {0}")]
    Cut(io::Error),
    /// The upstream did not take the request or answer it in time.
    #[error("upstream took too long")]
    Timeout,
    /// The response is not valid HTTP/1.1.
    #[error("invalid response: {0}")]
    Invalid(Fault),
    /// The request body failed; the upstream saw it end without its end.
    #[error("request body failed: {0}")]
    RequestBody(BodyError),
    /// The request cannot be written as HTTP/1.1.
    #[error("request cannot be written: {0}")]
    Unsendable(Fault),
}

/// Whether the same request may be sent on another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The upstream has seen nothing of it.
    Safe,
    /// The upstream may have acted on it.
    IfIdempotent,
    /// Sending it again would not help.
    Never,
}

impl Error {
    /// Whether the same request may be sent again.
    pub const fn retry(&self) -> Retry {
        match self.kind {
            ErrorKind::NotSent(_) => Retry::Safe,
            ErrorKind::Closed(_) | ErrorKind::Cut(_) => Retry::IfIdempotent,
            ErrorKind::Timeout | ErrorKind::Invalid(_) | ErrorKind::RequestBody(_) | ErrorKind::Unsendable(_) => {
                Retry::Never
            }
        }
    }

    /// The problem to answer the client with; `None` when the client has gone.
    pub fn problem(&self) -> Option<ProblemKind> {
        match &self.kind {
            ErrorKind::NotSent(_) | ErrorKind::Closed(_) => Some(ProblemKind::UpstreamUnreachable),
            ErrorKind::Cut(_) | ErrorKind::Invalid(_) => Some(ProblemKind::UpstreamInvalid),
            ErrorKind::Timeout => Some(ProblemKind::UpstreamTimeout),
            ErrorKind::RequestBody(error) => error.problem(),
            ErrorKind::Unsendable(_) => Some(ProblemKind::RequestInvalid),
        }
    }
}

/// A connection to an upstream with no exchange on it.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    input: BytesMut,
    output: Output,
    timer: CoarseTimer,
    opened: Instant,
    exchanges: u64,
}

impl Connection {
    /// Takes over a connected stream. Needs a runtime with time enabled.
    pub fn new(stream: impl Into<Stream>) -> Self {
        Self {
            stream: stream.into(),
            input: BytesMut::new(),
            output: Output::default(),
            timer: CoarseTimer::new(),
            opened: Instant::now(),
            exchanges: 0,
        }
    }

    /// Responses received on this connection so far.
    pub const fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// When the connection was taken over.
    pub const fn opened(&self) -> Instant {
        self.opened
    }

    /// Whether the other side is still there and silent. An unasked-for byte
    /// makes a connection as unusable as its end.
    pub fn is_usable(&mut self) -> bool {
        self.input.is_empty() && self.check_silence().is_ok()
    }

    fn check_silence(&mut self) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        match poll_read_some(&mut self.stream, &mut self.input, &mut cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Poll::Ready(Ok(_)) => Err(io::ErrorKind::InvalidData.into()),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// Sends a request and waits for the head of its response.
    ///
    /// The request's URI is written in origin-form, `host` must be among its
    /// headers; hop-by-hop fields and `content-length` are replaced by what
    /// its body needs. After the response body's last byte the connection
    /// goes to `home`, if it can be used again.
    ///
    /// # Errors
    /// See [`ErrorKind`]; the connection is closed in every case.
    pub async fn send(
        mut self,
        request: Request,
        timeouts: Timeouts,
        home: Option<Rc<dyn Home>>,
    ) -> Result<Response, Error> {
        if let Err(source) = self.check_silence() {
            let request = Some(Box::new(request));
            return Err(Error {
                kind: ErrorKind::NotSent(source),
                request,
            });
        }
        let (parts, body) = request.into_parts();
        let is_bodiless = body.is_end_stream();
        let announce = announce(&parts.method, &body);
        if let Err(fault) = check_sendable(&parts) {
            return Err(Error {
                kind: ErrorKind::Unsendable(fault),
                request: None,
            });
        }
        self.output.write(|out| encode::request(out, &parts, announce));
        let reader = Reader::new(parts.method == Method::HEAD);
        let upload = Upload::new(body, announce);
        let mut exchange = Exchange {
            connection: self,
            upload,
            reader,
            timeouts,
            sent: 0,
        };
        match std::future::poll_fn(|cx| exchange.poll_head(cx)).await {
            Ok(head) => Ok(exchange.into_response(head, home)),
            Err(kind) => {
                let request = is_bodiless.then(|| Request::from_parts(parts, Body::empty()));
                Err(Error {
                    kind,
                    request: request.map(Box::new),
                })
            }
        }
    }
}

/// Methods whose requests say "no body" by saying nothing.
fn announce(method: &Method, body: &Body) -> Announce {
    match body.size_hint().exact() {
        Some(0) if matches!(*method, Method::POST | Method::PUT | Method::PATCH) => Announce::Length(0),
        Some(0) => Announce::Nothing,
        Some(length) => Announce::Length(length),
        None => Announce::Chunks,
    }
}

/// What the types of `http` allow and a request line does not.
fn check_sendable(parts: &Parts) -> Result<(), Fault> {
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let is_clean = target.bytes().all(|byte| byte.is_ascii_graphic());
    let is_form = target.starts_with('/') || (target == "*" && parts.method == Method::OPTIONS);
    if parts.method == Method::CONNECT {
        Err(Fault::Method)
    } else if is_clean && is_form {
        has_one_host(&parts.headers)
    } else {
        Err(Fault::Target)
    }
}

fn has_one_host(headers: &HeaderMap) -> Result<(), Fault> {
    let mut hosts = headers.get_all(http::header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => Ok(()),
        _ => Err(Fault::Host),
    }
}

/// One request on its way, until its response head is there.
#[derive(Debug)]
struct Exchange {
    connection: Connection,
    upload: Upload,
    reader: Reader,
    timeouts: Timeouts,
    sent: u64,
}

impl Exchange {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<ResponseHead, ErrorKind>> {
        self.poll_upload(cx)?;
        loop {
            let connection = &mut self.connection;
            if let Some(head) = self.reader.take(&mut connection.input).map_err(ErrorKind::Invalid)? {
                return Poll::Ready(Ok(head));
            }
            let read = poll_read_some(&mut connection.stream, &mut connection.input, cx);
            match read {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(self.ended(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(self.ended(error))),
            }
        }
        ready!(self.connection.timer.poll_expired(cx));
        Poll::Ready(Err(ErrorKind::Timeout))
    }

    /// Sends what can be sent. A write error is kept for later: the upstream
    /// may have answered before it closed.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<(), ErrorKind> {
        let before = self.upload.is_done();
        let connection = &mut self.connection;
        let progress = self
            .upload
            .poll(&mut connection.stream, &mut connection.output, cx)
            .map_err(ErrorKind::RequestBody)?;
        self.sent += progress.written;
        let now_done = self.upload.is_done();
        if now_done {
            if !before {
                connection.timer.set(Instant::now() + self.timeouts.response);
            }
        } else if !self.upload.is_waiting() {
            // We wait for the client's bytes; that is watched on its side.
            connection.timer.clear();
        } else if progress.written > 0 || !progress.was_waiting {
            connection.timer.set(Instant::now() + self.timeouts.write_stall);
        }
        Ok(())
    }

    fn ended(&mut self, error: io::Error) -> ErrorKind {
        let error = self.upload.take_error().unwrap_or(error);
        if self.sent == 0 {
            ErrorKind::NotSent(error)
        } else if self.connection.input.is_empty() {
            ErrorKind::Closed(error)
        } else {
            ErrorKind::Cut(error)
        }
    }

    fn into_response(self, head: ResponseHead, home: Option<Rc<dyn Home>>) -> Response {
        let mut connection = self.connection;
        connection.exchanges += 1;
        let body = ResponseBody::new(connection, self.upload, &head, self.timeouts.body_idle, home);
        head.response.map(|()| body.map_or_else(Body::empty, Body::h1_response))
    }
}

#[cfg(test)]
mod tests;
