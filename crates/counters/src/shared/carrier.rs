//! Carries what cells offer to the table and what it answers back. One exchange at a time for each counter.

use std::cell::{Cell as Slot, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::limit::Precision;
use tokio::time::Instant;

use super::agent::Parts;
use super::post::{Tally, Wanted, count};
use super::protocol::{
    Away, Beat, CounterId, Exchange, Holder, Notice, PARTITIONS, Reply, Session, Stand, Table, Tell,
};
use crate::lease::{Offer, Purpose};

/// A table that cannot give yet, or units that are called back, are asked for again after so long.
const AGAIN: Duration = Duration::from_millis(2);
const UNSETTLED: Duration = Duration::from_millis(10);
/// Counters of closed windows are kept in the table for so long, for nodes whose clocks differ.
const FORGET_MS: i64 = 3_600_000;
/// A silent holder is asked after in the ledger so often.
const LOOK_FOR_SILENT: Duration = Duration::from_secs(2);
/// Where a rebuilt counter has nothing left the ledger is read again after so long, then after twice as long: what had
/// been under way to the ledger at the rebuild was counted twice until then.
const READ_AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(64));
/// A beat may take so many times the patience of a question for which a request waits.
const BEAT_PATIENCE: u32 = 10;

#[derive(Debug)]
struct Held {
    wanted: Wanted,
    is_busy: bool,
    asks: bool,
    returns: bool,
    /// The last use that a sweep saw, and since when it is the last.
    quiet: (u64, Instant),
    looked: Option<Instant>,
    /// After what pause the ledger is read again, where this node told the table what it says.
    read_again: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    declared: u64,
    is_declaring: bool,
    is_away: bool,
}

/// The agent's mind. Clones share it; it never leaves its thread.
#[derive(Clone)]
pub(crate) struct Carrier(Rc<State>);

struct State {
    parts: Parts,
    tally: Arc<Tally>,
    held: RefCell<HashMap<CounterId, Held>>,
    places: RefCell<Vec<Place>>,
    over: Slot<bool>,
}

/// How one attempt ended.
enum Step {
    Done,
    Again(Duration),
}

impl Carrier {
    pub(crate) fn new(parts: Parts, tally: Arc<Tally>) -> Self {
        Self(Rc::new(State {
            parts,
            tally,
            held: RefCell::default(),
            places: RefCell::new(vec![Place::default(); usize::from(PARTITIONS)]),
            over: Slot::new(false),
        }))
    }

    pub(crate) fn table(&self) -> &dyn Table {
        &*self.0.parts.table
    }

    fn place(&self, partition: u16) -> Place {
        let places = self.0.places.borrow();
        places.get(usize::from(partition)).copied().unwrap_or_default()
    }

    fn set_place(&self, partition: u16, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.0.places.borrow_mut().get_mut(usize::from(partition)) {
            change(place);
        }
    }

    /// Whether any part of the table is away.
    pub(crate) fn is_away(&self) -> bool {
        self.0.places.borrow().iter().any(|place| place.is_away)
    }

    /// A cell wants more.
    pub(crate) fn wants(&self, wanted: Wanted) {
        let counter = wanted.counter.clone();
        let mut held = self.0.held.borrow_mut();
        match held.get_mut(&counter) {
            Some(known) => known.wanted = wanted,
            None => {
                let fresh = Held {
                    wanted,
                    is_busy: false,
                    asks: false,
                    returns: false,
                    quiet: (0, Instant::now()),
                    looked: None,
                    read_again: None,
                };
                held.insert(counter.clone(), fresh);
            }
        }
        self.0.tally.leases.store(held.len() as u64, Ordering::Relaxed);
        drop(held);
        self.start(&counter, Purpose::Ask);
    }

    /// Speaks to the table about a counter, after what is under way.
    pub(crate) fn start(&self, counter: &CounterId, purpose: Purpose) {
        let mut all = self.0.held.borrow_mut();
        let Some(held) = all.get_mut(counter) else { return };
        match purpose {
            Purpose::Ask => held.asks = true,
            Purpose::Return | Purpose::Declare => held.returns = true,
        }
        if !std::mem::replace(&mut held.is_busy, true) {
            let (carrier, counter) = (self.clone(), counter.clone());
            tokio::task::spawn_local(async move { carrier.work(&counter).await });
        }
    }

    /// What is to be done about a counter; asking goes first, it returns as well.
    fn next(&self, counter: &CounterId) -> Option<(Wanted, Purpose)> {
        let mut all = self.0.held.borrow_mut();
        let held = all.get_mut(counter)?;
        let purpose = if std::mem::take(&mut held.asks) {
            Purpose::Ask
        } else if std::mem::take(&mut held.returns) {
            Purpose::Return
        } else {
            held.is_busy = false;
            return None;
        };
        Some((held.wanted.clone(), purpose))
    }

