//! Starting and stopping the portal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use analytics::Analytics;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use domain::clock::Clock;
use domain::sealed::MasterKey;
use mail::Mailer;
use serving::tls::ServerTls;
use serving::trust::TrustedProxies;
use store::Store;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

use crate::alerts;
use crate::api;
use crate::api::refusals::Refusals;
use crate::app::{App, Inner, Links, TestClock};
use crate::bind::{OpenBind, Tls, bind_allowed};
use crate::hooks::Hooks;
use crate::http::headers::{Transport, secure};
use crate::http::listen;
use crate::http::problem::{Problem, render};
use crate::pages;
use crate::pages::reading::{self, Reading};
use crate::publisher::{Publisher, Worker};
use crate::subscribing;

/// A request may take so long; a large apply is the longest.
const REQUEST_DEADLINE: Duration = Duration::from_mins(2);
const TIMELINE_EVERY: Duration = Duration::from_secs(1);
const CHANGES_KEPT_MS: i64 = 7 * 86_400_000;
const SEARCHES_KEPT_MS: i64 = 90 * 86_400_000;
const PRUNE_EVERY: Duration = Duration::from_hours(1);

/// Where and how to listen.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where browsers find it, without a slash at the end; the address that it listens on unless given.
    pub public_url: Option<String>,
    /// TLS of our own; a certificate that is loaded again is served from the next connection on.
    pub tls: Option<Arc<ServerTls>>,
    /// Proxies in front, whose word about the address of a browser is believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether the clock may be moved through the API.
    pub test_clock: TestClock,
}

/// What the portal works with.
#[derive(Debug)]
pub struct Parts {
    /// The store, migrated.
    pub store: Store,
    /// Facts and roll-ups.
    pub analytics: Analytics,
    /// The clock of the process.
    pub clock: Clock,
    /// Seals secrets.
    pub master_key: MasterKey,
    /// Where snapshots are published.
    pub feed: snapshot::Publisher,
    /// Other services of the process.
    pub hooks: Hooks,
    /// Sends mails.
    pub mailer: Mailer,
}

/// Why the portal does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is open and nothing protects it.
    #[error(transparent)]
    Open(#[from] OpenBind),
    /// The address cannot be taken.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The stored configuration cannot be served.
    #[error("the stored configuration cannot be served: {0}")]
    Snapshot(String),
}

/// The control plane.
#[derive(Debug)]
pub struct Portal;

/// A portal that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    app: App,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Tells the publisher that something was committed elsewhere in the process; cheap to call from anywhere.
    pub fn waker(&self) -> impl Fn() + Send + Sync + 'static {
        let publisher = self.app.publisher.clone();
        move || publisher.wake()
    }

    /// Tells the pages under which address the gateway is found.
    pub fn gateway_at(&self, url: &str) {
        self.app.links.gateway_at(url);
    }

    /// Stops accepting, lets requests in flight finish, stops publishing.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        self.app.publisher.outlet().close();
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

impl Portal {
    /// Publishes the stored configuration, then listens. Returns when requests are accepted.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn start(settings: Settings, parts: Parts) -> Result<Running, Error> {
        let tls = if settings.tls.is_some() { Tls::On } else { Tls::Off };
        bind_allowed(settings.listen, tls, &settings.trusted_proxies)?;
        let deployment = crate::http::problem::hex(&domain::random::bytes::<16>());
        parts.store.ensure_instance(&deployment, parts.clock.now()).await?;
        let failed = |source| Error::Listen {
            addr: settings.listen,
            source,
        };
        let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let public_url = settings.public_url.unwrap_or_else(|| format!("{scheme}://{addr}"));
        let app = App::new(Inner {
            store: parts.store,
            analytics: parts.analytics,
            clock: parts.clock,
            master_key: parts.master_key,
            hooks: parts.hooks,
            mailer: parts.mailer,
            publisher: Publisher::default(),
            test_clock: settings.test_clock,
            refusals: Refusals::default(),
            links: Links::new(public_url),
            reading: Reading::default(),
        });
        let mut worker = Worker::new(app.clone(), parts.feed);
        worker
            .publish()
            .await
            .map_err(|error| Error::Snapshot(error.to_string()))?;
        let (stop, stopped) = watch::channel(false);
        let transport = if settings.tls.is_some() {
            Transport::Tls
        } else {
            Transport::Plain
        };
        let router = router(&app, transport);
        let tasks = vec![
            tokio::spawn(listen::serve(
                (listener, settings.trusted_proxies),
                settings.tls,
                router,
                stopped.clone(),
            )),
            tokio::spawn(worker.run(stopped.clone())),
            tokio::spawn(timeline(app.clone(), stopped.clone())),
            tokio::spawn(alerts::run(app.clone(), stopped.clone())),
            tokio::spawn(reading::keep_warm(app.clone(), stopped.clone())),
            tokio::spawn(housekeeping(app.clone(), stopped)),
        ];
        Ok(Running { addr, app, stop, tasks })
    }
}

/// The whole stack, outermost layer last.
fn router(app: &App, transport: Transport) -> Router {
    Router::new()
        .nest("/api/v1", api::router(app))
        .merge(pages::router(app))
        .route("/static/style.css", get(pages::statics::style))
        .route("/static/portal.js", get(pages::statics::script))
        .route("/static/htmx.js", get(pages::statics::htmx))
        .route("/static/brand.css", get(pages::statics::brand))
        .route("/static/icons.svg", get(pages::statics::icons))
        .fallback(pages::web::enter::nothing_here)
        .with_state(app.clone())
        .layer(CompressionLayer::new().gzip(true).compress_when(pages::may_be_packed()))
        .layer(TimeoutLayer::with_status_code(
            axum::http::StatusCode::REQUEST_TIMEOUT,
            REQUEST_DEADLINE,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(render))
        .layer(from_fn_with_state(transport, secure))
}

/// One request dies, the process lives.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

async fn timeline(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(TIMELINE_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        if let Err(error) = subscribing::carry_out_due(&app).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "due changes of subscriptions wait"
            );
        }
    }
}

async fn housekeeping(app: App, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(PRUNE_EVERY) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = app.clock.now();
        let changes = app.store.prune_changes(now.plus_millis(-CHANGES_KEPT_MS)).await;
        let keys = app.store.prune_idempotent(now).await;
        let sessions = app.store.prune_sessions(now).await;
        let tries = app
            .store
            .prune_attempts(now.plus_millis(-crate::people::throttle::WINDOW_MS))
            .await;
        let nodes = app.store.prune_nodes(now.plus_millis(-CHANGES_KEPT_MS)).await;
        let searches = app.store.prune_searches(now.plus_millis(-SEARCHES_KEPT_MS)).await;
        for error in [
            changes.err(),
            keys.err(),
            sessions.err(),
            tries.err(),
            nodes.err(),
            searches.err(),
        ]
        .into_iter()
        .flatten()
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old rows stay for another hour"
            );
        }
    }
}
