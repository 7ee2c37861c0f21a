//! Runs billing: carries out what subscriptions have waiting, closes periods, and has every account billed.
//!
//! What is charged is decided by `domain`, what is written is one transaction of `store` for each account; here is only
//! when and for whom. A pass can be cut off anywhere and repeated: what was billed is not billed again. Any number of
//! workers may run at once. Deliberately absent: knowledge of how usage gets into the ledger ([`Freshness`] is asked).

mod pass;
mod worker;

pub use pass::{Failure, Report};
pub use worker::{Billing, BoxFuture, Error, Freshness, Handle, Hook, HookError, Parts, Reconciliation, Started};
