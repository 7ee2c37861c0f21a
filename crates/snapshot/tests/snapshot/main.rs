//! The snapshot through its public surface.

mod compiling;
mod feed;
mod identity;
mod routing;
mod support;
