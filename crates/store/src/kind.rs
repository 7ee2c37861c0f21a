//! The closed set of kinds that changes and audit events are about.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What kind of thing a change or an audit event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The whole configuration (a revision of it).
    Config,
    /// Settings of the deployment.
    Settings,
    /// An API.
    Api,
    /// A meter.
    Meter,
    /// A product.
    Product,
    /// A plan.
    Plan,
    /// A published version of a plan.
    PlanVersion,
    /// An encrypted secret.
    Secret,
    /// An account.
    Account,
    /// A member of an account.
    Member,
    /// An invitation.
    Invitation,
    /// A person who logs in.
    User,
    /// A token of the Admin API.
    Token,
    /// A consumer.
    Consumer,
    /// A credential.
    Credential,
    /// A subscription.
    Subscription,
    /// An invoice.
    Invoice,
    /// A credit note.
    CreditNote,
    /// A payment.
    Payment,
    /// A billing run.
    BillingRun,
    /// A tax rate, coupon or other object of money.
    Money,
    /// A gateway node.
    Node,
    /// A guide.
    Guide,
}

const KINDS: [(Kind, &str); 23] = [
    (Kind::Config, "config"),
    (Kind::Settings, "settings"),
    (Kind::Api, "api"),
    (Kind::Meter, "meter"),
    (Kind::Product, "product"),
    (Kind::Plan, "plan"),
    (Kind::PlanVersion, "plan_version"),
    (Kind::Secret, "secret"),
    (Kind::Account, "account"),
    (Kind::Member, "member"),
    (Kind::Invitation, "invitation"),
    (Kind::User, "user"),
    (Kind::Token, "token"),
    (Kind::Consumer, "consumer"),
    (Kind::Credential, "credential"),
    (Kind::Subscription, "subscription"),
    (Kind::Invoice, "invoice"),
    (Kind::CreditNote, "credit_note"),
    (Kind::Payment, "payment"),
    (Kind::BillingRun, "billing_run"),
    (Kind::Money, "money"),
    (Kind::Node, "node"),
    (Kind::Guide, "guide"),
];

impl Kind {
    /// Every kind, in the order of its declaration.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(|(kind, _)| *kind)
    }

    /// The name in the database and in answers.
    pub fn as_str(self) -> &'static str {
        KINDS
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }
}

impl Kind {
    /// Whether the gateways serve from things of this kind.
    pub(crate) fn is_served(self) -> bool {
        !matches!(
            self,
            Self::Config
                | Self::Member
                | Self::Invitation
                | Self::User
                | Self::Token
                | Self::Invoice
                | Self::CreditNote
                | Self::Payment
                | Self::BillingRun
                | Self::Money
                | Self::Node
                | Self::Guide
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        KINDS
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(kind, _)| *kind)
            .ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A text that names no member of a closed set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown name {0:?}")]
pub struct UnknownName(pub String);
