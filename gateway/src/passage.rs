//! The bodies of a request and of its answer on their way through, unbuffered.
//!
//! The answer's body ends its request: the record is written just before the last piece is returned (where the length
//! is known or the upstream's end came with it) or before the end is.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use serving::{Body, BodyError};

use crate::flight::Flight;
use crate::settle::{Ending, Open};

/// A request's body, counted.
pub(crate) struct Inbound {
    body: Body,
    flight: Rc<Flight>,
}

/// Counts the bytes of a request's body as they pass.
pub(crate) fn inbound(body: Body, flight: &Rc<Flight>) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::wrap(Inbound {
        body,
        flight: Rc::clone(flight),
    })
}

impl http_body::Body for Inbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let data = ready!(this.body.poll_data(cx))?;
        if let Some(data) = &data {
            this.flight
                .bytes_in
                .set(this.flight.bytes_in.get().saturating_add(data.len() as u64));
        }
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body; its last piece ends the request.
pub(crate) struct Outbound {
    body: Body,
    open: Open,
}

/// Passes an answer's body on. A body without bytes ends the request at once.
///
/// # Errors
/// The record was lost: the answer must not go out.
pub(crate) fn outbound(body: Body, mut open: Open) -> Result<Body, crate::emit::Lost> {
    if body.is_end_stream() {
        open.finish(Ending::Whole)?;
        return Ok(Body::empty());
    }
    Ok(Body::wrap(Outbound { body, open }))
}

const LOST: BodyError = BodyError::Other("the usage record was lost");
const ENDED: BodyError = BodyError::Other("the caller may no longer be served");

impl http_body::Body for Outbound {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if !this.open.is_over() && this.open.flight.poll_ended(cx) {
            this.body = Body::empty();
            // The client sees a cut answer either way.
            let _cut = this.open.finish(Ending::Ended);
            return Poll::Ready(Some(Err(ENDED)));
        }
        let piece = match ready!(this.body.poll_data(cx)) {
            Ok(piece) => piece,
            Err(error) => {
                tracing::debug!(%error, request_id = %this.open.flight.request_id, "answer cut short by the upstream");
                let _cut = this.open.finish(Ending::UpstreamCut);
                return Poll::Ready(Some(Err(error)));
            }
        };
        if let Some(piece) = &piece {
            this.open.passes(piece);
        }
        let ends = piece.is_none() || this.body.is_end_stream();
        if ends && this.open.finish(Ending::Whole).is_err() {
            return Poll::Ready(Some(Err(LOST)));
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.open.is_over() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
