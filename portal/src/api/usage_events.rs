//! `/usage/events`: the single requests behind every number.

use analytics::{Cursor, EventFilter, StoredFact};
use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId, CredentialId, PlanVersionId, SubscriptionId};
use domain::key::Mode;
use domain::usage::{Kind, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer, number};
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::{TAG, billed, fresh, milliseconds, mode, narrowed, range, wrong};
use crate::app::App;
use crate::http::cursor::Listed;
use crate::http::query::{Query, from_text};

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// Which requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// First instant (RFC 3339); 24 hours ago unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// First instant after the range; now unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
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
    /// `live` or `test`; `live` unless given.
    mode: Option<String>,
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(deserialize_with = "from_text")]
    limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    cursor: Option<String>,
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UsageEvent)]
pub(crate) struct EventBody {
    /// The `X-Request-Id` of the answer.
    pub(crate) request_id: String,
    /// Its admission, which decides the period.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) event_time: Timestamp,
    /// HTTP status; 499 where the client left before an answer.
    pub(crate) status: u16,
    /// Who answered: `upstream`, `gateway` or `cache`.
    #[schema(value_type = String)]
    pub(crate) source: Source,
    /// `request`, `checkpoint` of a long stream, or `interrupted` with its gateway.
    #[schema(value_type = String)]
    pub(crate) kind: Kind,
    /// Whether it is billed.
    pub(crate) billable: bool,
    /// The client left before the end of the answer.
    pub(crate) client_aborted: bool,
    pub(crate) api: String,
    /// The operation, or `unlisted`.
    pub(crate) operation: String,
    pub(crate) method: String,
    /// Path without query, cut to 256 bytes.
    pub(crate) path: String,
    #[schema(value_type = Option<String>)]
    pub(crate) account_id: Option<AccountId>,
    #[schema(value_type = Option<String>)]
    pub(crate) consumer_id: Option<ConsumerId>,
    #[schema(value_type = Option<String>)]
    pub(crate) credential_id: Option<CredentialId>,
    #[schema(value_type = Option<String>)]
    pub(crate) subscription_id: Option<SubscriptionId>,
    pub(crate) product: String,
    pub(crate) plan: String,
    #[schema(value_type = String)]
    pub(crate) plan_version_id: PlanVersionId,
    /// Start of the usage period that pays.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) period_start: Option<Timestamp>,
    #[schema(value_type = String)]
    pub(crate) mode: Mode,
    /// From the head of the request to the end of the answer.
    pub(crate) latency_ms: f64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// What each meter took, by name.
    #[schema(value_type = Object)]
    pub(crate) quantities: Map<String, Json>,
    /// Revision of the configuration that served it.
    pub(crate) revision: u64,
    /// Who recorded it: one worker of one run of a gateway.
    pub(crate) producer: String,
    /// Its number in the producer's journal.
    pub(crate) seq: u64,
    /// The ledger commit that counted it.
    pub(crate) ledger_commit: u64,
}

impl From<StoredFact> for EventBody {
    fn from(stored: StoredFact) -> Self {
        let fact = stored.fact;
        let requests = u64::from(fact.outcome.kind != Kind::Checkpoint);
        let mut quantities = Map::from_iter([(domain::limit::REQUESTS.to_owned(), Json::from(requests))]);
        quantities.extend(
            fact.quantities
                .iter()
                .map(|value| (value.meter.clone(), number(value.quantity))),
        );
        Self {
            billable: billed(&fact.outcome.class()),
            request_id: fact.request_id,
            event_time: fact.admitted_at,
            status: fact.outcome.status,
            source: fact.outcome.source,
            kind: fact.outcome.kind,
            client_aborted: fact.outcome.client_aborted,
            api: fact.api,
            operation: fact.operation,
            method: fact.method,
            path: fact.path,
            account_id: fact.account,
            consumer_id: fact.consumer,
            credential_id: fact.credential,
            subscription_id: fact.subscription,
            product: fact.product,
            plan: fact.plan,
            plan_version_id: fact.plan_version,
            period_start: fact.period_start,
            mode: fact.mode,
            latency_ms: milliseconds(fact.latency_us),
            bytes_in: fact.bytes_in,
            bytes_out: fact.bytes_out,
            quantities,
            revision: fact.revision,
            producer: stored.producer.to_string(),
            seq: stored.seq,
            ledger_commit: stored.ledger_commit,
        }
    }
}

/// How many items a page holds at most.
pub(super) fn page_size(limit: Option<u32>) -> Result<usize, crate::http::problem::Problem> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(wrong("limit", "write a whole number from 1 to 1000"));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Where to go on.
pub(super) fn after(cursor: Option<&str>) -> Result<Option<Cursor>, crate::http::problem::Problem> {
    let cursor = cursor.filter(|cursor| !cursor.is_empty()).map(str::parse).transpose();
    cursor.map_err(|_| wrong("cursor", "not a cursor that this list has given"))
}

/// `GET /usage/events`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let account = narrowed(&app, &caller, which.account, which.consumer, which.subscription).await?;
    let (from, to) = range(&app, which.from, which.to)?;
    let filter = EventFilter {
        from,
        to,
        account,
        consumer: which.consumer,
        subscription: which.subscription,
        mode: mode(which.mode.as_deref())?,
    };
    let (limit, after) = (page_size(which.limit)?, after(which.cursor.as_deref())?);
    fresh(&app).await?;
    let page = app.analytics.events(&filter, after, limit).await?;
    let body = Listed {
        items: page.items.into_iter().map(EventBody::from).collect(),
        next_cursor: page.next.map(|cursor| cursor.to_string()),
    };
    Ok(answer::json(StatusCode::OK, &body))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listUsageEvents", "List single requests")
        .text("In order of time. Counts every request that was answered before the call.")
        .query::<Which>()
        .answer::<Listed<EventBody>>(200, "Requests")
}
