//! The state of a gateway that is fed from another process, in memory and on its disk.
//!
//! [`State`] takes up answers and refuses, whole, one that is torn, leads to another sum than it says, or does not
//! compile. [`Copy`] is the file: the answers as they came, the first of them whole. What was cut off at its end is dropped
//! when it is read; it is written anew when the deltas have grown beyond what they change.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use domain::sealed::MasterKey;

use crate::compile::{Snapshot, compile};
use crate::outlet::Has;
use crate::source::Change;
use crate::wire::{Header, Line, RowKey, Sums};

/// A row that is longer is not one.
const MAX_LINE: u64 = 256 << 20;
/// Deltas may take so much beside the whole before the file is written anew.
const SLACK: u64 = 1 << 20;

/// Why an answer is refused; what was there before stays.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is no answer of a feed.
    #[error("the answer cannot be read")]
    Text(#[from] serde_json::Error),
    /// It ends early.
    #[error("the answer ends early")]
    Torn,
    /// Its rows do not lead to the state that it names.
    #[error("the rows do not lead to the checksum of revision {0}")]
    Checksum(u64),
    /// It continues another revision.
    #[error("the answer continues revision {since}, this gateway has {has}")]
    Continues {
        /// What it continues.
        since: u64,
        /// What there is.
        has: u64,
    },
    /// It does not compile.
    #[error("revision {0} cannot be served")]
    Compile(u64, #[source] crate::Error),
    /// It could not be read.
    #[error("the answer could not be read")]
    Io(#[from] std::io::Error),
}

/// An answer, taken apart.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) header: Header,
    lines: Vec<Line>,
    changes: Vec<Change>,
}

impl Answer {
    /// Reads one answer; `None` at the end of the text.
    pub(crate) fn read(text: &mut impl BufRead) -> Result<Option<Self>, Refused> {
        let Some(first) = line(text)? else { return Ok(None) };
        let header: Header = serde_json::from_slice(&first)?;
        let (mut lines, mut changes) = (Vec::new(), Vec::new());
        for _ in 0..header.rows {
            let text = line(text)?.ok_or(Refused::Torn)?;
            let (line, change) = Line::read(&text)?;
            lines.push(line);
            changes.push(change);
        }
        Ok(Some(Self { header, lines, changes }))
    }

    /// As it came.
    fn text(&self) -> Vec<u8> {
        let mut text = self.header.line();
        for line in &self.lines {
            text.extend_from_slice(&line.text);
            text.push(b'\n');
        }
        text
    }
}

/// A line without its end; `None` at the end of the text.
fn line(text: &mut impl BufRead) -> Result<Option<Vec<u8>>, Refused> {
    let mut line = Vec::new();
    if text.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(Refused::Torn);
    }
    Ok(Some(line))
}

/// What a gateway has.
#[derive(Debug, Default)]
pub(crate) struct State {
    snapshot: Option<Snapshot>,
    sums: Sums,
}

impl State {
    /// What was taken up last.
    pub(crate) const fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// What the control plane is told.
    pub(crate) fn has(&self) -> Option<Has> {
        self.snapshot.as_ref().map(|snapshot| Has {
            revision: snapshot.revision(),
            checksum: self.sums.checksum(),
        })
    }

