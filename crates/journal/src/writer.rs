//! The writer of one gateway worker: admission of room, and the one `pwrite` that makes a record survive the process.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use crate::{
    Ending, Error, Full, ProducerId,
    disk::DiskFile,
    format::{self, DATA_START, Header, Kind, framed, push_frame, seed},
    lane::Lane,
    shared::Shared,
};

/// First and longest pause between two attempts to write while writing fails.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// Room for one record. Returned on drop, whether it was used or not; may be dropped on any thread.
#[must_use = "dropping the ticket gives its room back"]
pub struct Ticket {
    lane: Arc<Lane>,
    bytes: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.lane.reserved.fetch_sub(self.bytes, Ordering::Release);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Where an appended record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the kernel: it survives the process.
    Kernel,
    /// Only in this process's memory, because writing fails; it is written as soon as that ends.
    Memory,
}

/// An appended record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its sequence number; without holes from 0.
    pub seq: u64,
    /// Where it is.
    pub place: Place,
}

#[derive(Debug)]
struct Active {
    file: Arc<DiskFile>,
    seed: u32,
    offset: u64,
    /// Where records must end; the close record fits behind it.
    limit: u64,
}

impl Active {
    const fn free(&self) -> u64 {
        self.limit.saturating_sub(self.offset)
    }
}

/// Appends the records of one producer. Never syncs, never waits for another thread's disk work.
pub struct Writer {
    shared: Arc<Shared>,
    lane: Arc<Lane>,
    active: Active,
    /// Sequence number of the next record, those in the queue counted.
    next_seq: u64,
    /// Frames of the append that is going on.
    frames: Vec<u8>,
    /// Payloads that could not be written yet; their numbers end at `next_seq`.
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
    pause: Duration,
    not_before: Option<Instant>,
}

