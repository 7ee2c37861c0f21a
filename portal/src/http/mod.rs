//! What every answer and every body of this server has in common: problems, strict JSON, cursors, security headers,
//! connections.
//!
//! Deliberately absent: anything that knows a resource.

pub(crate) mod body;
pub(crate) mod cursor;
pub(crate) mod headers;
pub(crate) mod listen;
pub(crate) mod nearest;
pub(crate) mod problem;
pub(crate) mod query;
pub(crate) mod strict;
