//! Wakes who waits for records, in the same process, at no cost while nobody waits.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

type Callback = Arc<dyn Fn() + Send + Sync>;

/// Rings once after [`Bell::arm`] when a record was appended or a producer ended.
///
/// Use: arm, read all there is, and only when nothing was there wait. An append between the two rings too.
#[derive(Default)]
pub struct Bell {
    armed: AtomicBool,
    state: Mutex<State>,
    rung: Condvar,
}

#[derive(Default)]
struct State {
    rings: u64,
    callbacks: Vec<Callback>,
}

/// What [`Bell::arm`] saw; waiting compares with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed(u64);

impl Bell {
    /// Asks for the next ring. Costs the next append a wake-up, so ask only before waiting.
    pub fn arm(&self) -> Armed {
        let rings = self.state.lock().unwrap_or_else(PoisonError::into_inner).rings;
        self.armed.store(true, Ordering::SeqCst);
        Armed(rings)
    }

    /// Waits until the bell rang since `armed`; false when `timeout` passed first.
    pub fn wait(&self, armed: Armed, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.rings == armed.0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .rung
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// Calls `callback` at each ring, on the thread that appended: it must only wake somebody.
    pub fn on_ring(&self, callback: impl Fn() + Send + Sync + 'static) {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .callbacks
            .push(Arc::new(callback));
    }

    /// Called after something became visible to readers.
    pub(crate) fn ring(&self) {
        if self.armed.load(Ordering::SeqCst) && self.armed.swap(false, Ordering::SeqCst) {
            self.ring_now();
        }
    }

    fn ring_now(&self) {
        let callbacks = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.rings += 1;
            state.callbacks.clone()
        };
        self.rung.notify_all();
        for callback in callbacks {
            callback();
        }
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}
