//! All limits of a request, checked together and counted together.
//!
//! Order: room in the journal first, then the counters. A request that is refused holds neither. `admitted_at` is
//! stamped once, at the admission that succeeded; it alone decides the period in quota, ledger and rating.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use counters::{Admission, Cell, LimitKind, Refused, Reservation, Short, Times};
use domain::clock::Timestamp;
use domain::cycle::UsageCycle;
use domain::enforce::EnforcedLimit;
use domain::key::Mode;
use domain::usage::{Fact, Steps};
use journal::{Full, Ticket};
use serving::problem::ProblemKind;
use snapshot::{CompiledApi, CompiledPlan};

use crate::flight::{Departure, Flight, write};
use crate::identify::Caller;
use crate::meters::Reading;
use crate::rate_headers;
use crate::reject::Rejection;
use crate::serve::Arrival;
use crate::settle::{Admitted, Open};
use crate::worker::{PerOperation, Worker};

/// How long a request waits for units that are merely reserved, and may come back, before it is refused.
const WAIT_FOR_RESERVED: Duration = Duration::from_millis(250);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
/// How long a request waits for a slice of a limit that several nodes share. A table that does not answer is given up much
/// earlier; so long takes only what other nodes have to return.
const WAIT_FOR_SLICE: Duration = Duration::from_millis(300);

/// What to do when the journal has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Refuse with `overloaded`.
    #[default]
    Shed,
    /// Serve and count against limits, without a record: a visible gap.
    ServeUnmetered,
}

/// What a request is about: the parts of the snapshot that it holds until its end.
pub(crate) struct Subject {
    pub(crate) api: Arc<CompiledApi>,
    pub(crate) operation: Arc<str>,
    pub(crate) plan: Arc<CompiledPlan>,
    /// `None` for anonymous callers.
    pub(crate) caller: Option<Caller>,
    pub(crate) revision: u64,
}

impl Subject {
    pub(crate) fn mode(&self) -> Mode {
        self.caller.as_ref().map_or(Mode::Live, |caller| caller.mode)
    }

    pub(crate) fn limits(&self) -> &[EnforcedLimit] {
        &self.plan.limits
    }

    /// The value of `RateLimit-Policy`.
    pub(crate) fn policy(&self) -> &str {
        &self.plan.limits_of(&self.operation).policy_header
    }

    /// The usage periods; an API that lost its anonymous plan meanwhile counts its last callers nowhere.
    fn cycle(&self) -> Option<&UsageCycle> {
        match &self.caller {
            Some(caller) => Some(&caller.subscription.cycle),
            None => self.api.anonymous.as_ref().map(|anonymous| &anonymous.cycle),
        }
    }

    /// Start of the period of an instant.
    pub(crate) fn period_start(&self, at: Timestamp) -> Option<Timestamp> {
        self.caller
            .as_ref()
            .map(|caller| caller.subscription.cycle.window(at).start)
    }

    fn admission(&self) -> Option<Admission<'_>> {
        let applies = &self.plan.limits_of(&self.operation).applies;
        self.cycle().map(|cycle| Admission {
            limits: self.limits(),
            applies,
            cycle,
            revision: self.revision,
            weight: 1,
        })
    }

    /// Fills what a record says of it.
    pub(crate) fn fill(&self, fact: &mut Fact) {
        let caller = self.caller.as_ref();
        fact.account = caller.map(|caller| caller.consumer.account);
        fact.consumer = caller.map(|caller| caller.consumer.id);
        fact.credential = caller.map(|caller| caller.credential);
        fact.subscription = caller.map(|caller| caller.subscription.id);
        fact.plan_version = self.plan.version_id;
        fact.segment = caller.map_or(0, |caller| caller.subscription.segment);
        fact.mode = self.mode();
        fact.revision = self.revision;
        write(&mut fact.product, &self.plan.product.name);
        write(&mut fact.plan, &self.plan.name);
        write(&mut fact.api, &self.api.name);
        write(&mut fact.operation, &self.operation);
    }

    /// At most so many bytes of a record say it, limits included.
    fn record_bytes(&self) -> usize {
        let names = self.plan.product.name.len() + self.plan.name.len() + self.api.name.len() + self.operation.len();
        let limits: usize = self.limits().iter().map(|limit| limit.key.len() + 64).sum();
        names + limits
    }
}

/// Bytes of a record that are there whatever the request: ids, times, outcome, lengths.
const RECORD_BASE: usize = 320;

