//! Which services a process runs.

/// Services of one process.
#[expect(clippy::struct_excessive_bools, reason = "each role is there or not, independently")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Roles {
    gateway: bool,
    portal: bool,
    metering: bool,
    billing: bool,
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
    /// A name that is no role, or a set that cannot run yet.
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
        if roles == Self::ALL {
            return Ok(roles);
        }
        Err("a process runs all four roles: splitting them is not supported yet".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_roles_run_in_one_process_and_others_are_refused_with_a_reason() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(Roles::parse(&names("gateway,portal,metering,billing")), Ok(Roles::ALL));
        assert!(
            Roles::parse(&names("gateway"))
                .unwrap_err()
                .contains("not supported yet")
        );
        assert!(
            Roles::parse(&names("gatway"))
                .unwrap_err()
                .contains("gatway is not a role")
        );
    }
}
