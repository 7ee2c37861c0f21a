//! A data directory out of a backup.
//!
//! Everything is checked against the list of the backup before anything stands in the place of the data directory,
//! which then appears whole. The journal is marked as restored, whatever the backup says.

use std::io;
use std::path::{Path, PathBuf};

use store::{CONTROL_FILE, LEDGER_FILE};

use super::manifest::{FORMAT, MANIFEST, Manifest, copy, is_inside, make_folder};
use super::{archive, databases};

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0} is not empty: restore into a folder that does not exist, and move this one away first")]
    NotEmpty(PathBuf),
    #[error("{0} is no backup: it has no readable {MANIFEST}")]
    NoBackup(PathBuf),
    #[error("the backup has format {0}, this program reads {FORMAT}: use the program that wrote it or a later one")]
    Format(u32),
    #[error("{0} does not belong into a data directory")]
    Outside(String),
    #[error("{0} is not what the backup wrote: it was damaged or changed; use another backup")]
    Damaged(String),
    #[error("{path} cannot be restored")]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Database(#[from] databases::Error),
    #[error("the journal cannot be marked")]
    Journal(#[from] journal::Error),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// Makes a data directory of a backup.
///
/// # Errors
/// See [`Error`]; the data directory is untouched then.
pub(crate) fn restore(from: &Path, data_dir: &Path) -> Result<Manifest, Error> {
    let entries = match std::fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(failed(data_dir)(error)),
    };
    if entries {
        return Err(Error::NotEmpty(data_dir.to_owned()));
    }
    let name = data_dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let draft = data_dir.with_file_name(format!(".{name}.restoring-{}", std::process::id()));
    let unpacked = data_dir.with_file_name(format!(".{name}.unpacked-{}", std::process::id()));
    let outcome = unpack(from, &unpacked)
        .and_then(|folder| fill(&folder, &draft))
        .and_then(|manifest| {
            std::fs::rename(&draft, data_dir).map_err(failed(data_dir))?;
            Ok(manifest)
        });
    for left in [draft, unpacked] {
        if left.exists() {
            // The error that led here is the one to report.
            let _ = std::fs::remove_dir_all(&left);
        }
    }
    outcome
}

/// The folder of a backup; an archive is unpacked beside the target.
fn unpack(from: &Path, to: &Path) -> Result<PathBuf, Error> {
    if from.is_dir() {
        return Ok(from.to_owned());
    }
    let form = archive::form(from).ok_or_else(|| Error::NoBackup(from.to_owned()))?;
    make_folder(to).map_err(failed(to))?;
    archive::unpack(from, form, to).map_err(failed(from))?;
    Ok(to.to_owned())
}

fn fill(from: &Path, draft: &Path) -> Result<Manifest, Error> {
    let text = std::fs::read(from.join(MANIFEST)).map_err(|_| Error::NoBackup(from.to_owned()))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| Error::NoBackup(from.to_owned()))?;
    if manifest.format != FORMAT {
        return Err(Error::Format(manifest.format));
    }
    make_folder(draft).map_err(failed(draft))?;
    for file in &manifest.files {
        let path = Path::new(&file.path);
        if !is_inside(path) {
            return Err(Error::Outside(file.path.clone()));
        }
        let (source, target) = (from.join(path), draft.join(path));
        let folder = target.parent().unwrap_or(draft);
        make_folder(folder).map_err(failed(folder))?;
        let is_plain = source.symlink_metadata().is_ok_and(|meta| meta.is_file());
        if !is_plain || copy(&source, &target).map_err(failed(&source))? != (file.bytes, file.sha256) {
            return Err(Error::Damaged(file.path.clone()));
        }
    }
    let journal = draft.join("journal");
    make_folder(&journal).map_err(failed(&journal))?;
    journal::mark_restored(&journal)?;
    check(draft)?;
    Ok(manifest)
}

fn check(draft: &Path) -> Result<(), Error> {
    let runtime = databases::runtime().map_err(failed(draft))?;
    for name in [CONTROL_FILE, LEDGER_FILE] {
        let path = draft.join(name);
        if !path.exists() {
            return Err(Error::Damaged(name.to_owned()));
        }
        runtime.block_on(databases::check(&path))?;
    }
    Ok(())
}
