//! Power losses of the whole platform: a shim between the process and its disk remembers what was synced. After
//! `kill -9`, [`Power::cut`] throws a random part of the rest away, sector by sector, and the machine boots anew.
//!
//! Names are as they were at the kill: losing a rename or a removal is tested by the journal itself.

use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::chance::Random;
use super::platform::Settings;

const SECTOR: usize = 512;

/// The disk of one platform.
pub struct Power {
    root: PathBuf,
    platter: PathBuf,
    boot: PathBuf,
    shim: PathBuf,
}

impl Power {
    /// Compiles the shim, for a platform whose data are in `root`.
    pub fn new(dir: &Path, root: &Path) -> Self {
        let power = Self {
            root: root.to_owned(),
            platter: dir.join("platter"),
            boot: dir.join("boot-id"),
            shim: dir.join("power.so"),
        };
        std::fs::create_dir_all(&power.platter).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/power.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-o"])
            .arg(&power.shim)
            .arg(source)
            .arg("-ldl")
            .status();
        assert!(compiled.unwrap().success(), "the shim cannot be compiled");
        power
    }

    /// The platform is started with the shim from now on.
    pub fn plug_in(&self, settings: Settings) -> Settings {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        settings
            .with("LD_PRELOAD", &text(&self.shim))
            .with("POWER_ROOT", &text(&self.root))
            .with("POWER_PLATTER", &text(&self.platter))
            .with("POWER_BOOT", &text(&self.boot))
    }

    /// The kernel starts anew.
    pub fn boot(&self, random: &mut Random) {
        let (a, b) = (random.next(), random.next());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}\n",
            a >> 32,
            a & 0xffff,
            b >> 52,
            b & 0xfff,
            (a ^ b) & 0xffff_ffff_ffff
        );
        std::fs::write(&self.boot, id).unwrap();
    }

    /// Throws away a random part of what was not synced; the platform must not run. Gives the number of sectors lost.
    pub fn cut(&self, random: &mut Random) -> u64 {
        let mut files = Vec::new();
        find(&self.root, &mut files);
        files.iter().map(|path| self.cut_file(path, random)).sum()
    }

    fn synced(&self, path: &Path) -> Vec<u8> {
        let meta = std::fs::metadata(path).unwrap();
        let born = meta.created().unwrap().duration_since(UNIX_EPOCH).unwrap();
        let name = format!("{}-{}{:09}", meta.ino(), born.as_secs(), born.subsec_nanos());
        std::fs::read(self.platter.join(name)).unwrap_or_default()
    }

    /// In its place, so that a file stays the same file.
    fn cut_file(&self, path: &Path, random: &mut Random) -> u64 {
        let (synced, mut bytes) = (self.synced(path), std::fs::read(path).unwrap());
        let mut lost = 0;
        for (index, sector) in bytes.chunks_mut(SECTOR).enumerate() {
            let mut old = synced.get(index * SECTOR..).unwrap_or_default().to_vec();
            old.resize(sector.len(), 0);
            if old != *sector && random.below(2) == 0 {
                sector.copy_from_slice(&old);
                lost += 1;
            }
        }
        let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        if synced.len() < bytes.len() && random.below(2) == 0 {
            file.set_len(synced.len() as u64).unwrap();
        }
        lost
    }
}

fn find(dir: &Path, files: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            find(&path, files);
        } else if path.to_str().is_some_and(|name| name.ends_with("-shm")) {
            // Shared memory of a database: nothing of it is ever synced.
            std::fs::remove_file(path).unwrap();
        } else {
            files.push(path);
        }
    }
}
