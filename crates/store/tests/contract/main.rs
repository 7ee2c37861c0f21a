//! Every public method of the store, on SQLite always and on Postgres where there is a server. This is the schema check.

mod audit;
mod base;
mod configuration;
mod consumers;
mod fixture;
mod idempotency;
mod migrations;
mod people;
mod subscriptions;
