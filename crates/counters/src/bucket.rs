//! Token bucket in whole numbers.
//!
//! The level is kept in tokens times the window's nanoseconds, so that one nanosecond refills exactly `requests` of it
//! and nothing is ever rounded.

use crate::slot::Standing;
use crate::windowed::NANOS;

/// Numbers of a bucket as the plan has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BucketRule {
    pub(crate) requests: u64,
    pub(crate) window_ns: u64,
    pub(crate) burst: u64,
}

#[derive(Debug)]
pub(crate) struct Bucket {
    level: u128,
    capacity: u128,
    window_ns: u64,
    at_ns: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn full(rule: BucketRule, now_ns: u64) -> Self {
        let capacity = u128::from(rule.burst) * u128::from(rule.window_ns);
        Self {
            level: capacity,
            capacity,
            window_ns: rule.window_ns,
            at_ns: now_ns,
        }
    }

    /// Refills up to now. A changed size cuts the level but never raises it.
    pub(crate) fn refill(&mut self, rule: BucketRule, now_ns: u64) {
        let elapsed = now_ns.saturating_sub(self.at_ns);
        self.capacity = u128::from(rule.burst) * u128::from(rule.window_ns);
        self.window_ns = rule.window_ns;
        self.at_ns = self.at_ns.max(now_ns);
        let refill = u128::from(elapsed) * u128::from(rule.requests);
        self.level = self.level.saturating_add(refill).min(self.capacity);
    }

    pub(crate) fn standing(&self, rule: BucketRule, weight: u64) -> Standing {
        let need = u128::from(weight) * u128::from(self.window_ns);
        let remaining = u64::try_from(self.level / u128::from(self.window_ns.max(1))).unwrap_or(u64::MAX);
        let wait =
            |missing: u128| u64::try_from(missing.div_ceil(u128::from(rule.requests.max(1)))).unwrap_or(u64::MAX);
        Standing {
            used: i128::from(rule.burst.saturating_sub(remaining)) * NANOS,
            limit: Some(rule.burst),
            remaining,
            fits: self.level >= need,
            pending: false,
            short: None,
            retry_ns: wait(need.saturating_sub(self.level)),
            reset_ns: wait(self.capacity - self.level),
        }
    }

    pub(crate) fn take(&mut self, weight: u64) {
        self.level = self
            .level
            .saturating_sub(u128::from(weight) * u128::from(self.window_ns));
    }

    /// Tokens come back up to the size of the bucket: what would have spilled over meanwhile is lost.
    pub(crate) fn give_back(&mut self, weight: u64) {
        let tokens = u128::from(weight) * u128::from(self.window_ns);
        self.level = self.level.saturating_add(tokens).min(self.capacity);
    }

    /// Whether forgetting the bucket would change nothing.
    pub(crate) fn at_rest(&self, requests: u64, now_ns: u64) -> bool {
        let refill = u128::from(now_ns.saturating_sub(self.at_ns)) * u128::from(requests);
        self.level.saturating_add(refill) >= self.capacity
    }
}
