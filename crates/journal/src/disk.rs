//! Every change that the journal makes on disk goes through here, so that a fault test can refuse it, delay it
//! or remember what was not synced. Deliberately no trait: there is one disk, and a hook before each operation.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// An operation that is about to happen.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Op<'a> {
    /// A folder is made.
    MakeDir(&'a Path),
    /// A file is made.
    Create(&'a Path),
    /// Bytes are written at an offset.
    Write {
        /// The open file.
        file: &'a File,
        /// The name under which it was opened.
        path: &'a Path,
        /// What is written.
        bytes: &'a [u8],
        /// Where in the file.
        offset: u64,
    },
    /// The contents of a file are synced.
    SyncData {
        /// The open file.
        file: &'a File,
        /// The name under which it was opened.
        path: &'a Path,
    },
    /// The names in a folder are synced.
    SyncDir(&'a Path),
    /// A file or folder gets another name.
    Rename {
        /// The old name.
        from: &'a Path,
        /// The new name.
        to: &'a Path,
    },
    /// A file is removed.
    Remove(&'a Path),
}

/// Called before each operation; an error is taken as the answer of the operating system.
pub type FaultHook = Arc<dyn Fn(Op<'_>) -> io::Result<()> + Send + Sync>;

/// An open file and the name under which it was opened.
#[derive(Debug)]
pub(crate) struct DiskFile {
    pub(crate) file: File,
    pub(crate) path: PathBuf,
}

/// The operating system's files, with the hook in front.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    hook: Option<FaultHook>,
}

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

impl Disk {
    pub(crate) fn new(hook: Option<FaultHook>) -> Self {
        Self { hook }
    }

    fn ask(&self, op: Op<'_>) -> io::Result<()> {
        self.hook.as_ref().map_or(Ok(()), |hook| hook(op))
    }

    /// Makes a folder that only this user can read.
    pub(crate) fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Op::MakeDir(path))?;
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    /// Makes a file full of real zeros, so that later writes need no space. Nothing stays after a failure.
    pub(crate) fn create_zeroed(&self, path: &Path, bytes: u64) -> io::Result<DiskFile> {
        let made = self.create(path)?;
        let filled = self.fill(&made, bytes);
        if filled.is_err() {
            // The failure to fill is the one to report; a left-over is found by the next recovery.
            let _left_over = self.remove(path);
        }
        filled.map(|()| made)
    }

    fn fill(&self, made: &DiskFile, bytes: u64) -> io::Result<()> {
        let mut offset = 0;
        while offset < bytes {
            let step = (bytes - offset).min(ZEROS.len() as u64);
            let chunk = usize::try_from(step).map_or(&ZEROS[..], |step| &ZEROS[..step]);
            self.write_at(made, chunk, offset)?;
            offset += step;
        }
        Ok(())
    }

    /// Makes an empty file that only this user can read; fails when the name is taken.
    pub(crate) fn create(&self, path: &Path) -> io::Result<DiskFile> {
        self.ask(Op::Create(path))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(DiskFile {
            file,
            path: path.to_owned(),
        })
    }

    /// Opens an existing file for reading and writing.
    #[expect(
        clippy::unused_self,
        reason = "opening belongs to the disk and changes nothing on it"
    )]
    pub(crate) fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(DiskFile {
            file,
            path: path.to_owned(),
        })
    }

    pub(crate) fn write_at(&self, to: &DiskFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.ask(Op::Write {
            file: &to.file,
            path: &to.path,
            bytes,
            offset,
        })?;
        to.file.write_all_at(bytes, offset)
    }

    pub(crate) fn sync_data(&self, what: &DiskFile) -> io::Result<()> {
        self.ask(Op::SyncData {
            file: &what.file,
            path: &what.path,
        })?;
        what.file.sync_data()
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.ask(Op::SyncDir(path))?;
        File::open(path)?.sync_all()
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask(Op::Rename { from, to })?;
        fs::rename(from, to)
    }

    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask(Op::Remove(path))?;
        fs::remove_file(path)
    }

    /// Replaces a small file as a whole: other name, synced, renamed, folder synced.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("tmp");
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = self.create(&draft)?;
        self.write_at(&file, bytes, 0)?;
        self.sync_data(&file)?;
        self.rename(&draft, path)?;
        path.parent().map_or(Ok(()), |dir| self.sync_dir(dir))
    }
}
