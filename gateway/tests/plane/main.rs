//! The data plane through its sockets.

#[cfg(test)]
mod abort;
#[cfg(test)]
mod client;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod load;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sharing;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod upstreams;
#[cfg(test)]
mod world;
