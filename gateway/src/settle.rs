//! How an admitted request ends: its reservation becomes a count or returns, and its record is written.
//!
//! Invariants: every admitted request ends exactly once, also when its task is dropped. The record is in the journal
//! before the last bytes of the answer are handed to the socket; an answer whose record was lost is cut, so that no
//! client holds a complete answer that no record tells of.
//!
//! | end | record | billed |
//! |---|---|---|
//! | the upstream's answer, whole | upstream, its status | by status |
//! | the client left after the upstream's head | upstream, its status, aborted | by status |
//! | the client left before | gateway, 499, aborted | no |
//! | the upstream cut its answer short | gateway, 502, answered | no |
//! | no answer from the upstream | gateway, 502, 503 or 504 | no |
//! | the request's own body broke off or broke rules | gateway, 400, 408 or 413 | no |
//! | the caller was revoked while it streamed | upstream, its status | by status |

use std::cell::Cell;
use std::rc::Rc;

use counters::{Billable, Reservation, Tightest};
use domain::billable::{Policy, billable};
use domain::usage::{Kind, MeterValue, Outcome, Source};
use http::HeaderMap;
use journal::Ticket;

use crate::emit::{Final, Lost};
use crate::flight::Flight;
use crate::meters::Reading;
use crate::worker::Worker;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The upstream's answer was passed on to its last byte.
    Whole,
    /// The client went away.
    ClientLeft,
    /// The upstream ended its answer early.
    UpstreamCut,
    /// The gateway answers with this status.
    Failed(u16),
    /// The caller lost its right to be served.
    Ended,
}

/// An admitted request whose end has not come. Dropped before, it ends as [`Ending::ClientLeft`].
pub(crate) struct Open {
    pub(crate) worker: Rc<Worker>,
    pub(crate) flight: Rc<Flight>,
    place: usize,
    /// Taken at the end.
    reservation: Option<Reservation>,
    /// `None` when the request is served unmetered.
    ticket: Option<Ticket>,
    reading: Reading,
    /// An answer went out whose fate the server will tell.
    announced: Cell<bool>,
    is_over: bool,
}

/// What admission gave.
pub(crate) struct Admitted {
    pub(crate) reservation: Reservation,
    /// `None` when the request is served unmetered.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) reading: Reading,
}

impl Open {
    pub(crate) fn new(worker: Rc<Worker>, flight: Rc<Flight>, admitted: Admitted) -> Self {
        let place = worker.flights.add(Rc::clone(&flight));
        let Admitted {
            reservation,
            ticket,
            reading,
        } = admitted;
        Self {
            worker,
            flight,
            place,
            reservation: Some(reservation),
            ticket,
            reading,
            announced: Cell::new(false),
            is_over: false,
        }
    }

    /// The head of the upstream's answer is there.
    pub(crate) fn answered(&mut self, status: u16, headers: &HeaderMap) {
        self.flight.answered.set(Some(status));
        self.flight.step(|steps, us| steps.answered_us = us);
        self.reading.head(headers);
    }

    /// A piece of the answer's body passes.
    pub(crate) fn passes(&mut self, chunk: &[u8]) {
        self.flight
            .bytes_out
            .set(self.flight.bytes_out.get().saturating_add(chunk.len() as u64));
        self.reading.body(chunk);
    }

    /// An answer goes out, so that the server will tell when it has ended.
    pub(crate) fn announce(&self) {
        self.announced.set(true);
    }

    /// The tightest limit after this request; `None` once it has ended or where no limit applies.
    pub(crate) fn tightest(&self) -> Option<&Tightest> {
        self.reservation.as_ref().and_then(Reservation::tightest)
    }

    /// Whether the end has come.
    pub(crate) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Writes the record and settles the reservation. Does nothing the second time.
    ///
    /// # Errors
    /// [`Lost`] when the record was not kept; nothing is counted then.
    pub(crate) fn finish(&mut self, ending: Ending) -> Result<(), Lost> {
        if std::mem::replace(&mut self.is_over, true) {
            return Ok(());
        }
        self.worker.flights.remove(self.place);
        let outcome = outcome(&self.flight, ending);
        let quantities = match (outcome.source, outcome.upstream_answered) {
            (Source::Upstream, true) => self.reading.finish(outcome.status),
            _ => Vec::new(),
        };
        let missing = quantities.iter().filter(|value| value.missing).count();
        self.worker.sheet.meter_value_missing.add(missing as u64);
        let kept = self.write(outcome, &quantities);
        if let Some(reservation) = self.reservation.take() {
            let billed = kept.is_ok() && !billable(Policy::V1, &outcome).is_none();
            reservation.settle(if billed { Billable::Yes } else { Billable::No }, &quantities);
        }
        kept
    }

    fn write(&mut self, outcome: Outcome, quantities: &[MeterValue]) -> Result<(), Lost> {
        let gaps = &self.worker.sheet.usage_gaps;
        let Some(ticket) = self.ticket.take() else {
            gaps.add(1);
            return Ok(());
        };
        let limits = self.flight.subject.limits();
        let limits = self
            .reservation
            .as_ref()
            .map(|held| held.touches(limits, quantities))
            .unwrap_or_default();
        let kept = self.worker.emitter.fact(
            ticket,
            &self.flight,
            Final {
                outcome,
                quantities,
                limits,
            },
        );
        if kept.is_err() {
            gaps.add(1);
        }
        kept
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Nobody is left to be told of a lost record; it is counted as a gap.
        let _counted = self.finish(Ending::ClientLeft);
        if !self.announced.get() {
            self.worker.sheet.usage_events.add(1);
        }
    }
}

fn outcome(flight: &Flight, ending: Ending) -> Outcome {
    let answered = flight.answered.get();
    let of = |source, status, client_aborted| Outcome {
        source,
        status,
        client_aborted,
        upstream_answered: answered.is_some(),
        kind: Kind::Request,
    };
    match (ending, answered) {
        (Ending::Whole | Ending::Ended, Some(status)) => of(Source::Upstream, status, false),
        (Ending::ClientLeft, Some(status)) => of(Source::Upstream, status, true),
        (Ending::ClientLeft, None) => of(Source::Gateway, 499, true),
        (Ending::UpstreamCut | Ending::Whole, _) => of(Source::Gateway, 502, false),
        (Ending::Failed(status), _) => of(Source::Gateway, status, false),
        (Ending::Ended, None) => of(Source::Gateway, 401, false),
    }
}
