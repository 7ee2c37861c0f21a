//! Hands the current snapshot to the gateway's threads.
//!
//! A [`Reader`] keeps the snapshot that it saw last and looks at one atomic number for each request. Snapshots that were
//! replaced wait on a thread of their own until nobody reads them, and are dropped there; so are their APIs, which open
//! requests may hold for longer. Who waits for a change (an open stream) awaits [`Changes::changed`] on any runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::api::CompiledApi;
use crate::compile::Snapshot;

/// How often replaced snapshots are looked at while one is still read.
const REAP_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Shared {
    current: ArcSwap<Snapshot>,
    /// Counts publications; a revision may be published again.
    generation: AtomicU64,
    changed: watch::Receiver<u64>,
}

/// Where the current snapshot is read. Clones read the same.
#[derive(Debug, Clone)]
pub struct Feed(Arc<Shared>);

/// The one handle that replaces the current snapshot.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    changed: watch::Sender<u64>,
    reaper: Option<mpsc::Sender<Retired>>,
}

/// Parts that wait to be dropped.
#[derive(Debug)]
struct Retired {
    snapshot: Arc<Snapshot>,
    apis: Vec<Arc<CompiledApi>>,
}

impl Feed {
    /// A feed that shows `first`, and the handle that replaces it.
    pub fn new(first: Snapshot) -> (Publisher, Self) {
        let (sender, receiver) = watch::channel(0);
        let current = ArcSwap::from_pointee(first);
        let shared = Arc::new(Shared {
            current,
            generation: AtomicU64::new(0),
            changed: receiver,
        });
        let publisher = Publisher {
            shared: Arc::clone(&shared),
            changed: sender,
            reaper: start_reaper(),
        };
        (publisher, Self(shared))
    }

    /// A reader for one thread.
    pub fn reader(&self) -> Reader {
        let generation = self.0.generation.load(Ordering::Acquire);
        Reader {
            cached: self.0.current.load_full(),
            generation,
            shared: Arc::clone(&self.0),
        }
    }

    /// The current snapshot, for who asks rarely.
    pub fn current(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// A waiter for the next publications.
    pub fn changes(&self) -> Changes {
        Changes {
            receiver: self.0.changed.clone(),
            shared: Arc::clone(&self.0),
        }
    }
}

impl Publisher {
    /// Shows `snapshot` from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        let next = Arc::new(snapshot);
        let old = self.shared.current.swap(Arc::clone(&next));
        let generation = self.shared.generation.fetch_add(1, Ordering::AcqRel) + 1;
        self.changed.send_replace(generation);
        let gone = |api: &&Arc<CompiledApi>| !next.routes().api(api.id).is_some_and(|new| Arc::ptr_eq(new, api));
        let apis = old.routes().apis().filter(gone).map(Arc::clone).collect();
        if let Some(reaper) = &self.reaper {
            // Without a reaper the parts are dropped right here.
            let _ = reaper.send(Retired { snapshot: old, apis });
        }
    }

    /// The feed that this handle writes.
    pub fn feed(&self) -> Feed {
        Feed(Arc::clone(&self.shared))
    }
}

fn start_reaper() -> Option<mpsc::Sender<Retired>> {
    let (sender, receiver) = mpsc::channel::<Retired>();
    let thread = std::thread::Builder::new().name("snapshot-reaper".to_owned());
    thread.spawn(move || reap(&receiver)).ok().map(|_| sender)
}

fn reap(retired: &mpsc::Receiver<Retired>) {
    let mut snapshots: Vec<Arc<Snapshot>> = Vec::new();
    let mut apis: Vec<Arc<CompiledApi>> = Vec::new();
    loop {
        let idle = snapshots.is_empty() && apis.is_empty();
        let next = if idle {
            retired.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected)
        } else {
            retired.recv_timeout(REAP_EVERY)
        };
        match next {
            Ok(parts) => {
                snapshots.push(parts.snapshot);
                apis.extend(parts.apis);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        snapshots.retain(|snapshot| Arc::strong_count(snapshot) > 1);
        apis.retain(|api| Arc::strong_count(api) > 1);
    }
}

/// Reads the current snapshot on one thread.
#[derive(Debug, Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    cached: Arc<Snapshot>,
    generation: u64,
}

impl Reader {
    /// The current snapshot: one atomic load unless it was replaced.
    pub fn current(&mut self) -> &Arc<Snapshot> {
        let generation = self.shared.generation.load(Ordering::Acquire);
        if generation != self.generation {
            self.generation = generation;
            self.cached = self.shared.current.load_full();
        }
        &self.cached
    }
}

/// Waits for changes.
#[derive(Debug, Clone)]
pub struct Changes {
    receiver: watch::Receiver<u64>,
    shared: Arc<Shared>,
}

impl Changes {
    /// The snapshot after the next publication; `None` once the publisher is gone. May skip snapshots, never the last.
    pub async fn changed(&mut self) -> Option<Arc<Snapshot>> {
        self.receiver.changed().await.ok()?;
        Some(self.shared.current.load_full())
    }
}
