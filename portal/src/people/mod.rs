//! People and their ways in: passwords, throttling, links that work once. Pages and the Admin API both stand on it.

pub(crate) mod password;
