//! The data directory: private to its user, and the key that seals stored secrets.

use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use domain::key::KeyHash;
use domain::sealed::MasterKey;

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be made or read.
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is not a key.
    #[error(
        "{0} does not hold a key of 64 hexadecimal characters: restore the file, secrets sealed with it cannot be read otherwise"
    )]
    NotAKey(PathBuf),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// Makes the directory, readable by its user alone.
pub(crate) fn prepare(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(failed(dir))?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed(dir))
}

/// Writes a file that its user alone may read; an existing one stays as it is.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed(path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed(path))
}

/// The master key of the file, which is made when absent.
pub(crate) fn master_key(path: &Path) -> Result<MasterKey, Error> {
    if !path.exists() {
        write_private(path, &format!("{}\n", KeyHash(domain::random::bytes()).to_hex()))?;
    }
    let text = std::fs::read_to_string(path).map_err(failed(path))?;
    let bytes = KeyHash::from_hex(text.trim()).ok_or_else(|| Error::NotAKey(path.to_owned()))?;
    Ok(MasterKey::new(bytes.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        master_key(&path).unwrap();
        let first = std::fs::read_to_string(&path).unwrap();
        master_key(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), first);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_is_no_key_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, "oops").unwrap();
        assert!(matches!(master_key(&path), Err(Error::NotAKey(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "oops");
    }
}
