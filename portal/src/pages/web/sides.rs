//! The side navigations of the sections that several folders of pages share.

use store::Membership;

use super::shell::Side;
use super::visitor::Member;

/// The section of an organisation's members.
pub(crate) fn app(member: &Member) -> Side {
    section(&member.account_name)
}

/// The same for a page that everyone who is signed in may open.
pub(crate) fn of(membership: &Membership) -> Side {
    section(&membership.account_name)
}

fn section(organisation: &str) -> Side {
    Side::new(
        organisation,
        &[
            (
                None,
                &[
                    ("/app", "Overview"),
                    ("/app/apps", "Apps"),
                    ("/app/usage", "Usage"),
                    ("/app/logs", "Request log"),
                ],
            ),
            (
                Some("Organisation"),
                &[
                    ("/app/billing", "Billing"),
                    ("/app/team", "Team"),
                    ("/app/settings", "Settings"),
                    ("/app/security", "Security"),
                ],
            ),
        ],
    )
}
