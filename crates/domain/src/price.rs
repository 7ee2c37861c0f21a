//! The price of a plan, as written in files.
