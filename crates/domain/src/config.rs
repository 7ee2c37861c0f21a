//! The configuration as files and the Admin API carry it: one document of APIs, meters, products with plans, accounts,
//! consumers and settings.
//!
//! These types say what may be written; unknown keys are errors. Whether a document makes sense as a whole is decided
//! by [`crate::validate`].

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::key::{KeyHash, Mode};
use crate::limit::LimitEntry;
use crate::price::Price;
use crate::span::Span;
use crate::subscription::{Approval, Migrate, Visibility};

mod settings;

pub use settings::{BillingSettings, ProrationUnit, Settings, Signup};

/// A whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// APIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apis: Vec<Api>,
    /// Meters; `requests` exists without being written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<Meter>,
    /// Products with their plans.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<Product>,
    /// Accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    /// Consumers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consumers: Vec<Consumer>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub billable_policies: Vec<serde_json::Value>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coupons: Vec<serde_json::Value>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_rates: Vec<serde_json::Value>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partners: Vec<serde_json::Value>,
    /// Settings of the deployment.
    #[serde(default, skip_serializing_if = "Settings::is_default")]
    pub settings: Settings,
}

/// An API and where it is served from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Unique name.
    pub name: String,
    /// Version shown to readers.
    #[serde(default = "default_version", deserialize_with = "text_or_number")]
    pub version: String,
    /// Title; the document's own unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The OpenAPI document inline. In files a path may stand here, which the command replaces by the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openapi: Option<serde_json::Value>,
    /// Prefix of every route; `/` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
    /// Host names; any host unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Whether the prefix is removed before the upstream sees the path.
    #[serde(default = "yes")]
    pub strip_base_path: bool,
    /// Where requests go.
    pub upstream: Upstream,
    /// Accepted kinds of credential; the first that fits wins.
    #[serde(default = "api_key_only")]
    pub auth: Vec<AuthMethod>,
    /// Where an API key may be found.
    #[serde(default, skip_serializing_if = "KeyLocation::is_default")]
    pub api_key: KeyLocation,
    /// Plan for callers without a credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<Anonymous>,
    /// What happens to operations that the document does not list.
    #[serde(default)]
    pub unknown_operations: UnknownOperations,
    /// Policies by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub policies: IndexMap<String, serde_json::Value>,
    /// Overrides by operation key.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub operations: IndexMap<String, OperationOverride>,
}

fn default_version() -> String {
    "1.0".to_owned()
}

fn yes() -> bool {
    true
}

fn api_key_only() -> Vec<AuthMethod> {
    vec![AuthMethod::ApiKey]
}

fn text_or_number<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("write a version in quotes such as \"1.0\"")),
    }
}

/// What overrides the API for one operation.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationOverride {
    /// Policies by name.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub policies: IndexMap<String, serde_json::Value>,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where live traffic goes.
    pub targets: Vec<Target>,
    /// Where traffic with test keys goes; without it test keys get 403.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sandbox: Vec<Target>,
    /// Time limits.
    #[serde(default, skip_serializing_if = "Timeouts::is_default")]
    pub timeouts: Timeouts,
    /// A header that proves to the upstream that the gateway calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<UpstreamAuth>,
}

/// One address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `http://` or `https://`, host, port and an optional path prefix.
    pub url: String,
    /// Share of the traffic; 0 takes none.
    #[serde(default = "full_weight")]
    pub weight: u32,
}

const fn full_weight() -> u32 {
    100
}

/// Time limits towards an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To open a connection.
    pub connect: Span,
    /// From the end of the request to the header of the answer, and between two pieces of it.
    pub response: Span,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Span::from_millis(5_000),
            response: Span::from_millis(60_000),
        }
    }
}

impl Timeouts {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A header that proves to the upstream that the gateway calls.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamAuth {
    /// Header name.
    pub header: String,
    /// Name of the environment variable that holds the value; read by the command that applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_env: Option<String>,
    /// The value itself, as the command sends it; stored encrypted and never exported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl std::fmt::Debug for UpstreamAuth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamAuth")
            .field("header", &self.header)
            .field("value_env", &self.value_env)
            .finish_non_exhaustive()
    }
}

/// A kind of credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// An API key.
    ApiKey,
    /// Not built yet: refused.
    Jwt,
    /// Not built yet: refused.
    Oauth2,
    /// Not built yet: refused.
    Oidc,
    /// Not built yet: refused.
    Mtls,
    /// Not built yet: refused.
    Hmac,
}

/// Where an API key may be found besides `Authorization: Bearer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyLocation {
    /// Header name.
    pub header: String,
    /// Query parameter; off unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

