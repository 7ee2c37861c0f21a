//! Billing end to end: subscriptions and ledger totals in, documents out, through the store and the billing service.

#![expect(clippy::unwrap_used, reason = "a test crate: its helpers unwrap as its tests do")]

mod changes;
mod documents;
mod histories;
mod late;
mod periods;
mod prices;
mod running;
mod world;
