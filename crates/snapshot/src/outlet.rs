//! Where the control plane hands its snapshots to gateways of other processes: everything, or what has changed since.
//!
//! It remembers recent changes as lines. A row shows its object as it is now, so a delta may begin before the revision
//! that a gateway has: taking a row twice changes nothing. Until the first gateway asks, an outlet keeps nothing.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::clock::Reading;
use tokio::sync::watch;

use crate::compile::Snapshot;
use crate::source::Change;
use crate::wire::{Checksum, Header, Line, Sums};

/// Changes that are remembered, over all deltas.
const MAX_ROWS: usize = 100_000;
const MAX_DELTAS: usize = 1_024;

/// What a gateway has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Has {
    /// Its revision.
    pub revision: u64,
    /// Its sum.
    pub checksum: Checksum,
}

/// Hands out the states of one publisher. Clones share it.
#[derive(Debug, Clone)]
pub struct Outlet(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kept: Mutex<Kept>,
    changed: watch::Sender<u64>,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    snapshot: Snapshot,
    clock: Option<Reading>,
    /// Absent until somebody asks, and after a compile from nothing.
    lines: Option<Lines>,
}

#[derive(Debug)]
struct Lines {
    sums: Sums,
    deltas: VecDeque<Delta>,
    rows: usize,
}

#[derive(Debug)]
struct Delta {
    from: u64,
    to: u64,
    lines: Arc<[Line]>,
}

/// Changes of one publication, as an outlet wants them.
#[derive(Debug)]
pub struct Prepared(Option<Arc<[Line]>>);

impl Default for Outlet {
    fn default() -> Self {
        let (changed, _) = watch::channel(0);
        Self(Arc::new(Inner {
            kept: Mutex::default(),
            changed,
            closed: AtomicBool::new(false),
        }))
    }
}

impl Outlet {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at changes before they are compiled away.
    pub fn prepare(&self, changes: &[Change]) -> Prepared {
        let wanted = self.kept().lines.is_some();
        Prepared(wanted.then(|| changes.iter().map(Line::of).collect()))
    }

    /// Shows `snapshot` from now on. `changes` led to it from the one before; `None` when it was compiled from nothing.
    pub fn publish(&self, snapshot: &Snapshot, changes: Option<Prepared>) {
        let mut kept = self.kept();
        let from = kept.snapshot.revision();
        kept.snapshot = snapshot.clone();
        kept.lines = match (kept.lines.take(), changes.and_then(|changes| changes.0)) {
            (Some(mut lines), Some(changes)) => {
                lines.add(from, snapshot.revision(), changes);
                Some(lines)
            }
            _ => None,
        };
        drop(kept);
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Tells gateways how the clock of the deployment stands.
    pub fn set_clock(&self, clock: Option<Reading>) {
        let mut kept = self.kept();
        if kept.clock == clock {
            return;
        }
        kept.clock = clock;
        drop(kept);
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Counts publications: whoever waits for the next takes this before looking.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Nobody need wait any more: the process ends.
    pub fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        self.0.changed.send_modify(|count| *count += 1);
    }

    /// Whether the process ends.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
    }

    /// The revision that is shown.
    pub fn revision(&self) -> u64 {
        self.kept().snapshot.revision()
    }

    /// What a gateway with `has` lacks, as text; `None` if it has everything. `known` is how it believes the clock to
    /// stand. May take long where everything is asked for: call it off the event loop.
    pub fn answer(&self, has: Option<Has>, known: Option<Reading>) -> Option<Vec<u8>> {
        let mut kept = self.kept();
        if kept.lines.is_none() {
            let mut sums = Sums::default();
            for change in kept.snapshot.rows() {
                sums.take([&Line::of(&change)]);
            }
            kept.lines = Some(Lines {
                sums,
                deltas: VecDeque::new(),
                rows: 0,
            });
        }
        let Kept { snapshot, clock, lines } = &*kept;
        let lines = lines.as_ref()?;
        let mut header = Header {
            revision: snapshot.revision(),
            since: None,
            rows: 0,
            checksum: lines.sums.checksum(),
            clock: *clock,
        };
        let delta = has.and_then(|has| lines.since(has, &header));
        match delta {
            // It has everything, but perhaps not the clock.
            Some(rows) if rows.is_empty() && known == header.clock => None,
            Some(rows) => {
                header.since = has.map(|has| has.revision);
                let rows: Vec<&Line> = rows.iter().flat_map(|delta| delta.lines.iter()).collect();
                Some(text(&header, &rows))
            }
            None => {
                let snapshot = snapshot.clone();
                drop(kept);
                let rows: Vec<Line> = snapshot.rows().map(|change| Line::of(&change)).collect();
                Some(text(&header, &rows.iter().collect::<Vec<_>>()))
            }
        }
    }
}

fn text(header: &Header, rows: &[&Line]) -> Vec<u8> {
    let header = Header {
        rows: rows.len() as u64,
        ..header.clone()
    };
    let mut text = header.line();
    for row in rows {
        text.extend_from_slice(&row.text);
        text.push(b'\n');
    }
    text
}

impl Lines {
    fn add(&mut self, from: u64, to: u64, lines: Arc<[Line]>) {
        self.sums.take(lines.iter());
        self.rows += lines.len();
        self.deltas.push_back(Delta { from, to, lines });
        while self.rows > MAX_ROWS || self.deltas.len() > MAX_DELTAS {
            let Some(old) = self.deltas.pop_front() else { break };
            self.rows -= old.lines.len();
        }
    }

    /// What has changed since; `None` when that is not known any more.
    fn since(&self, has: Has, now: &Header) -> Option<Vec<&Delta>> {
        if has.revision == now.revision {
            return (has.checksum == now.checksum).then(Vec::new);
        }
        let missing: Vec<&Delta> = self.deltas.iter().filter(|delta| delta.to > has.revision).collect();
        let reaches = missing.first().is_some_and(|first| first.from <= has.revision);
        (reaches && has.revision < now.revision).then_some(missing)
    }
}
