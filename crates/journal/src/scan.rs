//! Reads the records of one segment file, up to the first invalid one.

use std::{fs::File, io, os::unix::fs::FileExt};

use crate::format::{DATA_START, Kind, Parsed, parse};

/// How much is read from the file at once.
const WINDOW: usize = 256 << 10;

/// A place in a segment: the record that is expected there and where its bytes begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) seed: u32,
    pub(crate) seq: u64,
    pub(crate) offset: u64,
}

impl Place {
    pub(crate) const fn start(seed: u32, seq: u64) -> Self {
        Self {
            seed,
            seq,
            offset: DATA_START,
        }
    }
}

/// Why reading a window ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The window is used up or `visit` wants no more; more may follow.
    More,
    /// No valid record stands at the place.
    Invalid,
    /// The close record stands at the place.
    Closed,
}

/// Reads up to `bytes` at the place (more when one record is larger) into `buffer`.
fn fill(file: &File, place: Place, bytes: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
    buffer.resize(bytes, 0);
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut buffer[filled..], place.offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(())
}

/// Visits the records at `place` in one window of the file and moves the place behind them. `visit` gets the
/// number and the range of the payload in `buffer`, and says whether it wants more.
pub(crate) fn window(
    file: &File,
    place: &mut Place,
    buffer: &mut Vec<u8>,
    mut visit: impl FnMut(u64, std::ops::Range<usize>) -> bool,
) -> io::Result<Stop> {
    let start = *place;
    fill(file, start, WINDOW, buffer)?;
    let mut at = 0;
    loop {
        match parse(start.seed, place.seq, &buffer[at..]) {
            Parsed::Invalid => return Ok(Stop::Invalid),
            Parsed::Record(Kind::Close, _) => return Ok(Stop::Closed),
            Parsed::Record(Kind::Data, payload) => {
                let wanted = visit(place.seq, at + 8..at + 8 + payload.len());
                at += 8 + payload.len();
                place.seq += 1;
                place.offset = start.offset + at as u64;
                if !wanted {
                    return Ok(Stop::More);
                }
            }
            Parsed::Short(_) if buffer.len() < WINDOW => return Ok(Stop::Invalid),
            Parsed::Short(_) if at > 0 => return Ok(Stop::More),
            Parsed::Short(needed) => {
                // Bounded by the length field: at most 16 MiB, and never more than the file has.
                fill(file, start, needed, buffer)?;
                if buffer.len() < needed {
                    return Ok(Stop::Invalid);
                }
            }
        }
    }
}
