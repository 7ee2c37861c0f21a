//! `/feed`: what gateways of other processes serve from, and where their counters begin.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use domain::clock::{Reading, Timestamp};
use domain::enforce::CalendarUnit;
use domain::ids::SubscriptionId;
use serde::{Deserialize, Serialize};
use snapshot::wire::Checksum;
use snapshot::{Has, Outlet};
use store::CounterNode;
use store::ledger::WindowUse;
use utoipa::{IntoParams, ToSchema};

use super::answer::{self, Answer};
use super::endpoint::Doc;
use crate::app::{App, TestClock};
use crate::http::problem::Problem;
use crate::http::query::{Query, from_text};

/// A question may be held so long.
const LONGEST_WAIT: u64 = 30;

/// What a gateway has.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Ask {
    /// The revision that it serves; everything is sent without.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    since: Option<u64>,
    /// The checksum of the state that it serves.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    checksum: Option<Checksum>,
    /// Seconds to wait for something new, 30 at most.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    wait: Option<u64>,
    /// How its clock stands.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    clock_offset_ms: Option<i64>,
    /// Where its clock stands still.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    clock_frozen_at: Option<Timestamp>,
}

impl Ask {
    fn has(&self) -> Option<Has> {
        self.since
            .zip(self.checksum)
            .map(|(revision, checksum)| Has { revision, checksum })
    }

    fn clock(&self) -> Option<Reading> {
        let frozen_at = self.clock_frozen_at;
        self.clock_offset_ms.map(|offset_ms| Reading { offset_ms, frozen_at })
    }
}

/// `GET /feed`
pub(crate) async fn show(State(app): State<App>, Query(ask): Query<Ask>) -> Answer {
    let (has, clock) = (ask.has(), ask.clock());
    let wait = ask.wait.unwrap_or(0).min(LONGEST_WAIT);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wait);
    let outlet = app.publisher.outlet();
    let has = match has {
        Some(has) if goes_back(&app, outlet, has).await? => None,
        has => has,
    };
    let mut changes = outlet.changes();
    loop {
        changes.mark_unchanged();
        if outlet.is_closed() {
            return Ok(answer::none());
        }
        let asked = outlet.clone();
        let found = tokio::task::spawn_blocking(move || asked.answer(has, clock)).await;
        let found = found.map_err(|error| {
            tracing::error!(%error, "a snapshot cannot be written");
            Problem::internal()
        })?;
        if let Some(text) = found {
            return Ok(lines(text));
        }
        let changed = tokio::time::timeout_at(deadline, changes.changed()).await;
        if !matches!(changed, Ok(Ok(()))) {
            return Ok(answer::none());
        }
    }
}

/// Whether a gateway is ahead of the database, which was put back to an earlier state then: it needs everything.
async fn goes_back(app: &App, outlet: &Outlet, has: Has) -> Result<bool, Problem> {
    if has.revision <= outlet.revision() {
        return Ok(false);
    }
    let newest = u64::try_from(app.store.revision().await?).unwrap_or_default();
    Ok(has.revision > newest)
}

fn lines(text: Vec<u8>) -> Response {
    let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
    (StatusCode::OK, headers, HttpBody::from(text)).into_response()
}

/// Documentation of [`show`].
pub(crate) fn show_doc() -> Doc {
    Doc::new("gateways", "feedGateway", "What a gateway serves from")
        .text(
            "Lines of JSON: a header with revision, checksum and number of rows, then a row for each object that is new, \
             different or gone since the revision that the gateway has. Held until there is something new, `wait` seconds \
             at most. Of consumer keys only hashes, of upstream secrets only sealed values are sent.",
        )
        .query::<Ask>()
        .empty(200, "What is new, as application/x-ndjson")
        .empty(204, "Nothing is new")
}

/// From when on.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Since {
    /// Use in the 15 minutes that hold this instant and later; of this UTC month unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    since: Option<Timestamp>,
    /// Use in usage periods that began here or later; in this UTC month unless given.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    periods_since: Option<Timestamp>,
    /// Use of this subscription alone.
    #[serde(deserialize_with = "from_text")]
    #[param(value_type = Option<String>)]
    subscription: Option<SubscriptionId>,
}

/// What subscriptions have used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Used {
    /// One entry for each subscription, period, meter, operation, outcome and quarter of an hour.
    #[schema(value_type = Vec<Object>)]
    items: Vec<WindowUse>,
    /// The gateways that share counters, with those of their runs of which `items` may lack something: of all others it
    /// has everything.
    #[schema(value_type = Vec<Object>)]
    nodes: Vec<CounterNode>,
}

/// `GET /feed/use`
pub(crate) async fn used(State(app): State<App>, Query(asked): Query<Since>) -> Answer {
    let month = CalendarUnit::Month.window(app.clock.now()).start;
    let since = asked.since.unwrap_or(month);
    let periods = asked.periods_since.unwrap_or(month);
    // Read first: of a run that has ended by now the totals have everything.
    let nodes = app.store.counter_nodes().await?;
    let items = match asked.subscription {
        Some(subscription) => app.store.used_by(subscription, since, periods).await?,
        None => app.store.used_since(since, periods).await?,
    };
    Ok(answer::json(StatusCode::OK, &Used { items, nodes }))
}

/// Documentation of [`used`].
pub(crate) fn used_doc() -> Doc {
    Doc::new(
        "gateways",
        "listUseForCounters",
        "Where the counters of a gateway begin",
    )
    .query::<Since>()
    .answer::<Used>(200, "What the ledger has counted")
}

/// Follows the test clock of the deployment, which any process may have moved.
pub(crate) async fn follow_clock(app: &App) {
    if app.test_clock == TestClock::Off {
        return;
    }
    match app.store.test_clock().await {
        Ok(Some(reading)) => {
            app.clock.follow(reading);
            app.publisher.outlet().set_clock(Some(reading));
        }
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the test clock cannot be read"),
    }
}
