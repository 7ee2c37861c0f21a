//! What an apply would change: items in the order in which they are written.

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

/// Kind of a thing of the configuration. The order is the order of writing; removals run backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThingKind {
    /// Settings of the deployment.
    Settings,
    /// A meter.
    Meter,
    /// An API.
    Api,
    /// A product.
    Product,
    /// A plan, named `product/plan`.
    Plan,
    /// An account.
    Account,
    /// A consumer, named `account/consumer`.
    Consumer,
    /// A credential, named `account/consumer/` and the start of its hash.
    Credential,
    /// A subscription, named `account/consumer/product`.
    Subscription,
}

impl ThingKind {
    /// Whether things of this kind belong to customers: exported only when asked for, untouched by a rollback.
    pub(crate) const fn is_customers(self) -> bool {
        matches!(
            self,
            Self::Account | Self::Consumer | Self::Credential | Self::Subscription
        )
    }
}

/// What happens to a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    /// It is made.
    Create,
    /// It is changed.
    Update,
    /// It is taken away.
    Delete,
    /// It is taken out of sale; its subscribers keep what they have.
    Archive,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct Item {
    /// Kind of the thing.
    pub(crate) kind: ThingKind,
    /// Its name.
    pub(crate) name: String,
    /// Its name as the engine keeps it.
    #[serde(skip)]
    #[schema(ignore)]
    pub(crate) key: String,
    /// What happens to it.
    pub(crate) action: Action,
    /// The thing before; secrets are left out.
    #[schema(value_type = Option<Object>)]
    pub(crate) before: Option<Json>,
    /// The thing after; secrets are left out.
    #[schema(value_type = Option<Object>)]
    pub(crate) after: Option<Json>,
    /// Live subscriptions that the change is about.
    pub(crate) subscribers_affected: u64,
}

/// Everything that an apply changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, ToSchema)]
pub(crate) struct ChangeSet {
    /// The changes in the order in which they are written.
    pub(crate) items: Vec<Item>,
}

impl ChangeSet {
    /// Whether there is nothing to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
