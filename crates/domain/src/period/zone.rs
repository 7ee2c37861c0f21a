//! Time zones of the IANA database, by name. The database is part of the program.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::clock::Timestamp;

/// A time zone such as `America/New_York`. Serialised as its name.
#[derive(Clone)]
pub struct Zone(TimeZone);

/// A name that is no time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a time zone of the IANA database: write a name such as UTC, Europe/Berlin or America/New_York")]
pub struct UnknownZone;

impl Zone {
    /// UTC.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The name in the IANA database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date that calendars of the zone show.
    pub fn date_at(&self, instant: Timestamp) -> Date {
        self.local(instant).date()
    }

    /// What clocks of the zone show.
    pub fn local(&self, instant: Timestamp) -> DateTime {
        self.0.to_datetime(instant.to_jiff())
    }

    /// The instant at which clocks of the zone show a time: the later one where they skip it, the earlier one where
    /// they show it twice (the "compatible" rule of RFC 5545). `None` outside the years 1 to 9999.
    pub fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let instant = self.0.to_ambiguous_timestamp(local).compatible().ok()?;
        let within = Timestamp::from_jiff(instant);
        (within.as_millis() == instant.as_millisecond()).then_some(within)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        let zone = TimeZone::get(name).map_err(|_| UnknownZone)?;
        if zone.is_unknown() || zone.iana_name().is_none() {
            Err(UnknownZone)
        } else {
            Ok(Self(zone))
        }
    }
}

impl serde::Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}
