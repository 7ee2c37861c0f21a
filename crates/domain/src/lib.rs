//! Ids, money, keys, plans, limits, prices, usage, clock: pure, no I/O.

pub mod billable;
pub mod clock;
pub mod histogram;
pub mod ids;
pub mod key;
pub mod money;
pub mod period;
pub mod price;
pub mod quantity;
pub mod random;
pub mod rating;
pub mod span;
pub mod subscription;
pub mod usage;
