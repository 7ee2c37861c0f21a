//! What `/healthz` and `/readyz` answer from. The routes live elsewhere; this
//! is only the state, cheap to set from any thread.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

/// Readiness as a set of named conditions, all of which must hold.
///
/// A process that drains is alive but no longer ready.
#[derive(Debug, Default)]
pub struct Health {
    conditions: Mutex<Vec<(&'static str, bool)>>,
    draining: AtomicBool,
}

impl Health {
    /// No conditions yet: ready as soon as it is asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// States whether the condition `name` holds, adding it if it is new.
    pub fn set(&self, name: &'static str, holds: bool) {
        let mut conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        match conditions.iter_mut().find(|(known, _)| *known == name) {
            Some(entry) => entry.1 = holds,
            None => conditions.push((name, holds)),
        }
    }

    /// Marks the process as draining; it never becomes ready again.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether every condition holds and nothing drains.
    pub fn is_ready(&self) -> bool {
        self.missing().is_empty()
    }

    /// The names of what is missing, `draining` among them.
    pub fn missing(&self) -> Vec<&'static str> {
        let conditions = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        let draining = self.draining.load(Ordering::Acquire).then_some("draining");
        let unmet = conditions.iter().filter(|(_, holds)| !holds).map(|(name, _)| *name);
        unmet.chain(draining).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_needs_every_condition_and_no_drain() {
        let health = Health::new();
        health.set("snapshot", false);
        health.set("journal", true);
        assert_eq!(health.missing(), ["snapshot"]);
        health.set("snapshot", true);
        assert!(health.is_ready());
        health.drain();
        assert_eq!(health.missing(), ["draining"]);
    }
}
