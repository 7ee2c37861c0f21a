//! `/requests/{request_id}`: the whole story of one request.

use analytics::{StoredFact, StoredSample};
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use domain::clock::Timestamp;
use domain::config::Plan;
use domain::ids::{AccountId, ConsumerId, SubscriptionId};
use domain::usage::{Fact, Steps};
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::answer::{self, Answer, number};
use super::caller::Caller;
use super::endpoint::Doc;
use super::usage::{TAG, fresh, milliseconds};
use super::usage_events::EventBody;
use crate::app::App;
use crate::http::problem::Problem;

/// A counter as the request found and left it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counter {
    /// The limit within the plan, such as `requests/period`.
    pub(crate) limit: String,
    #[schema(value_type = u64)]
    pub(crate) before: Json,
    #[schema(value_type = u64)]
    pub(crate) after: Json,
    /// Null without end.
    #[schema(value_type = Option<u64>)]
    pub(crate) max: Option<Json>,
}

/// Milliseconds from the head of the request to the end of each step; null where a step did not happen.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StepTimes {
    pub(crate) routed: Option<f64>,
    pub(crate) identified: Option<f64>,
    pub(crate) admitted: Option<f64>,
    pub(crate) connected: Option<f64>,
    pub(crate) answered: Option<f64>,
    pub(crate) ended: f64,
}

impl StepTimes {
    fn new(steps: Steps, latency_us: u64) -> Self {
        let at = |micros: u32| (micros > 0).then(|| milliseconds(u64::from(micros)));
        Self {
            routed: at(steps.routed_us),
            identified: at(steps.identified_us),
            admitted: at(steps.admitted_us),
            connected: at(steps.connected_us),
            answered: at(steps.answered_us),
            ended: milliseconds(latency_us),
        }
    }
}

/// The credential that the caller showed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    /// The first characters of the key.
    pub(crate) prefix: String,
}

/// A request that was admitted.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Admitted {
    #[serde(flatten)]
    pub(crate) event: EventBody,
    pub(crate) credential: Option<Shown>,
    /// Name of the consumer.
    pub(crate) consumer: Option<String>,
    /// Counters before and after, before an outcome that is not billed returned its reservation.
    pub(crate) counters: Vec<Counter>,
    /// The prices of the plan version for the meters of this request.
    pub(crate) price: Option<Json>,
    /// Time for each step, in milliseconds.
    pub(crate) steps_ms: StepTimes,
}

/// A request that was refused before it was forwarded, where a sample of it was kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refused {
    pub(crate) request_id: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) event_time: Timestamp,
    pub(crate) status: u16,
    /// Name of the problem, such as `rate-limited`.
    pub(crate) reason: String,
    pub(crate) api: String,
    pub(crate) operation: String,
    pub(crate) method: String,
    pub(crate) path: String,
    #[schema(value_type = Option<String>)]
    pub(crate) account_id: Option<AccountId>,
    #[schema(value_type = Option<String>)]
    pub(crate) consumer_id: Option<ConsumerId>,
    #[schema(value_type = Option<String>)]
    pub(crate) subscription_id: Option<SubscriptionId>,
    pub(crate) revision: u64,
    /// Refused requests touch no counter and are never billed.
    billable: bool,
}

/// What is known of a request id.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Story {
    /// Admitted requests with this id, oldest first; several where a client used the id more than once.
    pub(crate) requests: Vec<Admitted>,
    /// Refused ones of which a sample was kept.
    pub(crate) refused: Vec<Refused>,
}

impl From<StoredSample> for Refused {
    fn from(stored: StoredSample) -> Self {
        let sample = stored.sample;
        Self {
            request_id: sample.request_id,
            event_time: sample.at,
            status: sample.status,
            reason: sample.of.reason,
            api: sample.of.api,
            operation: sample.of.operation,
            method: sample.method,
            path: sample.path,
            account_id: sample.of.account,
            consumer_id: sample.of.consumer,
            subscription_id: sample.of.subscription,
            revision: sample.revision,
            billable: false,
        }
    }
}

async fn admitted(app: &App, stored: StoredFact) -> Result<Admitted, Problem> {
    let fact = &stored.fact;
    let credential = match fact.credential {
        Some(id) => app.store.credential(store::Scope::All, id).await?,
        None => None,
    };
    let consumer = match fact.consumer {
        Some(id) => app.store.consumer(store::Scope::All, id).await?,
        None => None,
    };
    let counters = fact.limits.iter().map(|touch| Counter {
        limit: touch.limit.clone(),
        before: number(touch.before),
        after: number(touch.after),
        max: touch.max.map(number),
    });
    Ok(Admitted {
        credential: credential.map(|one| Shown {
            id: one.id.to_string(),
            name: one.name,
            prefix: one.prefix,
        }),
        consumer: consumer.map(|one| one.name),
        counters: counters.collect(),
        price: price(app, fact).await?,
        steps_ms: StepTimes::new(fact.steps, fact.latency_us),
        event: EventBody::from(stored),
    })
}

async fn price(app: &App, fact: &Fact) -> Result<Option<Json>, Problem> {
    let Some(version) = app.store.plan_version(fact.plan_version).await? else {
        return Ok(None);
    };
    let Ok(plan) = serde_json::from_value::<Plan>(version.body) else {
        return Ok(None);
    };
    let takes =
        |meter: &str| meter == domain::limit::REQUESTS || fact.quantities.iter().any(|value| value.meter == meter);
    let price = plan.price.map(|price| {
        let entries: Vec<_> = price.usage.iter().filter(|entry| takes(&entry.meter)).collect();
        json!({ "currency": price.currency, "usage": entries, "plan_version": version.n })
    });
    Ok(price)
}

/// `GET /requests/{request_id}`
pub(crate) async fn show(State(app): State<App>, caller: Caller, path: RawPathParams) -> Answer {
    let id = path
        .iter()
        .find(|(name, _)| *name == "request_id")
        .map(|(_, value)| value.to_owned())
        .unwrap_or_default();
    Ok(answer::json(StatusCode::OK, &story(&app, &caller, &id).await?))
}

/// What is known of a request id to this caller.
pub(crate) async fn story(app: &App, caller: &Caller, id: &str) -> Result<Story, Problem> {
    fresh(app).await?;
    let sees = |account: Option<AccountId>| caller.account.is_none_or(|own| account == Some(own));
    let mut story = Story {
        requests: Vec::new(),
        refused: Vec::new(),
    };
    for stored in app.analytics.request(id).await? {
        if sees(stored.fact.account) {
            story.requests.push(admitted(app, stored).await?);
        }
    }
    let samples = app.analytics.rejected_request(id).await?;
    story.refused = samples
        .into_iter()
        .filter(|one| sees(one.sample.of.account))
        .map(Refused::from)
        .collect();
    if story.requests.is_empty() && story.refused.is_empty() {
        return Err(Problem::missing("request; refused requests are kept as samples only"));
    }
    Ok(story)
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new(TAG, "getRequest", "Tell the story of one request")
        .text("Route, credential, plan, counters before and after, price, revision and time for each step.")
        .answer::<Story>(200, "What is known of it")
}
