//! What nodes and the shared table say to each other.
//!
//! Every exchange is absolute, never relative: a node says how many units it keeps and how many more it wants, the table
//! answers how many it holds now. An exchange that is lost, repeated or late changes nothing that the next one does not
//! put right: what a node was given without hearing of it returns with the next exchange, and one that comes after a
//! younger one ([`Exchange::seq`]) is not heard.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::clock::Timestamp;
use domain::ids::SubscriptionId;
use domain::key::Mode;
use domain::limit::Precision;

/// Parts of the table that are lost and rebuilt each for itself. In a Redis Cluster each lies in one slot.
pub const PARTITIONS: u16 = 16;

/// Numbers of the table stay below this: Lua counts exactly up to 2^53.
pub(crate) const LARGEST: u64 = 1 << 52;

/// One run of one node. A run that begins later has a higher fence, so no two runs of a node are ever mixed up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session {
    /// The node's name.
    pub node: Arc<str>,
    /// Higher for each run of the node.
    pub fence: u64,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.fence, self.node)
    }
}

impl Session {
    /// Reads what `Display` wrote.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let (fence, node) = text.split_once('|')?;
        Some(Self {
            node: node.into(),
            fence: fence.parse().ok()?,
        })
    }
}

/// The counter of one limit of one subscription in one window.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CounterId {
    /// Whose.
    pub subscription: SubscriptionId,
    /// Live or test.
    pub mode: Mode,
    /// The limit's stable key.
    pub limit: Arc<str>,
    /// Start of the window.
    pub start: Timestamp,
}

impl CounterId {
    /// Where it lies.
    pub fn partition(&self) -> u16 {
        let hash = self
            .subscription
            .to_string()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        u16::try_from((hash ^ (hash >> 32)) % u64::from(PARTITIONS)).unwrap_or(0)
    }
}

impl fmt::Display for CounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = self.mode.as_str();
        write!(
            f,
            "{}|{mode}|{}|{}",
            self.subscription,
            self.start.as_millis(),
            self.limit
        )
    }
}

impl CounterId {
    /// Reads what `Display` wrote.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, '|');
        let subscription = parts.next()?.parse().ok()?;
        let mode = match parts.next()? {
            "live" => Mode::Live,
            "test" => Mode::Test,
            _ => return None,
        };
        let start = Timestamp::from_millis(parts.next()?.parse().ok()?);
        let limit = parts.next()?.into();
        Some(Self {
            subscription,
            mode,
            limit,
            start,
        })
    }
}

/// What a node says of one counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Who.
    pub session: Session,
    /// The generation that the node speaks of.
    pub generation: u64,
    /// Which counter.
    pub counter: CounterId,
    /// Higher for each exchange of the session on the counter.
    pub seq: u64,
    /// Units that the node keeps, used ones included. More than it was given is taken as true: it used them.
    pub keep: u64,
    /// Of these, used or reserved.
    pub taken: u64,
    /// Of these, surely in the ledger.
    pub metered: u64,
    /// More units that it would like.
    pub want: u64,
    /// Fewer are of no use; 0 with a `want` of 0.
    pub least: u64,
    /// Units at most, of all nodes.
    pub ceiling: u64,
    /// How exact.
    pub precision: Precision,
    /// The last recall that the node has heard; it keeps nothing unused then.
    pub recall: u64,
    /// The domain clock.
    pub now: Timestamp,
    /// Milliseconds until nobody asks for the counter any more.
    pub forget_ms: u64,
}

/// Who has units of a counter, or has declared in its generation that it has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub session: Session,
    /// Whether it was heard of lately.
    pub is_live: bool,
    /// Of its units, surely in the ledger.
    pub metered: u64,
}

/// What the table answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A younger exchange was there before; nothing was changed.
    Late,
    /// The session is over: a later run of the node has begun, or its use has been read from the ledger.
    Over,
    /// The table is of this generation: declare everything, then ask again.
    Generation(u64),
    /// What the node keeps is noted, but nothing is given before the ledger has told where the counter stands.
    Untold(Vec<Holder>),
    /// What the node keeps is noted, but nothing is given before every live node has declared.
    Undeclared,
    /// How the counter stands.
    Stands(Stand),
}

