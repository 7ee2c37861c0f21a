//! What a message of the usage topic looks like. Pure.
//!
//! Key: the 16 bytes of the producer. One header, `tollgate-usage`, of 22 bytes that are readable when the payload is not:
//!
//! ```text
//! 0   version 1          1
//! 1   kind               1     1 opened, 2 records, 3 unreadable, 4 ended
//! 2   first number       8     little-endian, as all numbers
//! 10  number after       8
//! 18  CRC-32C            4     of key, the 18 bytes above and the payload
//! ```
//!
//! The payload begins with what is known of the producer, so that each message can be understood alone:
//!
//! ```text
//! created, Unix ms       8
//! worker                 4
//! length of the node     2     then the name
//! opened                       nothing; number after = first number
//! records                      each: length 4, payload
//! unreadable             1     1 missing, 2 damaged
//! ended                  1     1 orderly, 2 interrupted; then 1: 0 no gap, 1 power loss, 2 copied, 3 damaged; then, with
//!                              a gap, its first number 8 and the Unix ms since when 8; number after = the end
//! ```

use std::ops::Range;

use journal::{Batch, Ending, Gap, GapKind, Producer, ProducerId};

use crate::source::Reason;

/// The name of the header.
pub(crate) const HEADER: &str = "tollgate-usage";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 22;
const SUMMED_BYTES: usize = 18;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub(crate) key: [u8; 16],
    pub(crate) header: [u8; HEADER_BYTES],
    pub(crate) payload: Vec<u8>,
}

/// What a message says of its producer, besides its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// It exists.
    Opened,
    /// Records.
    Records(Batch),
    /// A range that the journal could not read.
    Unreadable { from: u64, to: u64, reason: Reason },
    /// It has ended; all of it was sent before.
    Ended,
}

/// A message that was read. The producer's `next_seq`, `ending` and `gap` hold only for [`Content::Ended`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) producer: Producer,
    pub(crate) content: Content,
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) producer: Option<ProducerId>,
    pub(crate) range: Option<Range<u64>>,
    pub(crate) reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Opened = 1,
    Records = 2,
    Unreadable = 3,
    Ended = 4,
}

impl Kind {
    fn from_code(code: u8) -> Option<Self> {
        [Self::Opened, Self::Records, Self::Unreadable, Self::Ended]
            .into_iter()
            .find(|kind| *kind as u8 == code)
    }
}

fn about(producer: &Producer, room: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(room + 160);
    out.extend_from_slice(&producer.created_ms.to_le_bytes());
    out.extend_from_slice(&producer.worker.to_le_bytes());
    let node = &producer.node.as_bytes()[..producer.node.floor_char_boundary(128)];
    out.extend_from_slice(&u16::try_from(node.len()).unwrap_or(0).to_le_bytes());
    out.extend_from_slice(node);
    out
}

fn sum(key: &[u8], header: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(key), header), payload)
}

fn finish(kind: Kind, producer: ProducerId, range: Range<u64>, payload: Vec<u8>) -> Encoded {
    let key = producer.to_bytes();
    let mut header = [0_u8; HEADER_BYTES];
    header[0] = VERSION;
    header[1] = kind as u8;
    header[2..10].copy_from_slice(&range.start.to_le_bytes());
    header[10..SUMMED_BYTES].copy_from_slice(&range.end.to_le_bytes());
    let sum = sum(&key, &header[..SUMMED_BYTES], &payload);
    header[SUMMED_BYTES..].copy_from_slice(&sum.to_le_bytes());
    Encoded { key, header, payload }
}

/// The producer exists and its first record is `from`.
pub(crate) fn opened(producer: &Producer, from: u64) -> Encoded {
    finish(Kind::Opened, producer.producer, from..from, about(producer, 0))
}

/// Records of the producer.
pub(crate) fn records(producer: &Producer, batch: &Batch) -> Encoded {
    let bytes: usize = batch.records().map(|(_, payload)| payload.len() + 4).sum();
    let mut out = about(producer, bytes);
    for (_, payload) in batch.records() {
        out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(payload);
    }
    finish(Kind::Records, producer.producer, batch.first_seq..batch.next_seq(), out)
}

/// A range that the journal could not read.
pub(crate) fn unreadable(producer: &Producer, range: Range<u64>, reason: Reason) -> Encoded {
    let mut out = about(producer, 1);
    out.push(match reason {
        Reason::Missing => 1,
        Reason::Damaged => 2,
    });
    finish(Kind::Unreadable, producer.producer, range, out)
}

/// The producer has ended; `None` while it lives.
pub(crate) fn ended(producer: &Producer) -> Option<Encoded> {
    let mut out = about(producer, 18);
    out.push(match producer.ending? {
        Ending::Orderly => 1,
        Ending::Interrupted => 2,
    });
    out.push(match producer.gap.map(|gap| gap.kind) {
        None => 0,
        Some(GapKind::PowerLoss) => 1,
        Some(GapKind::Copied) => 2,
        Some(GapKind::Damaged) => 3,
    });
    if let Some(gap) = producer.gap {
        out.extend_from_slice(&gap.from_seq.to_le_bytes());
        out.extend_from_slice(&gap.since_ms.to_le_bytes());
    }
    let end = producer.next_seq;
    Some(finish(Kind::Ended, producer.producer, end..end, out))
}

