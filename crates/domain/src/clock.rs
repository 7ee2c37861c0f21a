//! The domain clock: wall time for events, periods, quota windows and expiry.
//!
//! Every role of a process reads the same [`Clock`]. Latency, timeouts and the refill of rates use the monotonic clock
//! of the standard library instead and do not follow this one.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// An instant in milliseconds since 1970-01-01T00:00:00Z. Serialised as RFC 3339 in UTC for people, as an integer in
/// binary formats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a time of RFC 3339 such as 2026-11-01T00:00:00Z")]
pub struct ParseTimestampError;

const MIN_MILLIS: i64 = -62_135_596_800_000; // 0001-01-01T00:00:00Z
const MAX_MILLIS: i64 = 253_402_207_200_000; // the last instant that every zone can still show

impl Timestamp {
    /// The instant so many milliseconds after the epoch, held within the years 1 to 9999.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < MIN_MILLIS {
            Self(MIN_MILLIS)
        } else if millis > MAX_MILLIS {
            Self(MAX_MILLIS)
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This instant moved by so many milliseconds, held within the years 1 to 9999.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The same instant as a `jiff` timestamp.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// From a `jiff` timestamp, cut to the millisecond.
    pub fn from_jiff(instant: jiff::Timestamp) -> Self {
        Self::from_millis(instant.as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.to_jiff())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, ParseTimestampError> {
        text.parse::<jiff::Timestamp>()
            .map(Self::from_jiff)
            .map_err(|_| ParseTimestampError)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self::from_millis)
        }
    }
}

/// Why the test clock did not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// The clock never goes back.
    #[error("the clock stands at {now} and never goes back to {to}")]
    Backwards {
        /// What the clock shows.
        now: Timestamp,
        /// What was asked for.
        to: Timestamp,
    },
}

const RUNNING: i64 = i64::MIN;

#[derive(Debug)]
struct State {
    offset_ms: AtomicI64,
    frozen_at_ms: AtomicI64,
}

/// The wall clock of the domain. Clones share one state.
#[derive(Debug, Clone)]
pub struct Clock(Arc<State>);

impl Clock {
    /// The operating system's clock, which a test may move forwards with [`Clock::advance`].
    pub fn system() -> Self {
        Self(Arc::new(State {
            offset_ms: AtomicI64::new(0),
            frozen_at_ms: AtomicI64::new(RUNNING),
        }))
    }

    /// A clock that stands at `now` until it is advanced.
    pub fn frozen(now: Timestamp) -> Self {
        Self(Arc::new(State {
            offset_ms: AtomicI64::new(0),
            frozen_at_ms: AtomicI64::new(now.0),
        }))
    }

    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        let frozen = self.0.frozen_at_ms.load(Ordering::Acquire);
        if frozen != RUNNING {
            return Timestamp::from_millis(frozen);
        }
        Timestamp::from_millis(system_millis().saturating_add(self.0.offset_ms.load(Ordering::Acquire)))
    }

    /// Moves the clock to `to`, where it stands (`freeze`) or from where it runs on.
    ///
    /// # Errors
    /// [`AdvanceError::Backwards`] when `to` lies before what the clock shows.
    pub fn advance(&self, to: Timestamp, freeze: Freeze) -> Result<(), AdvanceError> {
        let now = self.now();
        if to < now {
            return Err(AdvanceError::Backwards { now, to });
        }
        match freeze {
            Freeze::Stand => self.0.frozen_at_ms.store(to.0, Ordering::Release),
            Freeze::Run => {
                self.0
                    .offset_ms
                    .store(to.0.saturating_sub(system_millis()), Ordering::Release);
                self.0.frozen_at_ms.store(RUNNING, Ordering::Release);
            }
        }
        Ok(())
    }
}

/// How a test clock stands, for other processes that follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Reading {
    /// Milliseconds ahead of the operating system's clock while it runs.
    pub offset_ms: i64,
    /// Where it stands, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen_at: Option<Timestamp>,
}

impl Clock {
    /// How it stands.
    pub fn reading(&self) -> Reading {
        let frozen = self.0.frozen_at_ms.load(Ordering::Acquire);
        Reading {
            offset_ms: self.0.offset_ms.load(Ordering::Acquire),
            frozen_at: (frozen != RUNNING).then(|| Timestamp::from_millis(frozen)),
        }
    }

    /// Stands as the clock of another process does.
    pub fn follow(&self, reading: Reading) {
        self.0.offset_ms.store(reading.offset_ms, Ordering::Release);
        let frozen = reading.frozen_at.map_or(RUNNING, Timestamp::as_millis);
        self.0.frozen_at_ms.store(frozen, Ordering::Release);
    }
}

/// Whether the clock stands or runs on after [`Clock::advance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// It stands until the next advance.
    Stand,
    /// It runs on.
    Run,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the domain clock is the one reader of the operating system's clock"
)]
fn system_millis() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_frozen_clock_stands_until_it_is_advanced() {
        let clock = Clock::frozen(at("2026-11-01T03:59:59.999Z"));
        assert_eq!(clock.now(), at("2026-11-01T03:59:59.999Z"));
        clock.advance(at("2026-11-01T04:00:00Z"), Freeze::Stand).unwrap();
        assert_eq!(clock.now().to_string(), "2026-11-01T04:00:00.000Z");
    }

    #[test]
    fn the_clock_never_goes_back() {
        let clock = Clock::frozen(at("2026-11-01T04:00:00Z"));
        assert!(clock.advance(at("2026-11-01T03:59:59.999Z"), Freeze::Run).is_err());
    }

    #[test]
    fn an_advanced_clock_runs_on() {
        let clock = Clock::system();
        let to = clock.now().plus_millis(86_400_000);
        clock.advance(to, Freeze::Run).unwrap();
        assert!(clock.now() >= to);
        assert!(clock.now().millis_since(to) < 60_000);
    }

    #[test]
    fn far_times_stay_within_what_every_zone_can_show() {
        assert!(Timestamp::from_millis(i64::MAX).to_string().starts_with("9999-"));
        assert!(Timestamp::from_millis(i64::MIN).to_string().starts_with("0001-"));
    }
}