    async fn work(&self, counter: &CounterId) {
        while let Some((wanted, purpose)) = self.next(counter) {
            self.carry(&wanted, purpose).await;
        }
    }

    async fn carry(&self, wanted: &Wanted, purpose: Purpose) {
        let until = Instant::now() + self.0.parts.settings.patience;
        let mut called = 0;
        loop {
            let partition = wanted.counter.partition();
            if self.place(partition).is_away || self.0.over.get() {
                return self.give_up(wanted);
            }
            let Some((offer, exchange)) = self.exchange_of(wanted, purpose, self.place(partition).declared) else {
                return;
            };
            let step = match self.ask(&exchange).await {
                Ok(reply) => {
                    self.heed((wanted, purpose, until), (&offer, &exchange), reply, &mut called)
                        .await
                }
                Err(away) => {
                    self.goes_away(partition, &away);
                    return self.give_up(wanted);
                }
            };
            match step {
                Step::Done => return,
                Step::Again(_) if Instant::now() >= until => return self.give_up(wanted),
                Step::Again(pause) => tokio::time::sleep(pause).await,
            }
        }
    }

    fn give_up(&self, wanted: &Wanted) {
        if self.0.over.get() {
            wanted.cell.end_lease(&wanted.counter);
        } else {
            wanted.cell.fail(&wanted.counter);
        }
    }

    fn goes_away(&self, partition: u16, away: &Away) {
        count(&self.0.tally.failures);
        if !self.place(partition).is_away {
            tracing::warn!(error = %away, "shared counters are away");
        }
        self.set_place(partition, |place| place.is_away = true);
    }

    async fn ask(&self, exchange: &Exchange) -> Result<Reply, Away> {
        count(&self.0.tally.exchanges);
        let asked = self.table().exchange(exchange);
        let answered = tokio::time::timeout(self.0.parts.settings.call, asked).await;
        answered.unwrap_or(Err(Away::Silent))
    }

    fn exchange_of(&self, wanted: &Wanted, purpose: Purpose, generation: u64) -> Option<(Offer, Exchange)> {
        let (offer, used) = wanted.cell.offer(&wanted.counter, purpose)?;
        let now = self.0.parts.clock.now();
        let exchange = Exchange {
            session: self.0.parts.session.clone(),
            generation,
            counter: wanted.counter.clone(),
            seq: offer.seq,
            keep: offer.keep,
            taken: offer.taken,
            metered: self.0.parts.ledger.metered(&wanted.counter, used).min(used),
            want: offer.want,
            least: offer.least,
            ceiling: wanted.ceiling,
            precision: wanted.sharing.precision,
            recall: offer.recall,
            now,
            forget_ms: forget_ms(wanted, now),
        };
        Some((offer, exchange))
    }

    /// Does what an answer asks for.
    async fn heed(
        &self,
        (wanted, purpose, until): (&Wanted, Purpose, Instant),
        (offer, exchange): (&Offer, &Exchange),
        reply: Reply,
        called: &mut u64,
    ) -> Step {
        match reply {
            Reply::Late => Step::Again(AGAIN),
            Reply::Over => {
                self.ends();
                Step::Done
            }
            Reply::Generation(generation) => {
                self.declare(wanted.counter.partition(), generation).await;
                Step::Again(AGAIN)
            }
            Reply::Undeclared | Reply::Untold(_) if purpose != Purpose::Ask => Step::Done,
            Reply::Undeclared => Step::Again(UNSETTLED),
            Reply::Untold(holders) => {
                if self.read_ledger(wanted, exchange.generation, &holders).await {
                    self.will_read_again(&wanted.counter);
                    Step::Again(Duration::ZERO)
                } else {
                    self.give_up(wanted);
                    Step::Done
                }
            }
            Reply::Stands(stand) => {
                if stand.tell {
                    self.call(&Notice::Available(wanted.counter.clone())).await;
                }
                self.look_into_ledger(wanted, exchange, stand);
                let got_none = offer.want > 0 && stand.granted < offer.taken.saturating_add(offer.least);
                let may_recall = wanted.sharing.precision == Precision::Strict && stand.holders > 0;
                if got_none && may_recall && Instant::now() < until {
                    if *called != stand.recall {
                        *called = stand.recall;
                        count(&self.0.tally.recalls);
                        self.call(&Notice::Recall(wanted.counter.clone(), stand.recall)).await;
                    }
                    return Step::Again(AGAIN);
                }
                self.takes_up(wanted, offer, &stand)
            }
        }
    }

