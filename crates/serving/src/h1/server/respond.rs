//! The response on its way out.
//!
//! The last bytes are handed to the socket only after the body has said that
//! they are the last: with a declared length by yielding them, else by ending.
//! So whatever a body does before it says so has been done by then.

use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::{Method, StatusCode};
use http_body::Body as _;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::{Connection, Incoming, Next};
use crate::body::{Body, BodyError};
use crate::h1::encode::{self, Announce, Persistence};
use crate::h1::head::RequestHead;
use crate::service::{Completion, Response, Service, Teller};

/// What the request decides about its response.
#[expect(clippy::struct_excessive_bools, reason = "four independent facts of one request")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    is_head: bool,
    is_http_10: bool,
    is_refusal: bool,
    pub(super) must_close: bool,
}

impl Answer {
    pub(super) fn to_request(head: &RequestHead) -> Self {
        Self {
            is_head: *head.request.method() == Method::HEAD,
            is_http_10: head.is_http_10,
            is_refusal: false,
            must_close: head.close,
        }
    }

    pub(super) const fn to_refusal() -> Self {
        Self {
            is_head: false,
            is_http_10: false,
            is_refusal: true,
            must_close: true,
        }
    }
}

/// How the body of a response is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing of it.
    Without,
    /// That many bytes more.
    Length(u64),
    Chunks,
    UntilClose,
}

/// A response of which something is still to be written.
struct Outgoing {
    body: Body,
    mode: Mode,
    is_complete: bool,
    /// Whether the head waits for the body's word: it ends the response.
    is_held: bool,
    failed: bool,
    stalled_since: Option<Instant>,
}

impl Outgoing {
    /// Takes one step of the body into account. `None` was its end.
    fn take(&mut self, data: Option<Bytes>, output: &mut crate::h1::output::Output) {
        match (&mut self.mode, data) {
            (Mode::Length(left), Some(data)) => match left.checked_sub(data.len() as u64) {
                Some(rest) => {
                    *left = rest;
                    self.is_complete = rest == 0 && !data.is_empty();
                    output.push(data);
                }
                None => self.failed = true,
            },
            (Mode::Without, _) | (Mode::Length(0) | Mode::UntilClose, None) => {
                self.is_complete = true;
            }
            (Mode::Length(_), None) => self.failed = true,
            (Mode::Chunks, Some(data)) => output.push_chunk(data),
            (Mode::Chunks, None) => {
                output.push_last_chunk();
                self.is_complete = true;
            }
            (Mode::UntilClose, Some(data)) => output.push(data),
        }
    }
}

impl<S: Service> Connection<S> {
    /// Writes a whole response while the request body may still come in.
    pub(super) async fn respond(
        &mut self,
        response: Response,
        mut answer: Answer,
        incoming: &mut Option<Incoming>,
    ) -> Next {
        let (parts, body) = response.into_parts();
        let extensions = (!answer.is_refusal).then_some(parts.extensions);
        let mut teller = Teller::new(Rc::clone(&self.service), extensions);
        if parts.status.is_informational() {
            return Next::Abort;
        }
        answer.must_close |= asks_to_close(&parts.headers);
        let (announce, mode) = plan(parts.status, &parts.headers, &body, answer);
        answer.must_close |= mode == Mode::UntilClose;
        let persistence = match (answer.must_close, answer.is_http_10) {
            (true, _) => Persistence::Close,
            (false, true) => Persistence::KeepAlive,
            (false, false) => Persistence::Default,
        };
        self.output.write(|out| {
            encode::response(out, (parts.status, &parts.headers), announce, persistence);
        });
        let mut outgoing = Outgoing {
            body,
            mode,
            is_complete: false,
            is_held: matches!(mode, Mode::Without | Mode::Length(0)),
            failed: false,
            stalled_since: None,
        };
        self.timer.clear();
        let sent = std::future::poll_fn(|cx| self.poll_respond(&mut outgoing, incoming, cx)).await;
        teller.tell(if sent { Completion::Sent } else { Completion::Cut });
        if !sent && mode == Mode::UntilClose {
            // An orderly end would make what was sent look complete.
            self.stream.reset_on_drop();
        }
        match (sent, answer.must_close) {
            (false, _) => Next::Abort,
            (true, true) => Next::Close,
            (true, false) => Next::Request,
        }
    }

