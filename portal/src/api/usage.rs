//! `/usage`: how much was used, over time and by dimension, from the same facts that are billed.

use std::collections::BTreeMap;
use std::str::FromStr;

use analytics::{Dimension, Interval, UsageQuery, UsageRow};
use axum::extract::State;
use axum::http::StatusCode;
use domain::billable::{Policy, billable};
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, CredentialId, SubscriptionId};
use domain::key::Mode;
use domain::limit::REQUESTS;
use domain::usage::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer, number};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};

pub(super) const TAG: &str = "usage";

const DAY_MS: i64 = 86_400_000;
const MAX_ROWS: usize = 50_000;

/// What to add up.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Asked {
    /// First instant (RFC 3339); 24 hours ago unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// First instant after the range; now unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// `minute`, `hour`, `day` or `month` (UTC); one row for the whole range unless given.
    interval: Option<String>,
    /// Any of `account,consumer,subscription,credential,api,operation,method,plan,status`, separated by commas.
    group_by: Option<String>,
    /// Name of the meter of `quantity` and `billable`; `requests` unless given.
    meter: Option<String>,
    /// `live` or `test`; `live` unless given.
    mode: Option<String>,
    /// Of this account alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Of this consumer alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    consumer: Option<ConsumerId>,
    /// Of this subscription alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    subscription: Option<SubscriptionId>,
    /// With this credential alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    credential: Option<CredentialId>,
    /// Of the API of this name alone.
    api: Option<String>,
    /// Of this operation alone.
    operation: Option<String>,
    /// With this HTTP method alone.
    method: Option<String>,
    /// Of this plan alone, as `product/plan`.
    plan: Option<String>,
    /// With this HTTP status alone.
    status: Option<String>,
}

/// A row of usage. It also has one member for each dimension of `group_by`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageItem {
    /// Start of the interval; start of the range where no interval is asked for.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    group: Map<String, Json>,
    /// Requests that were admitted.
    requests: u64,
    /// Those with status 400 or above.
    errors: u64,
    /// What the meter took: a number where it is whole, a decimal string otherwise.
    #[schema(value_type = u64)]
    quantity: Json,
    /// The part of it that is billed.
    #[schema(value_type = u64)]
    billable: Json,
    /// Latency below which half of the requests lie, in milliseconds, within 2 %; null without requests.
    #[schema(value_type = Option<f64>)]
    p50_ms: Json,
    /// Latency below which 95 % lie.
    #[schema(value_type = Option<f64>)]
    p95_ms: Json,
    /// Latency below which 99 % lie.
    #[schema(value_type = Option<f64>)]
    p99_ms: Json,
    /// Bytes of request bodies.
    bytes_in: u64,
    /// Bytes of answers' bodies.
    bytes_out: u64,
    /// Requests refused before they were forwarded; they are in no other number.
    rejected: u64,
}

/// Usage.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageBody {
    /// Rows in order of time and group.
    items: Vec<UsageItem>,
}

/// The default policy: the one that quotas and invoices use.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature of a policy")]
pub(crate) fn billed(outcome: &Outcome) -> bool {
    !billable(Policy::V1, outcome).is_none()
}

/// Microseconds as milliseconds, for people and charts.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "a latency for display, no money and no count"
)]
pub(crate) fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

impl UsageItem {
    fn new(row: &UsageRow, dimensions: &[Dimension]) -> Self {
        let quantile = |per_mille| {
            row.latency
                .quantile(per_mille)
                .map_or(Json::Null, |micros| json!(milliseconds(micros)))
        };
        let value = |value: &Option<String>| value.as_ref().map_or(Json::Null, |value| Json::from(value.as_str()));
        Self {
            time: row.time,
            group: dimensions
                .iter()
                .zip(&row.group)
                .map(|(name, one)| (name.as_str().to_owned(), value(one)))
                .collect(),
            requests: row.requests,
            errors: row.errors,
            quantity: number(row.quantity),
            billable: number(row.billable),
            p50_ms: quantile(500),
            p95_ms: quantile(950),
            p99_ms: quantile(990),
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            rejected: row.rejected,
        }
    }
}

pub(super) fn wrong(name: &str, detail: impl Into<String>) -> Problem {
    Problem::invalid(vec![Fault::parameter(name, detail)])
}

/// Live or test.
pub(super) fn mode(text: Option<&str>) -> Result<Mode, Problem> {
    match text {
        None | Some("live") => Ok(Mode::Live),
        Some("test") => Ok(Mode::Test),
        Some(_) => Err(wrong("mode", "write live or test")),
    }
}

/// 404 unless the caller may see the account, consumer and subscription that it names. The account that it must be
/// narrowed to.
pub(super) async fn narrowed(
    app: &App,
    caller: &Caller,
    account: Option<AccountId>,
    consumer: Option<ConsumerId>,
    subscription: Option<SubscriptionId>,
) -> Result<Option<AccountId>, Problem> {
    if let Some(account) = account {
        super::accounts::visible(app, caller, account).await?;
    }
    if let Some(consumer) = consumer {
        app.store
            .consumer(caller.scope(), consumer)
            .await?
            .ok_or_else(|| Problem::missing("consumer"))?;
    }
    if let Some(subscription) = subscription {
        super::subscriptions::visible(app, caller, subscription).await?;
    }
    Ok(caller.account.or(account))
}