/// Admits a request, or says why not.
///
/// # Errors
/// `overloaded` when the journal has no room, or when a limit is shared and cannot be asked; `rate-limited`,
/// `quota-exceeded` or `concurrency-limited`.
pub(crate) async fn admit(
    worker: &Rc<Worker>,
    subject: Subject,
    per: &PerOperation,
    arrival: &Arrival,
    mut steps: Steps,
) -> Result<Open, Rejection> {
    let path = crate::route::cut(&arrival.path);
    let bytes = RECORD_BASE
        + arrival.request_id.as_str().len()
        + arrival.method.as_str().len()
        + path.len()
        + subject.record_bytes()
        + per.rules.record_bytes();
    let cell = cell_of(worker, &subject, arrival);
    let ticket = room(worker, bytes).map_err(|rejection| with_limits(rejection, worker, (&cell, &subject)))?;
    let (reservation, admitted_at) = count(worker, &cell, &subject).await?;
    steps.admitted_us = u32::try_from(arrival.started.elapsed().as_micros()).unwrap_or(u32::MAX);
    let period_start = subject
        .caller
        .as_ref()
        .map(|caller| worker.periods.start(&caller.subscription, admitted_at));
    let flight = Flight::new(Departure {
        subject,
        request_id: arrival.request_id.clone(),
        admitted_at,
        period_start,
        started: arrival.started,
        method: arrival.method.clone(),
        path: path.into(),
        steps,
    });
    let admitted = Admitted {
        reservation,
        ticket,
        reading: Reading::new(Rc::clone(&per.rules)),
    };
    Ok(Open::new(Rc::clone(worker), Rc::new(flight), admitted))
}

fn room(worker: &Worker, bytes: usize) -> Result<Option<Ticket>, Rejection> {
    match worker.emitter.reserve(bytes) {
        Ok(ticket) => Ok(Some(ticket)),
        Err(full) if worker.when_full == WhenFull::ServeUnmetered && full != Full::TooLarge => Ok(None),
        Err(full) => {
            tracing::debug!(%full, "no room in the journal");
            Err(Rejection::from(ProblemKind::Overloaded).retry_after(1))
        }
    }
}

/// Says how the limits stand in a refusal that is not theirs.
fn with_limits(mut rejection: Rejection, worker: &Worker, (cell, subject): (&Arc<Cell>, &Subject)) -> Rejection {
    let times = Times {
        mono_ns: worker.mono_ns(),
        wall: worker.stamper.now(),
    };
    let admission = subject.admission();
    if let Some(tightest) = admission.and_then(|admission| cell.tightest(&admission, times)) {
        rate_headers::state(&mut rejection.headers, subject.limits(), &tightest);
    }
    rate_headers::state_policy(&mut rejection.headers, subject.policy());
    rejection
}

fn cell_of(worker: &Worker, subject: &Subject, arrival: &Arrival) -> Arc<Cell> {
    if let Some(caller) = &subject.caller {
        return worker.counters.subscription(caller.subscription.id, caller.mode);
    }
    let times = Times {
        mono_ns: worker.mono_ns(),
        wall: worker.stamper.now(),
    };
    worker
        .counters
        .address(subject.plan.plan_id, arrival.origin.client, times)
}

async fn count(worker: &Worker, cell: &Arc<Cell>, subject: &Subject) -> Result<(Reservation, Timestamp), Rejection> {
    let Some(admission) = subject.admission() else {
        return Err(ProblemKind::MissingCredentials.into());
    };
    let patience = Instant::now() + WAIT_FOR_RESERVED;
    let slice = Instant::now() + WAIT_FOR_SLICE;
    loop {
        let admitted_at = worker.stamper.now();
        let times = Times {
            mono_ns: worker.mono_ns(),
            wall: admitted_at,
        };
        match cell.admit(&admission, times) {
            Ok(reservation) => return Ok((reservation, admitted_at)),
            Err(refused) if refused.short == Some(Short::Spent) && Instant::now() < slice => {
                wait_for_slice(cell, (&admission, times), slice).await;
            }
            Err(refused) if refused.short.is_some() => return Err(unavailable(worker, &refused, subject)),
            // The last units of a quota are under way; those whose outcome is not billed come back at once.
            Err(refused) if may_come_back(&refused) && Instant::now() < patience => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(refused) => return Err(rejection(&refused, subject)),
        }
    }
}

/// Waits until the node has a larger slice or knows that there is none. Nothing else here waits for other nodes.
async fn wait_for_slice(cell: &Arc<Cell>, (admission, times): (&Admission<'_>, Times), until: Instant) {
    let Some(waiting) = cell.ask(admission, times) else {
        // It has come meanwhile.
        return;
    };
    // Late or early, the limits are looked at again.
    let _answered = tokio::time::timeout_at(until.into(), waiting).await;
}

/// The shared counters cannot be asked, and the limit refuses then.
fn unavailable(worker: &Worker, refused: &Refused, subject: &Subject) -> Rejection {
    worker.counters.refused_unavailable();
    let mut rejection = Rejection::from(ProblemKind::Overloaded)
        .violates(&refused.key)
        .retry_after(1);
    rate_headers::state_policy(&mut rejection.headers, subject.policy());
    rejection
}

fn may_come_back(refused: &Refused) -> bool {
    refused.pending && refused.kind == LimitKind::Quota
}

fn rejection(refused: &Refused, subject: &Subject) -> Rejection {
    let kind = match refused.kind {
        LimitKind::Rate => ProblemKind::RateLimited,
        LimitKind::Quota => ProblemKind::QuotaExceeded,
        LimitKind::Concurrency => ProblemKind::ConcurrencyLimited,
    };
    let retry_after = if may_come_back(refused) {
        1
    } else {
        refused.retry_after_s
    };
    let mut rejection = Rejection::from(kind).violates(&refused.key).retry_after(retry_after);
    rate_headers::state_refused(&mut rejection.headers, refused);
    rate_headers::state_policy(&mut rejection.headers, subject.policy());
    rejection
}
