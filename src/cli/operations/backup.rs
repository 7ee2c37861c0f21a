//! A consistent copy of everything that the embedded deployment holds, while it runs or stands still.
//!
//! The order is what makes it consistent. Usage goes from the journal into the ledger, from there into analytics, and
//! only then are its journal segments freed:
//!
//! 1. Analytics is held against writing. From here on no batch can be finished, so none is marked as done in the ledger
//!    that the copy of analytics lacks, and no segment is freed that the copies need.
//! 2. Analytics and the ledger are copied, each as of one instant; the ledger may be ahead by a batch, which a restored
//!    platform adds from the journal.
//! 3. The journal is copied, segments of each producer from the oldest on, so that each copy is a prefix of what was
//!    written; what lies above the ledger's position is counted after the restore. Analytics is let go.
//! 4. The control database is copied last, so that everything that the usage refers to is in it.
//!
//! The gateway serves all the while: usage waits in its journal. The copy of the journal is marked as restored, so that
//! its producers are closed and never go on beside the original.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use domain::clock::Clock;
use store::{CONTROL_FILE, LEDGER_FILE};

use super::archive;
use super::databases::{self, ANALYTICS};
use super::manifest::{Entry, FORMAT, MANIFEST, Manifest, copy, make_file, make_folder, measure};

const JOURNAL: &str = "journal";
const MASTER_KEY: &str = "master.key";
const DEEPEST: usize = 16;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} holds no embedded deployment: name the folder that `serve` or `demo` was given with --data-dir")]
    NoDeployment(PathBuf),
    #[error("{0} is there already: name a folder or file that does not exist")]
    Taken(PathBuf),
    #[error("{path} cannot be copied")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Database(#[from] databases::Error),
    #[error("the copy of the journal cannot be marked")]
    Journal(#[from] journal::Error),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// What is copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) data_dir: &'a Path,
    pub(crate) master_key: &'a Path,
}

/// Writes a backup to a folder or an archive, which must not exist. What is left of a failed one is removed.
///
/// # Errors
/// See [`Error`].
pub(crate) fn backup(from: &Source<'_>, to: &Path, clock: &Clock) -> Result<Manifest, Error> {
    if !from.data_dir.join(CONTROL_FILE).exists() || !from.data_dir.join(LEDGER_FILE).exists() {
        return Err(Error::NoDeployment(from.data_dir.to_owned()));
    }
    if to.exists() {
        return Err(Error::Taken(to.to_owned()));
    }
    let draft = draft(to);
    make_folder(&draft).map_err(failed(&draft))?;
    let outcome = write(from, &draft, clock).and_then(|manifest| publish(manifest, &draft, to));
    if draft.exists() {
        // The error that led here is the one to report.
        let _ = std::fs::remove_dir_all(&draft);
    }
    outcome
}

/// A folder beside the target, on the same file system.
fn draft(to: &Path) -> PathBuf {
    let name = to
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    to.with_file_name(format!(".{name}.part-{}", std::process::id()))
}

fn publish(manifest: Manifest, draft: &Path, to: &Path) -> Result<Manifest, Error> {
    match archive::form(to) {
        None => std::fs::rename(draft, to).map_err(failed(to))?,
        Some(form) => {
            let files = manifest.files.iter().map(|file| file.path.clone());
            let names: Vec<String> = std::iter::once(MANIFEST.to_owned()).chain(files).collect();
            archive::pack(draft, &names, to, form)
                .inspect_err(|_| drop(std::fs::remove_file(to)))
                .map_err(failed(to))?;
        }
    }
    Ok(manifest)
}

fn write(from: &Source<'_>, draft: &Path, clock: &Clock) -> Result<Manifest, Error> {
    let created_at = clock.now().to_string();
    let runtime = databases::runtime().map_err(failed(draft))?;
    let mut files = Files {
        from: from.data_dir,
        to: draft,
        entries: Vec::new(),
    };
    runtime.block_on(usage(&mut files))?;
    runtime.block_on(files.database(CONTROL_FILE))?;
    files.others(Path::new(""), DEEPEST)?;
    if !files.has(MASTER_KEY) && from.master_key.exists() {
        let (bytes, sha256) = copy(from.master_key, &draft.join(MASTER_KEY)).map_err(failed(from.master_key))?;
        files.entries.push(Entry {
            path: MASTER_KEY.to_owned(),
            bytes,
            sha256,
        });
    }
    let manifest = Manifest {
        format: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        created_at,
        files: files.entries,
    };
    let path = draft.join(MANIFEST);
    let file = make_file(&path).map_err(failed(&path))?;
    serde_json::to_writer_pretty(&file, &manifest).map_err(|error| failed(&path)(error.into()))?;
    file.sync_all().map_err(failed(&path))?;
    Ok(manifest)
}

