//! Counters that several nodes share.
//!
//! Each node spends slices (leases) of what is left, which it takes from a table that all nodes reach ([`Table`]: Redis, or
//! memory for tests). The rules:
//!
//! - What is given out never exceeds the limit, so nobody can use more, whoever fails. A `strict` limit is never exceeded.
//!   A `fast` one does not wait for its slice: it may be exceeded by the slice that each node has asked for.
//! - Slices shrink with what is left, down to one request's worth. Before a `strict` limit refuses, unused units of all
//!   live nodes are called back; only when none is left the request is refused. Unused slices return by themselves after
//!   a while, and when the node stops.
//! - A node that falls silent keeps what it had until the ledger has all its records. A later run of the same node has a
//!   higher fence; the earlier one is not heard any more, and what it holds is lost to it.
//! - A table that was lost, or that another server process took over, begins a new generation: live nodes declare what
//!   they hold, the ledger tells what was used besides, and until then a `strict` limit gives nothing new. What nodes
//!   hold they go on spending.
//! - A table that does not answer costs one request at most the time of one question. After that nodes spend what they
//!   hold, then each limit does what its `when_unavailable` says: days and months refuse.
//!
//! The agent is a thread with a runtime of its own: gateway threads never speak to the table, they wait for the agent only
//! when a slice is used up, and the next slice is ordered before that.

mod address;
mod agent;
mod carrier;
pub mod memory;
#[cfg(test)]
mod model;
pub(crate) mod post;
pub mod protocol;
pub mod redis;
pub(crate) mod table;

pub use agent::{Agent, Parts, Settings};
pub use memory::Memory;
pub use post::Tally;
pub use protocol::{Ledger, NotYet, Session, Table, Told};
pub use redis::Redis;
