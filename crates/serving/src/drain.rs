//! Telling every worker, from any thread, to finish what it has and stop.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// The handle that starts a drain.
#[derive(Debug, Clone)]
pub struct Drain {
    sender: watch::Sender<Option<Instant>>,
}

/// The side that a worker watches.
#[derive(Debug, Clone)]
pub struct DrainWatch {
    receiver: watch::Receiver<Option<Instant>>,
}

impl Drain {
    /// A drain that has not begun, and its first watcher.
    pub fn new() -> (Self, DrainWatch) {
        let (sender, receiver) = watch::channel(None);
        (Self { sender }, DrainWatch { receiver })
    }

    /// Begins the drain: requests in flight have `grace` to finish. A second
    /// call can only shorten it.
    pub fn start(&self, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.sender.send_modify(|current| {
            *current = Some(current.map_or(deadline, |earlier| earlier.min(deadline)));
        });
    }

    /// Another watcher, for another worker.
    pub fn watch(&self) -> DrainWatch {
        DrainWatch {
            receiver: self.sender.subscribe(),
        }
    }
}

impl DrainWatch {
    /// The instant at which what is left will be dropped, once begun.
    pub fn deadline(&self) -> Option<Instant> {
        *self.receiver.borrow()
    }

    /// Waits until the deadline is set or moved.
    pub(crate) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the drain begins, and returns its deadline. Waits for ever
    /// when every [`Drain`] handle is gone without a drain.
    pub async fn started(&mut self) -> Instant {
        loop {
            if let Some(deadline) = *self.receiver.borrow_and_update() {
                return deadline;
            }
            if self.receiver.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// How long a fresh, silent connection is kept once a drain has begun.
const SILENCE: Duration = Duration::from_secs(1);

/// Tells one connection, in its own thread, that the drain has begun.
#[derive(Debug, Default)]
pub struct Cue {
    started: Cell<Option<Instant>>,
    waker: RefCell<Option<Waker>>,
}

impl Cue {
    /// Asks the connection to finish, and wakes it if it waits.
    pub fn start(&self) {
        self.started.set(Some(Instant::now()));
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the drain has begun.
    pub(crate) const fn is_started(&self) -> bool {
        self.started.get().is_some()
    }

    /// Whether the drain has begun; if not, `cx` is woken when it does.
    pub(crate) fn is_draining(&self, cx: &Context<'_>) -> bool {
        if !self.is_started() {
            let mut slot = self.waker.borrow_mut();
            match &mut *slot {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *slot = Some(cx.waker().clone()),
            }
        }
        self.is_started()
    }

    /// Until when a connection that has not sent anything yet is kept.
    pub(crate) fn grace_for_silence(&self) -> Instant {
        self.started.get().unwrap_or_else(Instant::now) + SILENCE
    }
}
