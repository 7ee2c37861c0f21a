//! Bodies of one HTTP/2 stream, in both directions, seen by the watch.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::watch::StreamWatch;
use crate::body::{Body, BodyError};
use crate::service::{Completion, Service, Teller};

/// A request body.
pub(crate) struct StreamBody {
    incoming: Incoming,
    watch: Rc<StreamWatch>,
}

impl StreamBody {
    pub(super) const fn new(incoming: Incoming, watch: Rc<StreamWatch>) -> Self {
        Self { incoming, watch }
    }

    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                return self.watch.poll_request(cx).map(Err);
            };
            let Some(frame) = frame else {
                self.watch.request_arrived(0);
                return Poll::Ready(Ok(None));
            };
            // A reset, a lost connection, or a length that does not add up.
            let frame = frame.map_err(|_| BodyError::Incomplete)?;
            if let Ok(data) = frame.into_data() {
                self.watch.request_arrived(data.len() as u64);
                return Poll::Ready(Ok(Some(data)));
            }
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// Most bytes given to hyper at once. It asks for the next piece only when the
/// client's window has room, so this is what a stalled stream holds at most.
const PIECE: usize = 16 << 10;

/// A response body as hyper takes it.
pub(super) struct StreamOut<S: Service> {
    body: Body,
    /// What is left of a frame larger than a piece.
    rest: Bytes,
    /// Bytes to come where the length is known.
    left: Option<u64>,
    is_done: bool,
    watch: Rc<StreamWatch>,
    teller: Teller<S>,
}

impl<S: Service> StreamOut<S> {
    pub(super) fn new(body: Body, watch: Rc<StreamWatch>, teller: Teller<S>) -> Self {
        let left = body.size_hint().exact();
        Self {
            body,
            rest: Bytes::new(),
            left,
            is_done: left == Some(0),
            watch,
            teller,
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        if self.rest.is_empty() {
            match ready!(self.body.poll_data(cx))? {
                Some(data) => self.rest = data,
                None => return Poll::Ready(Ok(None)),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Ok(Some(piece)))
    }

    fn account(&mut self, data: Option<&Bytes>) {
        match (data, &mut self.left) {
            (None, _) => self.is_done = true,
            (Some(data), Some(left)) => {
                *left = left.saturating_sub(data.len() as u64);
                self.is_done = *left == 0;
            }
            (Some(_), None) => {}
        }
    }
}

impl<S: Service> HttpBody for StreamOut<S> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        this.watch.response_asked();
        let data = ready!(this.poll_piece(cx))?;
        this.account(data.as_ref());
        if !this.is_done {
            this.watch.response_handed();
        }
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

impl<S: Service> Drop for StreamOut<S> {
    fn drop(&mut self) {
        self.watch.close();
        let completion = if self.is_done {
            Completion::Sent
        } else {
            Completion::Cut
        };
        self.teller.tell(completion);
    }
}
