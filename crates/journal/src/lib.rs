//! The gateway's durable usage log: segments on disk.
//!
//! Purpose: a record whose append returned survives the death of the process; after a power loss at most the last
//! sync interval is missing, and that it is missing is known. Payloads are opaque bytes.
//!
//! # Invariants
//!
//! - A producer is one worker of one run, with a fresh random 128-bit id. Its records are numbered from 0 without
//!   holes. It is never resumed, so (producer, number) names one record for ever, even when a folder was copied.
//! - A reader sees a prefix of what was written, or the rest after a segment that is named as missing; never a record
//!   that was not written.
//! - Room for a record is reserved before the request is forwarded ([`Writer::reserve`]); a record with a ticket
//!   never fails for lack of space.
//! - The thread that appends never syncs, never makes a file and never waits for a thread that does.
//!
//! Deliberately absent: knowledge of what a record means, compression, memory maps, a trait over storage, resuming
//! an old producer.
//!
//! # On disk
//!
//! All numbers are little-endian; every checksum is CRC-32C (Castagnoli).
//!
//! ```text
//! {data_dir}/journal/
//!   lock                       locked (flock) by the process that writes
//!   instance                   random id, then inode and birth of this very file: another one means a copy
//!   restored                   marker that a restore leaves, removed by the next open
//!   spare-N                    freed segment, to be used again
//!   new-PRODUCER, gone-PRODUCER   folder half made or half removed; ignored and removed
//!   PRODUCER/                  32 hexadecimal digits
//!     NNNNNNNNNN.seg           segments, numbered from 0; without a valid header: prepared, not in use
//!     freed                    all below is freed: number 8, checksum 4
//!     end                      verdict over a producer that was not closed
//!
//! segment
//!   0     magic "TGJOURNL"          8      48    boot id of the kernel        16
//!   8     version 1                 4      64    created, Unix ms              8
//!   12    offset of the records     4      72    last sync, Unix ms            8
//!   16    producer                 16      80    records below are synced      8
//!   32    segment number            8      88    worker                        4
//!   40    number of first record    8      92    length of the node's name     2, then the name (at most 128)
//!                                          252   checksum of bytes 0..252      4
//!   512, 1024   sync notes, written in turn:
//!         magic "TGSY" 4, last sync Unix ms 8, records below are synced 8, checksum(seed, these) 4
//!   4096  records, one behind the other:
//!         kind << 24 | length of payload      4      kind 1 = record, 2 = close (no payload)
//!         checksum(seed, number 8, the 4 bytes above, payload)   4
//!         payload
//!   where seed = checksum(producer 16, segment number 8)
//!
//! end     magic "TGENDREC" 8, next number 8, gap since Unix ms 8, ending 1 (0 orderly, 1 interrupted),
//!         gap 1 (0 none, 1 power loss, 2 copied, 3 damaged), zero 2, checksum(producer, these) 4
//! ```
//!
//! A record's number is not stored: it follows from the header and enters the checksum. Reading a segment stops at the
//! first record whose checksum does not fit; bytes of a recycled file, a torn record and plain zeros all end it alike.
//! Reading goes on in the next segment with a valid header if that starts at or below the number that is due (it
//! starts below when a failed write was repeated; the repeated records are the same). A segment is full when the next
//! record does not fit, or when writing or syncing it failed.
//!
//! The first header is synced before the producer exists for anybody. A sync note tells of the sync before the one
//! that makes it durable, so it never claims too much.

mod bell;
mod disk;
mod error;
mod format;
mod helper;
mod id;
mod instance;
mod journal;
mod lane;
mod reader;
mod recover;
mod scan;
mod segments;
mod settings;
mod shared;
mod status;
mod writer;

pub use bell::{Armed, Bell};
pub use disk::{FaultHook, Op};
pub use error::{Error, Full};
pub use id::{BootId, NotAProducerId, ProducerId};
pub use instance::mark_restored;
pub use journal::Journal;
pub use reader::{Batch, Reader};
pub use recover::{Ending, Gap, GapKind, ProducerTail, recover};
pub use settings::{Settings, WallClock};
pub use status::{Position, Producer, Status, WriterStatus};
pub use writer::{Appended, Place, Ticket, Writer};
