//! The table inside one process: what the protocol is tried out on, and what nodes of one test share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::protocol::{Answer, Away, Beat, Exchange, Holder, Notice, PARTITIONS, Pulse, Reply, Table, Tell};
use super::table::{Partition, Server};

const LISTENING: Duration = Duration::from_secs(1);
const KEPT_NOTICES: usize = 1_024;

#[derive(Debug)]
struct State {
    partitions: Mutex<Vec<Partition>>,
    notices: Mutex<(u64, VecDeque<Notice>)>,
    called: Notify,
    origin: Instant,
    run: AtomicU64,
    away: AtomicBool,
}

/// A table in memory. Clones are views of other nodes on the same table.
pub struct Memory {
    state: Arc<State>,
    heard: AtomicU64,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

impl Clone for Memory {
    fn clone(&self) -> Self {
        let heard = lock(&self.state.notices).0;
        Self {
            state: Arc::clone(&self.state),
            heard: AtomicU64::new(heard),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            state: Arc::new(State {
                partitions: Mutex::new(empty()),
                notices: Mutex::default(),
                called: Notify::new(),
                origin: Instant::now(),
                run: AtomicU64::new(1),
                away: AtomicBool::new(false),
            }),
            heard: AtomicU64::new(0),
        }
    }
}

fn empty() -> Vec<Partition> {
    (0..PARTITIONS).map(|_| Partition::default()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    /// Forgets everything, as a server does that keeps nothing on disk.
    pub fn lose(&self) {
        *lock(&self.state.partitions) = empty();
        self.state.run.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers nothing, or answers again.
    pub fn set_away(&self, away: bool) {
        self.state.away.store(away, Ordering::Relaxed);
    }

    fn with<T>(&self, partition: u16, then: impl FnOnce(&mut Partition, Server) -> T) -> Result<T, Away> {
        if self.state.away.load(Ordering::Relaxed) {
            return Err(Away::Silent);
        }
        let server = Server {
            run: self.state.run.load(Ordering::Relaxed),
            ms: u64::try_from(self.state.origin.elapsed().as_millis())
                .unwrap_or(u64::MAX)
                .saturating_add(1),
        };
        let mut partitions = lock(&self.state.partitions);
        let at = usize::from(partition) % partitions.len().max(1);
        partitions
            .get_mut(at)
            .map(|partition| then(partition, server))
            .ok_or(Away::Silent)
    }

    fn news(&self) -> Vec<Notice> {
        let notices = lock(&self.state.notices);
        let heard = self.heard.swap(notices.0, Ordering::Relaxed);
        let missed = usize::try_from(notices.0 - heard).unwrap_or(usize::MAX);
        let skip = notices.1.len().saturating_sub(missed);
        notices.1.iter().skip(skip).cloned().collect()
    }
}

impl Table for Memory {
    fn exchange<'a>(&'a self, exchange: &'a Exchange) -> Answer<'a, Reply> {
        Box::pin(async move {
            let partition = exchange.counter.partition();
            self.with(partition, |partition, server| partition.exchange(server, exchange))
        })
    }

    fn holders<'a>(&'a self, of: &'a Exchange) -> Answer<'a, Vec<Holder>> {
        Box::pin(async move {
            let partition = of.counter.partition();
            self.with(partition, |partition, server| partition.holders(server, &of.counter))
        })
    }

    fn beat<'a>(&'a self, beat: &'a Beat) -> Answer<'a, Pulse> {
        Box::pin(async move { self.with(beat.partition, |partition, server| partition.beat(server, beat)) })
    }

    fn tell<'a>(&'a self, tell: &'a Tell) -> Answer<'a, ()> {
        Box::pin(async move {
            let partition = tell.counter.partition();
            self.with(partition, |partition, server| partition.tell(server, tell))
        })
    }

    fn call<'a>(&'a self, notice: &'a Notice) -> Answer<'a, ()> {
        Box::pin(async move {
            let mut notices = lock(&self.state.notices);
            notices.0 += 1;
            notices.1.push_back(notice.clone());
            if notices.1.len() > KEPT_NOTICES {
                notices.1.pop_front();
            }
            drop(notices);
            self.state.called.notify_waiters();
            Ok(())
        })
    }

    fn listen(&self) -> Answer<'_, Vec<Notice>> {
        Box::pin(async move {
            let mut called = std::pin::pin!(self.state.called.notified());
            called.as_mut().enable();
            let news = self.news();
            if !news.is_empty() {
                return Ok(news);
            }
            // Nothing was called out meanwhile: the answer is empty then.
            let _quiet = tokio::time::timeout(LISTENING, called).await;
            Ok(self.news())
        })
    }
}
