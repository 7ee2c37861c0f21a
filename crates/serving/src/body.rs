//! One body type for requests and responses, whatever they travel on.
//!
//! A limit set with [`Body::limit`] is enforced here, in one place for every
//! kind of body. Trailers are never passed on: a body is data frames alone.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::h1::Fault;
use crate::h1::client::ResponseBody;
use crate::h1::request_body::RequestBody;
use crate::h2::StreamBody;
use crate::problem::ProblemKind;

/// Why a body ended before its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BodyError {
    /// The bytes break the framing rules; nothing after them can be trusted.
    #[error("body framing: {0}")]
    Framing(#[from] Fault),
    /// More bytes than the limit set for this body.
    #[error("body is larger than the limit of {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The sender was slower than the minimum rate, or silent for too long.
    #[error("body came too slowly")]
    Timeout,
    /// The sender went away before the end.
    #[error("body was cut short")]
    Incomplete,
    /// Any other failure of the producer, in its own words.
    #[error("body failed: {0}")]
    Other(&'static str),
}

impl BodyError {
    /// The problem that a *request* body's failure is answered with. `None`
    /// when the client has gone and no answer can reach it.
    pub fn problem(&self) -> Option<ProblemKind> {
        match self {
            Self::Framing(fault) => Some(fault.problem()),
            Self::TooLarge { .. } => Some(ProblemKind::RequestTooLarge),
            Self::Timeout => Some(ProblemKind::RequestTimeout),
            Self::Incomplete => None,
            Self::Other(_) => Some(ProblemKind::RequestInvalid),
        }
    }
}

/// A body supplied from outside this crate, such as one that meters another.
///
/// Its `size_hint` decides between `Content-Length` and chunks, and a true
/// `is_end_stream` is believed: whatever must happen before the last byte
/// leaves has to happen before either says "end".
pub type Wrapped = Pin<Box<dyn HttpBody<Data = Bytes, Error = BodyError>>>;

enum Kind {
    Empty,
    Full(Bytes),
    H1Request(RequestBody),
    H1Response(Box<ResponseBody>),
    H2Request(StreamBody),
    Wrapped(Wrapped),
}

#[derive(Clone, Copy)]
struct Allowance {
    limit: u64,
    left: u64,
}

/// A request or response body: `http_body::Body<Data = Bytes, Error = BodyError>`.
pub struct Body {
    kind: Kind,
    allowance: Option<Allowance>,
}

impl Body {
    /// No bytes.
    pub const fn empty() -> Self {
        Self {
            kind: Kind::Empty,
            allowance: None,
        }
    }

    /// All bytes at once, as one frame.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self::of(Kind::Full(bytes))
        }
    }

    /// A body produced elsewhere, such as one that meters another body.
    pub fn wrap(body: impl HttpBody<Data = Bytes, Error = BodyError> + 'static) -> Self {
        Self::of(Kind::Wrapped(Box::pin(body)))
    }

    pub(crate) const fn h1_request(body: RequestBody) -> Self {
        Self::of(Kind::H1Request(body))
    }

    pub(crate) fn h1_response(body: ResponseBody) -> Self {
        Self::of(Kind::H1Response(Box::new(body)))
    }

    pub(crate) const fn h2_request(body: StreamBody) -> Self {
        Self::of(Kind::H2Request(body))
    }

    const fn of(kind: Kind) -> Self {
        Self { kind, allowance: None }
    }

    /// Lets at most `max` further bytes through. A smaller limit that was set
    /// before, such as the listener's, stays.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] at once when the declared length exceeds `max`;
    /// otherwise `poll_frame` fails with it when the bytes do.
    pub fn limit(&mut self, max: u64) -> Result<(), BodyError> {
        let allowance = match self.allowance {
            Some(smaller) if smaller.left < max => smaller,
            _ => Allowance { limit: max, left: max },
        };
        self.allowance = Some(allowance);
        if self.size_hint().lower() > allowance.left {
            return Err(BodyError::TooLarge { limit: allowance.limit });
        }
        Ok(())
    }

    /// The next bytes, or `None` at the end.
    ///
    /// # Errors
    /// Whatever ended the body early.
    pub async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }

    /// Reads the whole body, holding at most `max` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] beyond `max`, or whatever ended the body early.
    pub async fn collect(mut self, max: u64) -> Result<Bytes, BodyError> {
        self.limit(max)?;
        let Some(first) = self.next_data().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_data().await? else {
            return Ok(first);
        };
        let mut all = bytes::BytesMut::from(&first[..]);
        all.extend_from_slice(&second);
        while let Some(more) = self.next_data().await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// The next bytes without the frame around them; trailers are skipped.
    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let data = ready!(self.poll_kind(cx))?;
        if let (Some(data), Some(allowance)) = (&data, &mut self.allowance) {
            let taken = data.remaining() as u64;
            let Some(left) = allowance.left.checked_sub(taken) else {
                let limit = allowance.limit;
                // Dropping the rest tells the connection that nobody reads on.
                self.kind = Kind::Empty;
                return Poll::Ready(Err(BodyError::TooLarge { limit }));
            };
            allowance.left = left;
        }
        Poll::Ready(Ok(data))
    }

    fn poll_kind(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(Ok(None)),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready(Ok(Some(bytes)))
            }
            Kind::H1Request(body) => body.poll_data(cx),
            Kind::H1Response(body) => body.poll_data(cx),
            Kind::H2Request(body) => body.poll_data(cx),
            Kind::Wrapped(body) => poll_wrapped(body, cx),
        }
    }
}

fn poll_wrapped(body: &mut Wrapped, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
    loop {
        match ready!(body.as_mut().poll_frame(cx)).transpose()? {
            None => return Poll::Ready(Ok(None)),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Ok(Some(data)));
                }
            }
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.get_mut()
            .poll_data(cx)
            .map(|data| data.map(|data| data.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::H1Request(body) => body.is_end(),
            Kind::H1Response(body) => body.is_end(),
            Kind::H2Request(body) => body.is_end(),
            Kind::Wrapped(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::H1Request(body) => hint(body.remaining()),
            Kind::H1Response(body) => hint(body.remaining()),
            Kind::H2Request(body) => body.size_hint(),
            Kind::Wrapped(body) => body.size_hint(),
        }
    }
}

fn hint(exact: Option<u64>) -> SizeHint {
    exact.map_or_else(SizeHint::new, SizeHint::with_exact)
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Empty => "empty",
            Kind::Full(_) => "full",
            Kind::H1Request(_) => "h1 request",
            Kind::H1Response(_) => "h1 response",
            Kind::H2Request(_) => "h2 request",
            Kind::Wrapped(_) => "wrapped",
        };
        f.debug_struct("Body")
            .field("kind", &kind)
            .field("size", &self.size_hint())
            .finish_non_exhaustive()
    }
}