    fn takes_up(&self, wanted: &Wanted, offer: &Offer, stand: &Stand) -> Step {
        match wanted.cell.answer(&wanted.counter, offer, stand) {
            None => Step::Again(AGAIN),
            Some(owes) => {
                if owes {
                    self.start(&wanted.counter, Purpose::Return);
                }
                Step::Done
            }
        }
    }

    async fn call(&self, notice: &Notice) {
        let called = tokio::time::timeout(self.0.parts.settings.call, self.table().call(notice)).await;
        if !matches!(called, Ok(Ok(()))) {
            count(&self.0.tally.failures);
        }
    }

    /// This run of the node is over: a later one has begun.
    fn ends(&self) {
        if !self.0.over.replace(true) {
            tracing::error!("a later run of this node shares its counters: this one gets nothing any more");
        }
        let held = self.0.held.borrow();
        held.values()
            .for_each(|held| held.wanted.cell.end_lease(&held.wanted.counter));
    }

    /// Declares everything that this node has in a part of the table.
    async fn declare(&self, partition: u16, generation: u64) {
        if self.place(partition).is_declaring {
            return;
        }
        self.set_place(partition, |place| place.is_declaring = true);
        if self.declare_all(partition, generation).await {
            self.set_place(partition, |place| place.declared = generation);
            count(&self.0.tally.generations);
        }
        self.set_place(partition, |place| place.is_declaring = false);
    }

    async fn declare_all(&self, partition: u16, generation: u64) -> bool {
        let mine = |held: &Held| held.wanted.counter.partition() == partition;
        let held: Vec<Wanted> = {
            let all = self.0.held.borrow();
            all.values()
                .filter(|held| mine(held))
                .map(|held| held.wanted.clone())
                .collect()
        };
        for wanted in &held {
            let Some((_, exchange)) = self.exchange_of(wanted, Purpose::Declare, generation) else {
                continue;
            };
            let answered = self.ask(&exchange).await;
            if !matches!(
                answered,
                Ok(Reply::Undeclared | Reply::Untold(_) | Reply::Stands(_) | Reply::Late)
            ) {
                return false;
            }
        }
        let beat = self.beat_of(partition, generation, false);
        let asked = tokio::time::timeout(self.0.parts.settings.call * BEAT_PATIENCE, self.table().beat(&beat)).await;
        matches!(asked, Ok(Ok(pulse)) if pulse.generation == generation)
    }

    fn beat_of(&self, partition: u16, declared: u64, leaves: bool) -> Beat {
        Beat {
            session: self.0.parts.session.clone(),
            partition,
            declared,
            now: self.0.parts.clock.now(),
            leaves,
        }
    }

    /// One sign of life.
    pub(crate) async fn beat(&self, partition: u16) {
        let declared = self.place(partition).declared;
        let beat = self.beat_of(partition, declared, false);
        let asked = tokio::time::timeout(self.0.parts.settings.call * BEAT_PATIENCE, self.table().beat(&beat)).await;
        match asked.unwrap_or(Err(Away::Silent)) {
            Err(away) => self.goes_away(partition, &away),
            Ok(pulse) if pulse.generation == 0 => self.ends(),
            Ok(pulse) => {
                if self.place(partition).is_away {
                    tracing::info!(partition, "shared counters are back");
                }
                self.set_place(partition, |place| place.is_away = false);
                if pulse.generation != declared {
                    self.declare(partition, pulse.generation).await;
                }
            }
        }
    }

    /// Asks the ledger where a counter stands and tells the table; `false` when it cannot tell yet.
    async fn read_ledger(&self, wanted: &Wanted, generation: u64, holders: &[Holder]) -> bool {
        let known: Vec<Session> = holders.iter().map(|holder| holder.session.clone()).collect();
        let silent = holders.iter().filter(|holder| !holder.is_live);
        let silent: Vec<Session> = silent.map(|holder| holder.session.clone()).collect();
        let asked = self.0.parts.ledger.told(&wanted.counter, &known, &silent);
        let Ok(Ok(told)) = tokio::time::timeout(self.0.parts.settings.ledger, asked).await else {
            return false;
        };
        // Of what the ledger has, the others have declared their own: it was in the ledger before it was read.
        let others = holders.iter().filter(|holder| !told.over.contains(&holder.session));
        let others: Vec<&Holder> = others.filter(|holder| holder.metered > 0).collect();
        let declared: u64 = others.iter().fold(0, |sum, holder| sum.saturating_add(holder.metered));
        let now = self.0.parts.clock.now();
        let tell = Tell {
            session: self.0.parts.session.clone(),
            generation,
            counter: wanted.counter.clone(),
            base: told.used.saturating_sub(declared),
            counted: others.iter().map(|holder| holder.session.clone()).collect(),
            over: told.over,
            forget_ms: forget_ms(wanted, now),
            now,
        };
        let asked = tokio::time::timeout(self.0.parts.settings.call * BEAT_PATIENCE, self.table().tell(&tell)).await;
        matches!(asked, Ok(Ok(())))
    }

