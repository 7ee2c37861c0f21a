//! Admission times of one producer: the domain clock, never running backwards.

use std::cell::Cell;

use domain::clock::{Clock, Timestamp};

/// Stamps the requests of one worker.
#[derive(Debug)]
pub(crate) struct Stamper {
    clock: Clock,
    last: Cell<Timestamp>,
}

impl Stamper {
    pub(crate) fn new(clock: Clock) -> Self {
        let last = Cell::new(clock.now());
        Self { clock, last }
    }

    /// The domain clock's time, or the last stamp where the clock was set back. Whatever is stamped later is not
    /// earlier.
    pub(crate) fn now(&self) -> Timestamp {
        let now = self.clock.now().max(self.last.get());
        self.last.set(now);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_never_run_backwards() {
        let stamper = Stamper::new(Clock::frozen(Timestamp::from_millis(5)));
        stamper.last.set(Timestamp::from_millis(9));
        assert_eq!(stamper.now(), Timestamp::from_millis(9));
    }
}
