//! References of real, hostile and random documents, through the public surface.
#![expect(clippy::unwrap_used, reason = "in a test a panic is a finding")]

mod examples;
mod hostile;
mod pages;
mod samples;
mod search;
mod support;
