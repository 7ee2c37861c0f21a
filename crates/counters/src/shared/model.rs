//! Random histories of nodes, a table and what lies between: messages are lost, repeated, late and out of order, nodes
//! die and come again, the table is lost. Whatever happens, nobody uses more than the limit; and once everything is well
//! again, all of it is used.

use std::sync::Arc;

use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::enforce::{EnforcedLimit, EnforcedRule, QuotaOf, Sharing, Window};
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::Precision;
use proptest::prelude::*;

use super::post::{Post, Share, Tally};
use super::protocol::{Beat, CounterId, Exchange, Reply, Session, Tell};
use super::table::{GRACE_MS, Partition, SILENT_MS, Server};
use crate::lease::{Offer, Purpose};
use crate::{Admission, Billable, Cell, Reservation, Times};

const NODES: usize = 3;
const CEILING: u64 = 60;
/// 2026-03-10, in a window that began long before every generation.
const NOW: Timestamp = Timestamp::from_millis(1_773_100_800_000);

#[derive(Debug, Clone)]
enum Op {
    Admit(usize),
    Settle(usize, usize, bool),
    Offer(usize, Purpose),
    Deliver(usize),
    Repeat(usize),
    Lose(usize),
    Beat(usize),
    Tell(usize),
    Recall(usize),
    Wait(u64),
    LoseTable,
    Restart(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let node = || 0..NODES;
    prop_oneof![
        12 => node().prop_map(Op::Admit),
        6 => (node(), any::<usize>(), any::<bool>()).prop_map(|(node, which, billed)| Op::Settle(node, which, billed)),
        10 => node().prop_map(|node| Op::Offer(node, Purpose::Ask)),
        3 => node().prop_map(|node| Op::Offer(node, Purpose::Return)),
        14 => any::<usize>().prop_map(Op::Deliver),
        2 => any::<usize>().prop_map(Op::Repeat),
        1 => any::<usize>().prop_map(Op::Lose),
        4 => node().prop_map(Op::Beat),
        3 => node().prop_map(Op::Tell),
        1 => node().prop_map(Op::Recall),
        3 => (1..900_u64).prop_map(Op::Wait),
        1 => Just(Op::LoseTable),
        1 => node().prop_map(Op::Restart),
    ]
}

struct Node {
    session: Session,
    cell: Arc<Cell>,
    declared: u64,
    open: Vec<Reservation>,
    used: u64,
    is_over: bool,
}

struct Message {
    node: usize,
    offer: Offer,
    exchange: Exchange,
}

struct World {
    limit: EnforcedLimit,
    cycle: UsageCycle,
    table: Partition,
    server: Server,
    nodes: Vec<Node>,
    dead: Vec<Session>,
    /// Used by runs that are dead.
    past: u64,
    messages: Vec<Message>,
    next_fence: u64,
    mono_ns: u64,
}

impl World {
    fn new() -> Self {
        let sharing = Sharing::default();
        let rule = EnforcedRule::Quota {
            meter: "requests".into(),
            of: QuotaOf::Requests,
            max: CEILING,
            ceiling: Some(CEILING),
            sharing,
        };
        let mut world = Self {
            limit: EnforcedLimit {
                key: "requests/period".into(),
                rule,
            },
            cycle: UsageCycle::utc_months(),
            table: Partition::default(),
            server: Server { run: 1, ms: 1_000 },
            nodes: Vec::new(),
            dead: Vec::new(),
            past: 0,
            messages: Vec::new(),
            next_fence: 1,
            mono_ns: 1,
        };
        for index in 0..NODES {
            let node = world.fresh(index);
            world.nodes.push(node);
        }
        world
    }

    fn fresh(&mut self, index: usize) -> Node {
        let (orders, _inbox) = tokio::sync::mpsc::unbounded_channel();
        let share = Share {
            subscription: SubscriptionId::from_bits(7),
            mode: Mode::Live,
            post: Post {
                orders,
                tally: Arc::<Tally>::default(),
            },
        };
        self.next_fence += 1;
        Node {
            session: Session {
                node: format!("node-{index}").into(),
                fence: self.next_fence,
            },
            cell: Arc::new(Cell::shared(share)),
            declared: 0,
            open: Vec::new(),
            used: 0,
            is_over: false,
        }
    }

    fn window(&self) -> Window {
        self.cycle.window(NOW)
    }

    fn counter(&self) -> CounterId {
        CounterId {
            subscription: SubscriptionId::from_bits(7),
            mode: Mode::Live,
            limit: Arc::clone(&self.limit.key),
            start: self.window().start,
        }
    }

    fn times(&mut self) -> Times {
        self.mono_ns += 30_000_000;
        Times {
            mono_ns: self.mono_ns,
            wall: NOW,
        }
    }