    fn will_read_again(&self, counter: &CounterId) {
        if let Some(held) = self.0.held.borrow_mut().get_mut(counter) {
            (held.looked, held.read_again) = (Some(Instant::now()), Some(READ_AGAIN.0));
        }
    }

    /// Whether it is time to ask the ledger for a counter of which nothing is left.
    fn is_due(&self, counter: &CounterId, stand: Stand) -> bool {
        let mut all = self.0.held.borrow_mut();
        let Some(held) = all.get_mut(counter) else {
            return false;
        };
        let pause = match (stand.silent, held.read_again) {
            (0, None) => return false,
            (0, Some(pause)) => pause,
            _ => LOOK_FOR_SILENT,
        };
        if held.looked.is_some_and(|at| at.elapsed() < pause) {
            return false;
        }
        held.looked = Some(Instant::now());
        held.read_again = held.read_again.map(|pause| (pause * 2).min(READ_AGAIN.1));
        true
    }

    /// Asks the ledger now and then, where nothing is left, whether silent nodes are closed, so that what they held
    /// unused is free again, and whether what was counted twice at a rebuild has arrived.
    fn look_into_ledger(&self, wanted: &Wanted, exchange: &Exchange, stand: Stand) {
        if stand.left > 0 || exchange.want == 0 || !self.is_due(&wanted.counter, stand) {
            return;
        }
        let (carrier, wanted, exchange) = (self.clone(), wanted.clone(), exchange.clone());
        tokio::task::spawn_local(async move {
            if let Ok(holders) = carrier.table().holders(&exchange).await
                && carrier.read_ledger(&wanted, exchange.generation, &holders).await
            {
                carrier.call(&Notice::Available(wanted.counter.clone())).await;
            }
        });
    }

    /// Another node waits for units.
    pub(crate) fn recalled(&self, counter: &CounterId, recall: u64) {
        let cell = {
            let held = self.0.held.borrow();
            held.get(counter).map(|held| Arc::clone(&held.wanted.cell))
        };
        if let Some(cell) = cell {
            cell.recall(counter, recall);
            count(&self.0.tally.recalled);
            self.start(counter, Purpose::Return);
        }
    }

    /// Units came back.
    pub(crate) fn available(&self, counter: &CounterId) {
        let held = self.0.held.borrow();
        if let Some(held) = held.get(counter) {
            held.wanted.cell.may_ask(counter);
        }
    }

    /// Returns what is unused for long and forgets windows that are over.
    pub(crate) fn sweep(&self) {
        let now = self.0.parts.clock.now();
        let idle = self.0.parts.settings.idle;
        let mut due = Vec::new();
        let mut all = self.0.held.borrow_mut();
        all.retain(|_, held| held.is_busy || held.wanted.window.end.plus_millis(FORGET_MS) > now);
        for (counter, held) in all.iter_mut() {
            let Some(used_ns) = held.wanted.cell.unused_since(counter) else {
                continue;
            };
            if held.quiet.0 != used_ns {
                held.quiet = (used_ns, Instant::now());
            } else if held.quiet.1.elapsed() >= idle {
                due.push(counter.clone());
            }
        }
        self.0.tally.leases.store(all.len() as u64, Ordering::Relaxed);
        drop(all);
        for counter in &due {
            self.start(counter, Purpose::Return);
        }
    }

    /// Returns everything unused and takes leave.
    pub(crate) async fn leave(&self) {
        let held: Vec<Wanted> = {
            let all = self.0.held.borrow();
            all.values().map(|held| held.wanted.clone()).collect()
        };
        for wanted in &held {
            self.carry(wanted, Purpose::Return).await;
        }
        for partition in 0..PARTITIONS {
            let beat = self.beat_of(partition, self.place(partition).declared, true);
            let asked =
                tokio::time::timeout(self.0.parts.settings.call * BEAT_PATIENCE, self.table().beat(&beat)).await;
            if !matches!(asked, Ok(Ok(_))) {
                return;
            }
        }
    }
}

fn forget_ms(wanted: &Wanted, now: domain::clock::Timestamp) -> u64 {
    let left = wanted.window.end.millis_since(now).max(0).saturating_add(FORGET_MS);
    u64::try_from(left).unwrap_or(0)
}
