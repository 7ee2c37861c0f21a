//! `/audit-events`: who changed what, when and from where.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, AuditEventId};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use store::{AuditFilter, AuditRecord, Kind};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::cursor::{Listed, Paging};
use crate::http::query::{Query, from_text};

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// About things of this kind alone, such as `consumer`.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    kind: Option<Kind>,
    /// About the thing of this id or name alone.
    #[serde(default)]
    target: Option<String>,
    /// About this account alone.
    #[serde(default, deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// At most so many items: 1 to 1000, 100 unless given.
    #[serde(default, deserialize_with = "from_text")]
    limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    #[serde(default)]
    cursor: Option<String>,
}

/// An event. Each is chained to the one before it by its hash.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub(crate) struct EventBody {
    #[schema(value_type = String)]
    id: AuditEventId,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `token`, `user`, `file`, `system` or `payment_provider`.
    actor_kind: String,
    actor_id: String,
    /// Address that the request came from.
    address: Option<String>,
    /// `<kind>.<verb>`, such as `consumer.suspend`.
    action: String,
    /// Id or name of the thing.
    target: String,
    #[schema(value_type = Option<String>)]
    account_id: Option<AccountId>,
    /// The thing before, without secrets.
    #[schema(value_type = Option<Object>)]
    before: Option<Json>,
    /// The thing after, without secrets.
    #[schema(value_type = Option<Object>)]
    after: Option<Json>,
    /// Hash of this event over the one before it.
    hash: String,
}

impl From<AuditRecord> for EventBody {
    fn from(record: AuditRecord) -> Self {
        Self {
            id: record.id,
            at: record.at,
            actor_kind: record.actor.kind,
            actor_id: record.actor.id,
            address: record.actor.address,
            action: record.action,
            target: record.target,
            account_id: record.account_id,
            before: record.before,
            after: record.after,
            hash: record.hash,
        }
    }
}

/// `GET /audit-events`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let page = Paging {
        limit: which.limit,
        cursor: which.cursor,
    }
    .page()?;
    if caller.account.is_some() && which.account.is_some() && caller.account != which.account {
        return Ok(answer::json(
            StatusCode::OK,
            &Listed::<EventBody> {
                items: Vec::new(),
                next_cursor: None,
            },
        ));
    }
    let filter = AuditFilter {
        account: caller.account.or(which.account),
        kind: which.kind,
        target: which.target,
        person: None,
    };
    let items = app
        .store
        .audit_events(&filter, &page)
        .await?
        .into_iter()
        .map(EventBody::from)
        .collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |event| event.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new("audit", "listAuditEvents", "List audit events")
        .query::<Which>()
        .answer::<Listed<EventBody>>(200, "Events, newest first")
}
