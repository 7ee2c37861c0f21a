//! The list of files of a backup, each with its length and checksum, and copying that computes them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path};

use domain::key::KeyHash;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Name of the list in a backup.
pub(super) const MANIFEST: &str = "manifest.json";
/// Form of the list.
pub(super) const FORMAT: u32 = 1;

const BLOCK: usize = 64 << 10;

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Form of this list.
    pub(super) format: u32,
    /// Version of the program that wrote it.
    pub(super) program: String,
    /// RFC 3339.
    pub(crate) created_at: String,
    pub(crate) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// From the data directory on, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) sha256: KeyHash,
}

impl Manifest {
    /// Length of all files together.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Whether a path of a list stays within its folder.
pub(super) fn is_inside(path: &Path) -> bool {
    path.components().count() > 0 && path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Makes a folder for its user alone.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes a file for its user alone; it must not exist.
pub(super) fn make_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Copies what a file holds now, leaving holes where it holds zeros, and tells its length and checksum.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<(u64, KeyHash)> {
    let mut source = File::open(from)?;
    let mut target = make_file(to)?;
    let mut hash = Sha256::new();
    let mut block = vec![0_u8; BLOCK];
    let mut length = 0_u64;
    loop {
        let read = source.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
        if bytes.iter().all(|byte| *byte == 0) {
            target.seek(SeekFrom::Current(i64::try_from(read).unwrap_or(i64::MAX)))?;
        } else {
            target.write_all(bytes)?;
        }
        length = length.saturating_add(read as u64);
    }
    target.set_len(length)?;
    target.sync_all()?;
    Ok((length, KeyHash(hash.finalize().into())))
}

/// Length and checksum of a file.
pub(super) fn measure(path: &Path) -> io::Result<(u64, KeyHash)> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut block = vec![0_u8; BLOCK];
    let mut length = 0_u64;
    loop {
        let read = file.read(&mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
        length = length.saturating_add(read as u64);
    }
    Ok((length, KeyHash(hash.finalize().into())))
}
