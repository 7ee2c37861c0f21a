//! Hostile clients against the platform as a process, in front of an upstream that logs every byte it receives.
//!
//! What the upstream saw decides, not what the gateway answered. Each check that could pass by accident has a control
//! in which it must fail.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod connections;
mod credentials;
mod desync;
mod http2;
mod identity;
mod paths;
mod secrets;
mod slow;
mod world;

#[test]
fn raw_upstream_process() {
    support::raw::run_if_asked();
}
