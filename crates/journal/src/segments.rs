//! Names of segment files, and which of them are wholly behind the reader.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    ProducerId,
    disk::Disk,
    format::{HEADER_BYTES, Header},
};

const SUFFIX: &str = ".seg";

/// A segment in use, and the sequence number it starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) number: u64,
    pub(crate) first_seq: u64,
}

pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}{SUFFIX}"))
}

/// The number in the name of a segment file.
pub(crate) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)?.parse().ok()
}

/// The numbers of the segment files in a producer's folder, ascending.
pub(crate) fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        found.extend(number_of(&entry?.path()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The header of a segment file, when it is this producer's segment of this number (a recycled file is not).
pub(crate) fn header(file: &File, producer: ProducerId, number: u64) -> Option<Header> {
    let mut bytes = [0_u8; HEADER_BYTES];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Header::decode(&bytes).filter(|header| header.producer == producer && header.number == number)
}

/// File in a producer's folder that holds the position below which everything was freed. It is on the disk before the
/// first name goes: after a power loss a freed segment may be back, alone or with foreign contents.
const FREED: &str = "freed";

pub(crate) fn write_freed(dir: &Path, disk: &Disk, next: u64) -> io::Result<()> {
    let mut bytes = [0_u8; 12];
    bytes[..8].copy_from_slice(&next.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..8]);
    bytes[8..].copy_from_slice(&crc.to_le_bytes());
    disk.replace(&dir.join(FREED), &bytes)
}

/// The freed position: 0 when nothing was freed, `None` when it cannot be read.
pub(crate) fn read_freed(dir: &Path) -> Option<u64> {
    let read = fs::read(dir.join(FREED));
    if read
        .as_ref()
        .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    {
        return Some(0);
    }
    let bytes: [u8; 12] = read.ok()?.try_into().ok()?;
    let (next, crc) = bytes.split_at(8);
    (crc == crc32c::crc32c(next).to_le_bytes()).then(|| next.try_into().map_or(0, u64::from_le_bytes))
}

/// Takes out the leading segments all of whose records are below `next`; the last segment always stays.
pub(crate) fn take_freed(marks: &mut VecDeque<Mark>, next: u64) -> Vec<u64> {
    let mut freed = Vec::new();
    while marks.get(1).is_some_and(|second| second.first_seq <= next) {
        freed.extend(marks.pop_front().map(|mark| mark.number));
    }
    freed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_freed_only_when_the_next_one_starts_at_or_below_the_position() {
        let marks = |list: &[(u64, u64)]| -> VecDeque<Mark> {
            list.iter()
                .map(|&(number, first_seq)| Mark { number, first_seq })
                .collect()
        };
        let mut three = marks(&[(0, 0), (1, 10), (2, 20)]);
        assert_eq!(take_freed(&mut three, 9), Vec::<u64>::new());
        assert_eq!(take_freed(&mut three, 10), vec![0]);
        assert_eq!(take_freed(&mut three, 1000), vec![1]);
        assert_eq!(three, marks(&[(2, 20)]));
    }
}