    /// A request as the gateway makes it, without the wait. Whether it passed.
    fn admit(&mut self, index: usize) -> bool {
        let times = self.times();
        let limits = [self.limit.clone()];
        let admission = Admission {
            limits: &limits,
            applies: &[0],
            cycle: &self.cycle,
            revision: 1,
            weight: 1,
        };
        let node = &mut self.nodes[index];
        match node.cell.admit(&admission, times) {
            Ok(reservation) => {
                node.open.push(reservation);
                true
            }
            Err(_) => {
                let _waiting = node.cell.ask(&admission, times);
                false
            }
        }
    }

    fn settle(&mut self, index: usize, which: usize, billed: bool) {
        let node = &mut self.nodes[index];
        if node.open.is_empty() {
            return;
        }
        let at = which % node.open.len();
        let reservation = node.open.swap_remove(at);
        node.used += u64::from(billed);
        reservation.settle(if billed { Billable::Yes } else { Billable::No }, &[]);
    }

    fn offer(&mut self, index: usize, purpose: Purpose, generation: u64) -> Option<Message> {
        let (counter, window) = (self.counter(), self.window());
        let node = &self.nodes[index];
        let (offer, used) = node.cell.offer(&counter, purpose)?;
        let exchange = Exchange {
            session: node.session.clone(),
            generation,
            counter,
            seq: offer.seq,
            keep: offer.keep,
            taken: offer.taken,
            // What is settled is in the ledger at once here.
            metered: used,
            want: offer.want,
            least: offer.least,
            ceiling: CEILING,
            precision: Precision::Strict,
            recall: offer.recall,
            now: NOW,
            forget_ms: u64::try_from(window.end.millis_since(window.start)).unwrap(),
        };
        Some(Message {
            node: index,
            offer,
            exchange,
        })
    }

    fn send(&mut self, index: usize, purpose: Purpose) {
        let generation = self.nodes[index].declared;
        if let Some(message) = self.offer(index, purpose, generation) {
            self.messages.push(message);
        }
    }

    /// The table gets a message, and the node the answer unless it is `deaf`.
    fn deliver(&mut self, message: &Message, deaf: bool) -> Reply {
        let reply = self.table.exchange(self.server, &message.exchange);
        let node = &mut self.nodes[message.node];
        if deaf || node.session != message.exchange.session {
            return reply;
        }
        match &reply {
            Reply::Stands(stand) => {
                node.cell.answer(&message.exchange.counter, &message.offer, stand);
            }
            Reply::Generation(generation) => self.declare(message.node, *generation),
            Reply::Over => {
                node.is_over = true;
                node.cell.end_lease(&message.exchange.counter);
            }
            Reply::Late | Reply::Untold(_) | Reply::Undeclared => node.cell.fail(&message.exchange.counter),
        }
        reply
    }

    fn declare(&mut self, index: usize, generation: u64) {
        if let Some(message) = self.offer(index, Purpose::Declare, generation) {
            self.table.exchange(self.server, &message.exchange);
        }
        self.nodes[index].declared = generation;
        self.beat(index);
    }

    fn beat(&mut self, index: usize) {
        let node = &self.nodes[index];
        let beat = Beat {
            session: node.session.clone(),
            partition: 0,
            declared: node.declared,
            now: NOW,
            leaves: false,
        };
        let pulse = self.table.beat(self.server, &beat);
        if pulse.generation != 0 && pulse.generation != self.nodes[index].declared {
            self.declare(index, pulse.generation);
        }
    }

    /// Reads the ledger as the process does: it knows all that was settled, and that the dead are dead; it does not answer
    /// while a live node is missing among those who declared.
    fn tell(&mut self, index: usize) {
        let holders = self.table.holders(self.server, &self.counter());
        let missing = self
            .nodes
            .iter()
            .any(|node| !holders.iter().any(|holder| holder.session == node.session));
        if missing
            || self
                .nodes
                .iter()
                .any(|node| node.declared != self.nodes[index].declared)
        {
            return;
        }
        let used = self.past + self.nodes.iter().map(|node| node.used).sum::<u64>();
        let over: Vec<Session> = self.dead.clone();
        let others = holders.iter().filter(|holder| !over.contains(&holder.session));
        let others: Vec<_> = others.filter(|holder| holder.metered > 0).collect();
        let declared: u64 = others.iter().map(|holder| holder.metered).sum();
        let node = &self.nodes[index];
        let tell = Tell {
            session: node.session.clone(),
            generation: node.declared,
            counter: self.counter(),
            base: used - declared,
            counted: others.iter().map(|holder| holder.session.clone()).collect(),
            over,
            forget_ms: 1_000,
            now: NOW,
        };
        self.table.tell(self.server, &tell);
    }

