//! What the gateway serves from.
