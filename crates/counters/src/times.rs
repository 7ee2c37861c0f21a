//! The two clocks of an admission, read once by the caller.

use domain::clock::Timestamp;

/// One instant on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Nanoseconds of the monotonic clock since any fixed origin of the process.
    pub mono_ns: u64,
    /// The domain clock: the request's `admitted_at`.
    pub wall: Timestamp,
}
