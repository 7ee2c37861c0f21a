//! Usage through a real broker, with every fault that may not cost or double a record. Each fault is tried once more with
//! its protection off: the same check must fail then, or it proves nothing.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod faults;
mod owners;
mod poison;
mod world;
