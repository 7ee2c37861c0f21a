//! Who may open a page.

use axum::http::Method;
use store::{AccountRole, StaffRole};

use super::visitor::Person;

/// Every role of an account.
pub(crate) const READERS: &[AccountRole] = &[
    AccountRole::Owner,
    AccountRole::Developer,
    AccountRole::Billing,
    AccountRole::Viewer,
];
/// Who makes apps, keys and subscriptions.
pub(crate) const BUILDERS: &[AccountRole] = &[AccountRole::Owner, AccountRole::Developer];
/// Who sees to invoices and payment.
pub(crate) const PAYERS: &[AccountRole] = &[AccountRole::Owner, AccountRole::Billing];
/// Who decides about the organisation and its people.
pub(crate) const OWNERS: &[AccountRole] = &[AccountRole::Owner];

/// A section of the provider's staff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// Products, plans, approvals.
    Manage,
    /// Invoices, revenue.
    Finance,
    /// Consumers, analytics, people, settings.
    Admin,
}

impl Section {
    /// The role that it belongs to.
    pub const fn role(self) -> StaffRole {
        match self {
            Self::Manage => StaffRole::ProductManager,
            Self::Finance => StaffRole::Finance,
            Self::Admin => StaffRole::Admin,
        }
    }

    /// Where it begins.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Manage => "/manage",
            Self::Finance => "/finance",
            Self::Admin => "/admin",
        }
    }

    /// Whether someone with these roles may do this here. Support reads everything and changes nothing.
    pub fn allows(self, roles: &[StaffRole], method: &Method) -> bool {
        roles.contains(&StaffRole::Admin)
            || roles.contains(&self.role())
            || (roles.contains(&StaffRole::Support) && method == Method::GET)
    }
}

/// Who may open a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everyone.
    Public,
    /// Whoever is signed in.
    SignedIn,
    /// Members of the current organisation with one of these roles.
    Member(&'static [AccountRole]),
    /// Staff of a section.
    Staff(Section),
}

/// What happens to a visitor at the door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Door {
    /// They come in.
    Open,
    /// They are asked to log in first.
    LogIn,
    /// They have no organisation: they are sent to where they may go.
    Elsewhere(&'static str),
    /// They may not; the text names the role that may.
    Closed(String),
}

impl Access {
    /// What happens to this visitor.
    pub(crate) fn door(self, person: Option<&Person>, method: &Method) -> Door {
        let Some(person) = person else {
            return if self == Self::Public { Door::Open } else { Door::LogIn };
        };
        match self {
            Self::Public | Self::SignedIn => Door::Open,
            Self::Member(roles) => match &person.membership {
                None => Door::Elsewhere(first_section(&person.user.staff_roles)),
                Some(membership) if roles.contains(&membership.role) => Door::Open,
                Some(membership) => Door::Closed(format!(
                    "Your role in {} is {}. This needs {}; an owner of the organisation can give it to you on the Team page.",
                    membership.account_name,
                    membership.role.as_str(),
                    either(roles.iter().map(|role| role.as_str()))
                )),
            },
            Self::Staff(section) if section.allows(&person.user.staff_roles, method) => Door::Open,
            Self::Staff(section) => Door::Closed(format!(
                "This needs the staff role {}. An administrator can give it to you.",
                role_name(section.role())
            )),
        }
    }
}

/// The name of a staff role for people.
pub(crate) const fn role_name(role: StaffRole) -> &'static str {
    match role {
        StaffRole::Admin => "admin",
        StaffRole::ProductManager => "product manager",
        StaffRole::Finance => "finance",
        StaffRole::Support => "support",
    }
}

/// Where someone without an organisation begins.
pub(crate) fn first_section(roles: &[StaffRole]) -> &'static str {
    [Section::Admin, Section::Manage, Section::Finance]
        .into_iter()
        .find(|section| section.allows(roles, &Method::GET))
        .map_or("/organisation/new", Section::path)
}

fn either<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" or ")
}
