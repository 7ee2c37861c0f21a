//! The bytes on disk: segment header, sync notes, record frames. Pure; the layout is described in the crate's doc.

use crate::{BootId, ProducerId};

/// Offset of the first record in a segment.
pub(crate) const DATA_START: u64 = 4096;
/// Bytes in front of each payload.
pub(crate) const FRAME_HEAD: u64 = 8;
/// Bytes of a close record.
pub(crate) const CLOSE_FRAME: u64 = FRAME_HEAD;
/// Largest payload that the length field can say.
pub(crate) const MAX_PAYLOAD: u32 = (1 << 24) - 1;
/// Bytes of the segment header.
pub(crate) const HEADER_BYTES: usize = 256;
/// Offsets of the two sync notes; they are written in turn, so that a torn one leaves the other.
pub(crate) const NOTE_AT: [u64; 2] = [512, 1024];
/// Bytes of a sync note.
pub(crate) const NOTE_BYTES: usize = 24;

const MAGIC: [u8; 8] = *b"TGJOURNL";
const VERSION: u32 = 1;
const NOTE_MAGIC: u32 = 0x5953_4754;
const NODE_MAX: usize = 128;
const NODE_AT: usize = 94;
const CRC_AT: usize = HEADER_BYTES - 4;

/// What is known to be on the disk itself: all records below `seq`, which is everything up to the time `ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Synced {
    pub(crate) ms: i64,
    pub(crate) seq: u64,
}

/// The first bytes of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) producer: ProducerId,
    pub(crate) number: u64,
    pub(crate) first_seq: u64,
    pub(crate) boot: BootId,
    pub(crate) created_ms: i64,
    pub(crate) synced: Synced,
    pub(crate) worker: u32,
    pub(crate) node: String,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0_u8; HEADER_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&4096_u32.to_le_bytes());
        out[16..32].copy_from_slice(&self.producer.to_bytes());
        out[32..40].copy_from_slice(&self.number.to_le_bytes());
        out[40..48].copy_from_slice(&self.first_seq.to_le_bytes());
        out[48..64].copy_from_slice(&self.boot.to_bytes());
        out[64..72].copy_from_slice(&self.created_ms.to_le_bytes());
        out[72..80].copy_from_slice(&self.synced.ms.to_le_bytes());
        out[80..88].copy_from_slice(&self.synced.seq.to_le_bytes());
        out[88..92].copy_from_slice(&self.worker.to_le_bytes());
        let node = &self.node.as_bytes()[..self.node.floor_char_boundary(NODE_MAX)];
        out[92..94].copy_from_slice(&u16::try_from(node.len()).unwrap_or(0).to_le_bytes());
        out[NODE_AT..NODE_AT + node.len()].copy_from_slice(node);
        let crc = crc32c::crc32c(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The header, when the bytes are one that this version wrote.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let stored = u32::from_le_bytes(part(bytes, CRC_AT)?);
        let intact = bytes[..8] == MAGIC
            && u32::from_le_bytes(part(bytes, 8)?) == VERSION
            && crc32c::crc32c(&bytes[..CRC_AT]) == stored;
        if !intact {
            return None;
        }
        let node_len = usize::from(u16::from_le_bytes(part(bytes, 92)?)).min(NODE_MAX);
        Some(Self {
            producer: ProducerId::from_bytes(part(bytes, 16)?),
            number: u64::from_le_bytes(part(bytes, 32)?),
            first_seq: u64::from_le_bytes(part(bytes, 40)?),
            boot: BootId::from_bytes(part(bytes, 48)?),
            created_ms: i64::from_le_bytes(part(bytes, 64)?),
            synced: Synced {
                ms: i64::from_le_bytes(part(bytes, 72)?),
                seq: u64::from_le_bytes(part(bytes, 80)?),
            },
            worker: u32::from_le_bytes(part(bytes, 88)?),
            node: String::from_utf8_lossy(&bytes[NODE_AT..NODE_AT + node_len]).into_owned(),
        })
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Start of every checksum in one segment: whose it is and which one, so that bytes of another segment never fit.
pub(crate) fn seed(producer: ProducerId, number: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&producer.to_bytes()), &number.to_le_bytes())
}

