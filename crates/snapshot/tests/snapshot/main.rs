//! The snapshot through its public surface.

#[cfg(test)]
mod compiling;
#[cfg(test)]
mod feed;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod routing;
#[cfg(test)]
mod support;
