//! Ids, money, keys, plans, limits, prices, usage, clock: pure, no I/O.