/// How a counter stands after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stand {
    /// Units that the node has now, used ones included.
    pub granted: u64,
    /// Units that nobody has.
    pub left: u64,
    /// Units used or reserved by others, as they said last.
    pub elsewhere: u64,
    /// Live nodes that may have unused units.
    pub holders: u32,
    /// Nodes that have units and are silent.
    pub silent: u32,
    /// The number of the last recall.
    pub recall: u64,
    /// Somebody got less than it needed, and nothing came back since.
    pub hungry: bool,
    /// Something came back that somebody waits for: say so.
    pub tell: bool,
}

/// A sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// Who.
    pub session: Session,
    /// Which part of the table.
    pub partition: u16,
    /// The generation in which everything was declared.
    pub declared: u64,
    /// The domain clock.
    pub now: Timestamp,
    /// The session ends: everything unused was returned.
    pub leaves: bool,
}

/// What the table answers to a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pulse {
    /// The generation; 0 when the session is over.
    pub generation: u64,
    /// Live nodes.
    pub live: u32,
}

/// What the ledger told of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tell {
    /// Who tells.
    pub session: Session,
    /// The generation of the question.
    pub generation: u64,
    /// Which counter.
    pub counter: CounterId,
    /// Units used by all but the sessions that hold units and are not over.
    pub base: u64,
    /// Sessions whose use is in `base`; they are heard no more.
    pub over: Vec<Session>,
    /// Sessions whose metered units were taken off `base`. Where one is not there any more, the base is not heard: it
    /// would be too low.
    pub counted: Vec<Session>,
    /// Milliseconds until nobody asks for the counter any more.
    pub forget_ms: u64,
    /// The domain clock.
    pub now: Timestamp,
}

/// What nodes call out to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Return what is unused.
    Recall(CounterId, u64),
    /// Units came back.
    Available(CounterId),
}

/// Why the table did not answer.
#[derive(Debug, thiserror::Error)]
pub enum Away {
    /// No answer in time.
    #[error("the shared counters did not answer in time")]
    Silent,
    /// No connection, or it broke.
    #[error("the shared counters cannot be reached")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// An answer that is none.
    #[error("the shared counters answered what cannot be understood: {0}")]
    Nonsense(String),
}

/// An answer under way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Away>> + Send + 'a>>;

/// Where nodes share counters.
pub trait Table: Send + Sync + fmt::Debug {
    /// One exchange on one counter.
    fn exchange<'a>(&'a self, exchange: &'a Exchange) -> Answer<'a, Reply>;
    /// Who has units of the counter of an exchange, and who is live. Changes nothing.
    fn holders<'a>(&'a self, of: &'a Exchange) -> Answer<'a, Vec<Holder>>;
    /// A sign of life.
    fn beat<'a>(&'a self, beat: &'a Beat) -> Answer<'a, Pulse>;
    /// Where a counter stands by the ledger.
    fn tell<'a>(&'a self, tell: &'a Tell) -> Answer<'a, ()>;
    /// Calls out to all nodes.
    fn call<'a>(&'a self, notice: &'a Notice) -> Answer<'a, ()>;
    /// What was called out since the last question; waits up to a second.
    fn listen(&self) -> Answer<'_, Vec<Notice>>;
}

/// What the ledger says of a counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Whole units in the window that are billed, rounded up.
    pub used: u64,
    /// Of the sessions that were asked for, those whose records are closed and all in `used`.
    pub over: Vec<Session>,
}

/// The ledger cannot tell yet: it is away, or a node that is silent may still have used units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ledger cannot tell yet")]
pub struct NotYet;

/// Where the truth is: asked for a counter when the table does not know it, and for sessions that fell silent.
pub trait Ledger: Send + Sync {
    /// Use in the counter's window. `Err` while any session that is not in `known` may have used units which the ledger
    /// does not have yet; `silent` are the sessions of `known` that are not heard of.
    fn told<'a>(
        &'a self,
        counter: &'a CounterId,
        known: &'a [Session],
        silent: &'a [Session],
    ) -> Pin<Box<dyn Future<Output = Result<Told, NotYet>> + Send + 'a>>;

    /// Of `used` units that this node has settled, how many are surely in the ledger. Fewer is always true.
    fn metered(&self, counter: &CounterId, used: u64) -> u64;
}
