//! The request body on its way in, and watching for the client's leaving.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::{Connection, READ_AHEAD, gone};
use crate::body::{Body, BodyError};
use crate::h1::chunked::{Decoded, Decoder};
use crate::h1::fault::Fault;
use crate::h1::framing::Framing;
use crate::h1::head::RequestHead;
use crate::h1::read::poll_read_some;
use crate::h1::request_body::{Sender, channel};
use crate::limits::Deadlines;
use crate::problem::ProblemKind;
use crate::service::{Refusal, Request, Service};
use crate::timer::RateWindow;

#[derive(Debug)]
enum Rest {
    Length(u64),
    Chunks(Decoder),
    Done,
}

/// A request body of which something is still to come.
#[derive(Debug)]
pub(super) struct Incoming {
    rest: Rest,
    sender: Sender,
    window: RateWindow,
    owes_continue: bool,
    /// Whether the output holds an interim response, and nothing else.
    sends_continue: bool,
    /// After a failure nothing of the connection is read again.
    is_broken: bool,
}

impl Incoming {
    pub(super) const fn is_done(&self) -> bool {
        matches!(self.rest, Rest::Done)
    }

    /// The final response begins: an interim one would now be a part of it,
    /// so a client that waits for one never sends its body.
    pub(super) fn stop_continue(&mut self) {
        self.sends_continue = false;
        if std::mem::take(&mut self.owes_continue) {
            self.is_broken = true;
            self.sender.fail(BodyError::Incomplete);
        }
    }
}

impl Rest {
    /// Takes the next bytes; `Ok(None)` when more must be read. At the end
    /// `self` is [`Rest::Done`].
    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Done => Ok(None),
            Self::Length(_) if input.is_empty() => Ok(None),
            Self::Length(left) => {
                let take = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Some(input.split_to(take).freeze()))
            }
            Self::Chunks(decoder) => match decoder.decode(input)? {
                Decoded::Data(data) => Ok(Some(data)),
                Decoded::NeedMore => Ok(None),
                Decoded::End => {
                    *self = Self::Done;
                    Ok(None)
                }
            },
        }
    }

    /// Everything at hand, so that a fault in bytes that came with the head is
    /// found before the service is called.
    fn decode_all(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
        let Some(first) = self.decode(input)? else {
            return Ok(None);
        };
        let Some(second) = self.decode(input)? else {
            return Ok(Some(first));
        };
        let mut all = BytesMut::from(&first[..]);
        all.extend_from_slice(&second);
        while let Some(more) = self.decode(input)? {
            all.extend_from_slice(&more);
        }
        Ok(Some(all.freeze()))
    }
}

impl<S: Service> Connection<S> {
    /// Joins a head and its body. What came with the head is checked here.
    pub(super) fn open_body(&mut self, head: RequestHead) -> Result<(Request, Option<Incoming>), Refusal> {
        let too_large = Refusal::new(ProblemKind::RequestTooLarge, "the body is too large");
        let max = self.settings.limits.body_bytes;
        let (mut rest, length) = match head.framing {
            Framing::Empty | Framing::UntilClose => {
                return Ok((head.request.map(|()| Body::empty()), None));
            }
            Framing::Length(length) => (Rest::Length(length), Some(length)),
            Framing::Chunked => (Rest::Chunks(Decoder::new()), None),
        };
        if max.is_some_and(|max| length.is_some_and(|length| length > max)) {
            return Err(too_large);
        }
        let first = rest.decode_all(&mut self.input)?;
        if matches!(rest, Rest::Done) {
            let mut body = first.map_or_else(Body::empty, Body::full);
            if max.is_some_and(|max| body.limit(max).is_err()) {
                return Err(too_large);
            }
            return Ok((head.request.map(|()| body), None));
        }
        let owes_continue = head.expect_continue && first.is_none();
        let (sender, receiver) = channel(length, first);
        let mut body = Body::h1_request(receiver);
        if max.is_some_and(|max| body.limit(max).is_err()) {
            return Err(too_large);
        }
        let window = window(&self.settings.deadlines);
        let incoming = Incoming {
            rest,
            sender,
            window,
            owes_continue,
            sends_continue: false,
            is_broken: false,
        };
        Ok((head.request.map(|()| body), Some(incoming)))
    }

