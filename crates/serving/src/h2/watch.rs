//! Deadlines of an HTTP/2 connection and its streams, looked at on a coarse
//! tick: silence, half-sent heads, request bodies below the minimum rate, and
//! responses that the client does not take.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::body::BodyError;
use crate::limits::Settings;
use crate::timer::RateWindow;

/// What is to be done with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    /// Take no new streams.
    Finish,
    /// Close it now.
    Drop,
}

#[derive(Debug)]
pub(super) struct Watch {
    settings: Rc<Settings>,
    opened: Instant,
    served: Cell<u64>,
    /// Since when no stream is open.
    idle_since: Rc<Cell<Option<Instant>>>,
    streams: RefCell<Vec<Weak<StreamWatch>>>,
}

impl Watch {
    pub(super) fn new(settings: Rc<Settings>, opened: Instant) -> Self {
        let idle_since = Rc::new(Cell::new(Some(opened)));
        Self {
            settings,
            opened,
            served: Cell::new(0),
            idle_since,
            streams: RefCell::default(),
        }
    }

    /// How often to look: often enough for the shortest deadline.
    pub(super) fn tick(&self) -> Duration {
        let deadlines = &self.settings.deadlines;
        let shortest = [
            deadlines.first_head,
            deadlines.head,
            deadlines.idle,
            deadlines.body_grace,
            deadlines.write_stall,
        ];
        let tick = shortest.into_iter().min().unwrap_or_default() / 4;
        tick.clamp(Duration::from_millis(20), Duration::from_secs(5))
    }

    pub(super) fn open_stream(&self) -> Rc<StreamWatch> {
        let deadlines = &self.settings.deadlines;
        let stream = Rc::new(StreamWatch {
            window: RefCell::new(RateWindow::new(deadlines.body_grace, deadlines.body_rate)),
            reader: RefCell::default(),
            is_too_slow: Cell::new(false),
            handed_since: Cell::new(None),
            _open: OpenStream(Rc::clone(&self.idle_since)),
        });
        self.served.set(self.served.get() + 1);
        self.idle_since.set(None);
        let mut streams = self.streams.borrow_mut();
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Rc::downgrade(&stream));
        stream
    }

    /// `unfinished_since`: when the frame or head that is half there began.
    pub(super) fn judge(&self, now: Instant, unfinished_since: Option<Instant>) -> Verdict {
        let deadlines = &self.settings.deadlines;
        let is_older = |since: Instant, limit: Duration| now.duration_since(since) >= limit;
        if self.served.get() == 0 && is_older(self.opened, deadlines.first_head) {
            return Verdict::Drop;
        }
        if unfinished_since.is_some_and(|since| is_older(since, deadlines.head)) {
            return Verdict::Drop;
        }
        let mut is_stalled = false;
        for stream in self.streams.borrow().iter().filter_map(Weak::upgrade) {
            stream.check_request(now);
            let handed = stream.handed_since.get();
            is_stalled |= handed.is_some_and(|since| is_older(since, deadlines.write_stall));
        }
        if is_stalled {
            return Verdict::Drop;
        }
        let drop_after = deadlines.idle + deadlines.write_stall;
        // Told to go, or should have been, and only hyper's buffers keep it.
        if self.idle_since.get().is_some_and(|since| is_older(since, drop_after)) {
            return Verdict::Drop;
        }
        let is_idle = self
            .idle_since
            .get()
            .is_some_and(|since| is_older(since, deadlines.idle));
        let is_worn_out = self.served.get() >= self.settings.limits.requests_per_connection
            || is_older(self.opened, deadlines.connection_age);
        if is_idle || is_worn_out {
            Verdict::Finish
        } else {
            Verdict::Fine
        }
    }
}

/// One stream, from its head to the end of its response.
#[derive(Debug)]
pub(super) struct StreamWatch {
    window: RefCell<RateWindow>,
    reader: RefCell<Option<Waker>>,
    is_too_slow: Cell<bool>,
    /// When hyper was given a frame of the response that it has not come back
    /// from: the client's window, or its socket, is full.
    handed_since: Cell<Option<Instant>>,
    _open: OpenStream,
}

/// Counts by references: the last stream to go starts the idle time.
#[derive(Debug)]
struct OpenStream(Rc<Cell<Option<Instant>>>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        // The watch holds one reference, this stream the other.
        if Rc::strong_count(&self.0) <= 2 {
            self.0.set(Some(Instant::now()));
        }
    }
}

impl StreamWatch {
    /// The service waits for more of the request body.
    pub(super) fn poll_request(&self, cx: &Context<'_>) -> Poll<BodyError> {
        if self.is_too_slow.get() {
            return Poll::Ready(BodyError::Timeout);
        }
        self.window.borrow_mut().waiting(Instant::now());
        *self.reader.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn request_arrived(&self, bytes: u64) {
        self.window.borrow_mut().arrived(Instant::now(), bytes);
    }

    fn check_request(&self, now: Instant) {
        if self.window.borrow_mut().is_too_slow(now) {
            self.is_too_slow.set(true);
            if let Some(reader) = self.reader.borrow_mut().take() {
                reader.wake();
            }
        }
    }

    pub(super) fn response_asked(&self) {
        self.handed_since.set(None);
    }

    pub(super) fn response_handed(&self) {
        self.handed_since.set(Some(Instant::now()));
    }

    /// The response is done with; whatever waits is hyper's.
    pub(super) fn close(&self) {
        self.handed_since.set(None);
    }
}
