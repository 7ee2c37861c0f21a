//! Reads records as soon as they were appended, from this process or from another one.

use std::{
    collections::HashMap,
    fmt,
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    Error, ProducerId,
    format::{Header, seed},
    scan::{self, Place, Stop},
    segments,
    shared::Shared,
};

/// Consecutive records of one producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Whose records.
    pub producer: ProducerId,
    /// Number of the first record.
    pub first_seq: u64,
    bytes: Vec<u8>,
    payloads: Vec<Range<usize>>,
}

impl Batch {
    /// A batch of the payloads that lie in `bytes` at `payloads`; `None` when there is no payload or one lies outside.
    /// For batches that came another way than through a journal.
    pub fn new(producer: ProducerId, first_seq: u64, bytes: Vec<u8>, payloads: Vec<Range<usize>>) -> Option<Self> {
        let sound = payloads.iter().all(|range| bytes.get(range.clone()).is_some());
        let counted = u64::try_from(payloads.len())
            .ok()
            .and_then(|len| first_seq.checked_add(len));
        (sound && counted.is_some() && !payloads.is_empty()).then_some(Self {
            producer,
            first_seq,
            bytes,
            payloads,
        })
    }

    /// How many records; never zero.
    #[expect(clippy::len_without_is_empty, reason = "a batch is never empty")]
    pub const fn len(&self) -> usize {
        self.payloads.len()
    }

    /// Number of the last record.
    pub const fn last_seq(&self) -> u64 {
        self.next_seq() - 1
    }

    /// Number of the record that follows the batch: where to read next, what to acknowledge.
    pub const fn next_seq(&self) -> u64 {
        self.first_seq + self.payloads.len() as u64
    }

    /// The records in order: sequence number and payload.
    pub fn records(&self) -> impl ExactSizeIterator<Item = (u64, &[u8])> {
        let payloads = self.payloads.iter().map(|range| &self.bytes[range.clone()]);
        payloads
            .enumerate()
            .map(|(at, payload)| (self.first_seq + at as u64, payload))
    }
}

struct Cursor {
    number: u64,
    file: File,
    place: Place,
}

/// Reads a journal folder. Keeps one file open for each producer that it reads.
pub struct Reader {
    dir: PathBuf,
    shared: Option<Arc<Shared>>,
    cursors: HashMap<ProducerId, Cursor>,
}

impl Reader {
    /// A reader of a folder that another process may be writing.
    pub fn open(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            shared: None,
            cursors: HashMap::new(),
        }
    }

    pub(crate) fn with(dir: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            dir,
            shared: Some(shared),
            cursors: HashMap::new(),
        }
    }

    /// The records of a producer from number `seq` on, about `max_bytes` of them (at least one record);
    /// `None` when there is none yet.
    ///
    /// [`Error::Missing`]: `seq` is no longer here. [`Error::Damaged`]: `seq` was written and cannot be read.
    /// [`Error::Unknown`]: no such producer.
    pub fn read_from(&mut self, producer: ProducerId, seq: u64, max_bytes: usize) -> Result<Option<Batch>, Error> {
        let end = match &self.shared {
            Some(shared) => Some(shared.end_of(producer).ok_or(Error::Unknown(producer))?),
            None => None,
        };
        if end.is_some_and(|end| seq >= end) {
            return Ok(None);
        }
        let dir = self.dir.join(producer.to_string());
        let known = self.cursors.remove(&producer).filter(|cursor| cursor.place.seq == seq);
        let cursor = match known {
            Some(cursor) => Some(cursor),
            None => seek(&dir, producer, seq)?,
        };
        let Some(cursor) = cursor else {
            return Ok(None);
        };
        let mut pass = Pass {
            dir: &dir,
            producer,
            wanted: seq,
            end,
            max_bytes,
        };
        let (cursor, batch) = pass.run(cursor)?;
        self.cursors.insert(producer, cursor);
        Ok(batch)
    }

    /// Closes the file of a producer that will not be read again.
    pub fn forget(&mut self, producer: ProducerId) {
        self.cursors.remove(&producer);
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("dir", &self.dir).finish_non_exhaustive()
    }
}

