//! Mails: to an SMTP server, or as files of an outbox.
//!
//! [`Mailer::queue`] hands a mail to a task of its own and returns at once, so that no page waits for a mail server;
//! [`Mailer::send_now`] waits and tells what the server said. Each mail has a text and an HTML part that say the same.
//!
//! Invariants: a header never gets a line end from outside (addresses and subjects are checked); every step of a
//! conversation is bounded in time, the queue is bounded in length; a mail that is given up is counted and logged, with
//! its kind but neither its address nor its text; a password of the mail server stands in no log and no debug output;
//! it is never sent unencrypted to another machine. Deliberately absent: templates (the caller's), and a queue that
//! outlives the process, because mails carry links that let people in.

mod error;
mod message;
mod metrics;
mod outbox;
mod queue;
mod transport;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use error::Error;
pub use message::{Mail, check_address};
pub use metrics::Counts;

use message::Sender;
use metrics::Metrics;
use queue::Queue;
use transport::Transport;

/// Where mails go and who they come from.
#[derive(Clone)]
pub struct Settings {
    /// `outbox:`, `outbox:DIRECTORY`, `smtp://…` or `smtps://…`.
    pub url: String,
    /// The sender: an address, or `Name <address>`.
    pub from: String,
    /// Where `outbox:` without a directory writes.
    pub outbox: PathBuf,
    /// PEM certificates of an authority that is trusted besides the public ones.
    pub authority: Option<Vec<u8>>,
    /// How often and how soon a mail is tried again.
    pub retry: Retry,
}

impl Settings {
    /// Whether a mailer would start with them.
    ///
    /// # Errors
    /// As [`Mailer::start`].
    pub fn check(&self) -> Result<(), Error> {
        Sender::parse(&self.from)?;
        Transport::open(self).map(drop)
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("url", &url::masked(&self.url))
            .field("from", &self.from)
            .field("outbox", &self.outbox)
            .finish_non_exhaustive()
    }
}

/// How often and how soon a mail is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Tries in all.
    pub attempts: u32,
    /// Pause after the first failure; each later one is four times as long, an hour at most.
    pub first_pause: Duration,
}

impl Default for Retry {
    /// Eight tries within a bit more than three hours.
    fn default() -> Self {
        Self {
            attempts: 8,
            first_pause: Duration::from_secs(2),
        }
    }
}

/// Sends mails. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Mailer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    sender: Sender,
    place: String,
    transport: Transport,
    queue: Queue,
    metrics: Metrics,
}

impl Mailer {
    /// Checks the settings and begins to send. Needs a Tokio runtime; talks to no server yet.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Authority`] or [`Error::Sender`] where a setting does not stand.
    pub fn start(settings: &Settings) -> Result<Self, Error> {
        let sender = Sender::parse(&settings.from)?;
        let transport = Transport::open(settings)?;
        let metrics = Metrics::default();
        let queue = Queue::start(transport.clone(), settings.retry, metrics.clone());
        Ok(Self(Arc::new(Inner {
            sender,
            place: url::masked(&settings.url),
            transport,
            queue,
            metrics,
        })))
    }

    /// Hands over a mail and returns at once. It is tried again when the server does not take it.
    ///
    /// # Errors
    /// [`Error::Recipient`], [`Error::Subject`] or [`Error::Compose`] for a mail that can never be sent, [`Error::Full`]
    /// when too many wait, [`Error::Stopped`]. Each is logged and counted, so that callers may go on.
    pub fn queue(&self, mail: &Mail) -> Result<(), Error> {
        let queued = self.0.sender.compose(mail).and_then(|letter| self.0.queue.add(letter));
        queued.inspect_err(|error| {
            self.0.metrics.dropped.inc();
            tracing::error!(
                kind = mail.kind,
                error = error as &dyn std::error::Error,
                "a mail is not sent"
            );
        })
    }

    /// Sends a mail now, once, and tells what came of it.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn send_now(&self, mail: &Mail) -> Result<(), Error> {
        let letter = self.0.sender.compose(mail)?;
        let sent = self.0.transport.send(&letter).await;
        match &sent {
            Ok(()) => self.0.metrics.sent.inc(),
            Err(_) => self.0.metrics.failures.inc(),
        };
        sent
    }

    /// Where mails go, without a password.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Who mails come from.
    pub fn from(&self) -> String {
        self.0.sender.to_string()
    }

    /// Numbers since the start.
    pub fn counts(&self) -> Counts {
        self.0.metrics.counts()
    }

    /// Shows the numbers to Prometheus.
    pub fn register(&self, registry: &mut prometheus_client::registry::Registry) {
        self.0.metrics.register(registry);
    }

    /// Returns when nothing is queued and nothing waits to be tried again.
    pub async fn idle(&self) {
        self.0.queue.idle().await;
    }

    /// Tries what is queued once more, within `limit`, and ends. What is left is counted and logged.
    pub async fn stop(&self, limit: Duration) {
        self.0.queue.stop(limit).await;
    }
}
