//! The shared table as a pure state machine. `redis.lua` is the same in Lua; one contract suite runs against both.
//!
//! For each counter: what is used by sessions that are over or were before this generation (the base), and for each
//! session how many units it has. `base + all units given <= ceiling` whenever something is given, so nobody ever uses
//! more than the ceiling, whoever is alive.
//!
//! A **generation** begins when a partition is not there (flushed, lost) or lies on another server process than before
//! (restart, failover, a slot that moved): writes that the old one had acknowledged may be missing. Counters of it start
//! from nothing: every live node declares what it has, the ledger tells the base, and only then is anything given. A
//! window that begins after the generation did needs no ledger.

use std::collections::{BTreeMap, HashMap};

use domain::clock::Timestamp;
use domain::limit::Precision;

use super::protocol::{Beat, CounterId, Exchange, Holder, LARGEST, Pulse, Reply, Session, Stand, Tell};

/// A session that is not heard of for so long is silent.
pub(crate) const SILENT_MS: u64 = 1_500;
/// A session that is silent for so long is forgotten; what it holds is not.
pub(crate) const GONE_MS: u64 = 3_600_000;
/// A generation gives nothing that must be exact before it is so old: live nodes have been heard by then.
pub(crate) const GRACE_MS: u64 = 1_500;
/// Domain clocks of nodes differ by less.
pub(crate) const SKEW_MS: i64 = 10_000;

/// What runs the table, and its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Server {
    /// Another one for each process.
    pub(crate) run: u64,
    pub(crate) ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Generation {
    number: u64,
    run: u64,
    since_ms: u64,
    since: Timestamp,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    ms: u64,
    declared: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    granted: u64,
    taken: u64,
    metered: u64,
    seq: u64,
    /// The last recall at which nothing unused was left.
    clean: u64,
}

#[derive(Debug, Default)]
struct Counter {
    generation: u64,
    base: Option<u64>,
    entries: BTreeMap<Session, Entry>,
    recall: u64,
    hungry: bool,
}

/// One partition.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    generation: Option<Generation>,
    sessions: BTreeMap<Session, Seen>,
    /// The lowest fence that is heard of a node.
    fences: HashMap<std::sync::Arc<str>, u64>,
    counters: HashMap<CounterId, Counter>,
}

impl Partition {
    fn generation(&mut self, server: Server, known: u64, now: Timestamp) -> Generation {
        match self.generation {
            Some(generation) if generation.run == server.run && generation.number >= known => generation,
            before => {
                let above = before.map_or(0, |generation| generation.number).max(known);
                let number = server.ms.max(above.saturating_add(1)).min(LARGEST);
                let generation = Generation {
                    number,
                    run: server.run,
                    since_ms: server.ms,
                    since: now,
                };
                *self.generation.insert(generation)
            }
        }
    }

    /// Notes that a session was heard of; `false` when it is over.
    fn hear(&mut self, session: &Session, server: Server) -> bool {
        let lowest = self.fences.entry(session.node.clone()).or_default();
        if session.fence < *lowest {
            return false;
        }
        *lowest = session.fence;
        self.sessions.entry(session.clone()).or_default().ms = server.ms;
        true
    }

    fn live(&self, server: Server) -> impl Iterator<Item = (&Session, &Seen)> {
        self.sessions
            .iter()
            .filter(move |(_, seen)| seen.ms.saturating_add(SILENT_MS) > server.ms)
    }

    /// Sessions that are live or have declared everything in this generation, and whether they are live.
    fn known(&self, server: Server) -> Vec<(Session, bool)> {
        let number = self.generation.map_or(0, |generation| generation.number);
        let sessions = self.sessions.iter();
        let known = sessions.map(|(session, seen)| {
            let is_live = seen.ms.saturating_add(SILENT_MS) > server.ms;
            (session.clone(), is_live, seen.declared == number)
        });
        known
            .filter(|(_, is_live, has_declared)| *is_live || *has_declared)
            .map(|(session, is_live, _)| (session, is_live))
            .collect()
    }

    fn is_settled(&self, generation: Generation, server: Server) -> bool {
        server.ms >= generation.since_ms.saturating_add(GRACE_MS)
            && self.live(server).all(|(_, seen)| seen.declared == generation.number)
    }

    pub(crate) fn beat(&mut self, server: Server, beat: &Beat) -> Pulse {
        let generation = self.generation(server, beat.declared, beat.now);
        if !self.hear(&beat.session, server) {
            return Pulse { generation: 0, live: 0 };
        }
        if let Some(seen) = self.sessions.get_mut(&beat.session) {
            seen.declared = beat.declared;
        }
        if beat.leaves {
            self.sessions.remove(&beat.session);
        }
        self.sessions
            .retain(|_, seen| seen.ms.saturating_add(GONE_MS) > server.ms);
        Pulse {
            generation: generation.number,
            live: u32::try_from(self.live(server).count()).unwrap_or(u32::MAX),
        }
    }

    pub(crate) fn exchange(&mut self, server: Server, ask: &Exchange) -> Reply {
        let generation = self.generation(server, ask.generation, ask.now);
        if !self.hear(&ask.session, server) {
            return Reply::Over;
        }
        if ask.generation != generation.number {
            return Reply::Generation(generation.number);
        }
        let counter = counter(&mut self.counters, &ask.counter, generation);
        if !counter.note(ask) {
            return Reply::Late;
        }
        let is_settled = self.is_settled(generation, server);
        let known = self.known(server);
        if !is_settled && ask.precision == Precision::Strict {
            return Reply::Undeclared;
        }
        let Some(counter) = self.counters.get_mut(&ask.counter) else {
            return Reply::Undeclared;
        };
        let holders = counter.holders(&known);
        match counter.base {
            None => Reply::Untold(holders),
            Some(base) => {
                let live: Vec<Session> = known
                    .into_iter()
                    .filter(|(_, is_live)| *is_live)
                    .map(|(session, _)| session)
                    .collect();
                Reply::Stands(counter.give(base, ask, &live))
            }
        }
    }

