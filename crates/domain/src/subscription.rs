//! States of subscriptions and consumers, and what the gateway makes of them.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in files, APIs and databases.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The value of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

words! {
    /// State of a subscription.
    SubscriptionStatus {
        /// Waits for a manager.
        PendingApproval = "pending_approval",
        /// Waits for a first payment.
        PendingPayment = "pending_payment",
        /// In its trial.
        Trialing = "trialing",
        /// In force.
        Active = "active",
        /// A payment is overdue.
        PastDue = "past_due",
        /// Paused.
        Paused = "paused",
        /// Ended.
        Cancelled = "cancelled",
        /// Refused by a manager.
        Rejected = "rejected",
    }

    /// State of a consumer.
    ConsumerStatus {
        /// May call.
        Active = "active",
        /// Refused at the gateway.
        Suspended = "suspended",
    }

    /// Where a configuration object came from; prune touches only `file`.
    Origin {
        /// Files of `apply`.
        File = "file",
        /// The Admin API.
        Api = "api",
        /// The portal's pages.
        Portal = "portal",
    }

    /// How a plan takes subscribers.
    Approval {
        /// At once.
        Automatic = "automatic",
        /// After a manager's decision.
        Manual = "manual",
    }

    /// What happens to existing subscribers when a plan is edited.
    Migrate {
        /// They stay on their version.
        Never = "never",
        /// They move at the end of their period.
        PeriodEnd = "period_end",
        /// They move at once.
        Now = "now",
    }

    /// Who sees a product.
    Visibility {
        /// Everyone.
        Public = "public",
        /// Whoever has the address.
        Unlisted = "unlisted",
        /// The accounts of its audience.
        Private = "private",
    }
}

/// What the gateway does with a request that a subscription would pay for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Serve.
    Served,
    /// 402 `payment-required`.
    PaymentRequired,
    /// 403 `subscription-inactive`.
    Inactive,
}

/// Whether a past due subscription is still within its grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grace {
    /// Within it.
    Running,
    /// After it.
    Over,
}

impl SubscriptionStatus {
    /// Whether the subscription occupies the one place a consumer has for a product.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Cancelled | Self::Rejected)
    }

    /// What the gateway does.
    pub const fn access(self, grace: Grace) -> Access {
        match (self, grace) {
            (Self::Trialing | Self::Active, _) | (Self::PastDue, Grace::Running) => Access::Served,
            (Self::PendingPayment, _) | (Self::PastDue, Grace::Over) => Access::PaymentRequired,
            (Self::PendingApproval | Self::Paused | Self::Cancelled | Self::Rejected, _) => Access::Inactive,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_are_one_to_one() {
        for status in SubscriptionStatus::ALL {
            assert_eq!(SubscriptionStatus::from_word(status.as_str()), Some(*status));
        }
        assert_eq!(SubscriptionStatus::from_word("Active"), None);
    }

    #[test]
    fn past_due_is_served_only_within_its_grace() {
        assert_eq!(SubscriptionStatus::PastDue.access(Grace::Running), Access::Served);
        assert_eq!(SubscriptionStatus::PastDue.access(Grace::Over), Access::PaymentRequired);
        assert_eq!(SubscriptionStatus::Paused.access(Grace::Running), Access::Inactive);
    }
}
