//! Pages through the portal's socket: a real server on SQLite, and a browser that keeps cookies and reads forms.

#![expect(clippy::unwrap_used, reason = "a test crate: its helpers unwrap as its tests do")]

mod admin;
mod alerts;
mod app;
mod browser;
mod catalogue;
mod checks;
mod console;
mod corpus;
mod details;
mod finance;
mod finance_world;
mod framework;
mod keys;
mod manage;
mod people;
mod reference;
mod roles;
#[path = "../api/support.rs"]
mod support;
