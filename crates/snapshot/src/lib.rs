//! What the gateway serves from: one immutable snapshot of routes, plans, consumers and keys.
//!
//! [`compile`] is pure: it takes the previous snapshot and a list of changes ([`source`]) and gives the next one, or
//! refuses the input whole with an [`Error`] that names the object. Whatever did not change is shared with the previous
//! snapshot by `Arc`; keys and consumers sit in shards, so that one changed key copies one shard. Compiling step by step
//! gives the same snapshot as compiling from nothing ([`Snapshot::checksum`]).
//!
//! The [`Feed`] hands the current snapshot to the gateway's threads, which look at one atomic number for each request,
//! and drops what is no longer used on a thread of its own.
//!
//! A gateway in another process than its control plane is fed by a [`Remote`]: it asks the [`Outlet`] of the control plane
//! for what is new, verifies and compiles it here, and keeps a copy on disk from which it starts while everything else
//! is down.
//!
//! Deliberately absent: counters (they live outside, keyed by stable ids), the store, and who may ask an outlet.

mod api;
mod catalog;
mod compile;
mod consumer;
pub mod control;
mod copy;
mod error;
mod feed;
mod keys;
mod meter;
mod outlet;
mod plan;
pub mod remote;
mod routes;
mod shards;
pub mod source;
mod target;
pub mod wire;

pub use api::{CompiledApi, CompiledOperation, OpenedHeader};
pub use catalog::Routes;
pub use compile::{Snapshot, compile};
pub use consumer::{CompiledConsumer, CompiledSubscription};
pub use control::Control;
pub use copy::Refused;
pub use error::{Error, Fault, Object};
pub use feed::{Changes, Feed, Publisher, Reader};
pub use keys::{Identity, KeyEntry};
pub use meter::{CompiledMeter, Reading};
pub use outlet::{Has, Outlet, Prepared};
pub use plan::{CompiledAnonymous, CompiledPlan, CompiledProduct, OperationLimits};
pub use remote::Remote;
pub use routes::{Found, Route};
pub use target::{CompiledTarget, Scheme};
