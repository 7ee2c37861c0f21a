//! One request from its head to its answer: route, identify, admit, forward, settle, emit.
//!
//! What is refused before it is forwarded leaves as a problem and a count ([`crate::reject`]). From admission on the
//! request is an [`Open`]: however it ends, also by being dropped, it is settled and recorded once.

use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use domain::clock::Timestamp;
use domain::usage::Steps;
use http::header::{self, HeaderValue};
use http::{Extensions, Method};
use serving::problem::ProblemKind;
use serving::request_id::RequestId;
use serving::trace_context::TraceContext;
use serving::{Completion, ConnInfo, Refusal, Request, Response, Service};

use crate::admit::{self, Subject};
use crate::credential;
use crate::flight::Flight;
use crate::forward::{Failure, Patience};
use crate::headers::{self, Identity, Statement, value_of};
use crate::log::{self, Finished};
use crate::passage;
use crate::rate_headers;
use crate::reject::{About, Refused, Rejection};
use crate::route;
use crate::settle::{Ending, Open};
use crate::usage_endpoint;
use crate::worker::{PerOperation, Worker};
use crate::{identify, reject};
use serving::trust::Origin;

/// A request's head as it came in, before anything is known of it.
pub(crate) struct Arrival {
    pub(crate) request_id: RequestId,
    pub(crate) started: Instant,
    pub(crate) method: Method,
    /// Canonical; as it came where it has no canonical form. Empty before it has been looked at.
    pub(crate) path: String,
    pub(crate) origin: Origin,
    tls: bool,
}

impl Arrival {
    fn new(worker: &Worker, request: &Request, conn: &ConnInfo) -> Self {
        let given = request
            .headers()
            .get(headers::X_REQUEST_ID)
            .and_then(RequestId::from_header);
        Self {
            request_id: given.unwrap_or_else(|| worker.fresh_id()),
            started: Instant::now(),
            method: request.method().clone(),
            path: String::new(),
            origin: worker.trusted_proxies.origin(conn.peer, request.headers()),
            tls: conn.tls,
        }
    }

    fn elapsed_us(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX)
    }
}

/// The service of one worker.
pub(crate) struct Gate(pub(crate) Rc<Worker>);

impl Service for Gate {
    async fn call(&self, request: Request, conn: &Rc<ConnInfo>) -> Response {
        let worker = &self.0;
        let mut arrival = Arrival::new(worker, &request, conn);
        let mut about = About::default();
        let answered = steps(worker, request, &mut arrival, &mut about).await;
        let mut response = match answered {
            Ok(response) => response,
            Err(rejection) => refuse(worker, rejection, &about, &arrival),
        };
        response
            .headers_mut()
            .insert(headers::X_REQUEST_ID, arrival.request_id.header().clone());
        response
    }

    fn refused(&self, refusal: &Refusal, _conn: &ConnInfo) -> Response {
        let worker = &self.0;
        let id = worker.fresh_id();
        let unknown = Refused {
            kind: refusal.kind,
            at: worker.stamper.now(),
            request_id: id.as_str(),
            method: "",
            path: "",
            revision: worker.revision(),
        };
        worker.sheet.rejected(refusal.kind);
        worker.refusals.add(&About::default(), &unknown);
        let mut rejection = Rejection::from(refusal.kind).detail(refusal.reason);
        if let Some(wait) = refusal.retry_after {
            rejection = rejection.retry_after(wait.as_secs().max(1));
        }
        let mut response = rejection.into_response(id.as_str());
        response
            .headers_mut()
            .insert(headers::X_REQUEST_ID, id.header().clone());
        response
    }

    fn finished(&self, extensions: Extensions, completion: Completion) {
        if let Some(finished) = extensions.get::<Finished>() {
            self.0.sheet.usage_events.add(1);
            self.0.sheet.observe(finished.started.elapsed());
            finished.tally.count(finished.status);
            log::finished(finished, completion);
        }
    }
}

fn refuse(worker: &Worker, rejection: Rejection, about: &About, arrival: &Arrival) -> Response {
    let refused = reject::Refused {
        kind: rejection.kind,
        at: worker.stamper.now(),
        request_id: arrival.request_id.as_str(),
        method: arrival.method.as_str(),
        path: &arrival.path,
        revision: worker.revision(),
    };
    worker.sheet.rejected(rejection.kind);
    worker.refusals.add(about, &refused);
    log::refused(&refused, about);
    rejection.into_response(arrival.request_id.as_str())
}

