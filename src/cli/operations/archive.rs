//! A backup in one file: a tar archive, compressed where its name says so.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use super::manifest::{is_inside, make_file, make_folder};

/// How the name of a file says that it is an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Tar,
    TarGz,
}

/// The form that a name asks for; `None` is a folder.
pub(super) fn form(path: &Path) -> Option<Form> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let (rest, end) = name.rsplit_once('.')?;
    match (end, rest.rsplit_once('.').map(|(_, inner)| inner)) {
        ("tgz", _) | ("gz", Some("tar")) => Some(Form::TarGz),
        ("tar", _) => Some(Form::Tar),
        _ => None,
    }
}

/// Packs the files of a folder, in the order of their list.
pub(super) fn pack(folder: &Path, names: &[String], to: &Path, form: Form) -> io::Result<()> {
    let file = BufWriter::new(make_file(to)?);
    let file = match form {
        Form::Tar => append(file, folder, names)?,
        Form::TarGz => append(GzEncoder::new(file, Compression::fast()), folder, names)?.finish()?,
    };
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn append<W: Write>(to: W, folder: &Path, names: &[String]) -> io::Result<W> {
    let mut archive = tar::Builder::new(to);
    for name in names {
        archive.append_path_with_name(folder.join(name), name)?;
    }
    archive.into_inner()
}

/// Unpacks the files of an archive into an empty folder; anything but plain files within it is refused.
pub(super) fn unpack(from: &Path, form: Form, folder: &Path) -> io::Result<()> {
    let file = BufReader::new(File::open(from)?);
    match form {
        Form::Tar => extract(file, folder),
        Form::TarGz => extract(GzDecoder::new(file), folder),
    }
}

fn extract(from: impl Read, folder: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(from).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let kind = entry.header().entry_type();
        // Journal segments are mostly zeros, which the archive writes as holes.
        if !(kind.is_file() || kind.is_gnu_sparse()) || !is_inside(&path) {
            return Err(io::Error::other(format!(
                "{} is no plain file within the backup",
                path.display()
            )));
        }
        let target = folder.join(&path);
        make_folder(target.parent().unwrap_or(folder))?;
        io::copy(&mut entry, &mut make_file(&target)?)?;
    }
    Ok(())
}
