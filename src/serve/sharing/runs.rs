//! The runs of this node's process, kept in a file of the data directory: the number of each is higher than that of the
//! one before, and a run is kept until the ledger has all that its producers wrote.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use store::{CounterRun, ProducerStand};

/// What the file holds. The last run is this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Book {
    /// The name under which the control plane knows this node; empty before it does.
    announced_as: String,
    runs: Vec<CounterRun>,
}

/// The runs.
#[derive(Debug)]
pub(super) struct RunsFile {
    path: PathBuf,
    book: Book,
    fence: u64,
}

impl RunsFile {
    /// Begins a run. `left_over` are the producers that earlier runs left in the journal.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn begin(path: PathBuf, now_ms: i64, left_over: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut book = read(&path)?;
        let before = book.runs.iter().map(|run| run.fence).max().unwrap_or(0);
        let fence = u64::try_from(now_ms).unwrap_or(0).max(before.saturating_add(1));
        // Should such a run have written something all the same, the journal has it.
        book.runs.retain(|run| !run.producers.is_empty());
        let named: HashSet<String> = book.runs.iter().flat_map(|run| run.producers.clone()).collect();
        let strangers: Vec<String> = left_over.filter(|producer| !named.contains(producer)).collect();
        if !strangers.is_empty() {
            book.runs.push(CounterRun {
                fence: 0,
                producers: strangers,
            });
        }
        book.runs.push(CounterRun {
            fence,
            producers: Vec::new(),
        });
        let file = Self { path, book, fence };
        file.write()?;
        Ok(file)
    }

    pub(super) const fn fence(&self) -> u64 {
        self.fence
    }

    pub(super) fn runs(&self) -> &[CounterRun] {
        &self.book.runs
    }

    pub(super) fn is_announced_as(&self, node: &str) -> bool {
        self.book.announced_as == node
    }

    pub(super) fn announced_as(&mut self, node: &str) -> io::Result<()> {
        node.clone_into(&mut self.book.announced_as);
        self.write()
    }

    /// This run writes with these producers.
    pub(super) fn writes_with(&mut self, producers: Vec<String>) -> io::Result<()> {
        if let Some(own) = self.book.runs.iter_mut().find(|run| run.fence == self.fence) {
            own.producers = producers;
        }
        self.write()
    }

    /// Forgets earlier runs of which the ledger has everything.
    pub(super) fn forget(&mut self, stands: &[ProducerStand]) -> io::Result<()> {
        let has_ended = |producer: &String| stands.iter().any(|stand| stand.id == *producer && stand.ended);
        let (before, fence) = (self.book.runs.len(), self.fence);
        self.book
            .runs
            .retain(|run| run.fence == fence || !run.producers.iter().all(has_ended));
        if self.book.runs.len() == before {
            return Ok(());
        }
        self.write()
    }

    fn write(&self) -> io::Result<()> {
        let beside = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(serde_json::to_string(&self.book)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &self.path)?;
        let folder = self.path.parent().map(File::open).transpose()?;
        folder.map_or(Ok(()), |folder| folder.sync_all())
    }
}

/// A file that cannot be understood is as good as none: the node is announced anew, and the journal has what it wrote.
fn read(path: &Path) -> io::Result<Book> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            tracing::error!(%error, file = %path.display(), "the runs of this node cannot be read");
            Book::default()
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Book::default()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(id: &str) -> ProducerStand {
        ProducerStand {
            id: id.to_owned(),
            next_seq: 3,
            ended: true,
        }
    }

    #[test]
    fn each_run_has_a_higher_number_even_when_the_clock_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let begin = |now_ms| RunsFile::begin(dir.path().join("runs"), now_ms, std::iter::empty()).unwrap();
        let fences = [5_000, 4_000, 4_000, 9_000].map(|now_ms| begin(now_ms).fence());
        assert_eq!(fences, [5_000, 5_001, 5_002, 9_000]);
    }

    #[test]
    fn an_earlier_run_is_kept_until_all_that_it_wrote_is_in_the_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs");
        let mut first = RunsFile::begin(path.clone(), 10, std::iter::empty()).unwrap();
        first.announced_as("a").unwrap();
        first.writes_with(vec!["p".to_owned(), "q".to_owned()]).unwrap();
        drop(first);
        let left_over = ["q", "stranger"].map(str::to_owned).into_iter();
        let mut second = RunsFile::begin(path.clone(), 20, left_over).unwrap();
        assert!(second.is_announced_as("a") && !second.is_announced_as("b"));
        let fences = |file: &RunsFile| file.runs().iter().map(|run| run.fence).collect::<Vec<_>>();
        assert_eq!(fences(&second), [10, 0, 20]);
        second.forget(&[ended("p")]).unwrap();
        assert_eq!(fences(&second), [10, 0, 20]);
        second.forget(&[ended("p"), ended("q")]).unwrap();
        assert_eq!(fences(&second), [0, 20]);
        second.forget(&[ended("stranger")]).unwrap();
        assert_eq!(fences(&second), [20]);
        assert_eq!(fences(&RunsFile::begin(path, 30, std::iter::empty()).unwrap()), [30]);
    }

    #[test]
    fn a_file_that_is_none_makes_the_node_announce_itself_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runs");
        std::fs::write(&path, "{torn").unwrap();
        assert!(
            !RunsFile::begin(path, 1, std::iter::empty())
                .unwrap()
                .is_announced_as("a")
        );
    }
}
