//! Every table answers every history of exchanges alike: the state machine in Rust is what the script is held against.

use std::sync::Arc;
use std::time::Duration;

use counters::shared::protocol::{Beat, CounterId, Exchange, Holder, Notice, Reply, Tell};
use counters::shared::{Memory, Session, Table};
use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::Precision;

use crate::servers::Servers;
use crate::support::{NOW, Tables};

const GRACE: Duration = Duration::from_millis(1_700);
const NODES: u64 = 3;

fn session(node: u64, fence: u64) -> Session {
    Session {
        node: format!("node-{node}").into(),
        fence,
    }
}

fn counter(number: u128, start: Timestamp) -> CounterId {
    CounterId {
        // The same partition for all, so that one generation is enough.
        subscription: SubscriptionId::from_bits(9),
        mode: Mode::Live,
        limit: format!("requests/{number}@a,b|c").into(),
        start,
    }
}

/// xorshift: the histories are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

async fn beats(table: &dyn Table, declared: u64) -> u64 {
    let mut generation = 0;
    for node in 0..NODES {
        let beat = Beat {
            session: session(node, 5),
            partition: counter(0, NOW).partition(),
            declared,
            now: NOW,
            leaves: false,
        };
        generation = table.beat(&beat).await.unwrap().generation;
    }
    generation
}

/// A table in which all nodes have declared and the grace is over.
async fn settled(table: &dyn Table) -> u64 {
    let generation = beats(table, 0).await;
    assert!(generation > 0);
    beats(table, generation).await;
    tokio::time::sleep(GRACE).await;
    assert_eq!(beats(table, generation).await, generation);
    generation
}

fn sorted(reply: Reply) -> Reply {
    match reply {
        Reply::Untold(mut holders) => {
            holders.sort_by(|one, other| one.session.cmp(&other.session));
            Reply::Untold(holders)
        }
        other => other,
    }
}

fn exchange(chance: &mut Chance, generation: u64, seq: u64, start: Timestamp) -> Exchange {
    let keep = chance.below(40);
    let want = [0, 0, 1, 5, 1_000][usize::try_from(chance.below(5)).unwrap()];
    Exchange {
        session: session(chance.below(NODES), if chance.below(40) == 0 { 4 } else { 5 }),
        generation: if chance.below(30) == 0 {
            generation - 1
        } else {
            generation
        },
        counter: counter(u128::from(chance.below(3)), start),
        seq: if chance.below(10) == 0 { seq / 2 } else { seq },
        keep,
        taken: keep - chance.below(keep + 1),
        metered: chance.below(4),
        want,
        least: if want == 0 { 0 } else { 1 + chance.below(3) },
        ceiling: 50 + chance.below(60),
        precision: if chance.below(5) == 0 {
            Precision::Fast
        } else {
            Precision::Strict
        },
        recall: chance.below(4),
        now: NOW,
        forget_ms: 60_000,
    }
}

fn random_tell(chance: &mut Chance, generation: u64, start: Timestamp) -> Tell {
    Tell {
        session: session(0, 5),
        generation,
        counter: counter(u128::from(chance.below(3)), start),
        base: chance.below(60),
        over: Vec::new(),
        counted: (0..chance.below(2)).map(|node| session(node, 5)).collect(),
        forget_ms: 60_000,
        now: NOW,
    }
}

/// The same history on both; every answer alike but for the number of the generation.
async fn plays_alike(table: &dyn Table, start: Timestamp, seed: u64) {
    let model = Memory::default();
    let (theirs, ours) = tokio::join!(settled(table), settled(&model));
    let mut chance = Chance(seed);
    for step in 1..400_u64 {
        if step % 50 == 0 {
            beats(table, theirs).await;
            beats(&model, ours).await;
        }
        if chance.below(12) == 0 {
            let mut tell = random_tell(&mut chance, theirs, start);
            table.tell(&tell).await.unwrap();
            tell.generation = ours;
            model.tell(&tell).await.unwrap();
            continue;
        }
        let mut ask = exchange(&mut chance, theirs, step, start);
        let found = sorted(table.exchange(&ask).await.unwrap());
        ask.generation = ours - (theirs - ask.generation);
        let expected = sorted(model.exchange(&ask).await.unwrap());
        match (&found, &expected) {
            (Reply::Generation(found), Reply::Generation(expected)) => {
                assert_eq!((*found, *expected), (theirs, ours));
            }
            _ => assert_eq!(found, expected, "step {step} of seed {seed}: {ask:?}"),
        }
    }
}

fn on_each_redis(test: &str, body: impl AsyncFn(Arc<dyn Table>)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for kind in ["single", "cluster", "sentinel"] {
        if let Some(servers) = Servers::start(kind, test) {
            runtime.block_on(body(Tables::Redis(servers).view_and_keep()));
        }
    }
}

