//! `/test-clock/advance`: moves the clock of the whole deployment. It exists in tests only.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use domain::clock::{Freeze, Timestamp};
use domain::ids::RunId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{self, Answer};
use super::endpoint::Doc;
use crate::app::{App, TestClock};
use crate::http::body::Body;
use crate::http::problem::{Fault, Problem};
use crate::subscribing;

/// Longer runs are answered with 202.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Advance {
    /// Not before what the clock shows.
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// `true` makes the clock stand there until the next advance.
    #[serde(default)]
    freeze: bool,
}

/// Where the clock stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Advanced {
    /// What the clock shows.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
    /// The billing run that did what was due: `GET /billing/runs/{run}`.
    #[schema(value_type = String)]
    run: RunId,
}

/// `POST /test-clock/advance`
pub(crate) async fn advance(State(app): State<App>, Body(wanted): Body<Advance>) -> Answer {
    if app.test_clock == TestClock::Off {
        return Err(Problem::missing(
            "test clock: it is switched on by TOLLGATE_TEST_CLOCK=1",
        ));
    }
    let freeze = if wanted.freeze { Freeze::Stand } else { Freeze::Run };
    app.clock
        .advance(wanted.to, freeze)
        .map_err(|error| Problem::invalid(vec![Fault::at("/to", error.to_string())]))?;
    let reading = app.clock.reading();
    app.store.set_test_clock(reading).await?;
    app.publisher.outlet().set_clock(Some(reading));
    subscribing::carry_out_due(&app).await?;
    let failed = |error: crate::hooks::HookError| {
        tracing::error!(%error, "the billing runs that are due failed");
        Problem::internal()
    };
    let run = app.hooks.due_runs.call(wanted.to).await.map_err(failed)?;
    let body = Advanced {
        now: app.clock.now(),
        run: run.id,
    };
    // The run goes on when the client has lost its patience.
    let done = tokio::spawn(run.done);
    match tokio::time::timeout(PATIENCE, done).await {
        Err(_) => Ok(answer::json(StatusCode::ACCEPTED, &body)),
        Ok(Ok(Ok(()))) => Ok(answer::json(StatusCode::OK, &body)),
        Ok(Ok(Err(error))) => Err(failed(error)),
        Ok(Err(error)) => Err(failed(error.into())),
    }
}

/// Documentation of [`advance`].
pub(crate) fn advance_doc() -> Doc {
    Doc::new("test clock", "advanceTestClock", "Move the clock of the deployment")
        .text("For tests: without TOLLGATE_TEST_CLOCK=1 it answers 404.")
        .body::<Advance>()
        .answer::<Advanced>(200, "Everything due by then is done")
        .answer::<Advanced>(202, "The billing run goes on")
}
