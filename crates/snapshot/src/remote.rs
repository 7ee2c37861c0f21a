//! Feeds a gateway from a control plane in another process.
//!
//! A thread asks for what is new and is answered when there is something (long poll). What comes is verified, compiled,
//! published and kept on disk, in this order: the gateway serves a revision at once, and begins with the last good one
//! when the control plane is away. A refused answer changes nothing; the next question asks for everything.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::clock::{Clock, Reading};
use domain::sealed::MasterKey;
use tokio::sync::watch;

use crate::control::{Control, Error};
use crate::copy::{Answer, Copy, Refused, State};
use crate::feed::Publisher;

/// How long the control plane may hold a question.
const HOLD_SECONDS: u64 = 20;
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LAST_BACKOFF: Duration = Duration::from_secs(5);

/// What a remote feed works with.
pub struct Parts {
    /// The line to the control plane.
    pub control: Control,
    /// Opens sealed values; the fleet shares one.
    pub master_key: MasterKey,
    /// Shows snapshots to this process.
    pub publisher: Publisher,
    /// The disk copy.
    pub file: PathBuf,
    /// The clock of this process; it follows the deployment's test clock where there is one.
    pub clock: Clock,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

/// How the feed does.
#[derive(Debug, Default)]
pub struct Status {
    connected: AtomicBool,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Status {
    /// Whether the last question was answered.
    pub fn connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    /// Answers that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Acquire)
    }

    /// Questions without an answer since the start.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Acquire)
    }
}

/// A feed that runs. Its thread ends with the process or soon after this is dropped.
#[derive(Debug)]
pub struct Remote {
    status: Arc<Status>,
    served: watch::Receiver<bool>,
    stop: Arc<AtomicBool>,
}

impl Remote {
    /// Publishes the disk copy, if there is a good one, and begins to ask.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(parts: Parts) -> std::io::Result<Self> {
        let (copy, state) = Copy::open(&parts.file, &parts.master_key);
        let (serves, served) = watch::channel(false);
        if let Some(snapshot) = state.snapshot() {
            tracing::info!(revision = snapshot.revision(), "serving the snapshot of the disk copy");
            parts.publisher.publish(snapshot.clone());
            serves.send_replace(true);
        }
        let status = Arc::new(Status::default());
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            parts,
            copy,
            state,
            serves,
            status: Arc::clone(&status),
            stop: Arc::clone(&stop),
            whole: false,
        };
        std::thread::Builder::new()
            .name("snapshot-feed".to_owned())
            .spawn(move || worker.run())?;
        Ok(Self { status, served, stop })
    }

    /// How it does.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Waits for the first snapshot, from disk or from the control plane.
    pub async fn served(&self) {
        // The sender lives as long as the thread, which ends only with this.
        let _ = self.served.clone().wait_for(|served| *served).await;
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}

struct Worker {
    parts: Parts,
    copy: Copy,
    state: State,
    serves: watch::Sender<bool>,
    status: Arc<Status>,
    stop: Arc<AtomicBool>,
    /// The next question asks for everything.
    whole: bool,
}

/// Why a question led to nothing.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Control(#[from] Error),
    #[error("the snapshot was refused")]
    Refused(#[from] Refused),
}

impl Worker {
    fn run(mut self) {
        let mut backoff = FIRST_BACKOFF;
        while !self.stop.load(Ordering::Acquire) {
            match self.ask() {
                Ok(()) => {
                    self.status.connected.store(true, Ordering::Release);
                    backoff = FIRST_BACKOFF;
                }
                Err(error) => {
                    self.failed(&error);
                    std::thread::sleep(backoff);
                    backoff = (backoff * 2).min(LAST_BACKOFF);
                }
            }
        }
    }

    fn failed(&mut self, error: &Failed) {
        let was = self.status.connected.swap(false, Ordering::AcqRel);
        match error {
            Failed::Control(_) => {
                let before = self.status.failed.fetch_add(1, Ordering::AcqRel);
                if was || before == 0 {
                    tracing::warn!(
                        error = error as &dyn std::error::Error,
                        "no news of the configuration; serving what is known"
                    );
                }
            }
            Failed::Refused(_) => {
                self.status.refused.fetch_add(1, Ordering::AcqRel);
                self.whole = true;
                tracing::error!(error = error as &dyn std::error::Error, "the old configuration stays");
            }
        }
    }

    fn ask(&mut self) -> Result<(), Failed> {
        let question = self.question();
        let Some(mut text) = self.parts.control.get(&question)? else {
            return Ok(());
        };
        let Some(answer) = Answer::read(&mut text)? else {
            return Err(Refused::Torn.into());
        };
        if let Some(reading) = answer.header.clock {
            self.parts.clock.follow(reading);
        }
        let has = self.state.has();
        if has.is_some_and(|has| Some(has.revision) == answer.header.since && has.revision == answer.header.revision) {
            return Ok(());
        }
        let snapshot = self.state.take(&answer, &self.parts.master_key)?;
        tracing::debug!(
            revision = snapshot.revision(),
            rows = answer.header.rows,
            "new snapshot"
        );
        self.parts.publisher.publish(snapshot);
        self.serves.send_replace(true);
        self.whole = false;
        if let Err(error) = self.copy.keep(&answer) {
            tracing::error!(%error, "the disk copy of the snapshot cannot be written");
        }
        Ok(())
    }

    fn question(&self) -> String {
        let mut question = format!("/feed?wait={HOLD_SECONDS}");
        if let Some(has) = self.state.has().filter(|_| !self.whole && !self.copy.wants_whole()) {
            question.push_str(&format!("&since={}&checksum={}", has.revision, has.checksum));
        }
        let Reading { offset_ms, frozen_at } = self.parts.clock.reading();
        question.push_str(&format!("&clock_offset_ms={offset_ms}"));
        if let Some(at) = frozen_at {
            question.push_str(&format!("&clock_frozen_at={at}"));
        }
        question
    }
}
