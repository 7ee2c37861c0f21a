//! One coarse timer per connection, and the minimum-rate window.
//!
//! Setting a deadline costs a store: the runtime's timer is touched only when
//! the deadline comes before the instant at which it fires anyway.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// The longest the runtime's timer is armed for. Not shorter than the usual
/// deadlines, so that setting one hardly ever has to arm it anew.
const TICK: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct CoarseTimer {
    sleep: Pin<Box<Sleep>>,
    fires: Instant,
    deadline: Option<Instant>,
}

impl CoarseTimer {
    pub(crate) fn new() -> Self {
        let fires = Instant::now() + TICK;
        Self {
            sleep: Box::pin(sleep_until(fires)),
            fires,
            deadline: None,
        }
    }

    pub(crate) fn set(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
        if deadline < self.fires {
            self.arm(deadline);
        }
    }

    pub(crate) fn set_if_none(&mut self, deadline: Instant) {
        if self.deadline.is_none() {
            self.set(deadline);
        }
    }

    pub(crate) const fn clear(&mut self) {
        self.deadline = None;
    }

    /// Ready once the deadline has passed; pending for ever without one.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(());
            }
            self.arm(deadline.min(now + TICK));
        }
        Poll::Pending
    }

    fn arm(&mut self, fires: Instant) {
        self.fires = fires;
        self.sleep.as_mut().reset(fires);
    }
}

/// Counts what arrives while somebody waits for it: in each span of waiting
/// time, at least `rate` bytes a second must have come.
#[derive(Debug)]
pub(crate) struct RateWindow {
    span: Duration,
    needed: u64,
    bytes: u64,
    waited: Duration,
    since: Option<Instant>,
}

impl RateWindow {
    pub(crate) fn new(span: Duration, rate: u64) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let needed = rate.saturating_mul(millis) / 1000;
        Self {
            span,
            needed,
            bytes: 0,
            waited: Duration::ZERO,
            since: None,
        }
    }

    /// Somebody waits from now on; returns the instant to look again.
    pub(crate) fn waiting(&mut self, now: Instant) -> Instant {
        let since = *self.since.get_or_insert(now);
        since + self.span.saturating_sub(self.waited)
    }

    /// Bytes came, and with them an end of the waiting.
    pub(crate) fn arrived(&mut self, now: Instant, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        self.turn();
    }

    /// Whether the span ended with too little, as seen at `now`.
    pub(crate) fn is_too_slow(&mut self, now: Instant) -> bool {
        let Some(since) = self.since else { return false };
        if self.waited + now.saturating_duration_since(since) < self.span {
            return false;
        }
        if self.bytes < self.needed || self.bytes == 0 {
            return true;
        }
        self.bytes = 0;
        self.waited = Duration::ZERO;
        self.since = Some(now);
        false
    }

    const fn turn(&mut self) {
        if self.bytes >= self.needed {
            // Enough for this span already: a new one begins with the next wait.
            self.bytes = 0;
            self.waited = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_below_the_rate_is_too_slow_and_a_steady_flow_is_not() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut trickle = RateWindow::new(10 * second, 240);
        let mut now = start;
        let mut caught = None;
        for turn in 0..20 {
            trickle.waiting(now);
            now += second;
            if trickle.is_too_slow(now) {
                caught = Some(turn);
                break;
            }
            trickle.arrived(now, 10);
        }
        assert_eq!(caught, Some(9));
        let mut steady = RateWindow::new(10 * second, 240);
        for _ in 0..100 {
            steady.waiting(now);
            now += second;
            assert!(!steady.is_too_slow(now));
            steady.arrived(now, 300);
        }
    }

    #[test]
    fn a_fast_start_buys_no_credit_for_a_later_stall() {
        let now = Instant::now();
        let mut window = RateWindow::new(Duration::from_secs(10), 240);
        window.waiting(now);
        window.arrived(now, 1 << 30);
        window.waiting(now);
        assert!(window.is_too_slow(now + Duration::from_secs(10)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_timer_follows_its_latest_deadline() {
        let start = Instant::now();
        let mut timer = CoarseTimer::new();
        timer.set(start + Duration::from_secs(5));
        timer.set(start + Duration::from_secs(75));
        std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        assert_eq!(start.elapsed().as_secs(), 75);
        timer.set(Instant::now() + Duration::from_millis(20));
        let again = Instant::now();
        std::future::poll_fn(|cx| timer.poll_expired(cx)).await;
        assert!(again.elapsed() < Duration::from_millis(40));
    }
}