/// What routing and identification found.
struct Prepared {
    subject: Subject,
    per: Rc<PerOperation>,
    /// Path and query for the upstream, before its target's prefix.
    target: String,
    steps: Steps,
}

async fn steps(
    worker: &Rc<Worker>,
    request: Request,
    arrival: &mut Arrival,
    about: &mut About,
) -> Result<Response, Rejection> {
    arrival.path = match route::canonical(&request) {
        Ok(path) => path.into_owned(),
        Err(rejection) => {
            request.uri().path().clone_into(&mut arrival.path);
            return Err(rejection);
        }
    };
    if route::is_reserved(&arrival.path) {
        return usage_endpoint::answer(worker, &request, &arrival.path, about);
    }
    let now = worker.stamper.now();
    let prepared = prepare(worker, &request, (arrival, now), about)?;
    let Prepared {
        subject,
        per,
        target,
        steps,
    } = prepared;
    let mut open = admit::admit(worker, subject, &per, arrival, steps).await?;
    let request = dress(worker, request, (&target, arrival), &open.flight, &per);
    match answer(worker, request, &open.flight).await {
        Ok(upstream) => Ok(pass_on(upstream, open, &per)),
        Err(failure) => Ok(fail(&failure, &mut open, &per, arrival)),
    }
}

/// Route and identify: all that looks at the snapshot, in one go without an await.
fn prepare(
    worker: &Worker,
    request: &Request,
    (arrival, now): (&Arrival, Timestamp),
    about: &mut About,
) -> Result<Prepared, Rejection> {
    let mut reader = worker.reader.borrow_mut();
    let snapshot = reader.current();
    let found = route::find(snapshot, request, &arrival.path, about)?;
    let mut steps = Steps {
        routed_us: arrival.elapsed_us(),
        ..Steps::default()
    };
    let places = identify::places(found.api);
    let query = request.uri().query();
    let presented = credential::find(request.headers(), query, places);
    let caller = identify::caller((snapshot, found.api), presented, now, about)
        .map_err(|denied| denied.told(worker, &found.operation.key, snapshot.revision()))?;
    steps.identified_us = arrival.elapsed_us();
    let plan = match (&caller, &found.api.anonymous) {
        (Some(caller), _) => Arc::clone(&caller.subscription.plan),
        (None, Some(anonymous)) => Arc::clone(&anonymous.plan),
        (None, None) => return Err(ProblemKind::MissingCredentials.into()),
    };
    let stripped = match (query, places.query) {
        (Some(query), Some(name)) => credential::strip_query(query, name),
        (query, _) => query.map(str::to_owned),
    };
    let target = match stripped {
        Some(query) => [found.upstream_path, "?", &query].concat(),
        None => found.upstream_path.to_owned(),
    };
    let per = worker.per_operation(found.api, &found.operation.key);
    let subject = Subject {
        api: Arc::clone(found.api),
        operation: Arc::clone(&found.operation.key),
        plan,
        caller,
        revision: snapshot.revision(),
    };
    Ok(Prepared {
        subject,
        per,
        target,
        steps,
    })
}

