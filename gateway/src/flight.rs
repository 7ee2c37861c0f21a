//! Requests that are under way on one worker: what their records will say, and how ticks reach them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use domain::clock::Timestamp;
use domain::usage::{Fact, Kind, Outcome, Source, Steps};
use serving::request_id::RequestId;

use crate::admit::Subject;

/// One admitted request until its end.
pub(crate) struct Flight {
    pub(crate) subject: Subject,
    pub(crate) request_id: RequestId,
    /// Decides the period in quota, ledger and rating.
    pub(crate) admitted_at: Timestamp,
    /// Start of that period.
    pub(crate) period_start: Option<Timestamp>,
    /// When its head had arrived.
    pub(crate) started: Instant,
    pub(crate) method: http::Method,
    /// Canonical, cut for records.
    pub(crate) path: Box<str>,
    pub(crate) steps: Cell<Steps>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    /// The status of the upstream's answer, once its head is there.
    pub(crate) answered: Cell<Option<u16>>,
    /// Bytes in and out that checkpoints have told of.
    told: Cell<(u64, u64)>,
    told_at: Cell<Instant>,
    listed_open: Cell<bool>,
    ended_by_us: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What is known when a request is admitted.
pub(crate) struct Departure {
    pub(crate) subject: Subject,
    pub(crate) request_id: RequestId,
    pub(crate) admitted_at: Timestamp,
    pub(crate) period_start: Option<Timestamp>,
    pub(crate) started: Instant,
    pub(crate) method: http::Method,
    pub(crate) path: Box<str>,
    pub(crate) steps: Steps,
}

impl Flight {
    pub(crate) fn new(departure: Departure) -> Self {
        let Departure {
            subject,
            request_id,
            admitted_at,
            period_start,
            started,
            method,
            path,
            steps,
        } = departure;
        Self {
            subject,
            request_id,
            admitted_at,
            period_start,
            started,
            method,
            path,
            steps: Cell::new(steps),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            answered: Cell::new(None),
            told: Cell::new((0, 0)),
            told_at: Cell::new(started),
            listed_open: Cell::new(false),
            ended_by_us: Cell::new(false),
            waker: RefCell::new(None),
        }
    }

    /// Microseconds since the request's head.
    pub(crate) fn elapsed_us(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_micros()).unwrap_or(u32::MAX)
    }

    /// Notes the end of a step.
    pub(crate) fn step(&self, note: impl FnOnce(&mut Steps, u32)) {
        let mut steps = self.steps.get();
        note(&mut steps, self.elapsed_us());
        self.steps.set(steps);
    }

    /// The caller lost its right to be served: whoever polls the request next ends it.
    pub(crate) fn end(&self) {
        self.ended_by_us.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the caller lost its right; otherwise the task of `cx` is woken when it does.
    pub(crate) fn poll_ended(&self, cx: &Context<'_>) -> bool {
        if self.ended_by_us.get() {
            return true;
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        false
    }

    /// Whether it has run for so long and is not listed open yet.
    fn is_due_open(&self, now: Instant) -> bool {
        !self.listed_open.get() && now.saturating_duration_since(self.started) >= OPEN_AFTER
    }

    fn is_due_checkpoint(&self, now: Instant) -> bool {
        self.answered.get().is_some() && now.saturating_duration_since(self.told_at.get()) >= CHECKPOINT_EVERY
    }

    /// Bytes in and out since the last checkpoint.
    pub(crate) fn untold(&self) -> (u64, u64) {
        let (told_in, told_out) = self.told.get();
        (
            self.bytes_in.get().saturating_sub(told_in),
            self.bytes_out.get().saturating_sub(told_out),
        )
    }

    /// Fills a record; the strings in it keep their room from record to record.
    pub(crate) fn fill(&self, fact: &mut Fact, outcome: Outcome) {
        let (bytes_in, bytes_out) = self.untold();
        write(&mut fact.request_id, self.request_id.as_str());
        self.subject.fill(fact);
        write(&mut fact.method, self.method.as_str());
        write(&mut fact.path, &self.path);
        fact.admitted_at = self.admitted_at;
        fact.period_start = self.period_start;
        fact.outcome = outcome;
        fact.bytes_in = bytes_in;
        fact.bytes_out = bytes_out;
        fact.latency_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        fact.steps = self.steps.get();
        fact.quantities.clear();
        fact.limits.clear();
    }

    /// How it stands while it is under way.
    pub(crate) fn standing(&self, kind: Kind) -> Outcome {
        let status = self.answered.get();
        let source = if status.is_some() {
            Source::Upstream
        } else {
            Source::Gateway
        };
        Outcome {
            source,
            status: status.unwrap_or(0),
            client_aborted: false,
            upstream_answered: status.is_some(),
            kind,
        }
    }
}

/// Writes into a string that keeps its room.
pub(crate) fn write(to: &mut String, text: &str) {
    to.clear();
    to.push_str(text);
}

const OPEN_AFTER: Duration = Duration::from_secs(1);
const CHECKPOINT_EVERY: Duration = Duration::from_mins(1);

/// All requests under way on one worker.
#[derive(Default)]
pub(crate) struct Flights {
    slots: RefCell<Vec<Option<Rc<Flight>>>>,
    free: RefCell<Vec<usize>>,
}

impl Flights {
    /// Takes a request up; the answer is its place.
    pub(crate) fn add(&self, flight: Rc<Flight>) -> usize {
        let mut slots = self.slots.borrow_mut();
        if let Some(place) = self.free.borrow_mut().pop()
            && let Some(slot) = slots.get_mut(place)
        {
            *slot = Some(flight);
            return place;
        }
        slots.push(Some(flight));
        slots.len() - 1
    }

    /// Lets go of the request at a place.
    pub(crate) fn remove(&self, place: usize) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(place)
            && slot.take().is_some()
        {
            self.free.borrow_mut().push(place);
        }
    }

    /// The requests that fit.
    pub(crate) fn select(&self, fits: impl Fn(&Flight) -> bool) -> Vec<Rc<Flight>> {
        self.slots
            .borrow()
            .iter()
            .flatten()
            .filter(|flight| fits(flight))
            .cloned()
            .collect()
    }

    /// Requests under way that must be listed open now.
    pub(crate) fn due_open(&self, now: Instant) -> Vec<Rc<Flight>> {
        self.select(|flight| flight.is_due_open(now))
    }

    /// Requests under way that must be settled in part now.
    pub(crate) fn due_checkpoint(&self, now: Instant) -> Vec<Rc<Flight>> {
        self.select(|flight| flight.is_due_checkpoint(now))
    }

    /// Before this instant every admitted request is settled or listed open; at most `now`.
    pub(crate) fn settled_through(&self, now: Timestamp) -> Timestamp {
        let slots = self.slots.borrow();
        let unlisted = slots.iter().flatten().filter(|flight| !flight.listed_open.get());
        unlisted.map(|flight| flight.admitted_at).fold(now, Timestamp::min)
    }
}

impl Flight {
    /// Its open record has been written.
    pub(crate) fn listed(&self) {
        self.listed_open.set(true);
    }

    /// A checkpoint told of everything so far.
    pub(crate) fn told(&self, now: Instant) {
        self.told.set((self.bytes_in.get(), self.bytes_out.get()));
        self.told_at.set(now);
    }
}
