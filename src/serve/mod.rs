//! The platform as a process: starts the services in order, wires them to each other, drains and stops them.
//!
//! Order of the start: the ledger takes up the journals of earlier runs; the control plane publishes its snapshot;
//! counters begin where the ledger stands; only then does the gateway accept. Order of the end: the gateway drains, so
//! that nothing is written any more; metering counts the rest; then the others.

mod baseline;
mod control;
mod data_dir;
mod data_plane;
mod follow;
mod ops;
mod reconciling;
mod report;
mod roles;
mod sharing;
mod start;
mod tls;
mod upkeep;

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) use data_dir::prepare as prepare_directory;
pub(crate) use roles::Roles;
pub(crate) use start::{Login, Running, open_analytics, start};

use crate::config::{Config, Environment};

/// Threads of everything but the gateway.
const CONTROL_THREADS: usize = 2;
/// How much the threads of everything but the gateway yield to it.
const CONTROL_NICE: i32 = 5;

/// Why the platform does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("this configuration cannot be served:\n{0}")]
    NotBuilt(String),
    #[error("these roles cannot run apart with this configuration:\n{0}")]
    Roles(String),
    #[error(
        "{0}: not there. A gateway opens sealed secrets with the key that the portal made: copy that file here and name it in secrets.master_key_file"
    )]
    MasterKey(std::path::PathBuf),
    #[error("{path}: cannot be read")]
    ControlFile {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{path}: cannot be kept")]
    RunsFile {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("counters.url cannot be used")]
    Counters(#[from] counters::shared::redis::BadAddress),
    #[error("the control plane cannot be asked")]
    Control(#[from] snapshot::control::Error),
    #[error("the runtime cannot be started")]
    Runtime(#[source] std::io::Error),
    #[error(transparent)]
    Logs(#[from] telemetry::Error),
    #[error("the data directory cannot be used")]
    DataDir(#[from] data_dir::Error),
    #[error("the database cannot be used")]
    Store(#[from] store::Error),
    #[error("the analytics database cannot be used")]
    Analytics(#[from] analytics::Error),
    #[error("the usage journal cannot be used")]
    Journal(#[from] journal::Error),
    #[error("the usage journal cannot be set up")]
    JournalSettings(#[source] std::io::Error),
    #[error("usage cannot be shipped or fetched")]
    Usage(#[from] usage_source::Error),
    #[error("usage of earlier runs cannot be counted")]
    Metering(#[from] metering::Gone),
    #[error("the first administrator cannot be made")]
    FirstAdmin(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("an empty configuration cannot be compiled")]
    Snapshot(#[from] snapshot::Error),
    #[error("mails cannot be sent")]
    Mail(#[from] mail::Error),
    #[error("the portal cannot be started")]
    Portal(#[from] portal::Error),
    #[error("the gateway cannot be started")]
    Gateway(#[from] gateway::Error),
    #[error("TLS cannot be set up")]
    Tls(#[from] tls::Error),
    #[error("ops.listen: cannot listen on {address}")]
    Ops {
        address: std::net::SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// The runtime of everything but the gateway, at lower priority than its threads.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .max_blocking_threads(16)
        .thread_name("control")
        .on_thread_start(|| {
            let thread = rustix::thread::gettid();
            // Without the right to lower it the priority stays as it is.
            let _ = rustix::process::setpriority_process(Some(thread), CONTROL_NICE);
        })
        .enable_all()
        .build()
        .map_err(Error::Runtime)
}

/// Serves until the process is told to end.
///
/// # Errors
/// Why it did not start.
pub(crate) fn run(config: Config, roles: Roles, environment: &Environment) -> Result<(), Error> {
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let mut signals = Signals::listen();
        // A gateway that waits for its first snapshot can be told to end, too.
        let running = tokio::select! {
            started = start(config, roles, environment) => started?,
            () = signals.told_to_end() => return Ok(()),
        };
        running.announce();
        signals.told_to_end().await;
        running.stop().await;
        Ok(())
    });
    // What still blocks a thread must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// SIGTERM and SIGINT, listened for from the start on, so that none is missed once an address was told.
pub(crate) struct Signals(Option<(Signal, Signal)>);

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Self {
        Self(
            signal(SignalKind::terminate())
                .ok()
                .zip(signal(SignalKind::interrupt()).ok()),
        )
    }

    /// Waits for one of them.
    pub(crate) async fn told_to_end(&mut self) {
        let Some((term, int)) = &mut self.0 else {
            tracing::error!("signals cannot be listened for; only kill ends this process");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    }
}
