//! Input rows: what the control plane fills from its store and sends as changes.
//!
//! Rows refer to each other by id; names are for facts, headers and people. Of secrets there are only hashes and sealed
//! values.

use domain::clock::Timestamp;
use domain::config::{AnonymousBy, Api, Meter};
use domain::cycle::CycleRecord;
use domain::ids::{
    AccountId, ApiId, ConsumerId, CredentialId, MeterId, PlanId, PlanVersionId, ProductId, SubscriptionId,
};
use domain::key::{KeyHash, Mode};
use domain::limit::LimitEntry;
use domain::price::Price;
use domain::sealed::Sealed;
use domain::subscription::{ConsumerStatus, SubscriptionStatus};
use serde::{Deserialize, Serialize};

/// An API with its operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiRecord {
    /// Id.
    pub id: ApiId,
    /// What is configured, without the document (`openapi`) and without secrets.
    pub spec: Api,
    /// Operations of the document.
    pub operations: Vec<OperationRecord>,
    /// The value of `spec.upstream.auth`, sealed for [`upstream_auth_context`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_auth: Option<Sealed>,
}

/// The context for which the value of an API's upstream header is sealed.
pub fn upstream_auth_context(api: ApiId) -> String {
    format!("api/{api}/upstream-auth")
}

/// An operation of an API's document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRecord {
    /// The operationId, or `GET /path` where that is absent or repeated.
    pub key: String,
    /// HTTP method; compared in upper case.
    pub method: String,
    /// The document's path key.
    pub path_key: String,
}

/// A meter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterRecord {
    /// Id.
    pub id: MeterId,
    /// What is counted.
    pub spec: Meter,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRecord {
    /// Id.
    pub id: ProductId,
    /// Name.
    pub name: String,
    /// Its APIs.
    pub apis: Vec<ApiId>,
    /// Which product pays where several cover an operation: the lowest.
    pub priority: i32,
}

/// A published version of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanVersionRecord {
    /// Id of the version.
    pub id: PlanVersionId,
    /// Id of the plan.
    pub plan: PlanId,
    /// Its product.
    pub product: ProductId,
    /// Name of the plan.
    pub name: String,
    /// Number of the version.
    pub version: u32,
    /// Limits.
    pub limits: Vec<LimitEntry>,
    /// Meters that the price counts; see [`priced_meters`].
    #[serde(default)]
    pub priced: Vec<PricedMeter>,
}

/// What the gateway needs to know of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedMeter {
    /// Name of the meter.
    pub meter: String,
    /// Units without charge: the maximum of a quota that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<u64>,
}

/// What the gateway needs to know of a price.
pub fn priced_meters(price: &Price) -> Vec<PricedMeter> {
    price
        .usage
        .iter()
        .map(|usage| PricedMeter {
            meter: usage.meter.clone(),
            included: usage.included,
        })
        .collect()
}

/// The plan of callers without a credential; at most one an API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnonymousRecord {
    /// The API.
    pub api: ApiId,
    /// The plan version in force.
    pub plan_version: PlanVersionId,
    /// What one caller is.
    #[serde(default)]
    pub by: AnonymousBy,
}

/// A consumer with its subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRecord {
    /// Id.
    pub id: ConsumerId,
    /// Name.
    pub name: String,
    /// Its account.
    pub account: AccountId,
    /// State.
    pub status: ConsumerStatus,
    /// Its subscriptions, in any order.
    pub subscriptions: Vec<SubscriptionRecord>,
}

/// A subscription of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    /// Id.
    pub id: SubscriptionId,
    /// The plan version in force.
    pub plan_version: PlanVersionId,
    /// Ordinal of the segment of its timeline in force (one for each plan change), from 0.
    #[serde(default)]
    pub segment: u32,
    /// State.
    pub status: SubscriptionStatus,
    /// Until when a past due subscription is served.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Timestamp>,
    /// Its usage periods.
    pub cycle: CycleRecord,
    /// When it was made: the oldest pays.
    pub created_at: Timestamp,
}

/// A credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Id.
    pub id: CredentialId,
    /// SHA-256 of the key.
    pub hash: KeyHash,
    /// Live or test.
    pub mode: Mode,
    /// Whose. A key whose consumer is not there is unknown.
    pub consumer: ConsumerId,
    /// Products that it opens; empty opens all of the consumer's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<ProductId>,
    /// The end of its life (also of a rotated key's overlap).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// A revoked key is unknown.
    #[serde(default)]
    pub revoked: bool,
}

/// One change. Of several changes of one object the last counts; the order of different objects does not matter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", content = "of", rename_all = "snake_case")]
pub enum Change {
    /// An API is new or different.
    UpsertApi(Box<ApiRecord>),
    /// An API is gone.
    RemoveApi(ApiId),
    /// A meter is new or different.
    UpsertMeter(MeterRecord),
    /// A meter is gone.
    RemoveMeter(MeterId),
    /// A product is new or different.
    UpsertProduct(ProductRecord),
    /// A product is gone.
    RemoveProduct(ProductId),
    /// A plan version is new or different.
    UpsertPlanVersion(PlanVersionRecord),
    /// A plan version is gone.
    RemovePlanVersion(PlanVersionId),
    /// An API's anonymous plan is new or different.
    UpsertAnonymous(AnonymousRecord),
    /// An API has no anonymous plan any more.
    RemoveAnonymous(ApiId),
    /// A consumer is new or different.
    UpsertConsumer(ConsumerRecord),
    /// A consumer is gone.
    RemoveConsumer(ConsumerId),
    /// A credential is new or different.
    UpsertKey(KeyRecord),
    /// A credential is gone.
    RemoveKey(CredentialId),
}
