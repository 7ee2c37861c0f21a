//! The journal through its public surface, on real files.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

mod appending;
mod crash;
mod damage;
mod desk;
mod faults;
mod power_loss;
mod producers;
mod room;
mod small_disk;
