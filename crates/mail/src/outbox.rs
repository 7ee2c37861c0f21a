//! One `.eml` file for each mail, for deployments without a mail server and for tests.
//!
//! A file is there with all its bytes or not at all; names sort by time. Only the owner of the process reads them: mails
//! carry links that let people in.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::message::Letter;

/// Tells mails of one millisecond apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Writes a mail into the directory, which is made when absent.
pub(crate) async fn write(directory: &Path, letter: &Letter) -> io::Result<()> {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let bytes: [u8; 4] = domain::random::bytes();
    let name = format!(
        "{:015}-{:06}-{:08x}-{}.eml",
        letter.at.as_millis(),
        number % 1_000_000,
        u32::from_be_bytes(bytes),
        letter.kind
    );
    let path = directory.join(name);
    let text = letter.message.formatted();
    let written = tokio::task::spawn_blocking(move || whole(&path, &text)).await;
    written.map_err(io::Error::other)?
}

fn whole(path: &PathBuf, text: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let unfinished = path.with_extension("tmp");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}
