//! The access log: one line for each answered or refused request, at level `debug` of the target `tollgate::access`, so
//! that no request pays for a line that nobody asked for. Never a query, a credential or a body.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serving::Completion;

use crate::flight::Flight;
use crate::metrics::OperationTally;
use crate::reject::{About, Refused};

const TARGET: &str = "tollgate::access";

/// What is told of an answer once its fate on the socket is known.
#[derive(Debug, Clone)]
pub(crate) struct Finished {
    pub(crate) tally: Arc<OperationTally>,
    pub(crate) status: u16,
    pub(crate) started: Instant,
    line: Option<Arc<Line>>,
}

#[derive(Debug)]
struct Line {
    request_id: String,
    method: String,
    path: String,
    api: Arc<str>,
    operation: Arc<str>,
    subscription: Option<String>,
}

impl Finished {
    pub(crate) fn new(flight: &Rc<Flight>, tally: &Arc<OperationTally>, status: u16) -> Self {
        let wanted = tracing::enabled!(target: TARGET, tracing::Level::DEBUG);
        let line = wanted.then(|| {
            let subject = &flight.subject;
            Arc::new(Line {
                request_id: flight.request_id.to_string(),
                method: flight.method.to_string(),
                path: flight.path.to_string(),
                api: Arc::clone(&subject.api.name),
                operation: Arc::clone(&subject.operation),
                subscription: subject.caller.as_ref().map(|caller| caller.subscription.id.to_string()),
            })
        });
        Self {
            tally: Arc::clone(tally),
            status,
            started: flight.started,
            line,
        }
    }
}

/// An answer has ended.
pub(crate) fn finished(finished: &Finished, completion: Completion) {
    let Some(line) = &finished.line else { return };
    tracing::debug!(
        target: TARGET,
        request_id = line.request_id,
        method = line.method,
        path = line.path,
        api = &*line.api,
        operation = &*line.operation,
        subscription = line.subscription,
        status = finished.status,
        complete = completion == Completion::Sent,
        latency_us = u64::try_from(finished.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "answered"
    );
}

/// A request was refused.
pub(crate) fn refused(refused: &Refused<'_>, about: &About) {
    tracing::debug!(
        target: TARGET,
        request_id = refused.request_id,
        method = refused.method,
        path = crate::route::cut(refused.path),
        api = about.api.as_deref(),
        subscription = about.subscription.map(|id| id.to_string()),
        status = refused.kind.status().as_u16(),
        reason = refused.kind.name(),
        "refused"
    );
}