impl Writer {
    /// A writer whose segment 0 has its header already.
    pub(crate) fn new(shared: Arc<Shared>, lane: Arc<Lane>, file: Arc<DiskFile>) -> Self {
        let active = Active {
            seed: seed(lane.id, 0),
            offset: DATA_START,
            limit: DATA_START + shared.settings.usable(),
            file,
        };
        Self {
            shared,
            lane,
            active,
            next_seq: 0,
            frames: Vec::new(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            pause: FIRST_PAUSE,
            not_before: None,
        }
    }

    /// The producer of this writer's records.
    pub fn producer(&self) -> ProducerId {
        self.lane.id
    }

    /// The sequence number that the next record gets.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Reserves room for one record of at most `payload` bytes, so that its append cannot fail for lack of space.
    /// Takes no lock and makes no system call.
    pub fn reserve(&self, payload: usize) -> Result<Ticket, Full> {
        let bytes = framed(payload);
        self.admit(bytes)?;
        self.lane.reserved.fetch_add(bytes, Ordering::Acquire);
        Ok(Ticket {
            lane: Arc::clone(&self.lane),
            bytes,
        })
    }

    /// Whether `bytes` more fit beside all that is reserved.
    fn admit(&self, bytes: u64) -> Result<(), Full> {
        let max = self.shared.settings.max_frame();
        if bytes > max {
            return Err(Full::TooLarge);
        }
        if !self.queue.is_empty() {
            return Err(Full::Failing);
        }
        // A record that does not fit into the rest of a segment wastes less than the largest record there.
        let slack = max - 1;
        let ready = u64::from(self.lane.ready_count.load(Ordering::Acquire));
        let room = self.active.free().saturating_sub(slack) + ready * (self.shared.settings.usable() - slack);
        let reserved = self.lane.reserved.load(Ordering::Acquire);
        if reserved.saturating_add(bytes) <= room {
            return Ok(());
        }
        Err(self.lane.blocked().unwrap_or(Full::Preparing))
    }

    /// Appends a record into reserved room. When it returns [`Place::Kernel`] the record survives the process.
    ///
    /// A payload larger than its ticket is admitted like [`Self::append_unreserved`].
    pub fn append(&mut self, ticket: Ticket, payload: &[u8]) -> Result<Appended, Error> {
        let bytes = framed(payload.len());
        if bytes > ticket.bytes {
            drop(ticket);
            return self.append_unreserved(payload);
        }
        // The ticket gives its room back only after the record has taken its own.
        let appended = self.place(payload);
        drop(ticket);
        appended
    }

    /// Appends a record without a ticket, if there is room beside all tickets. For records that may be missed or
    /// repeated later, such as the tick that says a producer is alive.
    pub fn append_unreserved(&mut self, payload: &[u8]) -> Result<Appended, Error> {
        self.retry();
        self.admit(framed(payload.len()))?;
        self.place(payload)
    }

    /// Appends several records with one write for each segment they fall into; the answer is that of the last one.
    /// `None` when there are none.
    pub fn append_many<'a>(
        &mut self,
        records: impl IntoIterator<Item = (Ticket, &'a [u8])>,
    ) -> Result<Option<Appended>, Error> {
        let mut last = None;
        let mut held = Vec::new();
        for (ticket, payload) in records {
            if framed(payload.len()) > ticket.bytes {
                self.flush();
                last = Some(self.append(ticket, payload)?);
                continue;
            }
            last = Some(self.stage(payload)?);
            held.push(ticket);
        }
        let place = self.flush();
        drop(held);
        Ok(last.map(|appended| Appended { place, ..appended }))
    }

    fn place(&mut self, payload: &[u8]) -> Result<Appended, Error> {
        let staged = self.stage(payload)?;
        let place = self.flush();
        Ok(Appended { place, ..staged })
    }

    /// Frames one record behind those that are staged already; writes these first when a new segment is needed.
    fn stage(&mut self, payload: &[u8]) -> Result<Appended, Error> {
        if self.lane.renew.load(Ordering::Relaxed) {
            self.leave_unsyncable();
        }
        let bytes = framed(payload.len());
        if self.queue.is_empty() && self.active.free() < self.frames.len() as u64 + bytes {
            self.flush();
            self.roll();
        }
        let fits = self.active.free() >= self.frames.len() as u64 + bytes;
        if !fits || !self.queue.is_empty() {
            return self.enqueue(payload);
        }
        let seq = self.next_seq;
        push_frame(&mut self.frames, self.active.seed, seq, (Kind::Data, payload));
        self.next_seq += 1;
        Ok(Appended {
            seq,
            place: Place::Kernel,
        })
    }

    /// Goes on in another segment after a failed sync, as soon as that costs no ticket its room.
    fn leave_unsyncable(&mut self) {
        let ready = u64::from(self.lane.ready_count.load(Ordering::Acquire));
        let room = ready * (self.shared.settings.usable() - self.shared.settings.max_frame() + 1);
        if self.lane.reserved.load(Ordering::Acquire) <= room && ready > 0 {
            self.flush();
            self.roll();
            self.lane.renew.store(false, Ordering::Relaxed);
        }
    }

    /// Writes what is staged.
    fn flush(&mut self) -> Place {
        if !self.frames.is_empty() {
            let written = self
                .shared
                .disk
                .write_at(&self.active.file, &self.frames, self.active.offset);
            match written {
                Ok(()) => {
                    self.active.offset += self.frames.len() as u64;
                    self.frames.clear();
                    self.publish();
                }
                Err(error) => self.take_back(&error),
            }
        }
        if !self.queue.is_empty() {
            self.retry();
        }
        if self.queue.is_empty() {
            Place::Kernel
        } else {
            Place::Memory
        }
    }

    /// Moves staged records whose write failed into the queue. The segment may end in anything now: it gets no
    /// further record, and the next one starts with the first of these.
    fn take_back(&mut self, error: &std::io::Error) {
        tracing::warn!(producer = %self.lane.id, error = %error, "journal write failed");
        self.lane.faults.writes.fetch_add(1, Ordering::Relaxed);
        let frames = std::mem::take(&mut self.frames);
        let mut rest = &frames[..];
        while let Some((_, len)) = format::claimed(rest) {
            let (frame, behind) = rest.split_at((8 + len).min(rest.len()));
            self.queued_bytes += len;
            self.queue.push_back(frame[8..].to_vec());
            rest = behind;
        }
        self.lane
            .faults
            .queued
            .store(self.queue.len() as u64, Ordering::Relaxed);
        self.abandon();
    }

    fn enqueue(&mut self, payload: &[u8]) -> Result<Appended, Error> {
        let queued_bytes = self.queued_bytes + payload.len();
        if queued_bytes > self.shared.settings.queue_bytes {
            self.lane.faults.lost.fetch_add(1, Ordering::Relaxed);
            return Err(Error::QueueFull);
        }
        self.queue.push_back(payload.to_vec());
        self.queued_bytes = queued_bytes;
        self.lane
            .faults
            .queued
            .store(self.queue.len() as u64, Ordering::Relaxed);
        let seq = self.next_seq;
        self.next_seq += 1;
        Ok(Appended {
            seq,
            place: Place::Memory,
        })
    }

    /// Tries to write what waits in memory; does nothing when nothing waits or the last attempt is too recent.
    /// Returns whether nothing waits any more. Call it about once a second while idle.
    pub fn retry(&mut self) -> bool {
        let too_early = self.not_before.is_some_and(|at| Instant::now() < at);
        if self.queue.is_empty() || too_early {
            return self.queue.is_empty();
        }
        while let Some(payload) = self.queue.front() {
            let bytes = framed(payload.len());
            if self.active.free() < bytes && !self.roll() {
                break;
            }
            if !self.write_front() {
                break;
            }
        }
        self.lane
            .faults
            .queued
            .store(self.queue.len() as u64, Ordering::Relaxed);
        if self.queue.is_empty() {
            self.not_before = None;
            self.pause = FIRST_PAUSE;
            return true;
        }
        self.not_before = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        false
    }

    fn write_front(&mut self) -> bool {
        let seq = self.first_unwritten();
        let Some(payload) = self.queue.front() else {
            return true;
        };
        let mut frame = Vec::with_capacity(payload.len() + 8);
        push_frame(&mut frame, self.active.seed, seq, (Kind::Data, payload));
        if self
            .shared
            .disk
            .write_at(&self.active.file, &frame, self.active.offset)
            .is_err()
        {
            self.lane.faults.writes.fetch_add(1, Ordering::Relaxed);
            self.abandon();
            return false;
        }
        self.active.offset += frame.len() as u64;
        self.queued_bytes -= payload.len();
        self.queue.pop_front();
        self.publish();
        true
    }

    /// The number of the first record that is not in the kernel.
    fn first_unwritten(&self) -> u64 {
        self.next_seq - self.queue.len() as u64
    }

    fn publish(&self) {
        self.lane.next_seq.store(self.first_unwritten(), Ordering::SeqCst);
        self.shared.bell.ring();
    }

    fn abandon(&mut self) {
        self.active.limit = self.active.offset;
    }

    /// Goes on in the next prepared segment; false when there is none or its header cannot be written.
    fn roll(&mut self) -> bool {
        let Some(ready) = self.lane.take_ready() else {
            return false;
        };
        self.shared.prepare_pace.poke();
        let first_seq = self.first_unwritten();
        self.lane.activate(&ready, first_seq);
        let header = header(&self.shared, &self.lane, ready.number, first_seq);
        if self.shared.disk.write_at(&ready.file, &header.encode(), 0).is_err() {
            self.lane.faults.writes.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        self.active = Active {
            seed: seed(self.lane.id, ready.number),
            offset: DATA_START,
            limit: DATA_START + self.shared.settings.usable(),
            file: ready.file,
        };
        true
    }

    /// Ends the producer in order: what waits is written, then the close record. An error means that records were
    /// lost or the end is not marked; the next recovery then treats the producer as interrupted.
    pub fn close(mut self) -> Result<(), Error> {
        self.flush();
        self.not_before = None;
        if !self.retry() {
            self.lane
                .faults
                .lost
                .fetch_add(self.queue.len() as u64, Ordering::Relaxed);
            return Err(Error::QueueFull);
        }
        let mut frame = Vec::new();
        push_frame(&mut frame, self.active.seed, self.next_seq, (Kind::Close, &[]));
        self.shared
            .disk
            .write_at(&self.active.file, &frame, self.active.offset)
            .map_err(Error::io("write the close record to", &self.active.file.path))?;
        self.lane.end(Ending::Orderly);
        Ok(())
    }
}

impl Drop for Writer {
    /// Without [`Writer::close`] the producer counts as interrupted, as after a crash.
    fn drop(&mut self) {
        self.flush();
        self.lane.end(Ending::Interrupted);
        self.shared.sync_pace.poke();
        self.shared.bell.ring();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("producer", &self.lane.id)
            .field("next_seq", &self.next_seq)
            .field("queued", &self.queue.len())
            .finish_non_exhaustive()
    }
}

pub(crate) fn header(shared: &Shared, lane: &Lane, number: u64, first_seq: u64) -> Header {
    Header {
        producer: lane.id,
        number,
        first_seq,
        boot: shared.settings.boot,
        created_ms: shared.now_ms(),
        synced: lane.synced(),
        worker: lane.worker,
        node: shared.settings.node.clone(),
    }
}
