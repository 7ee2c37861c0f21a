//! Sending a request's bytes, alone or beside its response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use crate::body::{Body, BodyError};
use crate::h1::encode::Announce;
use crate::h1::output::Output;
use crate::stream::Stream;

#[derive(Debug)]
enum State {
    /// That many bytes of the body are still to be sent.
    Sized(u64),
    Chunked,
    /// Everything has been handed to the output.
    Filled,
    /// Everything has been handed to the socket.
    Done,
    /// The socket takes no more.
    Failed(Option<io::Error>),
}

/// What one attempt achieved.
#[derive(Debug)]
pub(super) struct Progress {
    /// Bytes that the socket took.
    pub(super) written: u64,
    /// Whether the output was already waiting for the socket before.
    pub(super) was_waiting: bool,
}

#[derive(Debug)]
pub(crate) struct Upload {
    body: Body,
    state: State,
    was_waiting: bool,
}

impl Upload {
    pub(super) const fn new(body: Body, announce: Announce) -> Self {
        let state = match announce {
            Announce::Nothing | Announce::Length(0) => State::Filled,
            Announce::Length(length) => State::Sized(length),
            Announce::Chunks => State::Chunked,
        };
        Self {
            body,
            state,
            was_waiting: false,
        }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the socket, not the body, is what it waits for.
    pub(super) const fn is_waiting(&self) -> bool {
        self.was_waiting
    }

    pub(super) fn take_error(&mut self) -> Option<io::Error> {
        match &mut self.state {
            State::Failed(error) => error.take(),
            _ => None,
        }
    }

    /// Sends until the body or the socket has to be waited for.
    ///
    /// # Errors
    /// Those of the request body: the connection has to be closed, without a
    /// last chunk.
    pub(super) fn poll(
        &mut self,
        stream: &mut Stream,
        output: &mut Output,
        cx: &mut Context<'_>,
    ) -> Result<Progress, BodyError> {
        let mut progress = Progress {
            written: 0,
            was_waiting: self.was_waiting,
        };
        if matches!(self.state, State::Done | State::Failed(_)) {
            return Ok(progress);
        }
        loop {
            self.fill(output, cx)?;
            match output.poll_write(stream, cx) {
                Poll::Ready(Err(error)) => {
                    self.state = State::Failed(Some(error));
                    return Ok(progress);
                }
                Poll::Ready(Ok(0)) | Poll::Pending => break,
                Poll::Ready(Ok(written)) => progress.written += written as u64,
            }
        }
        match self.flush(stream, output, cx) {
            Ok(is_flushed) => self.was_waiting = !is_flushed,
            Err(error) => self.state = State::Failed(Some(error)),
        }
        Ok(progress)
    }

    fn fill(&mut self, output: &mut Output, cx: &mut Context<'_>) -> Result<(), BodyError> {
        while matches!(self.state, State::Sized(_) | State::Chunked) && !output.is_full() {
            let Poll::Ready(data) = self.body.poll_data(cx)? else {
                return Ok(());
            };
            match (&mut self.state, data) {
                (State::Sized(left), Some(data)) => {
                    let length = data.len() as u64;
                    *left = left.checked_sub(length).ok_or(BodyError::Incomplete)?;
                    output.push(data);
                    if *left == 0 {
                        self.state = State::Filled;
                    }
                }
                (State::Sized(_), None) => return Err(BodyError::Incomplete),
                (_, Some(data)) => output.push_chunk(data),
                (_, None) => {
                    output.push_last_chunk();
                    self.state = State::Filled;
                }
            }
        }
        Ok(())
    }

    /// Whether everything given so far is with the socket. TLS may hold
    /// records back that the output no longer has.
    fn flush(&mut self, stream: &mut Stream, output: &Output, cx: &mut Context<'_>) -> io::Result<bool> {
        if !output.is_empty() || Pin::new(stream).poll_flush(cx)?.is_pending() {
            return Ok(false);
        }
        if matches!(self.state, State::Filled) {
            self.state = State::Done;
            self.body = Body::empty();
        }
        Ok(true)
    }
}
