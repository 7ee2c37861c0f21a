//! The portal as people meet it: a real browser against the real program, over HTTP.
//!
//! Needs `chromium`, `chromedriver` and, for the rules of accessibility, the path of `axe.min.js` in `TOLLGATE_AXE`.
//! Where one is missing a test says by name what it skipped; with `CI=true` it fails. With `TOLLGATE_SCREENSHOTS` set to a
//! folder, tests leave pictures there, and `screenshots` takes one of every page.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "in a test a panic is a finding, and clock and environment are the machine's"
)]
#![expect(dead_code, reason = "the harness has more than the journeys of today need")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod browser;
mod checks;
mod developer;
mod driver;
mod empty;
mod finance;
mod guards;
mod html;
mod mails;
mod manager;
mod pages;
mod people;
mod reference;
mod screenshots;
mod site;
mod visitor;

/// The process that [`support::upstream::Upstream`] starts.
#[test]
fn upstream_process() {
    support::upstream::run_if_asked();
}
