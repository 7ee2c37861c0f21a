//! The data plane through its sockets.

mod abort;
mod client;
mod flow;
mod identity;
mod load;
mod refusals;
mod upstream;
mod upstreams;
mod world;
