//! Kept connections to upstream targets, per worker, with a bound for the whole process.
//!
//! Invariants: a connection is in one place at a time (an exchange or an idle list of the thread that opened it); every
//! open connection holds one slot of its upstream, which it gives back when it is dropped, however that happens.
//!
//! A worker that finds no slot waits; a connection that comes home while another worker waits is closed for it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serving::h1::client::{Connection, Home};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::balance::Shared;

/// How long a waiting request sleeps before it looks again whether another worker freed a slot.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Bounds of the connections to upstreams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Open connections to one upstream, over all workers. Default 4,096.
    pub per_upstream: u32,
    /// Idle connections that one worker keeps to one target. Default 256.
    pub idle_per_target: usize,
    /// How long a connection may be idle. Default 55 s, below the usual 60 s of servers.
    pub idle_timeout: Duration,
    /// Requests after which a connection is closed. Default 10,000.
    pub max_requests: u64,
    /// Age after which a connection is closed. Default one hour.
    pub max_age: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            per_upstream: 4_096,
            idle_per_target: 256,
            idle_timeout: Duration::from_secs(55),
            max_requests: 10_000,
            max_age: Duration::from_hours(1),
        }
    }
}

/// One open connection's share of its upstream's bound.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Shared>);

impl Slot {
    /// A slot, when one is free.
    pub(crate) fn take(shared: &Arc<Shared>, max: u32) -> Option<Self> {
        let more = |open: u32| (open < max).then_some(open + 1);
        shared
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
    }
}

struct Idle {
    connection: Connection,
    lease: Rc<Lease>,
    since: Instant,
}

/// The idle connections of one worker to one target.
pub(crate) struct Pool {
    settings: Rc<PoolSettings>,
    shared: Arc<Shared>,
    idle: RefCell<Vec<Idle>>,
    waiters: Cell<u32>,
    came_home: Notify,
}

/// The life of one connection: where it goes after each exchange, and its slot.
pub(crate) struct Lease {
    pool: Weak<Pool>,
    me: Weak<Self>,
    _slot: Slot,
}

impl Lease {
    /// The life of a connection that is about to be opened.
    pub(crate) fn new(pool: &Rc<Pool>, slot: Slot) -> Rc<Self> {
        Rc::new_cyclic(|me| Self {
            pool: Rc::downgrade(pool),
            me: Weak::clone(me),
            _slot: slot,
        })
    }
}

impl Home for Lease {
    fn give_back(&self, connection: Connection) {
        if let (Some(pool), Some(lease)) = (self.pool.upgrade(), self.me.upgrade()) {
            pool.keep(Idle {
                connection,
                lease,
                since: Instant::now(),
            });
        }
    }
}

/// Counts a request that waits for a slot, for as long as it does.
struct Waiting<'a>(&'a Cell<u32>, &'a AtomicU32);