    /// `true` once every byte is with the socket, `false` if that cannot be.
    fn poll_respond(
        &mut self,
        outgoing: &mut Outgoing,
        incoming: &mut Option<Incoming>,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        loop {
            let waits = self.fill(outgoing, cx).is_pending();
            if !(waits && outgoing.is_held) && self.poll_out(outgoing, cx).is_err() {
                return Poll::Ready(false);
            }
            let is_flushed = self.output.is_empty();
            if is_flushed && outgoing.failed {
                return Poll::Ready(false);
            }
            if is_flushed && outgoing.is_complete {
                return self.poll_flush(outgoing, cx);
            }
            if is_flushed && !waits {
                continue;
            }
            if !outgoing.is_complete {
                match self.poll_input(incoming, cx) {
                    Poll::Ready(Ok(())) => continue,
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {}
                }
            }
            return self.poll_stall(outgoing, cx).map(|()| false);
        }
    }

    /// Asks the body for more while there is room. `Pending`: it has none now.
    fn fill(&mut self, outgoing: &mut Outgoing, cx: &mut Context<'_>) -> Poll<()> {
        while !outgoing.is_complete && !outgoing.failed && !self.output.is_full() {
            match outgoing.body.poll_data(cx) {
                Poll::Ready(Ok(data)) => outgoing.take(data, &mut self.output),
                Poll::Ready(Err(error)) => {
                    log_failure(&error);
                    outgoing.failed = true;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Writes until the socket takes no more.
    fn poll_out(&mut self, outgoing: &mut Outgoing, cx: &mut Context<'_>) -> std::io::Result<()> {
        loop {
            match self.output.poll_write(&mut self.stream, cx) {
                Poll::Ready(Ok(0)) => return self.start_flush(outgoing, cx),
                Poll::Ready(Ok(_)) => outgoing.stalled_since = None,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    outgoing.stalled_since.get_or_insert_with(Instant::now);
                    return Ok(());
                }
            }
        }
    }

    /// TLS holds records back until it is flushed; TCP needs nothing.
    fn start_flush(&mut self, outgoing: &mut Outgoing, cx: &mut Context<'_>) -> std::io::Result<()> {
        if std::pin::Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            outgoing.stalled_since = None;
        } else {
            outgoing.stalled_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    fn poll_flush(&mut self, outgoing: &mut Outgoing, cx: &mut Context<'_>) -> Poll<bool> {
        match std::pin::Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending => {
                outgoing.stalled_since.get_or_insert_with(Instant::now);
                self.poll_stall(outgoing, cx).map(|()| false)
            }
        }
    }

    fn poll_stall(&mut self, outgoing: &Outgoing, cx: &mut Context<'_>) -> Poll<()> {
        let Some(since) = outgoing.stalled_since else {
            return Poll::Pending;
        };
        self.timer.set(since + self.settings.deadlines.write_stall);
        self.timer.poll_expired(cx)
    }
}

fn asks_to_close(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"close"))
}

/// Decides how the body travels (RFC 9112 section 6.3).
fn plan(status: StatusCode, headers: &HeaderMap, body: &Body, answer: Answer) -> (Announce, Mode) {
    let declared = || {
        let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
        let one = lengths.next()?.to_str().ok()?.parse::<u64>().ok();
        one.filter(|_| lengths.next().is_none())
    };
    if status == StatusCode::NO_CONTENT {
        return (Announce::Nothing, Mode::Without);
    }
    if answer.is_head || status == StatusCode::NOT_MODIFIED {
        return (declared().map_or(Announce::Nothing, Announce::Length), Mode::Without);
    }
    if let Some(length) = body.size_hint().exact().or_else(declared) {
        return (Announce::Length(length), Mode::Length(length));
    }
    if answer.is_http_10 {
        return (Announce::Nothing, Mode::UntilClose);
    }
    (Announce::Chunks, Mode::Chunks)
}

fn log_failure(error: &BodyError) {
    tracing::debug!(%error, "response body failed, connection is closed short of its end");
}
