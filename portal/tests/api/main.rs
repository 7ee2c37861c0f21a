//! The portal through its socket: a real server on SQLite, real requests.

#![expect(clippy::unwrap_used, reason = "a test crate: its helpers unwrap as its tests do")]

mod configuration;
mod customers;
mod feed;
mod hostile;
mod isolation;
mod money;
mod pages;
mod publishing;
mod rules;
mod rules_in_force;
mod support;
