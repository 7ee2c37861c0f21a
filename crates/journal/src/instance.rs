//! Whose folder this is: the lock that forbids a second process, and the identity that tells a copy from the original.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::UNIX_EPOCH,
};

use crate::{Error, ProducerId, disk::Disk};

const LOCK: &str = "lock";
const INSTANCE: &str = "instance";
const RESTORED: &str = "restored";

/// Takes the lock of the folder; it ends with the process, however that ends.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(Error::io("lock", &path)(source)),
    }
}

/// Leaves the marker that tells the next [`crate::Journal::open`] that this folder came out of a backup: its producers
/// are closed with a gap, because the original may have gone on after the backup.
pub fn mark_restored(dir: &Path) -> Result<(), Error> {
    let path = dir.join(RESTORED);
    fs::write(&path, b"restored\n").map_err(Error::io("write", &path))
}

/// Whether the folder is a copy of another one, or was restored.
pub(crate) fn is_copy(dir: &Path) -> bool {
    if dir.join(RESTORED).exists() {
        return true;
    }
    let path = dir.join(INSTANCE);
    match fs::read_to_string(&path) {
        Ok(text) => identity(&path).map_or(true, |now| text.split_whitespace().nth(1) != Some(now.as_str())),
        // Never opened before: whatever producers lie here came from elsewhere.
        Err(_) => true,
    }
}

/// Makes the folder this instance's own. Done last, when the old producers are closed.
pub(crate) fn claim(dir: &Path, disk: &Disk) -> Result<(), Error> {
    let path = dir.join(INSTANCE);
    if is_copy(dir) {
        write_identity(&path, disk).map_err(Error::io("write", &path))?;
    }
    let restored = dir.join(RESTORED);
    match fs::remove_file(&restored) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", &restored)(error)),
        _ => disk.sync_dir(dir).map_err(Error::io("sync", dir)),
    }
}

/// The identity is that of the file it is written to, so the file is made first and never replaced.
fn write_identity(path: &Path, disk: &Disk) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(path)?;
    let text = format!("{} {}\n", ProducerId::fresh()?, identity(path)?);
    disk.write_at(&file, text.as_bytes(), 0)?;
    disk.sync_data(&file)
}

/// Inode and time of birth: a copy has others, and both survive a reboot, a rename and a new device number. Where the
/// file system knows no birth the device number stands in.
fn identity(path: &Path) -> io::Result<String> {
    let meta = fs::metadata(path)?;
    let born = meta.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(born.map_or_else(
        || format!("{}-dev{}", meta.ino(), meta.dev()),
        |born| format!("{}-{}", meta.ino(), born.as_nanos()),
    ))
}
