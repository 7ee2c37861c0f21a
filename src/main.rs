//! Tollgate: one binary.
fn main() {}