/// Takes out of the request what is the client's own affair or ours, and states who calls.
fn dress(
    worker: &Worker,
    request: Request,
    (target, arrival): (&str, &Arrival),
    flight: &Rc<Flight>,
    per: &PerOperation,
) -> Request {
    let (mut parts, body) = request.into_parts();
    let subject = &flight.subject;
    let fields = &mut parts.headers;
    let scheme = headers::scheme(&arrival.origin, arrival.tls, fields);
    let trace = fields.get(headers::TRACEPARENT).and_then(TraceContext::parse);
    headers::remove_hop_by_hop(fields);
    let places = identify::places(&subject.api);
    credential::strip_headers(fields, places);
    let upstream_auth = subject.api.upstream_auth.as_ref();
    let secret = upstream_auth.map_or(places.header, |auth| &auth.name);
    headers::remove_owned(fields, &[places.header, secret]);
    fields.remove(header::EXPECT);
    let context = trace.map_or_else(
        || TraceContext::generate(worker.chance.bytes()),
        |context| context.child(worker.chance.bytes()),
    );
    let identity = subject.caller.as_ref().map(|caller| Identity {
        consumer_id: value_of(&caller.consumer.id.to_string()),
        consumer_name: value_of(&caller.consumer.name),
        subscription_id: value_of(&caller.subscription.id.to_string()),
    });
    let statement = Statement {
        request_id: arrival.request_id.header(),
        traceparent: context.header(),
        continues_trace: trace.is_some(),
        identity: identity.as_ref(),
        plan: value_of(&subject.plan.name),
        origin: &arrival.origin,
        scheme,
        version: parts.version,
    };
    headers::state(fields, statement);
    if let Some(auth) = upstream_auth {
        headers::set_secret(fields, &auth.name, &auth.value);
    }
    if per.rules.reads_body() {
        // A compressed answer could not be read on its way through.
        fields.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    // A canonical path and a query that was a URI's make a URI; anything else goes nowhere.
    parts.uri = target.parse().unwrap_or_else(|_| http::Uri::from_static("*"));
    Request::from_parts(parts, passage::inbound(body, flight))
}

/// Why no answer of the upstream is passed on.
enum NoAnswer {
    Failed(Failure),
    /// The caller lost its right meanwhile.
    Ended,
}

async fn answer(worker: &Worker, request: Request, flight: &Rc<Flight>) -> Result<Response, NoAnswer> {
    let api = &flight.subject.api;
    let mode = flight.subject.mode();
    let targets = if mode == domain::key::Mode::Test {
        &api.sandbox
    } else {
        &api.targets
    };
    let upstream = worker.forwarder.upstreams.get((api.id, mode), targets);
    let patience = Patience {
        connect: api.connect_timeout,
        response: api.response_timeout,
    };
    let connected = || flight.step(|steps, us| steps.connected_us = us);
    let mut sent = std::pin::pin!(worker.forwarder.forward(&upstream, request, patience, connected));
    std::future::poll_fn(|cx| {
        if flight.poll_ended(cx) {
            return Poll::Ready(Err(NoAnswer::Ended));
        }
        sent.as_mut().poll(cx).map_err(NoAnswer::Failed)
    })
    .await
}

/// Passes the upstream's answer on.
fn pass_on(upstream: Response, mut open: Open, per: &PerOperation) -> Response {
    let (mut parts, body) = upstream.into_parts();
    let status = parts.status.as_u16();
    open.answered(status, &parts.headers);
    headers::remove_hop_by_hop(&mut parts.headers);
    open.state_limits(&mut parts.headers);
    parts.extensions.insert(Finished::new(&open.flight, &per.tally, status));
    open.announce();
    let id = open.flight.request_id.clone();
    match passage::outbound(body, open) {
        Ok(body) => Response::from_parts(parts, body),
        Err(_lost) => {
            let mut rejection = Rejection::from(ProblemKind::Overloaded).retry_after(1);
            rate_headers::carry_over(&parts.headers, &mut rejection.headers);
            let mut response = rejection.into_response(id.as_str());
            *response.extensions_mut() = parts.extensions;
            response
        }
    }
}

/// Answers in the upstream's place.
fn fail(no_answer: &NoAnswer, open: &mut Open, per: &PerOperation, arrival: &Arrival) -> Response {
    let kind = match no_answer {
        NoAnswer::Failed(Failure::Problem(kind)) => {
            open.worker.sheet.upstream_failed(*kind);
            *kind
        }
        NoAnswer::Failed(Failure::RequestBody(kind)) => *kind,
        NoAnswer::Failed(Failure::ClientGone) => {
            // Nobody reads this answer; it closes the connection.
            let _counted = open.finish(Ending::ClientLeft);
            ProblemKind::RequestInvalid
        }
        NoAnswer::Ended => ProblemKind::InvalidCredentials,
    };
    let status = kind.status().as_u16();
    let mut rejection = Rejection::from(kind);
    if matches!(
        kind,
        ProblemKind::Overloaded | ProblemKind::UpstreamUnreachable | ProblemKind::UpstreamTimeout
    ) {
        rejection = rejection.retry_after(1);
    }
    let mut response = rejection.into_response(arrival.request_id.as_str());
    open.state_limits(response.headers_mut());
    response
        .extensions_mut()
        .insert(Finished::new(&open.flight, &per.tally, status));
    open.announce();
    open.flight
        .bytes_out
        .set(http_body::Body::size_hint(response.body()).exact().unwrap_or(0));
    if open.finish(Ending::Failed(status)).is_err() {
        tracing::warn!(request_id = %arrival.request_id, "answer without a record");
    }
    response
}

impl Open {
    /// Says in the answer what is left.
    fn state_limits(&self, fields: &mut http::HeaderMap) {
        let subject = &self.flight.subject;
        if let Some(tightest) = self.tightest() {
            rate_headers::state(fields, subject.limits(), tightest);
        }
        rate_headers::state_policy(fields, subject.policy());
    }
}