impl Tables {
    /// A view that lives as long as its servers: they are left to the end of the process.
    fn view_and_keep(self) -> Arc<dyn Table> {
        let view = self.view();
        KEPT.lock().unwrap().push(self);
        view
    }
}

static KEPT: std::sync::Mutex<Vec<Tables>> = std::sync::Mutex::new(Vec::new());

#[test]
fn redis_answers_random_histories_as_the_state_machine_does() {
    on_each_redis(
        "redis_answers_random_histories_as_the_state_machine_does",
        async |table| {
            let later = NOW.plus_millis(3_600_000);
            plays_alike(&*table, later, 0x5eed).await;
        },
    );
}

#[test]
fn a_window_from_before_the_generation_is_untold_on_every_table() {
    on_each_redis(
        "a_window_from_before_the_generation_is_untold_on_every_table",
        async |table| {
            plays_alike(&*table, NOW, 0xfeed).await;
        },
    );
}

async fn sessions_end(table: &dyn Table) {
    let generation = settled(table).await;
    let start = NOW.plus_millis(3_600_000);
    let ask = |node: u64, fence: u64, seq: u64, keep: u64, want: u64| Exchange {
        session: session(node, fence),
        generation,
        counter: counter(77, start),
        seq,
        keep,
        taken: keep,
        metered: 0,
        want,
        least: want.min(1),
        ceiling: 1_000,
        precision: Precision::Strict,
        recall: 0,
        now: NOW,
        forget_ms: 60_000,
    };
    let Reply::Stands(first) = table.exchange(&ask(0, 5, 1, 0, 10)).await.unwrap() else {
        panic!("not given")
    };
    assert_eq!((first.granted, first.left), (10, 990));
    // A later run of the node ends the earlier one; what that held stays reserved.
    let fresh = Beat {
        session: session(0, 6),
        partition: counter(77, start).partition(),
        declared: generation,
        now: NOW,
        leaves: false,
    };
    assert_eq!(table.beat(&fresh).await.unwrap().generation, generation);
    assert_eq!(table.exchange(&ask(0, 5, 2, 10, 10)).await.unwrap(), Reply::Over);
    let Reply::Stands(other) = table.exchange(&ask(1, 5, 1, 0, 0)).await.unwrap() else {
        panic!("not heard")
    };
    assert_eq!(other.left, 990);
    // The ledger tells that it used 3 of its 10.
    let tell = Tell {
        session: session(1, 5),
        generation,
        counter: counter(77, start),
        base: 3,
        over: vec![session(0, 5)],
        counted: Vec::new(),
        forget_ms: 60_000,
        now: NOW,
    };
    table.tell(&tell).await.unwrap();
    let Reply::Stands(other) = table.exchange(&ask(1, 5, 2, 0, 0)).await.unwrap() else {
        panic!("not heard")
    };
    assert_eq!((other.left, other.elsewhere), (997, 3));
    // Another one that took off what the ended run had metered comes too late: its base would be too low.
    let late = Tell {
        base: 0,
        over: Vec::new(),
        counted: vec![session(0, 5)],
        ..tell
    };
    table.tell(&late).await.unwrap();
    let Reply::Stands(other) = table.exchange(&ask(1, 5, 3, 0, 0)).await.unwrap() else {
        panic!("not heard")
    };
    assert_eq!((other.left, other.elsewhere), (997, 3));
    let holders = table.holders(&ask(1, 5, 4, 0, 0)).await.unwrap();
    let of = |holder: &Holder| (holder.session.clone(), holder.is_live);
    let mut found: Vec<_> = holders.iter().map(of).collect();
    found.sort();
    assert_eq!(
        found,
        [(session(0, 6), true), (session(1, 5), true), (session(2, 5), true)]
    );
}

#[test]
fn a_later_run_ends_the_earlier_and_the_ledger_frees_what_it_left() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(sessions_end(&Memory::default()));
    on_each_redis(
        "a_later_run_ends_the_earlier_and_the_ledger_frees_what_it_left",
        async |table| {
            sessions_end(&*table).await;
        },
    );
}

async fn hears(speaker: &dyn Table, listener: &dyn Table) {
    let notices = [Notice::Recall(counter(1, NOW), 7), Notice::Available(counter(2, NOW))];
    assert_eq!(listener.listen().await.unwrap(), []);
    for notice in &notices {
        speaker.call(notice).await.unwrap();
    }
    let mut heard = Vec::new();
    while heard.len() < notices.len() {
        heard.extend(listener.listen().await.unwrap());
    }
    assert_eq!(heard, notices);
}

#[test]
fn what_one_node_calls_out_the_others_hear_in_order() {
    Tables::on_all("what_one_node_calls_out_the_others_hear_in_order", |tables| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(hears(&*tables.view(), &*tables.view()));
    });
}