/// Steps 1 to 3.
async fn usage(files: &mut Files<'_>) -> Result<(), Error> {
    let analytics = files.from.join(ANALYTICS);
    let held = if analytics.exists() {
        Some(databases::hold(&analytics).await?)
    } else {
        None
    };
    if held.is_some() {
        files.database(ANALYTICS).await?;
    }
    databases::copy(&files.from.join(LEDGER_FILE), &files.to.join(LEDGER_FILE)).await?;
    if files.from.join(JOURNAL).is_dir() {
        files.journal()?;
    }
    if let Some(held) = held {
        held.release().await?;
        databases::agree(&files.to.join(LEDGER_FILE), &files.to.join(ANALYTICS)).await?;
    }
    files.enter(LEDGER_FILE)
}

/// Files as they are copied.
struct Files<'a> {
    from: &'a Path,
    to: &'a Path,
    entries: Vec<Entry>,
}

impl Files<'_> {
    fn has(&self, path: &str) -> bool {
        self.entries.iter().any(|entry| entry.path == path)
    }

    /// Lists a file that was written to the backup.
    fn enter(&mut self, path: &str) -> Result<(), Error> {
        let target = self.to.join(path);
        let (bytes, sha256) = measure(&target).map_err(failed(&target))?;
        self.entries.push(Entry {
            path: path.to_owned(),
            bytes,
            sha256,
        });
        Ok(())
    }

    async fn database(&mut self, name: &str) -> Result<(), Error> {
        databases::copy(&self.from.join(name), &self.to.join(name)).await?;
        self.enter(name)
    }

    /// A file as it is now; one that has gone in the meantime is passed over.
    fn file(&mut self, path: &Path) -> Result<(), Error> {
        let (from, to) = (self.from.join(path), self.to.join(path));
        let folder = to.parent().unwrap_or(self.to);
        make_folder(folder).map_err(failed(folder))?;
        match copy(&from, &to) {
            Ok((bytes, sha256)) => {
                self.entries.push(Entry {
                    path: path.to_string_lossy().into_owned(),
                    bytes,
                    sha256,
                });
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&from)(error)),
        }
    }

    /// The producers of the journal, and the marker that closes them.
    fn journal(&mut self) -> Result<(), Error> {
        for producer in self.names(Path::new(JOURNAL))? {
            let folder = Path::new(JOURNAL).join(&producer);
            let is_producer = producer.len() == 32 && producer.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_producer || !self.from.join(&folder).is_dir() {
                continue;
            }
            // Names of segments are numbers of one length, so their order is that of their writing.
            for name in self.names(&folder)?.into_iter().filter(|name| !name.ends_with("tmp")) {
                self.file(&folder.join(name))?;
            }
        }
        let folder = self.to.join(JOURNAL);
        make_folder(&folder).map_err(failed(&folder))?;
        journal::mark_restored(&folder)?;
        let marker = names_in(&folder)?.into_iter().find(|name| folder.join(name).is_file());
        marker.map_or(Ok(()), |name| self.enter(&format!("{JOURNAL}/{name}")))
    }

    fn names(&self, folder: &Path) -> Result<BTreeSet<String>, Error> {
        names_in(&self.from.join(folder))
    }

    /// Everything else: keys, mails, what the first start wrote.
    fn others(&mut self, folder: &Path, depth: usize) -> Result<(), Error> {
        for name in self.names(folder)? {
            let path = folder.join(&name);
            let full = self.from.join(&path);
            let kind = full.symlink_metadata().map(|meta| meta.file_type());
            let at_top = folder.as_os_str().is_empty();
            if at_top && is_apart(&name) {
                continue;
            }
            match kind {
                Ok(kind) if kind.is_dir() && depth > 0 => self.others(&path, depth - 1)?,
                Ok(kind) if kind.is_file() => self.file(&path)?,
                // Sockets and links are no part of what the deployment holds.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Names in a folder; one that has gone in the meantime holds none.
fn names_in(folder: &Path) -> Result<BTreeSet<String>, Error> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect::<io::Result<Vec<_>>>().map_err(failed(folder))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(folder)(error)),
    };
    Ok(entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect())
}

/// Databases and journal, which are copied in their own way, and locks.
fn is_apart(name: &str) -> bool {
    let databases = [CONTROL_FILE, LEDGER_FILE, ANALYTICS];
    name == JOURNAL
        || name == "lock"
        || Path::new(name).extension().is_some_and(|end| end == "lock")
        || databases.iter().any(|known| name.starts_with(known))
}
