//! Whole windows of the monotonic clock: second, minute, hour.
//!
//! A window starts with the first request that is counted after the last one ended; so no window of that length holds
//! more than twice the maximum, and a caller who keeps to the pace is never refused.

use crate::slot::Standing;
use crate::windowed::NANOS;

/// Numbers of a fixed window as the plan has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FixedRule {
    pub(crate) requests: u64,
    pub(crate) window_ns: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Fixed {
    /// Start of the open window.
    start_ns: Option<u64>,
    used: u64,
}

impl Fixed {
    /// Closes the window when it is over.
    pub(crate) fn turn(&mut self, rule: FixedRule, now_ns: u64) {
        if self
            .start_ns
            .is_some_and(|start| now_ns >= start.saturating_add(rule.window_ns))
        {
            *self = Self::default();
        }
    }

    pub(crate) fn standing(&self, rule: FixedRule, now_ns: u64, weight: u64) -> Standing {
        let end = self.start_ns.unwrap_or(now_ns).saturating_add(rule.window_ns);
        let left = end.saturating_sub(now_ns);
        Standing {
            used: i128::from(self.used) * NANOS,
            limit: Some(rule.requests),
            remaining: rule.requests.saturating_sub(self.used),
            fits: self.used.saturating_add(weight) <= rule.requests,
            pending: false,
            short: None,
            retry_ns: left,
            reset_ns: left,
        }
    }

    /// Counts and returns the start of the window.
    pub(crate) fn take(&mut self, now_ns: u64, weight: u64) -> u64 {
        self.used = self.used.saturating_add(weight);
        *self.start_ns.get_or_insert(now_ns)
    }

    pub(crate) fn give_back(&mut self, start_ns: u64, weight: u64) {
        if self.start_ns == Some(start_ns) {
            self.used = self.used.saturating_sub(weight);
        }
    }

    /// Whether forgetting the window would change nothing.
    pub(crate) fn at_rest(&self, window_ns: u64, now_ns: u64) -> bool {
        self.used == 0
            || self
                .start_ns
                .is_none_or(|start| now_ns >= start.saturating_add(window_ns))
    }
}
