//! `/consumers`: the applications of accounts.

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::ids::{AccountId, ConsumerId};
use domain::subscription::{ConsumerStatus, Origin, SubscriptionStatus};
use serde::{Deserialize, Serialize};
use store::{Consumer, NewConsumer, Page, SubscriptionFilter};
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer, Id};
use super::caller::Caller;
use super::endpoint::Doc;
use crate::app::App;
use crate::http::body::Body;
use crate::http::cursor::{Listed, Paging};
use crate::http::problem::{Fault, Problem};
use crate::http::query::{Query, from_text};

const TAG: &str = "consumers";

/// A consumer to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateConsumer {
    /// Its account.
    #[schema(value_type = String)]
    account_id: AccountId,
    /// Name.
    name: String,
}

/// A consumer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Consumer)]
pub(crate) struct ConsumerBody {
    #[schema(value_type = String)]
    id: ConsumerId,
    #[schema(value_type = String)]
    account_id: AccountId,
    name: String,
    /// `active` or `suspended`.
    #[schema(value_type = String)]
    status: ConsumerStatus,
    suspended_reason: Option<String>,
    #[schema(value_type = String)]
    origin: Origin,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Consumer> for ConsumerBody {
    fn from(consumer: Consumer) -> Self {
        let Consumer {
            id,
            account_id,
            name,
            status,
            suspended_reason,
            origin,
            created_at,
            updated_at,
            ..
        } = consumer;
        Self {
            id,
            account_id,
            name,
            status,
            suspended_reason,
            origin,
            created_at,
            updated_at,
        }
    }
}

/// `POST /consumers`
pub(crate) async fn create(State(app): State<App>, caller: Caller, Body(wanted): Body<CreateConsumer>) -> Answer {
    let consumer = make(&app, &caller, wanted.account_id, (wanted.name, Origin::Api)).await?;
    Ok(answer::json(StatusCode::CREATED, &ConsumerBody::from(consumer)))
}

/// Makes a consumer.
pub(crate) async fn make(
    app: &App,
    caller: &Caller,
    account: AccountId,
    (name, origin): (String, Origin),
) -> Result<Consumer, Problem> {
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "/name", &name);
    answer::no_faults(faults)?;
    let new = NewConsumer {
        id: ConsumerId::new(app.clock.now(), App::seed()),
        account_id: account,
        name,
        origin,
    };
    let mut tx = caller.change(app).await?;
    let consumer = tx.create_consumer(&new).await?;
    app.commit(tx).await?;
    Ok(consumer)
}

/// Documentation of [`create`].
pub(crate) fn create_doc() -> Doc {
    Doc::new(TAG, "createConsumer", "Make a consumer")
        .body::<CreateConsumer>()
        .answer::<ConsumerBody>(201, "The consumer")
}

/// Which consumers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Of this account alone.
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

/// `GET /consumers`
pub(crate) async fn list(State(app): State<App>, caller: Caller, Query(which): Query<Which>) -> Answer {
    let page = Paging {
        limit: which.limit,
        cursor: which.cursor,
    }
    .page()?;
    let consumers = app.store.consumers(caller.scope(), which.account, &page).await?;
    let items = consumers.into_iter().map(ConsumerBody::from).collect();
    Ok(answer::json(
        StatusCode::OK,
        &Listed::of(items, &page, |consumer| consumer.id.to_string()),
    ))
}

/// Documentation of [`list`].
pub(crate) fn list_doc() -> Doc {
    Doc::new(TAG, "listConsumers", "List consumers")
        .query::<Which>()
        .answer::<Listed<ConsumerBody>>(200, "Consumers, oldest first")
}

/// `GET /consumers/{id}`
pub(crate) async fn show(State(app): State<App>, caller: Caller, Id(id): Id<ConsumerId>) -> Answer {
    Ok(answer::json(
        StatusCode::OK,
        &ConsumerBody::from(visible(&app, &caller, id).await?),
    ))
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getConsumer", "Get a consumer").answer::<ConsumerBody>(200, "The consumer")
}

/// The consumer in force, when the caller may see it.
pub(crate) async fn visible(app: &App, caller: &Caller, id: ConsumerId) -> Result<Consumer, Problem> {
    let consumer = app.store.consumer(caller.scope(), id).await?;
    consumer
        .filter(|consumer| consumer.deleted_at.is_none())
        .ok_or_else(|| Problem::missing("consumer"))
}

/// Why a consumer is suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suspend {
    /// For people; the consumer's owner can read it.
    reason: String,
}

