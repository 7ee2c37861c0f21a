//! Ids, money, keys, plans, limits, prices, usage, clock: pure, no I/O.

pub mod billable;
pub mod charge;
pub mod clock;
pub mod config;
pub mod cycle;
pub mod enforce;
pub mod histogram;
pub mod ids;
pub mod invoice;
pub mod key;
pub mod limit;
pub mod money;
pub mod path;
pub mod period;
pub mod price;
pub mod quantity;
pub mod random;
pub mod rating;
pub mod sealed;
pub mod span;
pub mod subscription;
pub mod usage;
pub mod validate;
