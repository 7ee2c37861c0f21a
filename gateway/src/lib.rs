//! The data plane: route, identify, admit, forward, settle, emit.
//!
//! [`Gateway::start`] runs N workers, each a thread with a `current_thread` runtime, a listener, connection pools and a
//! producer of the journal of its own. [`serve`](self) is the ladder of one request; each rung is a file that reads
//! alone.
//!
//! # Invariants
//! * The record of an answer is in the journal before its last bytes are handed to the socket.
//! * What is refused before it is forwarded touches no counter and makes no record of its own.
//! * A new snapshot drops no request, no connection and no count: counters, pools and health live outside of it.
//! * Per request: no lock that all subscriptions share, no lock across an await, no I/O but the upstream and one append.
//!   Only where this node's slice of a shared limit is used up a request waits, for the thread that fetches the next one.
//!
//! Deliberately absent: transformations, caches, validation, circuit breakers and active health checks; WebSocket;
//! any knowledge of the store, of prices or of analytics.

mod admit;
mod balance;
mod chance;
mod credential;
mod emit;
mod flight;
mod forward;
mod headers;
mod identify;
mod json_pointer;
mod log;
mod meters;
mod metrics;
mod passage;
mod pool;
mod rate_headers;
mod reject;
mod route;
mod serve;
mod settle;
mod sharing;
mod stamp;
mod standing;
mod start;
mod upstream;
mod usage_endpoint;
mod worker;

pub use admit::WhenFull;
pub use metrics::Metrics;
pub use pool::PoolSettings;
pub use serving::trust::{Cidr, ParseCidrError, TrustedProxies};
pub use sharing::register as register_sharing;
pub use start::{Error, Gateway, Parts, Running, Settings};
