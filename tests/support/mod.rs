//! What journeys and fault tests share: the platform as a process, an upstream as a process of its own with a log of
//! the requests that it served, and clients that know what they saw.

#![expect(dead_code, reason = "every test binary uses its own part")]

pub mod api;
pub mod books;
pub mod chance;
pub mod client;
pub mod demo;
pub mod fleet;
pub mod guarded;
pub mod invoices;
pub mod load;
pub mod mime;
pub mod outbox;
pub mod platform;
pub mod ports;
pub mod power;
pub mod raw;
pub mod servers;
pub mod smtp;
pub mod surgery;
pub mod upstream;
pub mod wire;
pub mod world;