pub(crate) fn encode_note(seed: u32, synced: Synced) -> [u8; NOTE_BYTES] {
    let mut out = [0_u8; NOTE_BYTES];
    out[0..4].copy_from_slice(&NOTE_MAGIC.to_le_bytes());
    out[4..12].copy_from_slice(&synced.ms.to_le_bytes());
    out[12..20].copy_from_slice(&synced.seq.to_le_bytes());
    let crc = crc32c::crc32c_append(seed, &out[..20]);
    out[20..24].copy_from_slice(&crc.to_le_bytes());
    out
}

pub(crate) fn decode_note(seed: u32, bytes: &[u8]) -> Option<Synced> {
    let intact = u32::from_le_bytes(part(bytes, 0)?) == NOTE_MAGIC
        && crc32c::crc32c_append(seed, bytes.get(..20)?) == u32::from_le_bytes(part(bytes, 20)?);
    if !intact {
        return None;
    }
    Some(Synced {
        ms: i64::from_le_bytes(part(bytes, 4)?),
        seq: u64::from_le_bytes(part(bytes, 12)?),
    })
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A payload of the caller.
    Data,
    /// The orderly end of the producer; its sequence number is the next one and is not used up.
    Close,
}

impl Kind {
    const fn code(self) -> u32 {
        match self {
            Self::Data => 1,
            Self::Close => 2,
        }
    }
}

fn checksum(seed: u32, seq: u64, head: u32, payload: &[u8]) -> u32 {
    let mut prefix = [0_u8; 12];
    prefix[..8].copy_from_slice(&seq.to_le_bytes());
    prefix[8..].copy_from_slice(&head.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &prefix), payload)
}

/// Bytes that a payload takes in a segment.
pub(crate) const fn framed(payload: usize) -> u64 {
    payload as u64 + FRAME_HEAD
}

/// Appends one record to `out`. The caller has checked that the payload is at most [`MAX_PAYLOAD`].
pub(crate) fn push_frame(out: &mut Vec<u8>, seed: u32, seq: u64, record: (Kind, &[u8])) {
    let (kind, payload) = record;
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX) & MAX_PAYLOAD;
    let head = (kind.code() << 24) | len;
    out.extend_from_slice(&head.to_le_bytes());
    out.extend_from_slice(&checksum(seed, seq, head, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

/// Kind and payload length that the first bytes of a frame claim, before any checksum.
pub(crate) fn claimed(bytes: &[u8]) -> Option<(Kind, usize)> {
    let head = u32::from_le_bytes(part(bytes, 0)?);
    let kind = match head >> 24 {
        1 => Kind::Data,
        2 => Kind::Close,
        _ => return None,
    };
    Some((kind, usize::try_from(head & MAX_PAYLOAD).ok()?))
}

/// What stands at a place in a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A valid record and its payload.
    Record(Kind, &'a [u8]),
    /// The frame claims this many bytes, more than are at hand.
    Short(usize),
    /// No valid record.
    Invalid,
}

pub(crate) fn parse(seed: u32, seq: u64, bytes: &[u8]) -> Parsed<'_> {
    let Some(crc) = part(bytes, 4).map(u32::from_le_bytes) else {
        return Parsed::Short(8);
    };
    let Some((kind, len)) = claimed(bytes) else {
        return Parsed::Invalid;
    };
    let Some(payload) = bytes.get(8..8 + len) else {
        return Parsed::Short(8 + len);
    };
    let head = part(bytes, 0).map_or(0, u32::from_le_bytes);
    if checksum(seed, seq, head, payload) == crc {
        Parsed::Record(kind, payload)
    } else {
        Parsed::Invalid
    }
}