    /// Takes up an answer and gives the snapshot after it; all or nothing.
    pub(crate) fn take(&mut self, answer: &Answer, master: &MasterKey) -> Result<Snapshot, Refused> {
        let header = &answer.header;
        let mut fresh = Sums::default();
        let (previous, sums) = match (header.since, &self.snapshot) {
            (None, _) => (None, &mut fresh),
            (Some(since), Some(snapshot)) if snapshot.revision() == since => (Some(snapshot), &mut self.sums),
            (Some(since), snapshot) => {
                let has = snapshot.as_ref().map_or(0, Snapshot::revision);
                return Err(Refused::Continues { since, has });
            }
        };
        let undo = sums.take(&answer.lines);
        let compiled = if sums.checksum() == header.checksum {
            compile(previous, answer.changes.iter().cloned(), header.revision, master)
                .map_err(|error| Refused::Compile(header.revision, error))
        } else {
            Err(Refused::Checksum(header.revision))
        };
        match compiled {
            Ok(snapshot) => {
                if header.since.is_none() {
                    self.sums = fresh;
                }
                self.snapshot = Some(snapshot.clone());
                Ok(snapshot)
            }
            Err(refused) => {
                sums.undo(undo);
                Err(refused)
            }
        }
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Copy {
    path: PathBuf,
    file: Option<File>,
    whole: u64,
    length: u64,
}

impl Copy {
    /// Reads the file, as far as it is good, into a state. A missing or unreadable one leaves the state empty.
    pub(crate) fn open(path: &Path, master: &MasterKey) -> (Self, State) {
        let mut copy = Self {
            path: path.to_owned(),
            file: None,
            whole: 0,
            length: 0,
        };
        let mut state = State::default();
        match copy.load(&mut state, master) {
            Ok(()) => {}
            Err(Refused::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                path = %path.display(),
                "the disk copy of the snapshot is good only up to here"
            ),
        }
        (copy, state)
    }

    fn load(&mut self, state: &mut State, master: &MasterKey) -> Result<(), Refused> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        let mut text = BufReader::new(&mut file);
        let mut outcome = Ok(());
        loop {
            let answer = match Answer::read(&mut text) {
                Ok(Some(answer)) => answer,
                Ok(None) => break,
                Err(refused) => {
                    outcome = Err(refused);
                    break;
                }
            };
            if let Err(refused) = state.take(&answer, master) {
                outcome = Err(refused);
                break;
            }
            self.length = text.stream_position()?;
            if answer.header.since.is_none() {
                self.whole = self.length;
            }
        }
        drop(text);
        file.set_len(self.length)?;
        file.seek(SeekFrom::End(0))?;
        self.file = Some(file);
        outcome
    }

    /// Keeps an answer that was taken up.
    ///
    /// # Errors
    /// The disk's; the gateway goes on with what it has in memory, and the next whole answer mends the file.
    pub(crate) fn keep(&mut self, answer: &Answer) -> std::io::Result<()> {
        let kept = self.write(answer);
        if kept.is_err() {
            // Half an answer may stand at the end: nothing may follow it.
            self.file = None;
        }
        kept
    }

    fn write(&mut self, answer: &Answer) -> std::io::Result<()> {
        if answer.header.since.is_none() {
            return self.replace(&answer.text());
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let text = answer.text();
        file.write_all(&text)?;
        file.sync_data()?;
        self.length += text.len() as u64;
        if self.length > 2 * self.whole + SLACK {
            let text = self.compacted()?;
            self.replace(&text)?;
        }
        Ok(())
    }

    /// Whether the next answer should be whole, because the file does not take deltas.
    pub(crate) const fn wants_whole(&self) -> bool {
        self.file.is_none()
    }

    /// One whole answer that says what all answers of the file say.
    fn compacted(&self) -> std::io::Result<Vec<u8>> {
        let mut text = BufReader::new(File::open(&self.path)?);
        let mut rows: BTreeMap<RowKey, Line> = BTreeMap::new();
        let mut last = None;
        while let Some(answer) = Answer::read(&mut text).map_err(std::io::Error::other)? {
            if answer.header.since.is_none() {
                rows.clear();
            }
            for line in answer.lines {
                if line.removes {
                    rows.remove(&line.key);
                } else {
                    rows.insert(line.key, line);
                }
            }
            last = Some(answer.header);
        }
        let header = last.ok_or_else(|| std::io::Error::other("the disk copy is empty"))?;
        let whole = Answer {
            header: Header {
                since: None,
                rows: rows.len() as u64,
                ..header
            },
            lines: rows.into_values().collect(),
            changes: Vec::new(),
        };
        Ok(whole.text())
    }

    fn replace(&mut self, text: &[u8]) -> std::io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .read(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        (self.whole, self.length) = (text.len() as u64, text.len() as u64);
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
