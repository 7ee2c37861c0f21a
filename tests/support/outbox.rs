//! The outbox: mails as files, where no server is configured.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mime::Mail;

/// The outbox of a platform.
pub struct Outbox(PathBuf);

impl Outbox {
    pub fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("outbox"))
    }

    /// All mails, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        let Ok(entries) = std::fs::read_dir(&self.0) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "eml"));
        files.sort_by_key(|path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok());
        let read = files.iter().filter_map(|path| std::fs::read(path).ok());
        read.map(|bytes| Mail::parse(&String::from_utf8_lossy(&bytes)))
            .collect()
    }

    pub fn to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.is_to(address));
        mails
    }

    /// The newest link to a path that begins like this, in a mail to this address.
    pub fn wait_for_link(&self, address: &str, path: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(link) = self.to(address).iter().rev().find_map(|mail| mail.link(path)) {
                return link;
            }
            assert!(
                Instant::now() < deadline,
                "no mail to {address} with a link to {path}: {:#?}",
                self.to(address)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
