//! The request body as the service sees it, and the connection's end of it.
//!
//! The connection owns the socket and reads only when the service asks for
//! more: one frame lies between them at most. Either end may live in another
//! task of the same thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::body::BodyError;

#[derive(Debug)]
enum State {
    Open,
    End,
    Failed(BodyError),
}

#[derive(Debug)]
struct Shared {
    frame: Option<Bytes>,
    state: State,
    /// Bytes still to come, frame included, where a length was declared.
    remaining: Option<u64>,
    is_wanted: bool,
    is_abandoned: bool,
    reader: Option<Waker>,
    connection: Option<Waker>,
}

/// The service's end.
#[derive(Debug)]
pub(crate) struct RequestBody(Rc<RefCell<Shared>>);

/// The connection's end.
#[derive(Debug)]
pub(crate) struct Sender(Rc<RefCell<Shared>>);

/// A body of `remaining` bytes if declared; `first` came with the head.
pub(crate) fn channel(remaining: Option<u64>, first: Option<Bytes>) -> (Sender, RequestBody) {
    let shared = Rc::new(RefCell::new(Shared {
        frame: first,
        state: State::Open,
        remaining,
        is_wanted: false,
        is_abandoned: false,
        reader: None,
        connection: None,
    }));
    (Sender(Rc::clone(&shared)), RequestBody(shared))
}

impl RequestBody {
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        let mut shared = self.0.borrow_mut();
        if let Some(frame) = shared.frame.take() {
            if let Some(remaining) = &mut shared.remaining {
                *remaining = remaining.saturating_sub(frame.len() as u64);
            }
            return Poll::Ready(Ok(Some(frame)));
        }
        match &shared.state {
            State::End => Poll::Ready(Ok(None)),
            State::Failed(error) => Poll::Ready(Err(error.clone())),
            State::Open => {
                let first_ask = !std::mem::replace(&mut shared.is_wanted, true);
                store(&mut shared.reader, cx.waker());
                // In the connection's own task the connection looks anyway.
                if first_ask
                    && let Some(connection) = &shared.connection
                    && !connection.will_wake(cx.waker())
                {
                    connection.wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        let shared = self.0.borrow();
        shared.frame.is_none() && matches!(shared.state, State::End)
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        self.0.borrow().remaining
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        shared.is_abandoned = true;
        shared.frame = None;
    }
}

impl Sender {
    /// Whether the service waits for a frame. Its asking will wake `cx`.
    pub(crate) fn is_wanted(&self, cx: &Context<'_>) -> bool {
        let mut shared = self.0.borrow_mut();
        store(&mut shared.connection, cx.waker());
        shared.is_wanted && shared.frame.is_none()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.borrow().is_abandoned
    }

    pub(crate) fn send(&self, frame: Bytes, cx: &Context<'_>) {
        let mut shared = self.0.borrow_mut();
        if !shared.is_abandoned {
            shared.frame = Some(frame);
        }
        shared.wake_reader(cx);
    }

    pub(crate) fn end(&self, cx: &Context<'_>) {
        let mut shared = self.0.borrow_mut();
        shared.state = State::End;
        shared.wake_reader(cx);
    }

    pub(crate) fn fail(&self, error: BodyError) {
        let mut shared = self.0.borrow_mut();
        shared.state = State::Failed(error);
        if let Some(reader) = shared.reader.take() {
            reader.wake();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut shared = self.0.borrow_mut();
        if matches!(shared.state, State::Open) {
            shared.state = State::Failed(BodyError::Incomplete);
            if let Some(reader) = shared.reader.take() {
                reader.wake();
            }
        }
    }
}

impl Shared {
    fn wake_reader(&mut self, cx: &Context<'_>) {
        self.is_wanted = false;
        if let Some(reader) = self.reader.take()
            && !reader.will_wake(cx.waker())
        {
            reader.wake();
        }
    }
}

fn store(slot: &mut Option<Waker>, waker: &Waker) {
    match slot {
        Some(known) => known.clone_from(waker),
        None => *slot = Some(waker.clone()),
    }
}
