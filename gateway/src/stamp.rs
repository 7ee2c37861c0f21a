//! Admission times of one producer: the domain clock, never running backwards, and the periods in which they lie.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use domain::clock::{Clock, Timestamp};
use domain::enforce::Window;
use domain::ids::SubscriptionId;
use snapshot::CompiledSubscription;

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

/// Subscriptions whose period a worker remembers.
const REMEMBERED: usize = 65_536;

/// The current periods of subscriptions. Computing one takes calendars and zones; most requests lie in the last one.
#[derive(Debug, Default)]
pub(crate) struct Periods(RefCell<HashMap<SubscriptionId, (u64, Window)>>);

impl Periods {
    /// Start of the subscription's period in which an instant lies.
    pub(crate) fn start(&self, subscription: &CompiledSubscription, at: Timestamp) -> Timestamp {
        let mut known = self.0.borrow_mut();
        let stamp = subscription.cycle.stamp();
        if let Some((_, window)) = known
            .get(&subscription.id)
            .filter(|(of, window)| *of == stamp && window.contains(at))
        {
            return window.start;
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        let window = subscription.cycle.window(at);
        known.insert(subscription.id, (stamp, window));
        window.start
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
