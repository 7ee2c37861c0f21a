//! The records of one worker, and when they are written.
//!
//! Room for a request's record is reserved before the request is forwarded, so that writing it cannot fail for lack of
//! space. Once a second the worker writes what else there is to say: requests that are still open, checkpoints of long
//! streams, refusals, and through which instant everything has been said.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use domain::clock::Timestamp;
use domain::ids::PlanVersionId;
use domain::key::Mode;
use domain::usage::{Fact, Kind, MeterValue, Open, Outcome, Record, Source, Steps};
use journal::{Full, Ticket, Writer};

use crate::flight::{Flight, Flights};
use crate::reject::Refusals;

/// Counts in one record, which keeps it far below the largest record.
const COUNTS_A_RECORD: usize = 128;

/// The record could not be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lost;

struct Desk {
    writer: Writer,
    /// Always a fact: the last one, whose strings are filled again for the next one.
    record: Record,
    bytes: Vec<u8>,
}

/// Writes the records of one producer.
pub(crate) struct Emitter {
    desk: RefCell<Option<Desk>>,
}

/// What a final record says beyond what its request knows.
pub(crate) struct Final<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) quantities: &'a [MeterValue],
    pub(crate) limits: Vec<domain::usage::LimitTouch>,
}

impl Emitter {
    pub(crate) fn new(writer: Writer) -> Self {
        Self {
            desk: RefCell::new(Some(Desk {
                writer,
                record: Record::Fact(Box::new(blank())),
                bytes: Vec::new(),
            })),
        }
    }

    /// Room for one record of at most so many bytes.
    ///
    /// # Errors
    /// [`Full`] when the journal has none; no request may be forwarded then unless it is served unmetered.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Ticket, Full> {
        match &*self.desk.borrow() {
            Some(desk) => desk.writer.reserve(bytes),
            None => Err(Full::Failing),
        }
    }

    /// Writes the record of a request that has come to its end. When it returns the record survives the process.
    ///
    /// # Errors
    /// [`Lost`] when the record was not kept.
    pub(crate) fn fact(&self, ticket: Ticket, flight: &Flight, last: Final<'_>) -> Result<(), Lost> {
        let mut desk = self.desk.borrow_mut();
        let desk = desk.as_mut().ok_or(Lost)?;
        let Record::Fact(fact) = &mut desk.record else {
            return Err(Lost);
        };
        flight.fill(fact, last.outcome);
        fact.quantities.extend_from_slice(last.quantities);
        fact.limits = last.limits;
        encode(&desk.record, &mut desk.bytes)?;
        desk.writer.append(ticket, &desk.bytes).map(drop).map_err(|error| {
            tracing::error!(%error, request_id = %flight.request_id, "usage record lost");
            Lost
        })
    }

    fn unreserved(&self, record: &Record) -> Result<(), Lost> {
        let mut desk = self.desk.borrow_mut();
        let desk = desk.as_mut().ok_or(Lost)?;
        encode(record, &mut desk.bytes)?;
        desk.writer.append_unreserved(&desk.bytes).map(drop).map_err(|error| {
            tracing::debug!(%error, "record put off");
            Lost
        })
    }

    /// Says what there is to say each second.
    pub(crate) fn tick(&self, flights: &Flights, refusals: &Refusals, stamp: Timestamp) {
        let now = Instant::now();
        for flight in flights.due_open(now) {
            let mut fact = blank();
            flight.fill(&mut fact, flight.standing(Kind::Request));
            if self.unreserved(&Record::Open(Open { so_far: Box::new(fact) })).is_ok() {
                flight.listed();
            }
        }
        for flight in flights.due_checkpoint(now) {
            self.checkpoint(&flight, stamp, now);
        }
        let (counts, samples) = refusals.take();
        for counts in counts.chunks(COUNTS_A_RECORD) {
            let record = Record::Rejections(counts.to_vec());
            if let (Err(Lost), Record::Rejections(counts)) = (self.unreserved(&record), record) {
                refusals.put_back(counts);
            }
        }
        if !samples.is_empty() {
            // Samples are a courtesy: when there is no room they are not kept for later.
            let _unkept = self.unreserved(&Record::RejectionSamples(samples));
        }
        let through = flights.settled_through(stamp);
        // Said again in a second if there is no room now.
        let _unsaid = self.unreserved(&Record::Alive { through });
        if let Some(desk) = &mut *self.desk.borrow_mut() {
            desk.writer.retry();
        }
    }

    /// A part of a long stream, with a stamp of its own: it carries the bytes since the last one.
    fn checkpoint(&self, flight: &Rc<Flight>, stamp: Timestamp, now: Instant) {
        let mut fact = blank();
        flight.fill(&mut fact, flight.standing(Kind::Checkpoint));
        fact.admitted_at = stamp;
        fact.period_start = flight.subject.period_start(stamp);
        if self.unreserved(&Record::Fact(Box::new(fact))).is_ok() {
            flight.told(now);
        }
    }

    /// Ends the producer in order.
    pub(crate) fn close(&self) {
        let desk = self.desk.borrow_mut().take();
        if let Some(Err(error)) = desk.map(|desk| desk.writer.close()) {
            tracing::error!(%error, "journal not closed in order");
        }
    }
}

fn encode(record: &Record, bytes: &mut Vec<u8>) -> Result<(), Lost> {
    bytes.clear();
    record.encode(bytes).map_err(|error| {
        tracing::error!(%error, "record not encoded");
        Lost
    })
}

/// A record to be filled.
fn blank() -> Fact {
    Fact {
        request_id: String::new(),
        admitted_at: Timestamp::default(),
        account: None,
        consumer: None,
        credential: None,
        subscription: None,
        plan_version: PlanVersionId::from_bits(0),
        period_start: None,
        segment: 0,
        product: String::new(),
        plan: String::new(),
        api: String::new(),
        operation: String::new(),
        method: String::new(),
        path: String::new(),
        mode: Mode::Live,
        outcome: Outcome {
            source: Source::Gateway,
            status: 0,
            client_aborted: false,
            upstream_answered: false,
            kind: Kind::Request,
        },
        bytes_in: 0,
        bytes_out: 0,
        latency_us: 0,
        steps: Steps::default(),
        quantities: Vec::new(),
        limits: Vec::new(),
        revision: 0,
    }
}
