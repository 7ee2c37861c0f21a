//! Counters that several nodes share, on every kind of table. Tests of Redis start servers of their own
//! (`tests/servers/redis.sh`); without the programs they are named as skipped, with `CI=true` they fail.

#![cfg(test)]

mod contract;
mod faults;
mod races;
mod servers;
mod support;