impl Default for KeyLocation {
    fn default() -> Self {
        Self {
            header: "X-API-Key".to_owned(),
            query: None,
        }
    }
}

impl KeyLocation {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The plan of callers without a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anonymous {
    /// Product name.
    pub product: String,
    /// Plan name.
    pub plan: String,
    /// What one caller is.
    #[serde(default)]
    pub by: AnonymousBy,
}

/// What one anonymous caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnonymousBy {
    /// An address (IPv4 address or IPv6 /64).
    #[default]
    Ip,
}

/// What happens to operations that the document does not list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownOperations {
    /// They are served as the operation `unlisted`.
    #[default]
    Pass,
    /// 404.
    Reject,
}

/// How a meter adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// One for each request.
    Count,
    /// The values.
    Sum,
    /// Not built yet: refused.
    Max,
    /// Not built yet: refused.
    Unique,
    /// Not built yet: refused.
    Last,
}

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// Unique name.
    pub name: String,
    /// How it adds up.
    pub aggregate: Aggregate,
    /// Where the value of a sum comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<MeterValueSource>,
    /// Which requests count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<MeterFilter>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group_by: Vec<String>,
    /// Requests of the gateway unless set.
    #[serde(default)]
    pub source: MeterSource,
    /// Type of the events, where the source is `events`.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// The word for one unit on invoices, such as `token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

/// Where a meter's value comes from: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterValueSource {
    /// A JSON pointer (RFC 6901) into the answer's body.
    ResponseJson(String),
    /// A header of the answer.
    ResponseHeader(String),
}

/// Which requests a meter counts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeterFilter {
    /// Statuses such as `200` or classes such as `2xx`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// Operation keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
}

/// What a meter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterSource {
    /// Requests through the gateway.
    #[default]
    Requests,
    /// Not built yet: refused.
    Events,
}

/// A product: APIs under plans.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Unique name.
    pub name: String,
    /// Title; the name unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Names of its APIs.
    pub apis: Vec<String>,
    /// Who sees it.
    #[serde(default = "public")]
    pub visibility: Visibility,
    /// Names of the accounts that see a private product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// Which product pays where several cover an operation: the lowest.
    #[serde(default = "default_priority")]
    pub priority: i32,
    /// Plans, in the order in which they are shown.
    #[serde(default)]
    pub plans: Vec<Plan>,
}

const fn public() -> Visibility {
    Visibility::Public
}

const fn default_priority() -> i32 {
    100
}

/// A plan of a product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Name, unique within the product.
    pub name: String,
    /// Title; the name unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How subscribers are taken.
    #[serde(default = "automatic")]
    pub approval: Approval,
    /// Length of the trial. Not built yet: refused when set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Span>,
    /// What happens to existing subscribers when the plan is edited.
    #[serde(default = "never")]
    pub migrate: Migrate,
    /// Limits; all of them must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitEntry>,
    /// The price; without one the plan is free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Full sets in further currencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Price>,
    /// Not built yet: refused when not empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addons: Vec<serde_json::Value>,
}

const fn automatic() -> Approval {
    Approval::Automatic
}

const fn never() -> Migrate {
    Migrate::Never
}

/// An account written in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Unique name.
    pub name: String,
    /// Where invoices go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// ISO 4217; the deployment's unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// IANA zone of its periods; UTC unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// ISO 3166 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Postal address, lines separated by line ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Tax numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_ids: Vec<String>,
}

/// A consumer written in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consumer {
    /// Name, unique within the account.
    pub name: String,
    /// Name of its account.
    pub account: String,
    /// Its subscriptions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<ConsumerSubscription>,
    /// Its credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<ConsumerCredential>,
}

/// A subscription of a consumer written in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerSubscription {
    /// Product name.
    pub product: String,
    /// Plan name.
    pub plan: String,
    /// `start`, `calendar` or a time of RFC 3339; `start` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<String>,
}

/// A credential of a consumer written in files.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerCredential {
    /// Kind; only `api_key` is built.
    #[serde(rename = "type")]
    pub kind: AuthMethod,
    /// Name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of the environment variable that holds the key; read by the command that applies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
    /// The key itself, as the command sends it; only its hash is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The SHA-256 of the key instead of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<KeyHash>,
    /// Live or test; taken from the key where that is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The end of its life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Products that it opens; all of the consumer's unless set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub products: Vec<String>,
}

impl std::fmt::Debug for ConsumerCredential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConsumerCredential")
            .field("name", &self.name)
            .field("secret_env", &self.secret_env)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}