impl<'a> Waiting<'a> {
    fn new(local: &'a Cell<u32>, process: &'a AtomicU32) -> Self {
        local.set(local.get() + 1);
        process.fetch_add(1, Ordering::AcqRel);
        Self(local, process)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
        self.1.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Leave to use a connection of the upstream.
pub(crate) struct Grant {
    /// A kept one; `None` when a new one may be opened.
    pub(crate) kept: Option<Connection>,
    /// What the connection comes home by.
    pub(crate) lease: Rc<Lease>,
}

impl Pool {
    pub(crate) fn new(settings: Rc<PoolSettings>, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self {
            settings,
            shared,
            idle: RefCell::default(),
            waiters: Cell::new(0),
            came_home: Notify::new(),
        })
    }

    /// A kept connection, or else leave to open one; waits until `deadline` when the upstream's bound is reached.
    /// `None` when nothing came free.
    pub(crate) async fn grant(self: &Rc<Self>, deadline: Instant) -> Option<Grant> {
        if let Some(grant) = self.try_grant() {
            return Some(grant);
        }
        let _waiting = Waiting::new(&self.waiters, &self.shared.waiting);
        while Instant::now() < deadline {
            let _timed_out = tokio::time::timeout(LOOK_AGAIN, self.came_home.notified()).await;
            if let Some(grant) = self.try_grant() {
                return Some(grant);
            }
        }
        None
    }

    fn try_grant(self: &Rc<Self>) -> Option<Grant> {
        self.pop()
            .map(|idle| Grant {
                kept: Some(idle.connection),
                lease: idle.lease,
            })
            .or_else(|| self.try_open())
    }

    /// Leave to open a connection beside the kept ones; `None` when the upstream's bound is reached.
    pub(crate) fn try_open(self: &Rc<Self>) -> Option<Grant> {
        Slot::take(&self.shared, self.settings.per_upstream).map(|slot| Grant {
            kept: None,
            lease: Lease::new(self, slot),
        })
    }

    /// The connection that was used last: those below it may then grow old enough to be closed.
    fn pop(&self) -> Option<Idle> {
        self.idle.borrow_mut().pop()
    }

    fn keep(&self, idle: Idle) {
        let worn = idle.connection.exchanges() >= self.settings.max_requests
            || idle.connection.opened().elapsed() >= self.settings.max_age;
        let local = self.waiters.get() > 0;
        let wanted_elsewhere = !local && self.shared.waiting.load(Ordering::Acquire) > 0;
        let mut kept = self.idle.borrow_mut();
        if !worn && !wanted_elsewhere && kept.len() < self.settings.idle_per_target {
            kept.push(idle);
        }
        drop(kept);
        if local {
            self.came_home.notify_one();
        }
    }

    /// Closes what has been idle for too long, what the upstream has ended, and everything while others wait.
    pub(crate) fn tend(&self) {
        let others_wait = self.shared.waiting.load(Ordering::Acquire) > 0;
        let timeout = self.settings.idle_timeout;
        let mut idle = std::mem::take(&mut *self.idle.borrow_mut());
        idle.retain_mut(|idle| !others_wait && idle.since.elapsed() < timeout && idle.connection.is_usable());
        self.idle.borrow_mut().extend(idle);
    }

    #[cfg(test)]
    fn idle_count(&self) -> usize {
        self.idle.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(per_upstream: u32) -> Rc<Pool> {
        let settings = PoolSettings {
            per_upstream,
            ..PoolSettings::default()
        };
        Pool::new(Rc::new(settings), Arc::default())
    }

    fn connection() -> (Connection, tokio::io::DuplexStream) {
        let (near, far) = tokio::io::duplex(64);
        (Connection::new(near), far)
    }

    fn open_lease(grant: Option<Grant>) -> Rc<Lease> {
        match grant {
            Some(Grant { kept: None, lease }) => lease,
            _ => panic!("no leave to open"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_comes_home_and_is_used_again_with_its_slot() {
        let pool = pool(1);
        let lease = open_lease(pool.grant(Instant::now()).await);
        let (near, _far) = connection();
        lease.give_back(near);
        drop(lease);
        assert_eq!(pool.shared.open.load(Ordering::Relaxed), 1);
        let Some(Grant {
            kept: Some(connection),
            lease,
        }) = pool.grant(Instant::now()).await
        else {
            panic!("not kept")
        };
        assert!(pool.grant(Instant::now() + Duration::from_millis(20)).await.is_none());
        drop((connection, lease));
        assert_eq!(pool.shared.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_waits_gets_the_connection_that_comes_home() {
        let pool = pool(1);
        let lease = open_lease(pool.grant(Instant::now()).await);
        let (near, _far) = connection();
        let waiting = pool.grant(Instant::now() + Duration::from_secs(1));
        let coming = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            lease.give_back(near);
        };
        let (granted, ()) = tokio::join!(waiting, coming);
        assert!(granted.is_some_and(|grant| grant.kept.is_some()));
        assert_eq!(pool.shared.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn idle_and_ended_connections_are_closed() {
        let pool = pool(8);
        let mut ends = Vec::new();
        for _ in 0..3 {
            let lease = open_lease(pool.try_open());
            let (near, far) = connection();
            lease.give_back(near);
            ends.push(far);
        }
        ends.pop();
        pool.tend();
        assert_eq!(pool.idle_count(), 2);
        tokio::time::advance(Duration::from_secs(56)).await;
        pool.tend();
        assert_eq!(pool.shared.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_another_worker_waits_for_is_closed() {
        let pool = pool(1);
        let lease = open_lease(pool.try_open());
        pool.shared.waiting.fetch_add(1, Ordering::Relaxed);
        let (near, _far) = connection();
        lease.give_back(near);
        drop(lease);
        assert_eq!(pool.shared.open.load(Ordering::Relaxed), 0);
    }
}
