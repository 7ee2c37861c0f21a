//! Every public method of the store, on SQLite always and on Postgres where there is a server. This is the schema check.

#![expect(clippy::unwrap_used, reason = "a test crate: its helpers unwrap as its tests do")]

mod audit;
mod base;
mod billing;
mod configuration;
mod consumers;
mod fixture;
mod idempotency;
mod ledger;
mod managing;
mod migrations;
mod people;
mod plan_subscribers;
mod positions;
mod reading;
mod subscriptions;
