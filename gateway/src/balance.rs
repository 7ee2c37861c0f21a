//! Which target of an upstream gets the next request, and which targets rest.
//!
//! Weighted round robin in nginx's smooth form, per worker. Health belongs to the process: a target that refused a
//! connection rests for a short while for every worker. When all rest, all are tried: a guess is better than a certain
//! failure. Keyed by stable ids, so that a new snapshot resets nothing.
//!
//! Deliberately absent: active health checks and circuit breakers.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::ids::ApiId;
use domain::key::Mode;

/// How long a target rests after its first refusal; it doubles up to [`LONGEST_REST`].
const FIRST_REST: Duration = Duration::from_millis(500);
const LONGEST_REST: Duration = Duration::from_secs(16);

/// What the whole process knows of one target.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// Milliseconds since the node's start until which the target rests.
    rests_until: AtomicU64,
    refusals: AtomicU32,
}

/// What the whole process holds towards one upstream.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Open connections to all its targets.
    pub(crate) open: AtomicU32,
    /// Requests that wait for a connection because of the cap.
    pub(crate) waiting: AtomicU32,
}

type HostAndPort = (Box<str>, u16);

/// Every upstream and target of the process. Locked only when a worker meets one for the first time.
#[derive(Debug)]
pub(crate) struct Registry {
    started: Instant,
    targets: Mutex<HashMap<HostAndPort, Arc<Health>>>,
    upstreams: Mutex<HashMap<(ApiId, Mode), Arc<Shared>>>,
}

impl Registry {
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            started,
            targets: Mutex::default(),
            upstreams: Mutex::default(),
        }
    }

    /// The health of the target at this host and port.
    pub(crate) fn target(&self, host: &str, port: u16) -> Arc<Health> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(targets.entry((host.into(), port)).or_default())
    }

    /// What the process holds towards an API's upstream, live or sandbox.
    pub(crate) fn upstream(&self, name: (ApiId, Mode)) -> Arc<Shared> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(upstreams.entry(name).or_default())
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// The target refused a connection: it rests.
    pub(crate) fn refused(&self, health: &Health, now: Instant) {
        let refusals = health.refusals.fetch_add(1, Ordering::Relaxed).min(5);
        let rest = (FIRST_REST * 2_u32.pow(refusals)).min(LONGEST_REST);
        health.rests_until.store(self.millis(now + rest), Ordering::Relaxed);
    }

    /// The target took a connection.
    pub(crate) fn accepted(health: &Health) {
        if health.refusals.load(Ordering::Relaxed) != 0 {
            health.refusals.store(0, Ordering::Relaxed);
            health.rests_until.store(0, Ordering::Relaxed);
        }
    }

    fn rests(&self, health: &Health, now: Instant) -> bool {
        let until = health.rests_until.load(Ordering::Relaxed);
        until != 0 && self.millis(now) < until
    }
}

/// One target as the balancer sees it.
#[derive(Debug)]
pub(crate) struct Weighted {
    pub(crate) weight: u32,
    pub(crate) health: Arc<Health>,
    current: Cell<i64>,
}

impl Weighted {
    pub(crate) const fn new(weight: u32, health: Arc<Health>) -> Self {
        Self {
            weight,
            health,
            current: Cell::new(0),
        }
    }
}

/// Chooses among `targets` one that is not in `tried`; resting ones only when no other is left. `None` when every
/// target with a weight has been tried.
pub(crate) fn choose<'a>(
    registry: &Registry,
    targets: impl Iterator<Item = &'a Weighted> + Clone,
    tried: &[usize],
) -> Option<usize> {
    let mut only = targets
        .clone()
        .enumerate()
        .filter(|(index, target)| target.weight > 0 && !tried.contains(index));
    let first = only.next()?;
    if only.next().is_none() {
        return Some(first.0);
    }
    let now = Instant::now();
    let usable = |target: &Weighted| !registry.rests(&target.health, now);
    smooth(targets.clone(), tried, usable).or_else(|| smooth(targets, tried, |_| true))
}

fn smooth<'a>(
    targets: impl Iterator<Item = &'a Weighted>,
    tried: &[usize],
    usable: impl Fn(&Weighted) -> bool,
) -> Option<usize> {
    let mut total = 0;
    let mut best: Option<(usize, &Weighted)> = None;
    for (index, target) in targets.enumerate() {
        if target.weight == 0 || tried.contains(&index) || !usable(target) {
            continue;
        }
        total += i64::from(target.weight);
        target.current.set(target.current.get() + i64::from(target.weight));
        if best.is_none_or(|(_, leader)| target.current.get() > leader.current.get()) {
            best = Some((index, target));
        }
    }
    let (index, chosen) = best?;
    chosen.current.set(chosen.current.get() - total);
    Some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets(weights: &[u32]) -> Vec<Weighted> {
        weights
            .iter()
            .map(|weight| Weighted::new(*weight, Arc::default()))
            .collect()
    }

    fn draw(registry: &Registry, targets: &[Weighted], times: usize) -> Vec<usize> {
        let mut counts = vec![0; targets.len()];
        for _ in 0..times {
            counts[choose(registry, targets.iter(), &[]).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn shares_are_exact_over_each_round_and_spread_within_it() {
        let registry = Registry::new(Instant::now());
        let targets = targets(&[3, 1, 0, 2]);
        assert_eq!(draw(&registry, &targets, 600), [300, 100, 0, 200]);
        let order: Vec<_> = (0..6)
            .map(|_| choose(&registry, targets.iter(), &[]).unwrap())
            .collect();
        assert_ne!(&order[..3], [0, 0, 0]);
    }

    #[test]
    fn a_target_that_refused_rests_until_it_takes_a_connection_again() {
        let registry = Registry::new(Instant::now());
        let targets = targets(&[1, 1]);
        registry.refused(&targets[0].health, Instant::now());
        assert_eq!(draw(&registry, &targets, 10), [0, 10]);
        Registry::accepted(&targets[0].health);
        assert_eq!(draw(&registry, &targets, 10), [5, 5]);
    }

    #[test]
    fn when_all_rest_all_are_tried_once() {
        let registry = Registry::new(Instant::now());
        let targets = targets(&[1, 1]);
        for target in &targets {
            registry.refused(&target.health, Instant::now());
        }
        let first = choose(&registry, targets.iter(), &[]).unwrap();
        let second = choose(&registry, targets.iter(), &[first]).unwrap();
        assert_ne!(first, second);
        assert_eq!(choose(&registry, targets.iter(), &[0, 1]), None);
    }
}
