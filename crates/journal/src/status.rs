//! What the journal tells about itself: producers and positions for readers, counts for metrics.

use std::sync::atomic::Ordering;

use crate::{Ending, Full, Gap, ProducerId, ProducerTail, lane::Lane};

/// The end of one producer at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The producer.
    pub producer: ProducerId,
    /// The sequence number after its last record.
    pub next_seq: u64,
}

/// A producer whose records are not all freed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The producer.
    pub producer: ProducerId,
    /// Name of the node it runs or ran on.
    pub node: String,
    /// Number of the worker.
    pub worker: u32,
    /// Unix milliseconds of its start (for an earlier run: of its oldest segment still here).
    pub created_ms: i64,
    /// The sequence number after its last record; final when it has ended.
    pub next_seq: u64,
    /// How it ended; `None` while it is live.
    pub ending: Option<Ending>,
    /// Whether records may be missing at its end.
    pub gap: Option<Gap>,
}

/// State of one live producer, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterStatus {
    /// The producer.
    pub producer: ProducerId,
    /// Number of the worker.
    pub worker: u32,
    /// Records below are in the kernel.
    pub next_seq: u64,
    /// Records below are on the disk.
    pub synced_seq: u64,
    /// Segments in use.
    pub segments: usize,
    /// Segments prepared.
    pub ready: u32,
    /// Why no further segment can be prepared.
    pub blocked: Option<Full>,
    /// Records that wait in memory because writing fails.
    pub queued: u64,
    /// Records given up because the queue was full, or still queued at the close.
    pub lost: u64,
    /// Failed writes so far.
    pub write_failures: u64,
    /// Failed syncs so far.
    pub sync_failures: u64,
}

/// State of the journal, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Bytes of all segment files, prepared and spare ones too.
    pub bytes: u64,
    /// The bound on them.
    pub max_bytes: u64,
    /// Freed segments that wait to be used again.
    pub spares: usize,
    /// Producers of earlier runs that are not freed yet.
    pub past_producers: usize,
    /// The producers of this run.
    pub writers: Vec<WriterStatus>,
}

pub(crate) fn of_past(tail: &ProducerTail) -> Producer {
    Producer {
        producer: tail.producer,
        node: tail.node.clone(),
        worker: tail.worker,
        created_ms: tail.created_ms,
        next_seq: tail.next_seq,
        ending: Some(tail.ending),
        gap: tail.gap,
    }
}

pub(crate) fn of_lane(lane: &Lane, node: &str) -> Producer {
    // The ending is read first: a position that goes with an ending is final.
    let ending = lane.ended();
    Producer {
        producer: lane.id,
        node: node.to_owned(),
        worker: lane.worker,
        created_ms: lane.created_ms,
        next_seq: lane.next_seq(),
        ending,
        gap: None,
    }
}

pub(crate) fn of_writer(lane: &Lane) -> WriterStatus {
    WriterStatus {
        producer: lane.id,
        worker: lane.worker,
        next_seq: lane.next_seq(),
        synced_seq: lane.synced().seq,
        segments: lane.segment_count(),
        ready: lane.ready_count.load(Ordering::Relaxed),
        blocked: lane.blocked(),
        queued: lane.faults.queued.load(Ordering::Relaxed),
        lost: lane.faults.lost.load(Ordering::Relaxed),
        write_failures: lane.faults.writes.load(Ordering::Relaxed),
        sync_failures: lane.faults.syncs.load(Ordering::Relaxed),
    }
}