/// `POST /consumers/{id}/suspend`
pub(crate) async fn suspend(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ConsumerId>,
    Body(wanted): Body<Suspend>,
) -> Answer {
    let consumer = bar(&app, &caller, id, &wanted.reason).await?;
    Ok(answer::json(StatusCode::OK, &ConsumerBody::from(consumer)))
}

/// Suspends a consumer: every gateway refuses it from now on. The decision is the provider's.
pub(crate) async fn bar(app: &App, caller: &Caller, id: ConsumerId, reason: &str) -> Result<Consumer, Problem> {
    visible(app, caller, id).await?;
    caller.provider_only()?;
    if reason.trim().is_empty() || reason.len() > 2_000 {
        return Err(Problem::invalid(vec![Fault::at(
            "/reason",
            "write why, in 1 to 2000 characters",
        )]));
    }
    let mut tx = caller.change(app).await?;
    let consumer = tx.suspend_consumer(id, reason).await?;
    app.commit(tx).await?;
    Ok(consumer)
}

/// Documentation of [`suspend`].
pub(crate) fn suspend_doc() -> Doc {
    Doc::new(TAG, "suspendConsumer", "Suspend a consumer")
        .body::<Suspend>()
        .answer::<ConsumerBody>(200, "The gateways refuse it now")
}

/// `POST /consumers/{id}/resume`
pub(crate) async fn resume(State(app): State<App>, caller: Caller, Id(id): Id<ConsumerId>) -> Answer {
    let consumer = release(&app, &caller, id).await?;
    Ok(answer::json(StatusCode::OK, &ConsumerBody::from(consumer)))
}

/// Lets a suspended consumer call again. The decision is the provider's.
pub(crate) async fn release(app: &App, caller: &Caller, id: ConsumerId) -> Result<Consumer, Problem> {
    visible(app, caller, id).await?;
    caller.provider_only()?;
    let mut tx = caller.change(app).await?;
    let consumer = tx.resume_consumer(id).await?;
    app.commit(tx).await?;
    Ok(consumer)
}

/// Documentation of [`resume`].
pub(crate) fn resume_doc() -> Doc {
    Doc::new(TAG, "resumeConsumer", "Let a suspended consumer call again").answer::<ConsumerBody>(200, "The consumer")
}

/// `DELETE /consumers/{id}`
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Id(id): Id<ConsumerId>) -> Answer {
    remove(&app, &caller, id, Live::Refuse).await?;
    Ok(answer::none())
}

/// What becomes of live subscriptions when their consumer is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Live {
    /// While there are any, the consumer stays.
    Refuse,
    /// They are cancelled at once, without credit.
    End,
}

/// Deletes a consumer and revokes its credentials.
pub(crate) async fn remove(app: &App, caller: &Caller, id: ConsumerId, live: Live) -> Result<(), Problem> {
    let mut tx = caller.change(app).await?;
    if live == Live::End {
        let filter = SubscriptionFilter {
            consumer: Some(id),
            ..SubscriptionFilter::default()
        };
        let now = tx.now();
        for one in tx.subscriptions(&filter, &Page::first(Page::MAX)).await? {
            if one.status.is_live() {
                let reason = Some(super::transitions::ENDED_WITHOUT_CREDIT);
                tx.end_subscription(one.id, SubscriptionStatus::Cancelled, reason, now)
                    .await?;
            }
        }
    }
    tx.delete_consumer(id).await?;
    app.commit(tx).await?;
    Ok(())
}

/// Gives a consumer another name. One from files keeps the name that it has there.
pub(crate) async fn rename(app: &App, caller: &Caller, id: ConsumerId, name: &str) -> Result<Consumer, Problem> {
    let before = visible(app, caller, id).await?;
    if before.origin == Origin::File {
        return Err(Problem::conflict(
            "it comes from the files of the configuration, which name it",
        ));
    }
    let mut faults = Vec::new();
    answer::check_name(&mut faults, "/name", name);
    answer::no_faults(faults)?;
    let mut tx = caller.change(app).await?;
    let consumer = tx.rename_consumer(id, name).await?;
    app.commit(tx).await?;
    Ok(consumer)
}

/// Documentation of [`delete`].
pub(crate) fn delete_doc() -> Doc {
    Doc::new(TAG, "deleteConsumer", "Delete a consumer")
        .text("Only a consumer without live subscriptions can be deleted. Its credentials are revoked.")
        .empty(204, "It is deleted")
}
