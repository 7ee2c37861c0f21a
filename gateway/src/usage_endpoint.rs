//! `GET /.tollgate/usage`: what the caller's own key has left.
//!
//! Not counted, not billed, no record; limited to a few calls a second for each key and worker.

use std::cell::RefCell;
use std::collections::HashMap;

use counters::{Admission, Cell, LimitKind, LimitView, Times};
use domain::ids::CredentialId;
use domain::key::Mode;
use domain::quantity::Quantity;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use serving::problem::ProblemKind;
use serving::{Body, Request, Response};
use snapshot::{CompiledSubscription, Snapshot};

use crate::credential::{self, Places, Presented};
use crate::identify;
use crate::reject::{About, Rejection};
use crate::standing::{self, Place};
use crate::worker::Worker;

const PATH: &str = "/.tollgate/usage";
const CALLS_A_SECOND: u32 = 10;

/// Calls of this second by key.
#[derive(Default)]
pub(crate) struct Calls(RefCell<HashMap<CredentialId, u32>>);

impl Calls {
    fn admit(&self, credential: CredentialId) -> bool {
        let mut calls = self.0.borrow_mut();
        let count = calls.entry(credential).or_insert(0);
        *count = count.saturating_add(1);
        *count <= CALLS_A_SECOND
    }

    /// A new second begins.
    pub(crate) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

/// Answers what stands below `/.tollgate`.
///
/// # Errors
/// `no-route` for anything but the one path, and those of identification.
pub(crate) fn answer(worker: &Worker, request: &Request, path: &str, about: &mut About) -> Result<Response, Rejection> {
    if path != PATH {
        return Err(ProblemKind::NoRoute.into());
    }
    if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        let allow = HeaderValue::from_static("GET, HEAD");
        return Err(Rejection::from(ProblemKind::MethodNotAllowed).with(http::header::ALLOW, allow));
    }
    let mut reader = worker.reader.borrow_mut();
    let snapshot = reader.current();
    let now = worker.stamper.now();
    let (_, key, consumer) = identify::consumer(snapshot, presented(snapshot, request), now, about)?;
    let pinned = key.pinned();
    let open = |one: &&CompiledSubscription| pinned.is_empty() || pinned.contains(&one.plan.product.id);
    let open: Vec<&CompiledSubscription> = consumer.subscriptions.iter().map(|one| &**one).filter(open).collect();
    let place = Place {
        mode: key.mode,
        operation: "",
        revision: snapshot.revision(),
    };
    if !worker.usage_calls.admit(key.credential) {
        let mut rejection = Rejection::from(ProblemKind::RateLimited).retry_after(1);
        standing::state(&mut rejection.headers, worker, open.into_iter(), place);
        return Err(rejection);
    }
    let times = Times {
        mono_ns: worker.mono_ns(),
        wall: now,
    };
    let describe = |one: &&CompiledSubscription| {
        let cell = worker.counters.subscription(one.id, key.mode);
        describe(one, &cell, snapshot.revision(), times)
    };
    let subscriptions: Vec<Value> = open.iter().map(describe).collect();
    let mode = if key.mode == Mode::Live { "live" } else { "test" };
    let document = json!({
        "consumer": { "id": consumer.id.to_string(), "name": *consumer.name },
        "mode": mode,
        "subscriptions": subscriptions,
    });
    let mut response = Response::new(Body::full(serde_json::to_vec(&document).unwrap_or_default()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    standing::state(headers, worker, open.into_iter(), place);
    Ok(response)
}

/// The key may stand wherever some API takes it, except in a query.
fn presented(snapshot: &Snapshot, request: &Request) -> Presented {
    let headers = snapshot.routes().apis().map(|api| &*api.key_location.header);
    std::iter::once("x-api-key")
        .chain(headers)
        .map(|header| credential::find(request.headers(), None, Places { header, query: None }))
        .find(|presented| *presented != Presented::Nothing)
        .unwrap_or(Presented::Nothing)
}

fn describe(subscription: &CompiledSubscription, cell: &std::sync::Arc<Cell>, revision: u64, times: Times) -> Value {
    let plan = &subscription.plan;
    let admission = Admission {
        limits: &plan.limits,
        applies: &plan.all,
        cycle: &subscription.cycle,
        revision,
        weight: 1,
    };
    let window = subscription.cycle.window(times.wall);
    let limits: Vec<Value> = cell.view(&admission, times).iter().map(limit).collect();
    json!({
        "id": subscription.id.to_string(),
        "product": *plan.product.name,
        "plan": *plan.name,
        "status": subscription.status.as_str(),
        "period": { "start": window.start, "end": window.end },
        "limits": limits,
    })
}

fn limit(view: &LimitView) -> Value {
    json!({
        "limit": *view.key,
        "kind": match view.kind {
            LimitKind::Rate => "rate",
            LimitKind::Quota => "quota",
            LimitKind::Concurrency => "concurrency",
        },
        "meter": view.meter.as_deref(),
        "max": view.max,
        "ceiling": view.ceiling,
        "used": amount(view.used),
        "remaining": amount(view.remaining),
        "resets_at": view.resets_at,
    })
}

/// A whole number where it is one, else an exact decimal in a string.
fn amount(quantity: Quantity) -> Value {
    quantity
        .whole_units()
        .map_or_else(|| quantity.to_string().into(), Into::into)
}
