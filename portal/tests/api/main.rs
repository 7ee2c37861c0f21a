//! The portal through its socket: a real server on SQLite, real requests.

mod configuration;
mod customers;
mod hostile;
mod isolation;
mod pages;
mod publishing;
mod support;