/// Counts everything that was answered before the call.
pub(crate) async fn fresh(app: &App) -> Result<(), Problem> {
    app.hooks.freshness.call(()).await.map_err(|error| {
        tracing::error!(%error, "usage cannot be made current");
        Problem::internal()
    })
}

impl From<analytics::Error> for Problem {
    fn from(error: analytics::Error) -> Self {
        if let analytics::Error::TooMuch { .. } = error {
            return Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too-much", "Ask for less").detail(error.to_string());
        }
        tracing::error!(error = &error as &dyn std::error::Error, "analytics failed");
        if error.is_retryable() {
            Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Try again").detail("analytics does not answer")
        } else {
            Self::internal()
        }
    }
}

impl Asked {
    fn interval(&self) -> Result<Interval, Problem> {
        match self.interval.as_deref() {
            None => Ok(Interval::Whole),
            Some("minute") => Ok(Interval::Minute),
            Some("hour") => Ok(Interval::Hour),
            Some("day") => Ok(Interval::Day),
            Some("month") => Ok(Interval::Month),
            Some(_) => Err(wrong("interval", "write minute, hour, day or month")),
        }
    }

    fn group_by(&self) -> Result<Vec<Dimension>, Problem> {
        let names = self
            .group_by
            .iter()
            .flat_map(|text| text.split(','))
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let mut dimensions = Vec::new();
        for name in names {
            let known = || {
                Dimension::ALL
                    .iter()
                    .map(|one| one.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            let dimension = Dimension::from_name(name)
                .ok_or_else(|| wrong("group_by", format!("`{name}` is no dimension: write {}", known())))?;
            if dimensions.contains(&dimension) {
                return Err(wrong("group_by", format!("`{name}` stands twice")));
            }
            dimensions.push(dimension);
        }
        Ok(dimensions)
    }

    fn filter(&self, account: Option<AccountId>) -> BTreeMap<Dimension, String> {
        let id = |id: Option<String>| id;
        [
            (Dimension::Account, id(account.map(|id| id.to_string()))),
            (Dimension::Consumer, id(self.consumer.map(|id| id.to_string()))),
            (Dimension::Subscription, id(self.subscription.map(|id| id.to_string()))),
            (Dimension::Credential, id(self.credential.map(|id| id.to_string()))),
            (Dimension::Api, self.api.clone()),
            (Dimension::Operation, self.operation.clone()),
            (Dimension::Method, self.method.clone()),
            (Dimension::Plan, self.plan.clone()),
            (Dimension::Status, self.status.clone()),
        ]
        .into_iter()
        .filter_map(|(dimension, value)| value.map(|value| (dimension, value)))
        .collect()
    }
}

/// The range that is asked for: the last 24 hours unless told.
pub(super) fn range(
    app: &App,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
) -> Result<(Timestamp, Timestamp), Problem> {
    let to = to.unwrap_or_else(|| app.clock.now().plus_millis(1));
    let from = from.unwrap_or_else(|| to.plus_millis(-DAY_MS));
    if from > to {
        Err(wrong("from", "`from` lies after `to`"))
    } else {
        Ok((from, to))
    }
}

/// `GET /usage`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Query(asked): Query<Asked>) -> Answer {
    let account = narrowed(&app, &caller, asked.account, asked.consumer, asked.subscription).await?;
    if let Some(credential) = asked.credential {
        app.store
            .credential(caller.scope(), credential)
            .await?
            .ok_or_else(|| Problem::missing("credential"))?;
    }
    if asked
        .status
        .as_deref()
        .is_some_and(|status| u16::from_str(status).is_err())
    {
        return Err(wrong("status", "write an HTTP status such as 404"));
    }
    let (from, to) = range(&app, asked.from, asked.to)?;
    let query = UsageQuery {
        from,
        to,
        interval: asked.interval()?,
        group_by: asked.group_by()?,
        filter: asked.filter(account),
        mode: mode(asked.mode.as_deref())?,
        meter: asked.meter.clone().unwrap_or_else(|| REQUESTS.to_owned()),
    };
    fresh(&app).await?;
    let rows = app.analytics.usage(&query, &billed).await?;
    if rows.len() > MAX_ROWS {
        return Err(wrong(
            "interval",
            format!("{} rows: ask for a shorter range or wider intervals", rows.len()),
        ));
    }
    let items = rows
        .into_iter()
        .map(|row| UsageItem::new(&row, &query.group_by))
        .collect();
    Ok(answer::json(StatusCode::OK, &UsageBody { items }))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getUsage", "Add up usage over time and by dimension")
        .text("Counts every request that was answered before the call. Ranges are exact to the millisecond.")
        .query::<Asked>()
        .answer::<UsageBody>(200, "Usage")
}
