//! Tracing and Prometheus set-up.
//!
//! Logs go to standard error as text or as one JSON object a line. Whoever logs is responsible for leaving secrets
//! out; nothing here redacts.

mod log;
mod metrics;

pub use log::{Error, Format, Logs};
pub use metrics::{Metrics, TEXT_FORMAT};
