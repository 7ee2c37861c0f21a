//! Counters through their public surface.

mod address;
mod model;
mod stress;
mod support;
mod windows;
