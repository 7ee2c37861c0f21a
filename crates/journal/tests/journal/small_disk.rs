//! A real file system that runs full.

use std::{path::Path, process::Command};

use journal::{Full, Journal};

use crate::desk::{Desk, expect_records, payload, wait_until};

/// A mounted tmpfs; unmounted on drop.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size},nr_inodes=200");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

fn fill(journal: &Journal, writer: &mut journal::Writer) {
    wait_until("the disk is full", || {
        loop {
            match writer.reserve(400) {
                Ok(ticket) => {
                    let payload = payload(writer.producer(), writer.next_seq());
                    writer.append(ticket, &payload).unwrap();
                }
                Err(full) => return matches!(full, Full::Disk(_)),
            }
        }
    });
    assert!(journal.status().writers[0].blocked.is_some());
}

#[test]
fn a_full_disk_sheds_and_recovers_by_itself() {
    let desk = Desk::new();
    let dir = desk.dir();
    let Some(_mounted) = Tmpfs::mount(&dir, "1m") else {
        println!("skipped: a_full_disk_sheds_and_recovers_by_itself (mounting a tmpfs is not permitted)");
        return;
    };
    let mut settings = desk.settings();
    settings.segment_bytes = 64 << 10;
    let journal = Journal::open(settings).unwrap();
    let mut writer = journal.writer(0).unwrap();
    let producer = writer.producer();
    let mut read_to = 0;
    for _ in 0..5 {
        fill(&journal, &mut writer);
        assert!(
            writer.next_seq() > read_to + 1_000,
            "most of the disk was used: {:?}",
            journal.status()
        );
        // Nothing that was admitted is lost while the disk is full.
        expect_records(&mut journal.reader(), producer, read_to, writer.next_seq());
        read_to = writer.next_seq();
        journal.free_below(producer, read_to).unwrap();
        wait_until("there is room again", || writer.reserve(400).is_ok());
    }
    // Space that others took and gave back counts as well.
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, vec![1; 512 << 10]).unwrap();
    fill(&journal, &mut writer);
    std::fs::remove_file(&ballast).unwrap();
    wait_until("there is room again", || writer.reserve(400).is_ok());
    expect_records(&mut journal.reader(), producer, read_to, writer.next_seq());
    assert_eq!(journal.status().writers[0].lost, 0);
    writer.close().unwrap();
    journal.close().unwrap();
}