    pub(crate) fn holders(&self, server: Server, id: &CounterId) -> Vec<Holder> {
        let known = self.known(server);
        let counter = self.counters.get(id);
        counter.map_or_else(|| Counter::default().holders(&known), |counter| counter.holders(&known))
    }

    pub(crate) fn tell(&mut self, server: Server, tell: &Tell) {
        let generation = self.generation(server, tell.generation, tell.now);
        if generation.number != tell.generation {
            return;
        }
        let counted = counter(&mut self.counters, &tell.counter, generation);
        if tell
            .counted
            .iter()
            .any(|session| !counted.entries.contains_key(session))
        {
            return;
        }
        for over in &tell.over {
            let lowest = self.fences.entry(over.node.clone()).or_default();
            *lowest = (*lowest).max(over.fence.saturating_add(1));
            self.sessions.remove(over);
        }
        let counter = counter(&mut self.counters, &tell.counter, generation);
        let given = tell
            .over
            .iter()
            .filter_map(|over| counter.entries.remove(over))
            .fold(0_u64, |sum, entry| sum.saturating_add(entry.granted));
        // Both are true: what is known to be used, and what was there with all that the others were given.
        let known = counter.base.map_or(u64::MAX, |base| base.saturating_add(given));
        counter.base = Some(tell.base.min(known).min(LARGEST));
    }
}

/// The counter in this generation. What it held in an earlier one is declared and told anew.
fn counter<'a>(
    counters: &'a mut HashMap<CounterId, Counter>,
    id: &CounterId,
    generation: Generation,
) -> &'a mut Counter {
    let counter = counters.entry(id.clone()).or_default();
    if counter.generation != generation.number {
        let is_new = id.start >= generation.since.plus_millis(SKEW_MS);
        *counter = Counter {
            generation: generation.number,
            base: is_new.then_some(0),
            ..Counter::default()
        };
    }
    counter
}

impl Counter {
    /// Takes what a session says of itself; `false` when it has said something younger.
    fn note(&mut self, ask: &Exchange) -> bool {
        let recall = self.recall;
        let entry = self.entries.entry(ask.session.clone()).or_default();
        if ask.seq <= entry.seq {
            return false;
        }
        entry.seq = ask.seq;
        entry.granted = ask.keep;
        entry.taken = ask.taken;
        entry.metered = entry.metered.max(ask.metered);
        if ask.taken >= ask.keep {
            entry.clean = entry.clean.max(ask.recall.min(recall));
        }
        true
    }

    fn given(&self) -> u64 {
        self.entries
            .values()
            .fold(0, |sum: u64, entry| sum.saturating_add(entry.granted))
    }

    fn holders(&self, known: &[(Session, bool)]) -> Vec<Holder> {
        let with = self.entries.iter().map(|(session, entry)| Holder {
            session: session.clone(),
            is_live: known.iter().any(|(live, is_live)| live == session && *is_live),
            metered: entry.metered,
        });
        let without = known
            .iter()
            .filter(|(session, _)| !self.entries.contains_key(session))
            .map(|(session, is_live)| Holder {
                session: session.clone(),
                is_live: *is_live,
                metered: 0,
            });
        with.chain(without).collect()
    }

    fn give(&mut self, base: u64, ask: &Exchange, live: &[Session]) -> Stand {
        let room = ask.ceiling.saturating_sub(base.saturating_add(self.given()));
        let grant = grant(ask, room, self.hungry, live.len());
        if let Some(entry) = self.entries.get_mut(&ask.session) {
            entry.granted = entry.granted.saturating_add(grant);
            if grant > 0 {
                entry.clean = 0;
            }
        }
        let left = room - grant;
        let mut tell = false;
        if ask.want > 0 && grant == 0 && ask.precision == Precision::Strict {
            self.recall += u64::from(!self.hungry);
            self.hungry = true;
        } else if left > 0 && self.hungry {
            self.hungry = false;
            tell = true;
        }
        let others = || self.entries.iter().filter(|(session, _)| **session != ask.session);
        let holders = others()
            .filter(|(session, entry)| entry.granted > 0 && entry.clean < self.recall && live.contains(session))
            .count();
        let silent = others().filter(|(session, entry)| entry.granted > 0 && !live.contains(session));
        Stand {
            granted: ask.keep.saturating_add(grant),
            left,
            elsewhere: others().fold(base, |sum, (_, entry)| sum.saturating_add(entry.taken)),
            holders: u32::try_from(holders).unwrap_or(u32::MAX),
            silent: u32::try_from(silent.count()).unwrap_or(u32::MAX),
            recall: self.recall,
            hungry: self.hungry,
            tell,
        }
    }
}

/// A slice of what is left: smaller the less there is, one request's worth in the last stretch or when somebody waits.
fn grant(ask: &Exchange, room: u64, hungry: bool, live: usize) -> u64 {
    if ask.want == 0 || room < ask.least {
        return 0;
    }
    let share = room / (4 * u64::try_from(live.max(1)).unwrap_or(1));
    let most = if hungry {
        ask.least
    } else {
        ask.want.min(share).max(ask.least)
    };
    most.min(room)
}
