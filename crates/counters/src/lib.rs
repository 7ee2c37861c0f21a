//! Exact counters of limits.
