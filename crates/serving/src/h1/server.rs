//! The server side of HTTP/1.1: one connection from its first byte to its last.
//!
//! Requests are served one after another; bytes that came early wait in a
//! bounded buffer. While a service works the socket is watched, so that a
//! client's leaving drops the call and everything below it. The connection is
//! closed after any fault; it is never guessed where the next request begins.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::head::{self, HeadLimits, RequestHead, Scanner};
use super::output::Output;
use super::read::poll_read_some;
use crate::drain::Cue;
use crate::limits::Settings;
use crate::problem::ProblemKind;
use crate::service::{ConnInfo, Refusal, Service};
use crate::stream::Stream;
use crate::timer::CoarseTimer;

mod input;
mod respond;

use input::Incoming;
use respond::Answer;

/// Input that is held while a service does not ask for it.
const READ_AHEAD: usize = 16 << 10;
/// Input that is discarded before a connection is closed after a fault.
const LINGER_BYTES: u64 = 256 << 10;

/// What follows an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Another request may come.
    Request,
    /// Close; nothing of the client's is unread.
    Close,
    /// Close, but let the client read the response first.
    Linger,
    /// The client is gone, or must not take what it has for complete.
    Abort,
}

/// One accepted connection.
#[derive(Debug)]
pub struct Connection<S> {
    stream: Stream,
    input: BytesMut,
    output: Output,
    scanner: Scanner,
    timer: CoarseTimer,
    service: Rc<S>,
    info: Rc<ConnInfo>,
    settings: Rc<Settings>,
    cue: Rc<Cue>,
    opened: Instant,
    served: u64,
}

impl<S: Service> Connection<S> {
    /// A connection accepted at `opened`, from which its deadlines count.
    pub fn new(
        stream: impl Into<Stream>,
        service: Rc<S>,
        info: Rc<ConnInfo>,
        settings: Rc<Settings>,
        opened: Instant,
    ) -> Self {
        let mut timer = CoarseTimer::new();
        timer.set(opened + settings.deadlines.first_head);
        Self {
            stream: stream.into(),
            input: BytesMut::new(),
            output: Output::default(),
            scanner: Scanner::default(),
            timer,
            service,
            info,
            settings,
            cue: Rc::default(),
            opened,
            served: 0,
        }
    }

    /// Lets `cue` tell this connection to finish.
    #[must_use]
    pub fn with_cue(mut self, cue: Rc<Cue>) -> Self {
        self.cue = cue;
        self
    }

    /// Bytes that were read before the protocol was known.
    #[must_use]
    pub fn with_input(mut self, input: BytesMut) -> Self {
        self.input = input;
        self
    }

    /// Serves until the connection ends. Errors of the socket are an end like
    /// any other and are not reported.
    pub async fn run(mut self) {
        let next = loop {
            let head = match std::future::poll_fn(|cx| self.poll_head(cx)).await {
                Ok(Some(head)) => head,
                Ok(None) => break Next::Close,
                Err(refusal) => {
                    self.refuse(&refusal).await;
                    break Next::Linger;
                }
            };
            self.served += 1;
            match self.exchange(head).await {
                Next::Request => {}
                other => break other,
            }
        };
        self.end(next).await;
    }