fn open_segment(dir: &Path, producer: ProducerId, number: u64) -> Result<Option<(File, Header)>, Error> {
    let path = segments::path(dir, number);
    match File::open(&path) {
        Ok(file) => Ok(segments::header(&file, producer, number).map(|header| (file, header))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", &path)(error)),
    }
}

fn list(dir: &Path, producer: ProducerId) -> Result<Vec<u64>, Error> {
    segments::numbers(dir).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            Error::Unknown(producer)
        } else {
            Error::io("list", dir)(error)
        }
    })
}

/// The start of the segment that holds `seq`.
fn seek(dir: &Path, producer: ProducerId, seq: u64) -> Result<Option<Cursor>, Error> {
    let mut first = None;
    for number in list(dir, producer)?.into_iter().rev() {
        let Some((file, header)) = open_segment(dir, producer, number)? else {
            continue;
        };
        if header.first_seq <= seq {
            let place = Place::start(seed(producer, number), header.first_seq);
            return Ok(Some(Cursor { number, file, place }));
        }
        first = Some(header.first_seq);
    }
    first.map_or(Ok(None), |first| Err(Error::Missing { producer, first }))
}

/// One call of [`Reader::read_from`].
struct Pass<'a> {
    dir: &'a Path,
    producer: ProducerId,
    wanted: u64,
    end: Option<u64>,
    max_bytes: usize,
}

impl Pass<'_> {
    fn run(&mut self, mut cursor: Cursor) -> Result<(Cursor, Option<Batch>), Error> {
        let mut looked_again = false;
        loop {
            let (stop, batch) = self.window(&mut cursor)?;
            if batch.is_some() || stop == Stop::Closed {
                return Ok((cursor, batch));
            }
            if stop == Stop::More {
                continue;
            }
            match self.following(cursor.number)? {
                Some(next) if next.place.seq <= cursor.place.seq => {
                    looked_again = false;
                    cursor = next;
                }
                // Between the read and the look records and a segment may have come: look once more.
                following if !looked_again && (following.is_some() || self.is_due(&cursor)) => looked_again = true,
                Some(next) => return Err(self.unreadable(&cursor, Some(next.place.seq))),
                None if self.is_due(&cursor) => return Err(self.unreadable(&cursor, None)),
                None => return Ok((cursor, None)),
            }
        }
    }

    /// Whether the record at the cursor is known to have been written.
    fn is_due(&self, cursor: &Cursor) -> bool {
        self.end.is_some_and(|end| cursor.place.seq < end)
    }

    fn window(&self, cursor: &mut Cursor) -> Result<(Stop, Option<Batch>), Error> {
        let mut bytes = Vec::new();
        let mut payloads: Vec<Range<usize>> = Vec::new();
        let (wanted, max_bytes) = (self.wanted, self.max_bytes);
        let mut taken = 0;
        let stop = scan::window(&cursor.file, &mut cursor.place, &mut bytes, |seq, range| {
            if seq >= wanted {
                taken += range.len();
                payloads.push(range);
            }
            taken < max_bytes
        })
        .map_err(Error::io("read", &segments::path(self.dir, cursor.number)))?;
        let first_seq = cursor.place.seq - payloads.len() as u64;
        let batch = Batch {
            producer: self.producer,
            first_seq,
            bytes,
            payloads,
        };
        Ok((stop, Some(batch).filter(|batch| batch.len() > 0)))
    }

    /// The next segment that has a header.
    fn following(&self, number: u64) -> Result<Option<Cursor>, Error> {
        for number in list(self.dir, self.producer)?
            .into_iter()
            .filter(|other| *other > number)
        {
            if let Some((file, header)) = open_segment(self.dir, self.producer, number)? {
                let place = Place::start(seed(self.producer, number), header.first_seq);
                return Ok(Some(Cursor { number, file, place }));
            }
        }
        Ok(None)
    }

    fn unreadable(&self, cursor: &Cursor, resume: Option<u64>) -> Error {
        let producer = self.producer;
        let freed = !segments::path(self.dir, cursor.number).exists();
        match resume {
            Some(first) if freed => Error::Missing { producer, first },
            _ => Error::Damaged {
                producer,
                from: cursor.place.seq,
                resume,
            },
        }
    }
}