    /// Brings the request body forward if it is asked for, and watches the
    /// socket. `Ready(Ok)` when there is something new for the service.
    ///
    /// # Errors
    /// The client has left.
    pub(super) fn poll_input(&mut self, incoming: &mut Option<Incoming>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(incoming) = incoming.as_mut().filter(|incoming| !incoming.is_done()) else {
            return self.poll_watch(cx).map(Err);
        };
        if incoming.is_broken || !incoming.sender.is_wanted(cx) {
            return match ready!(self.poll_watch(cx)) {
                error if incoming.is_broken => Poll::Ready(Err(error)),
                error => {
                    incoming.sender.fail(BodyError::Incomplete);
                    Poll::Ready(Err(error))
                }
            };
        }
        if incoming.owes_continue {
            incoming.owes_continue = false;
            incoming.sends_continue = true;
            self.output
                .write(|out| out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n"));
        }
        if incoming.sends_continue {
            incoming.sends_continue = self.poll_interim(cx)?.is_pending();
        }
        self.poll_body(incoming, cx)
    }

    fn poll_interim(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<()>> {
        while !self.output.is_empty() {
            if self.output.poll_write(&mut self.stream, cx)?.is_pending() {
                return Ok(Poll::Pending);
            }
        }
        Ok(Pin::new(&mut self.stream).poll_flush(cx)?)
    }

    fn poll_body(&mut self, incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match incoming.rest.decode(&mut self.input) {
                Ok(Some(frame)) => {
                    incoming.window.arrived(Instant::now(), frame.len() as u64);
                    incoming.sender.send(frame, cx);
                    if incoming.is_done() {
                        incoming.sender.end(cx);
                    }
                    self.timer.clear();
                    return Poll::Ready(Ok(()));
                }
                Ok(None) if incoming.is_done() => {
                    incoming.sender.end(cx);
                    self.timer.clear();
                    return Poll::Ready(Ok(()));
                }
                Ok(None) => {}
                Err(fault) => return self.break_off(incoming, fault.into()),
            }
            match poll_read_some(&mut self.stream, &mut self.input, cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => {
                    incoming.sender.fail(BodyError::Incomplete);
                    return Poll::Ready(Err(gone()));
                }
                Poll::Pending => return self.poll_rate(incoming, cx),
            }
        }
    }

    /// The service wants more and there is none: is the client too slow?
    fn poll_rate(&mut self, incoming: &mut Incoming, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = Instant::now();
        self.timer.set(incoming.window.waiting(now));
        while self.timer.poll_expired(cx).is_ready() {
            let now = Instant::now();
            if incoming.window.is_too_slow(now) {
                return self.break_off(incoming, BodyError::Timeout);
            }
            self.timer.set(incoming.window.waiting(now));
        }
        Poll::Pending
    }

    fn break_off(&mut self, incoming: &mut Incoming, error: BodyError) -> Poll<io::Result<()>> {
        incoming.is_broken = true;
        incoming.sender.fail(error);
        self.timer.clear();
        Poll::Ready(Ok(()))
    }

    /// Reads ahead within a bound, so as to notice the client's leaving.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while self.input.len() < READ_AHEAD {
            match ready!(poll_read_some(&mut self.stream, &mut self.input, cx)) {
                Ok(0) | Err(_) => return Poll::Ready(gone()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Whether what is unread of the request body is little enough, or still
    /// being read, so that the connection may go on after the response.
    pub(super) fn may_drain(&self, incoming: Option<&Incoming>) -> bool {
        let Some(incoming) = incoming else { return true };
        let is_small = match &incoming.rest {
            Rest::Done => return true,
            Rest::Length(left) => *left <= self.settings.limits.drain_bytes,
            Rest::Chunks(_) => true,
        };
        !incoming.is_broken && !incoming.owes_continue && (is_small || !incoming.sender.is_abandoned())
    }

    /// Reads and discards the rest of a request body; `false` if that is not
    /// worth it.
    pub(super) async fn discard(&mut self, mut incoming: Incoming) -> bool {
        if incoming.is_broken || incoming.owes_continue {
            return false;
        }
        self.timer.set(Instant::now() + self.settings.deadlines.linger);
        let mut left = self.settings.limits.drain_bytes;
        std::future::poll_fn(|cx| {
            loop {
                match incoming.rest.decode(&mut self.input) {
                    Ok(Some(data)) if data.len() as u64 <= left => left -= data.len() as u64,
                    Ok(None) if incoming.is_done() => return Poll::Ready(true),
                    Ok(None) => match poll_read_some(&mut self.stream, &mut self.input, cx) {
                        Poll::Pending => return self.timer.poll_expired(cx).map(|()| false),
                        Poll::Ready(Ok(count)) if count > 0 => {}
                        Poll::Ready(_) => return Poll::Ready(false),
                    },
                    Ok(Some(_)) | Err(_) => return Poll::Ready(false),
                }
            }
        })
        .await
    }
}

pub(crate) fn window(deadlines: &Deadlines) -> RateWindow {
    RateWindow::new(deadlines.body_grace, deadlines.body_rate)
}
