//! A console as a plain form: a request of an operation, sent from here through this deployment's gateway with a key of
//! the reader's own app, so that it is admitted, counted and shown in the log as any other.
//!
//! Invariants: nothing but the gateway is ever called, and no redirect is followed; the key lives five minutes at most,
//! is revoked as soon as the answer is there, and stands on no page and in no log; what the answer holds of it is blotted
//! out. Only people who may make keys of the organisation may send.

mod client;
mod form;
mod send;

pub(super) use form::show;
pub(super) use send::send;
