//! Which outcomes are billed.
