//! Counters through their public surface.

#[cfg(test)]
mod address;
#[cfg(test)]
mod model;
#[cfg(test)]
mod stress;
#[cfg(test)]
mod support;
#[cfg(test)]
mod windows;
