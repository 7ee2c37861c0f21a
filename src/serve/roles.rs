//! Which services a process runs, and what that asks of its configuration.

use super::Error;
use crate::config::Config;

/// Services of one process.
#[expect(clippy::struct_excessive_bools, reason = "each role is there or not, independently")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    pub(super) gateway: bool,
    pub(super) portal: bool,
    pub(super) metering: bool,
    pub(super) billing: bool,
}

impl Roles {
    /// All of them.
    pub(crate) const ALL: Self = Self {
        gateway: true,
        portal: true,
        metering: true,
        billing: true,
    };

    /// From their names.
    ///
    /// # Errors
    /// A name that is no role, or none at all.
    pub(crate) fn parse(names: &[String]) -> Result<Self, String> {
        let mut roles = Self {
            gateway: false,
            portal: false,
            metering: false,
            billing: false,
        };
        for name in names {
            match name.trim() {
                "gateway" => roles.gateway = true,
                "portal" => roles.portal = true,
                "metering" => roles.metering = true,
                "billing" => roles.billing = true,
                other => {
                    return Err(format!(
                        "{other} is not a role: write gateway, portal, metering, billing"
                    ));
                }
            }
        }
        Ok(roles)
    }

    /// Whether the process has the relational store open.
    pub(super) const fn has_store(self) -> bool {
        self.portal || self.metering || self.billing
    }

    /// What must be true before the process is ready.
    pub(super) fn conditions(self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("snapshot", self.gateway),
            ("gateway", self.gateway),
            ("journal replayed", self.gateway && self.metering),
            ("metering", self.metering),
            ("billing", self.billing),
            ("portal", self.portal),
        ];
        all.into_iter().filter_map(|(name, runs)| runs.then_some(name))
    }

    /// Whether the configuration connects these roles to those that run elsewhere.
    ///
    /// # Errors
    /// Everything that is missing, one a line.
    pub(super) fn check(self, config: &Config) -> Result<(), Error> {
        let mut missing = Vec::new();
        let postgres = config
            .store_url
            .as_deref()
            .is_some_and(|url| url.starts_with("postgres"));
        if self.has_store() && !(self.portal && self.metering && self.billing) && !postgres {
            missing
                .push("store.url: portal, metering and billing in different processes share a postgres://… database");
        }
        if self.gateway != self.metering && config.usage_kafka.is_none() {
            missing.push("usage.url: a gateway and metering in different processes need kafka://…");
        }
        if self.portal != self.metering && config.analytics_url.is_none() {
            missing.push("analytics.url: portal and metering in different processes need clickhouse+http://…");
        }
        if self.gateway && !self.portal {
            if config.control_url.is_none() {
                missing.push("control.url: a gateway without the portal gets its snapshot from there");
            }
            if config.control_token.is_empty() {
                missing.push("control.token: a token of scope gateways:connect, made with POST /api/v1/tokens");
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::Roles(missing.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_by_name_and_others_refused() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Roles::parse(&names("gateway,portal,metering,billing")), Ok(Roles::ALL));
        let gateway = Roles::parse(&names("gateway")).unwrap();
        assert!(gateway.gateway && !gateway.has_store());
        assert!(
            Roles::parse(&names("gatway"))
                .unwrap_err()
                .contains("gatway is not a role")
        );
    }
}