    /// `Ok(None)` when the client has left, or stayed silent for too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Refusal>> {
        let limits = HeadLimits::from(&self.settings.limits);
        loop {
            if !self.input.is_empty() {
                match head::take_request(&mut self.input, &mut self.scanner, limits) {
                    Ok(None) => {}
                    Ok(Some(head)) => return Poll::Ready(Ok(Some(head))),
                    Err(fault) => return Poll::Ready(Err(fault.into())),
                }
            }
            let was_idle = self.input.is_empty();
            match poll_read_some(&mut self.stream, &mut self.input, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(_)) if was_idle && self.served > 0 => {
                    self.timer.set(Instant::now() + self.settings.deadlines.head);
                }
                Poll::Ready(Ok(_)) => {}
            }
        }
        self.poll_silence(cx)
    }

    /// Nothing more to read for now: how long may that last?
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RequestHead>, Refusal>> {
        if self.input.is_empty() {
            self.output.release();
            if self.cue.is_draining(cx) {
                if self.served > 0 {
                    return Poll::Ready(Ok(None));
                }
                // A request may be on its way on a connection this young.
                self.timer.set(self.cue.grace_for_silence());
            }
        }
        ready!(self.timer.poll_expired(cx));
        Poll::Ready(if self.input.is_empty() {
            Ok(None)
        } else {
            Err(Refusal::new(
                ProblemKind::RequestTimeout,
                "the head did not arrive in time",
            ))
        })
    }

    async fn refuse(&mut self, refusal: &Refusal) {
        let response = self.service.refused(refusal, &self.info);
        let answer = Answer::to_refusal();
        let _ = self.respond(response, answer, &mut None).await;
    }

    async fn exchange(&mut self, head: RequestHead) -> Next {
        let mut answer = Answer::to_request(&head);
        let (request, mut incoming) = match self.open_body(head) {
            Ok(opened) => opened,
            Err(refusal) => {
                self.refuse(&refusal).await;
                return Next::Linger;
            }
        };
        self.timer.clear();
        let response = {
            let service = Rc::clone(&self.service);
            let info = Rc::clone(&self.info);
            let mut call = std::pin::pin!(service.call(request, &info));
            std::future::poll_fn(|cx| self.poll_call(call.as_mut(), &mut incoming, cx)).await
        };
        let Some(response) = response else { return Next::Abort };
        answer.must_close |= self.is_worn_out() || !self.may_drain(incoming.as_ref());
        if let Some(incoming) = &mut incoming {
            incoming.stop_continue();
        }
        let next = self.respond(response, answer, &mut incoming).await;
        self.after(next, incoming).await
    }

    /// What the unread rest of the request body means for what follows.
    async fn after(&mut self, next: Next, incoming: Option<Incoming>) -> Next {
        let next = match (next, incoming) {
            (Next::Close, Some(incoming)) if !incoming.is_done() => Next::Linger,
            (Next::Request, Some(incoming)) if !incoming.is_done() => {
                if self.discard(incoming).await {
                    Next::Request
                } else {
                    Next::Linger
                }
            }
            (next, _) => next,
        };
        if next == Next::Request {
            let deadlines = &self.settings.deadlines;
            let wait = if self.input.is_empty() {
                deadlines.idle
            } else {
                deadlines.head
            };
            self.timer.set(Instant::now() + wait);
        }
        next
    }

    fn poll_call<F: Future>(
        &mut self,
        mut call: Pin<&mut F>,
        incoming: &mut Option<Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<F::Output>> {
        loop {
            if let Poll::Ready(response) = call.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            match self.poll_input(incoming, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn is_worn_out(&self) -> bool {
        self.cue.is_started()
            || self.served >= self.settings.limits.requests_per_connection
            || self.opened.elapsed() >= self.settings.deadlines.connection_age
    }

    async fn end(mut self, next: Next) {
        match next {
            Next::Request | Next::Close => self.shutdown().await,
            Next::Linger => {
                self.shutdown().await;
                self.timer.set(Instant::now() + self.settings.deadlines.linger);
                std::future::poll_fn(|cx| self.poll_linger(cx)).await;
            }
            Next::Abort => {}
        }
    }

    async fn shutdown(&mut self) {
        self.timer.set(Instant::now() + self.settings.deadlines.linger);
        std::future::poll_fn(|cx| {
            if Pin::new(&mut self.stream).poll_shutdown(cx).is_ready() {
                return Poll::Ready(());
            }
            self.timer.poll_expired(cx)
        })
        .await;
    }

    /// Unread input would make the kernel answer with a reset, which can
    /// destroy a response that the client has not read yet.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut left = LINGER_BYTES;
        loop {
            self.input.clear();
            match poll_read_some(&mut self.stream, &mut self.input, cx) {
                Poll::Pending => return self.timer.poll_expired(cx),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(count)) => left = left.saturating_sub(count as u64),
            }
            if left == 0 {
                return Poll::Ready(());
            }
        }
    }
}

/// The client has left, was too slow, or sent what cannot be read on.
fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

#[cfg(test)]
mod tests;
