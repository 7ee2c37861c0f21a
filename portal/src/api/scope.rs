//! Scopes of tokens: what a token may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a scope is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Configuration: APIs, products, plans, settings.
    Config,
    /// Accounts with their members.
    Accounts,
    /// Consumers.
    Consumers,
    /// Credentials.
    Credentials,
    /// Subscriptions.
    Subscriptions,
    /// Usage.
    Usage,
    /// Invoices.
    Invoices,
    /// Billing runs, revenue, objects of money.
    Billing,
    /// The audit log.
    Audit,
    /// Staff and tokens.
    Users,
}

/// Reading, or changing as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Reading.
    Read,
    /// Changing; includes reading.
    Write,
}

/// One scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// `{area}:{read,write}`.
    Area(Area, Access),
    /// `gateways:connect`: the snapshot feed.
    GatewaysConnect,
}

const AREAS: [(Area, &str); 10] = [
    (Area::Config, "config"),
    (Area::Accounts, "accounts"),
    (Area::Consumers, "consumers"),
    (Area::Credentials, "credentials"),
    (Area::Subscriptions, "subscriptions"),
    (Area::Usage, "usage"),
    (Area::Invoices, "invoices"),
    (Area::Billing, "billing"),
    (Area::Audit, "audit"),
    (Area::Users, "users"),
];

const CONNECT: &str = "gateways:connect";

impl Scope {
    /// Every scope.
    pub fn all() -> BTreeSet<Self> {
        let areas = AREAS
            .iter()
            .flat_map(|(area, _)| [Self::Area(*area, Access::Read), Self::Area(*area, Access::Write)]);
        areas.chain([Self::GatewaysConnect]).collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GatewaysConnect => f.write_str(CONNECT),
            Self::Area(area, access) => {
                let name = AREAS
                    .iter()
                    .find(|(known, _)| known == area)
                    .map_or("", |(_, name)| name);
                let access = match access {
                    Access::Read => "read",
                    Access::Write => "write",
                };
                write!(f, "{name}:{access}")
            }
        }
    }
}

/// The text is not a scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope {0:?}: write one such as `consumers:read`, or `gateways:connect`")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::all()
            .into_iter()
            .find(|scope| scope.to_string() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Whether a set of scopes covers one: writing covers reading of the same area.
pub(crate) fn covers(granted: &BTreeSet<Scope>, wanted: Scope) -> bool {
    granted.contains(&wanted)
        || matches!(wanted, Scope::Area(area, Access::Read) if granted.contains(&Scope::Area(area, Access::Write)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_reads_as_it_is_written() {
        assert_eq!(Scope::all().len(), 21);
        for scope in Scope::all() {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("config:admin".parse::<Scope>().is_err());
    }

    #[test]
    fn writing_covers_reading_of_the_same_area_alone() {
        let granted = BTreeSet::from([Scope::Area(Area::Usage, Access::Write)]);
        assert!(covers(&granted, Scope::Area(Area::Usage, Access::Read)));
        assert!(!covers(&granted, Scope::Area(Area::Audit, Access::Read)));
        let reader = BTreeSet::from([Scope::Area(Area::Usage, Access::Read)]);
        assert!(!covers(&reader, Scope::Area(Area::Usage, Access::Write)));
    }
}
