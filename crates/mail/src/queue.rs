//! Mails on their way: one task tries them in turn, those that failed again later.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::message::Letter;
use crate::metrics::Metrics;
use crate::transport::Transport;
use crate::{Error, Retry};

/// Mails that may wait for their first try.
const QUEUED: usize = 1_000;
/// Mails that may wait for another try; beyond that no new one is taken from the queue, which then fills.
const WAITING: usize = 1_000;
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// What the worker gets beyond the limit of a stop to write its log lines.
const GIVE_UP: Duration = Duration::from_millis(200);

/// The way into the queue.
#[derive(Debug)]
pub(crate) struct Queue {
    entry: mpsc::Sender<Letter>,
    metrics: Metrics,
    pending: watch::Sender<usize>,
    stop: watch::Sender<Option<Instant>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

struct Waiting {
    letter: Letter,
    tries: u32,
    due: Instant,
}

/// What the worker does next.
enum Turn {
    New(Letter),
    Again,
    Stop,
}

struct Worker {
    transport: Transport,
    retry: Retry,
    metrics: Metrics,
    exit: mpsc::Receiver<Letter>,
    waiting: Vec<Waiting>,
    pending: watch::Sender<usize>,
}

impl Queue {
    pub(crate) fn start(transport: Transport, retry: Retry, metrics: Metrics) -> Self {
        let (entry, exit) = mpsc::channel(QUEUED);
        let (stop, stopped) = watch::channel(None);
        let pending = watch::Sender::new(0);
        let worker = Worker {
            transport,
            retry,
            metrics: metrics.clone(),
            exit,
            waiting: Vec::new(),
            pending: pending.clone(),
        };
        let task = tokio::spawn(worker.run(stopped));
        Self {
            entry,
            metrics,
            pending,
            stop,
            task: Mutex::new(Some(task)),
        }
    }

    pub(crate) fn add(&self, letter: Letter) -> Result<(), Error> {
        // Counted before it is handed over: the worker may be done with it at once.
        self.pending.send_modify(|pending| *pending += 1);
        self.metrics.waiting.inc();
        self.entry.try_send(letter).map_err(|error| {
            self.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
            self.metrics.waiting.dec();
            match error {
                mpsc::error::TrySendError::Full(_) => Error::Full,
                mpsc::error::TrySendError::Closed(_) => Error::Stopped,
            }
        })
    }

    pub(crate) async fn idle(&self) {
        let mut pending = self.pending.subscribe();
        // The sender lives as long as this queue.
        let _ = pending.wait_for(|pending| *pending == 0).await;
    }

    pub(crate) async fn stop(&self, limit: Duration) {
        let end = Instant::now() + limit;
        self.stop.send_replace(Some(end));
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut task) = task else { return };
        // A try that runs already may last longer than the limit.
        if tokio::time::timeout_at(end + GIVE_UP, &mut task).await.is_err() {
            task.abort();
            // Awaited, so that its end of the queue is gone and nothing is taken any more.
            let _ = task.await;
            let left = *self.pending.borrow();
            self.metrics.dropped.inc_by(u64::try_from(left).unwrap_or(u64::MAX));
            tracing::error!(mails = left, "mails are given up at the stop");
        }
    }
}

impl Worker {
    async fn run(mut self, mut stop: watch::Receiver<Option<Instant>>) {
        loop {
            let next = self.waiting.iter().map(|waiting| waiting.due).min();
            let turn = tokio::select! {
                letter = self.exit.recv(), if self.waiting.len() < WAITING => letter.map_or(Turn::Stop, Turn::New),
                () = at(next) => Turn::Again,
                _ = stop.wait_for(Option::is_some) => Turn::Stop,
            };
            match turn {
                Turn::New(letter) => self.attempt(letter, 1).await,
                Turn::Again => self.attempt_due().await,
                Turn::Stop => break,
            }
        }
        let end = *stop.borrow();
        self.last_tries(end.unwrap_or_else(Instant::now)).await;
    }

    async fn attempt_due(&mut self) {
        let now = Instant::now();
        let due = self.waiting.iter().position(|waiting| waiting.due <= now);
        if let Some(Waiting { letter, tries, .. }) = due.map(|index| self.waiting.swap_remove(index)) {
            self.attempt(letter, tries + 1).await;
        }
    }

    /// The try of this number.
    async fn attempt(&mut self, letter: Letter, tries: u32) {
        let Err(error) = self.transport.send(&letter).await else {
            self.metrics.sent.inc();
            return self.done();
        };
        self.metrics.failures.inc();
        if error.retryable() && tries < self.retry.attempts {
            let pause = self.pause(tries);
            tracing::warn!(
                kind = letter.kind,
                tries,
                pause_s = pause.as_secs(),
                error = &error as &dyn std::error::Error,
                "a mail was not taken and is tried again"
            );
            let due = Instant::now() + pause;
            self.waiting.push(Waiting { letter, tries, due });
        } else {
            self.give_up(&letter, tries, &error);
        }
    }

    fn pause(&self, tries: u32) -> Duration {
        let factor = 4_u32.saturating_pow(tries.saturating_sub(1));
        self.retry.first_pause.saturating_mul(factor).min(LONGEST_PAUSE)
    }

    fn give_up(&self, letter: &Letter, tries: u32, error: &Error) {
        self.metrics.dropped.inc();
        tracing::error!(
            kind = letter.kind,
            tries,
            error = error as &dyn std::error::Error,
            "a mail is given up"
        );
        self.done();
    }

    fn done(&self) {
        self.metrics.waiting.dec();
        self.pending.send_modify(|pending| *pending = pending.saturating_sub(1));
    }

    /// What is left gets one more try until `end`; then it is given up.
    async fn last_tries(mut self, end: Instant) {
        self.exit.close();
        let mut left: Vec<(Letter, u32)> = Vec::new();
        while let Ok(letter) = self.exit.try_recv() {
            left.push((letter, 0));
        }
        left.extend(self.waiting.drain(..).map(|waiting| (waiting.letter, waiting.tries)));
        for (letter, tries) in left {
            match tokio::time::timeout_at(end, self.transport.send(&letter)).await {
                Ok(Ok(())) => {
                    self.metrics.sent.inc();
                    self.done();
                }
                Ok(Err(error)) => self.give_up(&letter, tries + 1, &error),
                Err(_) => self.give_up(&letter, tries, &Error::Stopped),
            }
        }
    }
}

/// At this instant; never when there is none.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