    fn restart(&mut self, index: usize) {
        let fresh = self.fresh(index);
        let dead = std::mem::replace(&mut self.nodes[index], fresh);
        self.past += dead.used;
        self.dead.push(dead.session);
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Admit(node) => {
                self.admit(node);
            }
            Op::Settle(node, which, billed) => self.settle(node, which, billed),
            Op::Offer(node, purpose) => self.send(node, purpose),
            Op::Deliver(which) | Op::Repeat(which) | Op::Lose(which) if !self.messages.is_empty() => {
                let at = which % self.messages.len();
                let message = self.messages.swap_remove(at);
                if !matches!(op, Op::Lose(_)) {
                    self.deliver(&message, false);
                }
                if matches!(op, Op::Repeat(_)) {
                    self.messages.push(message);
                }
            }
            Op::Deliver(_) | Op::Repeat(_) | Op::Lose(_) => {}
            Op::Beat(node) => self.beat(node),
            Op::Tell(node) => self.tell(node),
            Op::Recall(node) => self.nodes[node].cell.recall(&self.counter(), 1),
            Op::Wait(ms) => self.server.ms += ms,
            Op::LoseTable => {
                self.table = Partition::default();
                self.server.run += 1;
            }
            Op::Restart(node) => self.restart(node),
        }
    }

    fn taken(&self) -> u64 {
        let open: usize = self.nodes.iter().map(|node| node.open.len()).sum();
        self.past + self.nodes.iter().map(|node| node.used).sum::<u64>() + u64::try_from(open).unwrap()
    }

    /// Everything works again: all live nodes beat, the ledger tells.
    fn heals(&mut self) {
        self.messages.clear();
        for _ in 0..4 {
            self.server.ms += GRACE_MS.min(SILENT_MS) / 2;
            for index in 0..NODES {
                self.beat(index);
                if let Some(message) = self.offer(index, Purpose::Return, self.nodes[index].declared) {
                    self.deliver(&message, false);
                }
            }
        }
        for index in 0..NODES {
            self.beat(index);
        }
        self.tell(0);
    }

    /// One node uses all that is left, as the agent does it: ask, call back, ask again.
    fn drains(&mut self, index: usize) {
        for _ in 0..2_000 {
            if self.admit(index) {
                self.settle(index, 0, true);
                continue;
            }
            self.send(index, Purpose::Ask);
            let message = self.messages.pop().unwrap();
            let Reply::Stands(stand) = self.deliver(&message, false) else {
                panic!("not healed")
            };
            if stand.holders == 0 && stand.granted <= message.offer.taken {
                return;
            }
            for other in (0..NODES).filter(|other| *other != index) {
                self.nodes[other].cell.recall(&self.counter(), stand.recall);
                if let Some(message) = self.offer(other, Purpose::Return, self.nodes[other].declared) {
                    self.deliver(&message, false);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn nobody_uses_more_than_the_limit_and_all_of_it_is_used_in_the_end(
        ops in proptest::collection::vec(op(), 1..250),
        last in 0..NODES,
    ) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            prop_assert!(world.taken() <= CEILING, "{} of {CEILING} after {op:?}", world.taken());
        }
        for index in 0..NODES {
            while !world.nodes[index].open.is_empty() {
                world.settle(index, 0, false);
            }
        }
        world.heals();
        world.drains(last);
        prop_assert_eq!(world.taken(), CEILING);
    }
}

/// The control of the test above: the same protocol without its fences and numbers lets more through.
#[test]
fn an_exchange_that_is_heard_out_of_order_would_break_the_limit() {
    let mut world = World::new();
    world.server.ms += 10_000;
    for index in 0..NODES {
        world.beat(index);
    }
    world.server.ms += GRACE_MS;
    (0..NODES).for_each(|index| world.beat(index));
    world.admit(0);
    world.send(0, Purpose::Ask);
    let ask = world.messages.pop().unwrap();
    assert!(matches!(world.deliver(&ask, false), Reply::Untold(_)));
    world.tell(0);
    let returned = world.offer(0, Purpose::Return, world.nodes[0].declared).unwrap();
    world.mono_ns += 1_000_000_000;
    world.admit(0);
    world.send(0, Purpose::Ask);
    let ask = world.messages.pop().unwrap();
    assert!(matches!(world.deliver(&ask, false), Reply::Stands(stand) if stand.granted > 0));
    // The return that was sent before arrives only now: it is not heard.
    assert_eq!(world.table.exchange(world.server, &returned.exchange), Reply::Late);
    // Were it heard, the table would give the units away a second time.
    let mut unnumbered = returned.exchange.clone();
    unnumbered.seq = u64::MAX;
    let Reply::Stands(stand) = world.table.exchange(world.server, &unnumbered) else {
        panic!("not heard")
    };
    assert_eq!(stand.left, CEILING);
    assert!(world.admit(0), "the node spends what the table believes to be free");
}