/// Reads a message. What cannot be read says whose and which records it holds, as far as key and header tell.
pub(crate) fn read(key: Option<&[u8]>, header: Option<&[u8]>, payload: &[u8]) -> Result<Message, Unread> {
    let id = key.and_then(|key| key.try_into().ok()).map(ProducerId::from_bytes);
    let told = header.and_then(read_header);
    let range = told.as_ref().map(|(_, _, range)| range.clone());
    let refuse = |reason: &str| Unread {
        producer: id,
        range: range.clone(),
        reason: reason.to_owned(),
    };
    let Some(id) = id else {
        return Err(refuse("the key is no producer id"));
    };
    let (Some(header), Some((version, kind, told))) = (header, told) else {
        return Err(refuse("the header that says what it holds is missing or too short"));
    };
    if version != VERSION {
        return Err(refuse(&format!("version {version} of the format is not known here")));
    }
    let stored = u32::from_le_bytes(part(header, SUMMED_BYTES).unwrap_or_default());
    if sum(&id.to_bytes(), &header[..SUMMED_BYTES], payload) != stored {
        return Err(refuse("the checksum does not fit"));
    }
    let kind = Kind::from_code(kind).ok_or_else(|| refuse("a kind of message that is not known here"))?;
    parse(id, kind, &told, payload).ok_or_else(|| refuse("the payload is malformed"))
}

fn read_header(header: &[u8]) -> Option<(u8, u8, Range<u64>)> {
    let range = u64::from_le_bytes(part(header, 2)?)..u64::from_le_bytes(part(header, 10)?);
    let told = (header.len() == HEADER_BYTES && range.start <= range.end).then_some(range)?;
    Some((header[0], header[1], told))
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Takes the first `N` bytes off.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

fn parse(id: ProducerId, kind: Kind, range: &Range<u64>, payload: &[u8]) -> Option<Message> {
    let mut rest = payload;
    let created_ms = i64::from_le_bytes(take(&mut rest)?);
    let worker = u32::from_le_bytes(take(&mut rest)?);
    let length = usize::from(u16::from_le_bytes(take(&mut rest)?));
    let node = String::from_utf8_lossy(rest.get(..length)?).into_owned();
    rest = rest.get(length..)?;
    let mut producer = Producer {
        producer: id,
        node,
        worker,
        created_ms,
        next_seq: range.end,
        ending: None,
        gap: None,
    };
    let content = match kind {
        Kind::Opened => Content::Opened,
        Kind::Records => Content::Records(parse_records(id, range, payload, rest)?),
        Kind::Unreadable => Content::Unreadable {
            from: range.start,
            to: range.end,
            reason: match rest {
                [1] => Reason::Missing,
                [2] => Reason::Damaged,
                _ => return None,
            },
        },
        Kind::Ended => {
            parse_end(&mut producer, rest)?;
            Content::Ended
        }
    };
    Some(Message { producer, content })
}

fn parse_records(id: ProducerId, range: &Range<u64>, payload: &[u8], mut rest: &[u8]) -> Option<Batch> {
    let mut payloads = Vec::new();
    while !rest.is_empty() {
        let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        let start = payload.len() - rest.len();
        rest = rest.get(length..)?;
        payloads.push(start..start + length);
    }
    let counted = range.end - range.start == u64::try_from(payloads.len()).ok()?;
    let batch = Batch::new(id, range.start, payload.to_vec(), payloads)?;
    counted.then_some(batch)
}

fn parse_end(producer: &mut Producer, mut rest: &[u8]) -> Option<()> {
    producer.ending = Some(match take(&mut rest)? {
        [1] => Ending::Orderly,
        [2] => Ending::Interrupted,
        _ => return None,
    });
    let kind = match take(&mut rest)? {
        [0] => return rest.is_empty().then_some(()),
        [1] => GapKind::PowerLoss,
        [2] => GapKind::Copied,
        [3] => GapKind::Damaged,
        _ => return None,
    };
    producer.gap = Some(Gap {
        kind,
        from_seq: u64::from_le_bytes(take(&mut rest)?),
        since_ms: i64::from_le_bytes(take(&mut rest)?),
    });
    rest.is_empty().then_some(())
}

/// A message as one piece of bytes, to be kept in the ledger when it cannot be read: lengths of key and header, key,
/// header, payload. What is longer than any message that was sent is cut.
pub(crate) fn keep(key: Option<&[u8]>, header: Option<&[u8]>, payload: &[u8]) -> Vec<u8> {
    let short = |bytes: Option<&[u8]>| bytes.map_or(Vec::new(), |bytes| bytes[..bytes.len().min(255)].to_vec());
    let (key, header) = (short(key), short(header));
    let mut out = Vec::with_capacity(2 + key.len() + header.len() + payload.len());
    out.extend([key.len(), header.len()].map(|length| u8::try_from(length).unwrap_or(u8::MAX)));
    out.extend_from_slice(&key);
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
    out
}

/// Reads what [`keep`] kept.
pub(crate) fn read_kept(raw: &[u8]) -> Result<Message, Unread> {
    let parts = raw.split_first_chunk::<2>().and_then(|([key, header], rest)| {
        let (key, rest) = rest.split_at_checked(usize::from(*key))?;
        let (header, payload) = rest.split_at_checked(usize::from(*header))?;
        Some((key, header, payload))
    });
    let Some((key, header, payload)) = parts else {
        return Err(Unread {
            producer: None,
            range: None,
            reason: "what was kept of it is no message".to_owned(),
        });
    };
    read(Some(key), Some(header), payload)
}

#[cfg(test)]
mod tests;
