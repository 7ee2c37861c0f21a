//! Sends an admitted request to one target of its upstream and brings back the head of the answer.
//!
//! A request is sent again in one case only: it went out on a kept connection that had gone stale, and either not a byte
//! of it had been written or it has no body and its method is idempotent. A connection that could not be opened is no
//! attempt: the next target is tried. Nothing here counts or bills, so a retry cannot either.

use std::rc::Rc;
use std::time::Duration;

use http::{Method, Uri};
use serving::h1::client::{Connection, Error, ErrorKind, Home, Retry, Timeouts};
use serving::problem::ProblemKind;
use serving::{Request, Response};
use tokio::time::Instant;

use crate::balance::{self, Registry};
use crate::metrics::Sheet;
use crate::pool::Lease;
use crate::upstream::{Target, Upstream, Upstreams};

/// Time limits of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// To have a connection.
    pub(crate) connect: Duration,
    /// From the end of the request to the head of the answer, and between two pieces of it.
    pub(crate) response: Duration,
}

/// No answer came.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The gateway answers in the upstream's place.
    Problem(ProblemKind),
    /// The client's own body broke off or broke the rules.
    RequestBody(ProblemKind),
    /// The client is gone.
    ClientGone,
}

/// What a worker forwards with.
pub(crate) struct Forwarder {
    pub(crate) upstreams: Upstreams,
    pub(crate) tls: serving::tls::ClientTls,
    pub(crate) sheet: std::sync::Arc<Sheet>,
}

/// A connection ready for a request.
struct Ready {
    connection: Connection,
    lease: Rc<Lease>,
    target: Rc<Target>,
}

impl Forwarder {
    /// Forwards `request`, whose path is canonical and lacks the target's prefix. `connected` is called once a
    /// connection is there.
    ///
    /// # Errors
    /// [`Failure`] when no answer came; nothing of the request is under way then.
    pub(crate) async fn forward(
        &self,
        upstream: &Upstream,
        mut request: Request,
        patience: Patience,
        connected: impl Fn(),
    ) -> Result<Response, Failure> {
        let deadline = Instant::now() + patience.connect;
        let path = request.uri().clone();
        let method = request.method().clone();
        let mut fresh = false;
        loop {
            let ready = self
                .connect(upstream, deadline, fresh)
                .await
                .map_err(Failure::Problem)?;
            connected();
            address(&mut request, &path, &ready.target);
            let kept = ready.connection.exchanges() > 0;
            let sent = ready
                .connection
                .send(request, timeouts(patience), Some(ready.lease as Rc<dyn Home>))
                .await;
            match sent {
                Ok(response) => return Ok(response),
                Err(error) => {
                    tracing::debug!(%error, kept, "no answer from the upstream");
                    let once_more = kept && !fresh && may_repeat(&error, &method);
                    request = match error.request {
                        Some(request) if once_more => *request,
                        _ => return Err(failure(&error.kind)),
                    };
                    fresh = true;
                    self.sheet.upstream_retries.add(1);
                }
            }
        }
    }

    /// A connection to one of the targets: a kept one (unless `fresh`), else a new one.
    async fn connect(&self, upstream: &Upstream, deadline: Instant, fresh: bool) -> Result<Ready, ProblemKind> {
        let registry = &self.upstreams.registry;
        let mut tried = Vec::new();
        let mut late = false;
        while let Some(index) =
            balance::choose(registry, upstream.targets.iter().map(|target| &target.weighted), &tried)
        {
            let target = &upstream.targets[index];
            let opened = if fresh { target.pool.try_open() } else { None };
            let grant = match opened {
                Some(grant) => grant,
                None => target.pool.grant(deadline).await.ok_or(ProblemKind::Overloaded)?,
            };
            let lease = grant.lease;
            if let Some(connection) = grant.kept {
                self.sheet.upstream_reused.add(1);
                return Ok(Ready {
                    connection,
                    lease,
                    target: Rc::clone(target),
                });
            }
            match target.connect(&self.tls, deadline).await {
                Ok(connection) => {
                    Registry::accepted(&target.weighted.health);
                    self.sheet.upstream_connections.add(1);
                    return Ok(Ready {
                        connection,
                        lease,
                        target: Rc::clone(target),
                    });
                }
                Err(error) => {
                    late = error.kind() == std::io::ErrorKind::TimedOut;
                    tracing::debug!(%error, target = ?target.authority, "no connection to the target");
                    registry.refused(&target.weighted.health, std::time::Instant::now());
                    tried.push(index);
                }
            }
            if late {
                break;
            }
        }
        Err(if late {
            ProblemKind::UpstreamTimeout
        } else {
            ProblemKind::UpstreamUnreachable
        })
    }
}

/// Names the target in the request: its `Host`, its prefix before the path.
fn address(request: &mut Request, path: &Uri, target: &Target) {
    request
        .headers_mut()
        .insert(http::header::HOST, target.authority.clone());
    let prefix = &*target.endpoint.prefix;
    let path_and_query = path.path_and_query().map_or("/", |path| path.as_str());
    // Both parts are canonical, so what they make is; what makes no URI goes nowhere, and is refused as it is sent.
    let prefixed = if prefix.is_empty() {
        None
    } else {
        Some([prefix, path_and_query].concat().parse())
    };
    *request.uri_mut() = match prefixed {
        None => path.clone(),
        Some(uri) => uri.unwrap_or_else(|_| Uri::from_static("*")),
    };
}

const fn timeouts(patience: Patience) -> Timeouts {
    Timeouts {
        response: patience.response,
        body_idle: patience.response,
        write_stall: Duration::from_secs(30),
    }
}

fn may_repeat(error: &Error, method: &Method) -> bool {
    match error.retry() {
        Retry::Safe => true,
        // Within an answer's head the upstream has begun to act; only silence may be a connection gone stale.
        Retry::IfIdempotent => matches!(error.kind, ErrorKind::Closed(_)) && method.is_idempotent(),
        Retry::Never => false,
    }
}

fn failure(kind: &ErrorKind) -> Failure {
    match kind {
        ErrorKind::NotSent(_) | ErrorKind::Closed(_) => Failure::Problem(ProblemKind::UpstreamUnreachable),
        ErrorKind::Cut(_) | ErrorKind::Invalid(_) => Failure::Problem(ProblemKind::UpstreamInvalid),
        ErrorKind::Timeout => Failure::Problem(ProblemKind::UpstreamTimeout),
        ErrorKind::RequestBody(error) => error.problem().map_or(Failure::ClientGone, Failure::RequestBody),
        ErrorKind::Unsendable(_) => Failure::RequestBody(ProblemKind::RequestInvalid),
    }
}
