//! Tracing and Prometheus set-up.
